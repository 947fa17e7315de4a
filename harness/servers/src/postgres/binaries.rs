//! Where PostgreSQL's programs are.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::embedded;
use crate::account::Account;
use crate::{Missing, ServerError};

/// What helps when programs are there and do not work.
pub(super) const REINSTALL: &str = "Install it again (`apt-get install --reinstall \
     postgresql`), or name another bin directory in STEPMARK_PG_BIN";
/// What helps when there are none.
pub(super) const INSTALL: &str =
    "`apt-get install -y --no-install-recommends postgresql` installs it";
/// The programs that we call.
const PROGRAMS: [&str; 3] = ["initdb", "postgres", "psql"];
const DEBIAN_ROOT: &str = "/usr/lib/postgresql";

/// How the binaries were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Named by the user.
    Told,
    /// Installed on the machine.
    Installed,
    /// Unpacked from a Python wheel into the cache folder.
    Embedded,
}

/// A directory with a PostgreSQL server's programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresBinaries {
    /// The directory with `initdb`, `postgres` and `psql`.
    pub directory: PathBuf,
    /// As the server says it, such as `15.18`.
    pub version: String,
    /// How it was found.
    pub origin: Origin,
    /// Whether `pg_stat_statements` is there: without it SQL statements cannot be counted.
    pub has_statement_statistics: bool,
}

impl PostgresBinaries {
    /// Finds binaries: those told (`explicit`, else the environment's `STEPMARK_PG_BIN`), or else
    /// installed ones (Debian's, newest first, else on `PATH`), or else embedded ones.
    ///
    /// # Errors
    /// When there are none, or told ones do not work: those are never replaced by others.
    pub fn find(explicit: Option<&Path>) -> Result<PostgresBinaries, ServerError> {
        let told = explicit.map(Path::to_path_buf);
        let told = told.or_else(|| env::var_os("STEPMARK_PG_BIN").map(PathBuf::from));
        if let Some(directory) = told {
            return PostgresBinaries::examine(&directory, Origin::Told);
        }
        let mut candidates = debian_directories().into_iter().chain(on_path());
        if let Some(directory) = candidates.find(|directory| is_complete(directory)) {
            return PostgresBinaries::examine(&directory, Origin::Installed);
        }
        if let Some(directory) = embedded::in_cache() {
            return PostgresBinaries::examine(&directory, Origin::Embedded);
        }
        let cache = embedded::cache_dir().display().to_string();
        let debian = format!("{DEBIAN_ROOT}/*/bin");
        Err(ServerError::Missing(Missing {
            what: "PostgreSQL",
            looked_in: vec!["STEPMARK_PG_BIN".to_owned(), debian, "PATH".to_owned(), cache],
            remedy: INSTALL.to_owned(),
        }))
    }

    /// As [`PostgresBinaries::find`], and when there are none, fetches embedded ones: a Python
    /// wheel of 25 MB, kept in `STEPMARK_CACHE` (by default /var/cache/stepmark for root, else
    /// `stepmark` in the user's cache folder). They have no `pg_stat_statements`.
    ///
    /// # Errors
    /// As [`PostgresBinaries::find`], or when they cannot be fetched.
    pub fn find_or_embed(explicit: Option<&Path>) -> Result<PostgresBinaries, ServerError> {
        match PostgresBinaries::find(explicit) {
            Err(ServerError::Missing(_)) => embedded::fetch(),
            found => found,
        }
    }

    /// All installed ones, Debian's newest first.
    ///
    /// Those that do not work are left out.
    pub fn installed() -> Vec<PostgresBinaries> {
        let mut directories: Vec<PathBuf> = debian_directories();
        directories.extend(on_path().filter(|directory| !directories.contains(directory)));
        let found = directories.iter().filter(|directory| is_complete(directory));
        found.filter_map(|d| PostgresBinaries::examine(d, Origin::Installed).ok()).collect()
    }

    /// Looks at the binaries in `directory`.
    pub(super) fn examine(
        directory: &Path,
        origin: Origin,
    ) -> Result<PostgresBinaries, ServerError> {
        let program = directory.join("postgres");
        let broken = |reason: String| ServerError::Broken {
            program: program.clone(),
            reason,
            remedy: REINSTALL.to_owned(),
        };
        if let Some(absent) = PROGRAMS.iter().find(|name| !directory.join(name).is_file()) {
            return Err(broken(format!("there is no {absent} in {}", directory.display())));
        }
        let output = Command::new(&program)
            .arg("--version")
            .output()
            .map_err(|error| broken(error.to_string()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        // "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
        let version = text.split_whitespace().nth(2).filter(|_| output.status.success());
        let Some(version) = version else {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(broken(format!("{}: {}", output.status, said.trim())));
        };
        Ok(PostgresBinaries {
            directory: directory.to_path_buf(),
            version: version.to_owned(),
            origin,
            has_statement_statistics: has_statement_statistics(directory),
        })
    }

    /// Root's servers run under another account, which may be kept out of root's own folders.
    pub(super) fn check_reachable(&self, account: Option<&Account>) -> Result<(), ServerError> {
        let program = self.directory.join("postgres");
        let closed = account.and_then(|account| {
            account.closed_directory(&program).map(|closed| (account.name.clone(), closed))
        });
        match closed {
            Some((account, closed)) => Err(ServerError::Closed { path: program, closed, account }),
            None => Ok(()),
        }
    }
}

fn is_complete(directory: &Path) -> bool {
    PROGRAMS.iter().all(|program| directory.join(program).is_file())
}

/// Debian's versions side by side, newest first.
fn debian_directories() -> Vec<PathBuf> {
    let entries = fs::read_dir(DEBIAN_ROOT).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by_key(|&(version, _)| std::cmp::Reverse(version));
    versions.into_iter().map(|(_, directory)| directory).collect()
}

/// Where `initdb` on `PATH` really is: a link to it has no siblings.
fn on_path() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .filter_map(|directory| directory.join("initdb").canonicalize().ok())
        .find_map(|initdb| initdb.parent().map(Path::to_path_buf))
}

fn has_statement_statistics(directory: &Path) -> bool {
    let asked = |option: &str| {
        let output = Command::new(directory.join("pg_config")).arg(option).output().ok()?;
        output
            .status
            .success()
            .then(|| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim().to_owned()))
    };
    let libraries = asked("--pkglibdir").unwrap_or_else(|| directory.join("../lib"));
    let shared = asked("--sharedir").unwrap_or_else(|| directory.join("../share"));
    libraries.join("pg_stat_statements.so").is_file()
        && shared.join("extension/pg_stat_statements.control").is_file()
}
