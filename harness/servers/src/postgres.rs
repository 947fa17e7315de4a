//! A private PostgreSQL server.

mod binaries;
mod embedded;
mod settings;
mod sql;

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::account::Account;
use crate::home::Home;
use crate::port::Port;
use crate::process::ServerProcess;
use crate::{Ending, ServerError, secret};

pub use binaries::{Origin, PostgresBinaries};
pub use embedded::cache_dir;
pub use settings::{PostgresOptions, postgres_settings};

const SERVER: &str = "PostgreSQL";
/// The superuser's role.
const SUPERUSER: &str = "postgres";
/// Crash recovery of a few gigabytes of WAL included.
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const PORT_ATTEMPTS_MAX: u32 = 5;
/// `sun_path` of a socket address, without its final zero.
const SOCKET_PATH_MAX_BYTES: usize = 107;

/// A private PostgreSQL server. Dropping it ends the server and removes its directory, as does
/// the end of this process by any cause.
///
/// It listens on 127.0.0.1, where each role has a password (it is in the URLs), and on a socket
/// in its directory, which only its own account and root can enter.
#[derive(Debug)]
pub struct Postgres {
    binaries: PostgresBinaries,
    port: Port,
    password: String,
    process: Option<ServerProcess>,
    home: Home,
}

impl Postgres {
    /// Makes a new cluster and starts it: about 0.8 s, nearly all of it `initdb`.
    ///
    /// # Errors
    /// When a setting would weaken durability, the directory or the binaries cannot be used, or
    /// the server does not start; the error has the end of its log.
    pub fn start(
        binaries: &PostgresBinaries,
        options: PostgresOptions,
    ) -> Result<Postgres, ServerError> {
        Postgres::start_on(Port::reserve()?, binaries, options)
    }

    fn start_on(
        port: Port,
        binaries: &PostgresBinaries,
        options: PostgresOptions,
    ) -> Result<Postgres, ServerError> {
        options.check()?;
        let begun = Instant::now();
        let account = Account::to_drop_to("postgres")?;
        binaries.check_reachable(account.as_ref())?;
        let home = Home::make(SERVER, account, options.base_dir.as_deref())?;
        let password = secret::password().map_err(|source| home.error(source))?;
        let binaries = binaries.clone();
        let mut postgres = Postgres { binaries, port, password, process: None, home };
        postgres.check_socket_path()?;
        postgres.initdb()?;
        postgres.start_on_a_free_port(&options)?;
        if postgres.binaries.has_statement_statistics {
            postgres.psql("postgres", "CREATE EXTENSION pg_stat_statements;\n", &[])?;
        }
        tracing::info!(
            port = postgres.port(),
            pid = postgres.pid(),
            version = %postgres.binaries.version,
            elapsed_ms = begun.elapsed().as_millis(),
            "PostgreSQL started"
        );
        Ok(postgres)
    }

    /// The URL of `database` for `role`, over TCP on 127.0.0.1.
    pub fn url(&self, database: &str, role: &str) -> String {
        let (password, port) = (&self.password, self.port());
        format!("postgres://{role}:{password}@{}:{port}/{database}", Ipv4Addr::LOCALHOST)
    }

    /// The URL of `database` for the superuser `postgres`, over TCP.
    pub fn superuser_url(&self, database: &str) -> String {
        self.url(database, SUPERUSER)
    }

    /// The URL of `database` for `role`, over the socket: for this account and root only.
    pub fn socket_url(&self, database: &str, role: &str) -> String {
        format!("{}?host={}", self.url(database, role), self.home.directory.display())
    }

    /// The password of every role: in the URLs, for statements that make further roles.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The TCP port; it stays the same for the server's whole life.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The postmaster's process id, or `None` while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.child.id())
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.home.path("data")
    }

    /// The server's log, of all starts: lock waits longer than a second and deadlocks are in it.
    pub fn log_path(&self) -> PathBuf {
        self.home.path("postgres.log")
    }

    /// The binaries that it runs.
    pub fn binaries(&self) -> &PostgresBinaries {
        &self.binaries
    }

    /// Stops it as a crash would (`pg_ctl -m immediate`): nothing is flushed, and the next start
    /// recovers from the WAL.
    ///
    /// # Errors
    /// When it does not stop within 30 s.
    pub fn stop_immediate(&mut self) -> Result<(), ServerError> {
        self.home.stop(&mut self.process, Signal::QUIT, STOP_LIMIT)
    }

    /// Stops it in order (`pg_ctl -m fast`): transactions are rolled back, a checkpoint is made.
    ///
    /// # Errors
    /// When it does not stop within 30 s.
    pub fn stop_fast(&mut self) -> Result<(), ServerError> {
        self.home.stop(&mut self.process, Signal::INT, STOP_LIMIT)
    }

    /// Starts it again after a stop, on the same port and data.
    ///
    /// # Errors
    /// When it runs already, or does not start within 60 s.
    pub fn start_again(&mut self) -> Result<(), ServerError> {
        match self.process {
            None => self.launch(),
            Some(_) => Err(ServerError::State { server: SERVER, state: "running already" }),
        }
    }

    fn initdb(&self) -> Result<(), ServerError> {
        let password_file = self.home.write("password", &self.password)?;
        let initdb = self.binaries.directory.join("initdb");
        let mut command = self.home.command(&initdb, Ending::Kill)?;
        self.environment(&mut command);
        let output = command
            .arg("-D")
            .arg(self.data_dir())
            .args(["-U", SUPERUSER, "-E", "UTF8", "--locale=C", "--no-sync"])
            // The socket is in a closed directory. Over TCP the password goes in clear, to be
            // checked against its hash: loopback only, and free of SCRAM's 4,096 rounds.
            .args(["--auth-local=trust", "--auth-host=password"])
            .arg(format!("--pwfile={}", password_file.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .output()
            .map_err(|source| self.home.error(source))?;
        fs::remove_file(&password_file)
            .map_err(|source| ServerError::Directory { path: password_file, source })?;
        if output.status.success() {
            return Ok(());
        }
        Err(ServerError::Broken {
            program: initdb,
            reason: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            remedy: binaries::REINSTALL.to_owned(),
        })
    }

    /// Another program may take the port between the look and the start: then another one.
    fn start_on_a_free_port(&mut self, options: &PostgresOptions) -> Result<(), ServerError> {
        let path = self.data_dir().join("postgresql.conf");
        let defaults =
            fs::read_to_string(&path).map_err(|source| ServerError::Directory { path, source })?;
        let mut attempt = 1;
        loop {
            let own = options.lines(&self.home.directory, self.port(), &self.binaries);
            self.home.write("data/postgresql.conf", &format!("{defaults}\n{own}"))?;
            match self.launch() {
                Err(ServerError::Start { last_lines, .. })
                    if last_lines.contains("Address already in use")
                        && attempt < PORT_ATTEMPTS_MAX =>
                {
                    tracing::info!(port = self.port(), "the port was taken: another one");
                    attempt += 1;
                    self.port = Port::reserve()?;
                }
                outcome => return outcome,
            }
        }
    }

    fn launch(&mut self) -> Result<(), ServerError> {
        let program = self.binaries.directory.join("postgres");
        let mut command = self.home.command(&program, Ending::Quit)?;
        self.environment(&mut command);
        command.arg("-D").arg(self.data_dir());
        let mut process = self.home.spawn(command, self.log_path())?;
        // The same sign that pg_ctl waits for; the first line tells that it is this start's.
        let status = self.data_dir().join("postmaster.pid");
        let pid = process.child.id().to_string();
        let started = process.wait_until_ready(START_LIMIT, || {
            fs::read_to_string(&status).is_ok_and(|text| {
                let mut lines = text.lines();
                lines.next() == Some(&pid) && lines.nth(6).is_some_and(|l| l.trim() == "ready")
            })
        });
        if let Err(error) = started {
            // Ended with the guardian if even that fails; the first error says more.
            let _ = process.stop(Signal::KILL, STOP_LIMIT);
            return Err(error);
        }
        self.process = Some(process);
        Ok(())
    }

    /// What the programs need, over an empty environment: none of the user's own PG* variables.
    fn environment(&self, command: &mut Command) {
        let libraries = std::env::var_os("LD_LIBRARY_PATH");
        command
            .env("HOME", &self.home.directory)
            .env("LC_ALL", "C")
            .envs(libraries.map(|path| ("LD_LIBRARY_PATH", path)));
    }

    fn check_socket_path(&self) -> Result<(), ServerError> {
        let path = self.home.path(".s.PGSQL.00000");
        if path.as_os_str().len() > SOCKET_PATH_MAX_BYTES {
            return Err(ServerError::SocketPath { path });
        }
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.home.end(self.process.take());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_port_taken_after_it_was_chosen_is_left_to_its_taker() {
        let port = Port::reserve().unwrap();
        let taken = port.number();
        let _taker = TcpListener::bind((Ipv4Addr::LOCALHOST, taken)).unwrap();
        let binaries = PostgresBinaries::find(None).unwrap();
        let postgres = Postgres::start_on(port, &binaries, PostgresOptions::default()).unwrap();
        assert_ne!(postgres.port(), taken);
    }
}
