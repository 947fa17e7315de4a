//! Where the servers come from: backends behind one trait.

pub mod amqp;
mod database;
mod external;
mod process;
mod settings;

use std::path::PathBuf;

use futures_util::future::BoxFuture;
use stepmark_servers::ServerError;

pub use database::{Names, RunDatabase};
pub use external::External;
pub use process::Process;
pub use settings::PostgresFacts;

/// A PostgreSQL server that a run may use.
#[derive(Debug, Clone)]
pub struct PostgresServer {
    /// A superuser's URL of a database that exists; the harness works in databases of its own.
    pub admin_url: String,
    /// The postmaster's process id, where it is a process of this machine.
    pub pid: Option<u32>,
    /// The data directory, where it is on this machine.
    pub data_dir: Option<PathBuf>,
}

/// A RabbitMQ broker that a run may use.
#[derive(Debug, Clone)]
pub struct RabbitMqServer {
    /// Its AMQP URL.
    pub amqp_url: String,
    /// The URL of its Prometheus page, where messages are counted.
    pub prometheus_url: Option<String>,
    /// The process id, where it is a process of this machine.
    pub pid: Option<u32>,
}

/// A source of servers. Asked again, it gives the server that it gave before.
pub trait Backend {
    /// The backend's name, as in `--backend`.
    fn name(&self) -> &'static str;

    /// A running PostgreSQL.
    ///
    /// # Errors
    /// There is none, or it cannot be reached.
    fn postgres(&mut self) -> BoxFuture<'_, Result<PostgresServer, EnvironmentError>>;

    /// A running RabbitMQ.
    ///
    /// # Errors
    /// There is none, or it cannot be reached.
    fn rabbitmq(&mut self) -> BoxFuture<'_, Result<RabbitMqServer, EnvironmentError>>;
}

/// Why there is no environment to measure in: exit code 3.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// A private server does not start.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A server cannot be used.
    #[error("{what}: {error}")]
    Postgres {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        error: sqlx::Error,
    },
    /// RabbitMQ cannot be used.
    #[error("{what}: {error}")]
    RabbitMq {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        error: amqprs::error::Error,
    },
    /// A durability setting is weakened.
    #[error(
        "PostgreSQL runs with {settings}: a figure taken without durability is worth nothing; \
             set them to on"
    )]
    Weakened {
        /// The settings and their values.
        settings: String,
    },
    /// The external backend lacks a URL.
    #[error("the backend external needs {0}")]
    NotTold(&'static str),
    /// The guardian, which cleans up after a killed harness, does not work.
    #[error("cannot start the guardian process: {0}")]
    Guardian(std::io::Error),
}

/// URLs of servers that are there already, and told by the user.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// `--database-url`: a superuser of PostgreSQL.
    pub database_url: Option<String>,
    /// `--rabbitmq-url`.
    pub rabbitmq_url: Option<String>,
    /// `--rabbitmq-prometheus-url`.
    pub prometheus_url: Option<String>,
    /// `--pg-bin`: the folder with PostgreSQL's binaries.
    pub postgres_binaries: Option<PathBuf>,
}

impl Told {
    /// What the environment tells, under the names that `stepmark --help` gives.
    pub fn from_environment() -> Told {
        let told = |name| std::env::var(name).ok();
        Told {
            database_url: told("STEPMARK_EXTERNAL_DATABASE_URL"),
            rabbitmq_url: told("STEPMARK_EXTERNAL_RABBITMQ_URL"),
            prometheus_url: told("STEPMARK_EXTERNAL_RABBITMQ_PROMETHEUS_URL"),
            postgres_binaries: told("STEPMARK_PG_BIN").map(PathBuf::from),
        }
    }
}

/// A backend, and why it is the one.
pub struct Choice {
    /// The backend.
    pub backend: Box<dyn Backend>,
    /// Why it was taken, for people.
    pub why: String,
}

/// A backend by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum BackendName {
    /// The first that works.
    Auto,
    /// Private servers from binaries of this machine.
    Process,
    /// Servers that run already, by URL.
    External,
}

/// Takes the backend asked for, or the first that can work.
pub fn choose(name: BackendName, told: Told) -> Choice {
    let external = match (name, &told.database_url) {
        (BackendName::External, _) => Some("asked for with --backend external"),
        (BackendName::Auto, Some(_)) => Some("--database-url names a server"),
        _ => None,
    };
    if let Some(why) = external {
        return Choice { backend: Box::new(External::new(told)), why: why.to_owned() };
    }
    let why = match name {
        BackendName::Process => "asked for with --backend process",
        _ => "no --database-url was given, and private local servers need nothing but binaries",
    };
    let backend = Box::new(Process::new(told.postgres_binaries));
    Choice { backend, why: why.to_owned() }
}
