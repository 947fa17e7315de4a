//! What can go wrong, each with the thing by name and what to do about it.

use std::io;
use std::path::PathBuf;

/// Binaries that are not on this machine.
#[derive(Debug, thiserror::Error)]
#[error("{what} not found (looked in {}). {remedy}", looked_in.join(", "))]
pub struct Missing {
    /// What is missing.
    pub what: &'static str,
    /// Where it was looked for.
    pub looked_in: Vec<String>,
    /// How to get it: a sentence with the exact command.
    pub remedy: String,
}

/// Why a server could not be found, started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Binaries that are not on this machine.
    #[error(transparent)]
    Missing(#[from] Missing),

    /// Binaries are there and do not work.
    #[error("{program} does not work: {reason}. {remedy}")]
    Broken {
        /// The program that was tried.
        program: PathBuf,
        /// What it answered.
        reason: String,
        /// What to do about it.
        remedy: String,
    },

    /// The private directory could not be made or written.
    #[error("cannot use {} for a server's files: {source}; point STEPMARK_TMP to a directory \
             that can be written", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },

    /// A directory on the way to the server's files keeps its account out.
    #[error("the account {account}, which root runs servers under, cannot reach {}: {} is closed \
             to it; choose another place (STEPMARK_TMP for files, STEPMARK_CACHE for binaries) \
             or `chmod o+x {}`", path.display(), closed.display(), closed.display())]
    Closed {
        /// What the server needs to reach.
        path: PathBuf,
        /// The directory without search permission.
        closed: PathBuf,
        /// The account.
        account: String,
    },

    /// The path of the server's socket is longer than the operating system takes.
    #[error("the socket path {} is longer than 107 bytes; point STEPMARK_TMP to a shorter one",
            path.display())]
    SocketPath {
        /// The socket.
        path: PathBuf,
    },

    /// Root, and no account to drop to.
    #[error(
        "servers do not run as root, and neither {preferred} nor nobody is an account of \
             this machine; `adduser --system nobody` makes one"
    )]
    NoAccount {
        /// The account looked for first.
        preferred: String,
    },

    /// A setting that would make durable figures a lie.
    #[error("{setting} = {value} would weaken durability; it stays on")]
    WeakensDurability {
        /// The setting.
        setting: String,
        /// The value asked for.
        value: String,
    },

    /// No port of the range is free.
    #[error("no free port on 127.0.0.1 from {from} to {to}; end some servers and try again")]
    NoFreePort {
        /// The first port of the range.
        from: u16,
        /// The last one.
        to: u16,
    },

    /// The server ended while it started.
    #[error("{server} did not start ({status}); its log, {}, ends with:\n{last_lines}",
            log.display())]
    Start {
        /// The server.
        server: &'static str,
        /// Its exit status.
        status: String,
        /// The log, gone with the server's directory.
        log: PathBuf,
        /// The end of the log.
        last_lines: String,
    },

    /// The server did not do something in time.
    #[error("{server} did not {what} within {limit_s} s; its log, {}, ends with:\n{last_lines}",
            log.display())]
    TimedOut {
        /// The server.
        server: &'static str,
        /// What it did not do.
        what: &'static str,
        /// The limit, in seconds.
        limit_s: u64,
        /// The log, gone with the server's directory.
        log: PathBuf,
        /// The end of the log.
        last_lines: String,
    },

    /// A process could not be started, signalled or waited for.
    #[error("{server}: {source}")]
    Process {
        /// The server or program.
        server: &'static str,
        /// The operating system's answer.
        source: io::Error,
    },

    /// A script of SQL failed.
    #[error("a statement in database {database} failed: {message}")]
    Statement {
        /// The database.
        database: String,
        /// psql's message.
        message: String,
    },

    /// The server is not in the state that the call needs.
    #[error("{server} is {state}")]
    State {
        /// The server.
        server: &'static str,
        /// The state it is in.
        state: &'static str,
    },
}

impl ServerError {
    /// Whether the same call may succeed later, with nothing changed by hand.
    pub fn can_try_again(&self) -> bool {
        matches!(self, ServerError::NoFreePort { .. } | ServerError::TimedOut { .. })
    }
}
