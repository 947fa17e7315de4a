//! Statements of the superuser, through the server's own psql: no driver is needed.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{Postgres, SUPERUSER};
use crate::ServerError;

impl Postgres {
    /// Makes an ordinary role that can log in, and a database that it owns.
    ///
    /// # Errors
    /// When either exists, or the server is stopped.
    pub fn create_role_and_database(&self, role: &str, database: &str) -> Result<(), ServerError> {
        let script = "CREATE ROLE :\"role\" LOGIN PASSWORD :'password';\n\
                      CREATE DATABASE :\"database\" OWNER :\"role\";\n";
        let variables = [("role", role), ("database", database), ("password", self.password())];
        self.psql("postgres", script, &variables)
    }

    /// Runs a script of SQL (or of psql's own commands) as the superuser, up to its first error.
    /// Each of `variables` can be named in it as `:name`, `:'name'` or `:"name"`.
    ///
    /// # Errors
    /// When a statement fails, with psql's message, or the server is stopped.
    pub fn psql(
        &self,
        database: &str,
        script: &str,
        variables: &[(&str, &str)],
    ) -> Result<(), ServerError> {
        let psql = self.binaries.directory.join("psql");
        let mut command = Command::new(&psql);
        command.env_clear().env("PATH", "/usr/bin:/bin");
        self.environment(&mut command);
        for (name, value) in variables {
            command.arg("-v").arg(format!("{name}={value}"));
        }
        let mut child = command
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", SUPERUSER, "-f", "-"])
            .arg("-h")
            .arg(&self.home.directory)
            .args(["-p", &self.port().to_string(), "-d", database])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| self.home.error(source))?;
        let mut input = child.stdin.take().expect("psql's standard input is piped");
        // When psql has ended early, its own message says why.
        let _ = input.write_all(script.as_bytes());
        drop(input);
        let output = child.wait_with_output().map_err(|source| self.home.error(source))?;
        if output.status.success() {
            return Ok(());
        }
        Err(ServerError::Statement {
            database: database.to_owned(),
            message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }
}
