//! What PostgreSQL says of itself: read back from the server, not from what it was told.

use std::collections::BTreeMap;

use sqlx::postgres::PgConnection;

use super::EnvironmentError;

/// The settings that must be on: without them a commit is not durable.
const DURABLE: [&str; 3] = ["fsync", "full_page_writes", "synchronous_commit"];

const READ_SETTINGS: &str = "
    SELECT name, CASE WHEN unit IS NULL THEN setting ELSE current_setting(name) END
    FROM pg_settings
    WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'wal_sync_method',
        'wal_level', 'shared_buffers', 'max_wal_size', 'checkpoint_timeout', 'max_connections',
        'jit', 'commit_delay', 'autovacuum', 'wal_compression', 'shared_preload_libraries')";

/// A server's version and settings.
#[derive(Debug, Clone)]
pub struct PostgresFacts {
    /// The version as a number, such as 150012.
    pub version_num: i32,
    /// The version as text, such as `15.12 (Debian 15.12-0+deb12u2)`.
    pub version: String,
    /// What the harness and the engine reach it over: `unix socket` or `tcp`.
    pub transport: String,
    /// The settings that bear on speed and durability.
    pub settings: BTreeMap<String, String>,
}

impl PostgresFacts {
    /// Reads them back from the server.
    ///
    /// # Errors
    /// The server does not answer, or a durability setting is weakened.
    pub async fn read(connection: &mut PgConnection) -> Result<PostgresFacts, EnvironmentError> {
        let what = "reading PostgreSQL's settings";
        let failed = |error| EnvironmentError::Postgres { what, error };
        let rows: Vec<(String, String)> =
            sqlx::query_as(READ_SETTINGS).fetch_all(&mut *connection).await.map_err(failed)?;
        let (version, version_num, transport): (String, String, String) = sqlx::query_as(
            "SELECT current_setting('server_version'), current_setting('server_version_num'),
                CASE WHEN inet_server_addr() IS NULL THEN 'unix socket' ELSE 'tcp' END",
        )
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
        let settings: BTreeMap<String, String> = rows.into_iter().collect();
        let weakened = weakened(&settings);
        if !weakened.is_empty() {
            return Err(EnvironmentError::Weakened { settings: weakened.join(", ") });
        }
        let version_num = version_num.parse().unwrap_or_default();
        Ok(PostgresFacts { version_num, version, transport, settings })
    }

    /// Whether the library that counts statements is loaded.
    pub fn counts_statements(&self) -> bool {
        let libraries = self.settings.get("shared_preload_libraries");
        libraries.is_some_and(|libraries| libraries.contains("pg_stat_statements"))
    }
}

/// The settings that are not on. `synchronous_commit` may also ask for more than `on`.
fn weakened(settings: &BTreeMap<String, String>) -> Vec<String> {
    let weak = |name: &&str| match settings.get(*name).map(String::as_str) {
        Some("on") => None,
        Some("remote_apply" | "remote_write") if *name == "synchronous_commit" => None,
        value => Some(format!("{name} = {}", value.unwrap_or("unknown"))),
    };
    DURABLE.iter().filter_map(weak).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_is_off_or_weaker_is_named() {
        let settings = |fsync: &str, commit: &str| {
            let pairs =
                [("fsync", fsync), ("full_page_writes", "on"), ("synchronous_commit", commit)];
            pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        assert!(weakened(&settings("on", "on")).is_empty());
        assert!(weakened(&settings("on", "remote_apply")).is_empty());
        assert_eq!(weakened(&settings("off", "on")), ["fsync = off"]);
        assert_eq!(weakened(&settings("on", "local")), ["synchronous_commit = local"]);
    }
}
