//! What a private PostgreSQL server is set to, and what it can never be set to.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::PostgresBinaries;
use crate::ServerError;

/// What a crash must not lose is on the disk before a client is told.
const DURABLE: [&str; 3] = ["fsync", "full_page_writes", "synchronous_commit"];

/// Room for a loaded ten-instance cluster, on a machine of 2 cores and a few gigabytes.
const DEFAULTS: [(&str, &str); 9] = [
    ("max_connections", "200"),
    ("shared_buffers", "512MB"),
    ("max_wal_size", "4GB"),
    ("min_wal_size", "512MB"),
    // Compiling a plan costs more than any statement of a workflow engine runs.
    ("jit", "off"),
    ("track_wal_io_timing", "on"),
    ("log_lock_waits", "on"),
    ("log_line_prefix", "%m [%p] %q%u@%d "),
    ("log_timezone", "UTC"),
];

/// Counts the statements that a client sends: one a round trip, whatever a function does inside.
const STATISTICS: [(&str, &str); 2] =
    [("shared_preload_libraries", "pg_stat_statements"), ("pg_stat_statements.track", "top")];

/// What a server for measurements is set to, wherever it runs: name and value.
pub fn postgres_settings() -> impl Iterator<Item = (&'static str, &'static str)> {
    DEFAULTS.into_iter().chain(STATISTICS).chain(DURABLE.map(|setting| (setting, "on")))
}

/// How to start a [`super::Postgres`].
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// Settings of postgresql.conf, over the defaults: name and value, without quotes.
    pub settings: Vec<(String, String)>,
    /// Where the server's directory is made; by default `STEPMARK_TMP`, else /tmp (or /var/tmp
    /// where /tmp is memory).
    pub base_dir: Option<PathBuf>,
}

impl PostgresOptions {
    /// Refuses what would weaken durability.
    pub(super) fn check(&self) -> Result<(), ServerError> {
        for (setting, value) in &self.settings {
            if DURABLE.contains(&setting.to_lowercase().as_str()) && value != "on" {
                let (setting, value) = (setting.clone(), value.clone());
                return Err(ServerError::WeakensDurability { setting, value });
            }
        }
        Ok(())
    }

    /// The lines after initdb's own in postgresql.conf; of two for one setting, the later counts.
    pub(super) fn lines(&self, directory: &Path, port: u16, binaries: &PostgresBinaries) -> String {
        let mut text = String::new();
        let mut line = |setting: &str, value: &str| {
            let value = value.replace('\'', "''");
            writeln!(text, "{setting} = '{value}'").expect("a string takes any text");
        };
        line("listen_addresses", "127.0.0.1");
        line("port", &port.to_string());
        line("unix_socket_directories", &directory.display().to_string());
        for (setting, value) in DEFAULTS {
            line(setting, value);
        }
        if binaries.has_statement_statistics {
            for (setting, value) in STATISTICS {
                line(setting, value);
            }
        }
        for (setting, value) in &self.settings {
            line(setting, value);
        }
        for setting in DURABLE {
            line(setting, "on");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn with(setting: &str, value: &str) -> PostgresOptions {
        let settings = vec![(setting.to_owned(), value.to_owned())];
        PostgresOptions { settings, ..PostgresOptions::default() }
    }

    #[test]
    fn durability_cannot_be_weakened() {
        for setting in ["fsync", "FSYNC", "full_page_writes", "synchronous_commit"] {
            let error = with(setting, "off").check().unwrap_err().to_string();
            assert!(error.contains(setting), "{error}");
        }
        with("fsync", "on").check().unwrap();
        with("work_mem", "8MB").check().unwrap();
    }
}
