//! Everything that can be set, with its unit and default: flags and environment variables alike.
//!
//! An environment variable that begins with `STEPMARK_` and is none of these is refused: a
//! misspelt limit must not pass for the default one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};

use crate::messaging::amqp_arguments;

/// The transport of dispatch and completion messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Broker {
    /// PGMQ's queue tables in the engine's own database.
    Pgmq,
    /// RabbitMQ, with an outbox in the database.
    Rabbitmq,
}

impl Broker {
    /// The name in SQL, configuration and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pgmq => "pgmq",
            Self::Rabbitmq => "rabbitmq",
        }
    }
}

/// What keeps the messages of RabbitMQ's queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum QueueType {
    /// One node of the broker; with priorities.
    Classic,
    /// The majority of a cluster's nodes; without priorities.
    Quorum,
}

/// How an orchestrator and a worker log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What orchestrators and workers are told alike.
#[derive(Debug, Clone, Args)]
pub struct EngineConfig {
    /// PostgreSQL, as postgres://USER:PASSWORD@HOST:PORT/DATABASE; the role owns the database.
    #[arg(long, env = "STEPMARK_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// The transport of messages; the same for all instances on one database.
    #[arg(long, env = "STEPMARK_BROKER", default_value = "pgmq")]
    pub broker: Broker,
    /// RabbitMQ, as amqp://USER:PASSWORD@HOST:PORT/VHOST; needed with broker rabbitmq.
    #[arg(long, env = "STEPMARK_RABBITMQ_URL", hide_env_values = true)]
    pub rabbitmq_url: Option<String>,
    /// What RabbitMQ queue names begin with; engines that share a virtual host need one each.
    #[arg(long, env = "STEPMARK_QUEUE_PREFIX", default_value = "stepmark.")]
    pub queue_prefix: String,
    /// The type of RabbitMQ queues that are made; one that is there keeps its own.
    #[arg(long, env = "STEPMARK_QUEUE_TYPE", default_value = "classic")]
    pub queue_type: QueueType,
    /// Address of the HTTP endpoint; port 0 takes any free one. A worker's tells its status only.
    #[arg(long, env = "STEPMARK_LISTEN", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Bearer token that every request under /v1 must carry; required beyond loopback.
    #[arg(long, env = "STEPMARK_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Name of this instance in logs and on the steps that it claims [default: its machine's name
    /// and its process id].
    #[arg(long, env = "STEPMARK_INSTANCE", default_value_t = own_name())]
    pub instance: String,
    /// Most messages taken by one statement.
    #[arg(long, env = "STEPMARK_BATCH_MAX", default_value_t = 100, value_parser = at_least_one)]
    pub batch_max: u32,
    /// Pause between two looks for work that nobody announced, in ms.
    #[arg(long, env = "STEPMARK_SWEEP_MS", default_value_t = 5_000, value_parser = at_least_one)]
    pub sweep_ms: u32,
    /// How long a start waits for the database and the broker, in ms.
    #[arg(long, env = "STEPMARK_CONNECT_MS", default_value_t = 10_000)]
    pub connect_ms: u32,
    /// How long a drain on SIGTERM waits for what is in flight, in ms.
    #[arg(long, env = "STEPMARK_DRAIN_MS", default_value_t = 30_000)]
    pub drain_ms: u32,
    /// Where OpenTelemetry traces of tasks go: the base URL of an OTLP/HTTP receiver, to which
    /// /v1/traces is appended, as http://HOST:4318 [default: nowhere, there are none].
    #[arg(long, env = "STEPMARK_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
    /// Format of the log on standard error; RUST_LOG sets its level.
    #[arg(long, env = "STEPMARK_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// Configuration of an orchestrator.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "stepmark-orchestrator",
    about = "Stepmark's orchestrator: HTTP API, \
    dependency evaluation and dispatch. Every flag can be set by its environment variable."
)]
#[command(version = VERSION)]
pub struct OrchestratorConfig {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub engine: EngineConfig,
    /// Folder of workflow templates (*.yaml), loaded at start.
    #[arg(long, env = "STEPMARK_TEMPLATES", default_value = "fixtures/workflows")]
    pub templates: PathBuf,
    /// Unfinished tasks past which new ones are refused with 503.
    #[arg(long, env = "STEPMARK_BACKLOG_MAX", default_value_t = 100_000)]
    pub backlog_max: u32,
    /// Largest request body, in bytes.
    #[arg(long, env = "STEPMARK_BODY_BYTES_MAX", default_value_t = 1 << 20)]
    pub body_bytes_max: usize,
    /// Connections that read tasks, each taking all requests that wait.
    #[arg(long, env = "STEPMARK_READ_CONNECTIONS", default_value_t = 2)]
    #[arg(value_parser = at_least_one)]
    pub read_connections: u32,
    /// Expired leases after which a step ends in Error.
    #[arg(long, env = "STEPMARK_LEASE_EXPIRIES_MAX", default_value_t = 5)]
    #[arg(value_parser = at_least_one)]
    pub lease_expiries_max: u32,
    /// Print the OpenAPI document of the HTTP API and exit.
    #[arg(long, exclusive = true)]
    pub openapi: bool,
}

/// Configuration of a worker program.
#[derive(Debug, Clone, Parser)]
#[command(about = "A stepmark worker: claims steps, runs their handlers, stores the outcomes. \
    Every flag can be set by its environment variable.")]
pub struct WorkerConfig {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub engine: EngineConfig,
    /// Steps that run at once.
    #[arg(long, env = "STEPMARK_CONCURRENCY", default_value_t = 100, value_parser = at_least_one)]
    pub concurrency: u32,
    /// Threads that run the lanes and the handlers; more than one pays for handlers that compute.
    #[arg(long, env = "STEPMARK_THREADS", default_value_t = 1, value_parser = at_least_one)]
    pub threads: u32,
    /// How long a claimed step is this worker's own, in ms; then another may take it over.
    #[arg(long, env = "STEPMARK_LEASE_MS", default_value_t = 30_000, value_parser = at_least_one)]
    pub lease_ms: u32,
    /// Largest result of a step, in bytes of JSON; a larger one fails the step.
    #[arg(long, env = "STEPMARK_RESULT_BYTES_MAX", default_value_t = RESULT_BYTES_MAX)]
    pub result_bytes_max: usize,
    /// Handlers that fail in a row after which this worker claims no more steps for a while (a
    /// circuit breaker); 0 for never.
    #[arg(long, env = "STEPMARK_BREAKER_FAILURES", default_value_t = 20)]
    pub breaker_failures: u32,
    /// How long it claims none then, in ms, before it tries one step.
    #[arg(long, env = "STEPMARK_BREAKER_PAUSE_MS", default_value_t = 5_000)]
    #[arg(value_parser = at_least_one)]
    pub breaker_pause_ms: u32,
    /// Print the handlers, one NAMESPACE/HANDLER a line, as `stepmark workflow check --handlers`
    /// reads them, and exit.
    #[arg(long, exclusive = true)]
    pub list_handlers: bool,
}

/// Largest result of a step in bytes of JSON, unless the worker is told otherwise.
pub const RESULT_BYTES_MAX: usize = 1 << 20;

/// Version of the binaries, with the revision of the sources that they are built from.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("STEPMARK_REVISION"), ")");

/// Environment variables of the harness and the build, which may stand beside the engine's own.
const HARNESS_VARIABLES: &[&str] = &[
    "STEPMARK_BACKEND",
    "STEPMARK_BIN_DIR",
    "STEPMARK_CACHE",
    "STEPMARK_BUN",
    "STEPMARK_EXTERNAL_DATABASE_URL",
    "STEPMARK_EXTERNAL_RABBITMQ_PROMETHEUS_URL",
    "STEPMARK_EXTERNAL_RABBITMQ_URL",
    "STEPMARK_LOG",
    "STEPMARK_NATIVE", // the worker core as a library, for a binding
    "STEPMARK_PG_BIN",
    "STEPMARK_POSTGRES_IMAGE",
    "STEPMARK_PYTHON",
    "STEPMARK_RABBITMQ_IMAGE",
    "STEPMARK_RABBITMQ_SERVER",
    "STEPMARK_REVISION", // which `cargo run` sets
    "STEPMARK_ROOT",
    "STEPMARK_RUBY",
    "STEPMARK_TEST_DOCKER",
    "STEPMARK_TMP",
    "STEPMARK_URL",
];

/// Why a configuration can't be started with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A variable that looks like ours and isn't.
    #[error("unknown environment variable {0}: see --help for the ones there are")]
    UnknownVariable(String),
    /// Reachable from elsewhere without a secret.
    #[error(
        "{0} is not a loopback address: set STEPMARK_TOKEN (--token) to listen beyond \
        loopback, or listen on 127.0.0.1"
    )]
    OpenWithoutToken(SocketAddr),
    /// An empty token would admit everybody.
    #[error("the token is empty: give STEPMARK_TOKEN (--token) a value or leave it out")]
    EmptyToken,
    /// The broker's address is missing.
    #[error("broker rabbitmq needs STEPMARK_RABBITMQ_URL (--rabbitmq-url)")]
    NoRabbitmqUrl,
    /// Not PostgreSQL's.
    #[error("STEPMARK_DATABASE_URL (--database-url) must begin with postgres://")]
    DatabaseUrl,
    /// Not RabbitMQ's.
    #[error(
        "STEPMARK_RABBITMQ_URL (--rabbitmq-url) must be amqp://USER:PASSWORD@HOST:PORT/VHOST: {0}"
    )]
    RabbitmqUrl(String),
    /// Not a receiver of traces.
    #[error("STEPMARK_OTLP_ENDPOINT (--otlp-endpoint) must begin with http://")]
    OtlpEndpoint,
    /// A queue prefix that RabbitMQ's names can't hold.
    #[error("queue prefix {0:?} is longer than 100 characters")]
    LongQueuePrefix(String),
}

impl EngineConfig {
    /// Checks what no single flag can.
    ///
    /// # Errors
    /// A combination that must not be started with.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.token.as_deref() == Some("") {
            return Err(ConfigError::EmptyToken);
        }
        if !self.listen.ip().is_loopback() && self.token.is_none() {
            return Err(ConfigError::OpenWithoutToken(self.listen));
        }
        if !["postgres://", "postgresql://"].iter().any(|it| self.database_url.starts_with(it)) {
            return Err(ConfigError::DatabaseUrl);
        }
        match self.rabbitmq_url.as_deref().map(amqp_arguments) {
            None if self.broker == Broker::Rabbitmq => return Err(ConfigError::NoRabbitmqUrl),
            Some(Err(error)) => return Err(ConfigError::RabbitmqUrl(error.to_string())),
            _ => {}
        }
        if self.otlp_endpoint.as_ref().is_some_and(|url| !url.starts_with("http://")) {
            return Err(ConfigError::OtlpEndpoint);
        }
        if self.queue_prefix.len() > 100 {
            return Err(ConfigError::LongQueuePrefix(self.queue_prefix.clone()));
        }
        Ok(())
    }

    /// Pause between two looks for work that nobody announced.
    #[must_use]
    pub fn sweep(&self) -> Duration {
        Duration::from_millis(self.sweep_ms.into())
    }

    /// How long a drain may take.
    #[must_use]
    pub fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms.into())
    }
}

/// Refuses environment variables that begin with `STEPMARK_` and set nothing.
///
/// # Errors
/// The first such variable.
pub fn check_environment(names: impl Iterator<Item = String>) -> Result<(), ConfigError> {
    let commands = [
        <OrchestratorConfig as clap::CommandFactory>::command(),
        <WorkerConfig as clap::CommandFactory>::command(),
    ];
    for name in names.filter(|name| name.starts_with("STEPMARK_")) {
        let known = commands
            .iter()
            .flat_map(clap::Command::get_arguments)
            .any(|arg| arg.get_env() == Some(name.as_ref()));
        if !known
            && !HARNESS_VARIABLES.contains(&name.as_str())
            && name != crate::failpoint::VARIABLE
        {
            return Err(ConfigError::UnknownVariable(name));
        }
    }
    Ok(())
}

/// Programs in containers have the same process id, and those of other machines may have it.
fn own_name() -> String {
    let machine = rustix::system::uname();
    format!("{}-{}", machine.nodename().to_string_lossy(), std::process::id())
}

fn at_least_one(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn config(arguments: &[&str]) -> EngineConfig {
        let url = ["worker", "--database-url", "postgres://localhost/x"];
        WorkerConfig::try_parse_from(url.iter().chain(arguments)).unwrap().engine
    }

    #[test]
    fn listening_beyond_loopback_needs_a_token() {
        let open = config(&["--listen", "0.0.0.0:80"]).check().unwrap_err();
        assert!(open.to_string().contains("STEPMARK_TOKEN"), "{open}");
        assert!(config(&["--listen", "0.0.0.0:80", "--token", "secret"]).check().is_ok());
        assert!(config(&["--listen", "0.0.0.0:80", "--token", ""]).check().is_err());
        assert!(config(&["--listen", "[::1]:80"]).check().is_ok());
    }

    #[test]
    fn rabbitmq_needs_its_address() {
        assert!(config(&["--broker", "rabbitmq"]).check().is_err());
    }

    #[test]
    fn traces_go_over_http_in_clear() {
        assert!(config(&["--otlp-endpoint", "http://127.0.0.1:4318"]).check().is_ok());
        let refused = config(&["--otlp-endpoint", "https://collector"]).check().unwrap_err();
        assert!(refused.to_string().contains("--otlp-endpoint"), "{refused}");
    }

    #[test]
    fn a_misspelt_variable_is_refused_by_name() {
        let names = ["PATH", "STEPMARK_BACKLOG_MAX", "STEPMARK_BACKLOG"].map(str::to_owned);
        let refused = check_environment(names.into_iter()).unwrap_err();
        assert!(refused.to_string().contains("STEPMARK_BACKLOG:"), "{refused}");
    }

    #[test]
    fn a_limit_of_zero_is_refused() {
        let url = ["worker", "--database-url", "postgres://localhost/x"];
        assert!(WorkerConfig::try_parse_from(url.iter().chain(&["--concurrency", "0"])).is_err());
    }
}
