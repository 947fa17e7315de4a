//! Where the servers come from: backends behind one trait.

pub mod amqp;
mod choice;
mod database;
mod docker;
mod external;
mod process;
mod settings;

use std::path::PathBuf;

use futures_util::future::BoxFuture;
use stepmark_docker::DockerError;
use stepmark_servers::ServerError;

pub use choice::{BackendName, Choice, Told, choose};
pub use database::{Names, RunDatabase};
pub use docker::{Docker, Images};
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
    /// The data directory, or a folder on the same disk, where that is of this machine.
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
    /// A container does not start.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// No backend has what it needs.
    #[error(
        "there are no servers:\n  process   {process}\n  docker    {docker}\n  external  no \
         --database-url was given"
    )]
    Nothing {
        /// What the backend `process` lacks.
        process: Box<ServerError>,
        /// What the backend `docker` lacks.
        docker: Box<DockerError>,
    },
    /// The program's own path, by which it is started once more, is not known.
    #[error("cannot tell the path of this program: {0}")]
    OwnPath(std::io::Error),
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
