//! Where RabbitMQ's programs are.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{Missing, ServerError};

/// Debian's start script; the one in sbin is a wrapper that insists on an account.
const DEBIAN_SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
/// Where RabbitMQ's script finds Erlang, on the `PATH` that we give it.
const ERLANG: [&str; 2] = ["/usr/bin", "/bin"];

/// A RabbitMQ server's programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RabbitMqBinaries {
    /// The start script.
    pub server: PathBuf,
    /// Erlang's port mapper daemon.
    pub epmd: PathBuf,
    /// The folder with RabbitMQ's parts and plugins.
    pub plugins: PathBuf,
    /// Such as `3.10.8`.
    pub version: String,
}

impl RabbitMqBinaries {
    /// Finds the start script: `explicit`, else the environment's `STEPMARK_RABBITMQ_SERVER`,
    /// else Debian's. The version is read from the folder that it lies in, which costs nothing
    /// where asking the program costs a second.
    ///
    /// # Errors
    /// When there is none, or no Erlang.
    pub fn find(explicit: Option<&Path>) -> Result<RabbitMqBinaries, ServerError> {
        let told = explicit.map(Path::to_path_buf);
        let told = told.or_else(|| env::var_os("STEPMARK_RABBITMQ_SERVER").map(PathBuf::from));
        let server = told.unwrap_or_else(|| PathBuf::from(DEBIAN_SERVER));
        let missing = |what, place: String| {
            ServerError::Missing(Missing {
                what,
                looked_in: vec![place],
                remedy: "`apt-get install -y --no-install-recommends rabbitmq-server` installs it"
                    .to_owned(),
            })
        };
        if !server.is_file() {
            return Err(missing("RabbitMQ", server.display().to_string()));
        }
        let epmd = ERLANG.iter().map(|bin| Path::new(bin).join("epmd")).find(|p| p.is_file());
        let epmd = epmd.ok_or_else(|| missing("Erlang", "/usr/bin/epmd".to_owned()))?;
        let Some((plugins, version)) = plugins(&server) else {
            return Err(ServerError::Broken {
                reason: "there are no plugins near it, of which RabbitMQ is made".to_owned(),
                program: server,
                remedy: "Install it again (`apt-get install --reinstall rabbitmq-server`), or \
                         name another start script in STEPMARK_RABBITMQ_SERVER"
                    .to_owned(),
            });
        };
        Ok(RabbitMqBinaries { server, epmd, plugins, version })
    }
}

/// The `plugins` folder beside the script's folder or below Debian's `lib`, and the version in
/// the name of the one called `rabbit-3.10.8`.
fn plugins(server: &Path) -> Option<(PathBuf, String)> {
    let home = server.canonicalize().ok()?.parent()?.parent()?.to_path_buf();
    let below = fs::read_dir(home.join("lib")).into_iter().flatten().flatten();
    let homes = below.map(|entry| entry.path()).chain([home]);
    homes.map(|home| home.join("plugins")).find_map(|plugins| {
        let mut names = fs::read_dir(&plugins).ok()?.flatten().map(|entry| entry.file_name());
        let version = names.find_map(|name| {
            let version = name.to_str()?.strip_prefix("rabbit-")?.trim_end_matches(".ez");
            Some(version.to_owned())
        });
        Some((plugins, version?))
    })
}
