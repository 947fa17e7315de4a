//! Private servers as local processes, started when they are first asked for.

use std::path::PathBuf;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use stepmark_servers::{
    Postgres, PostgresBinaries, PostgresOptions, RabbitMq, RabbitMqBinaries, RabbitMqOptions,
    ServerError,
};
use tokio::task::spawn_blocking;

use super::{Backend, EnvironmentError, PostgresServer, RabbitMqServer};

/// The backend `process`. Dropping it ends its servers and removes their directories.
#[derive(Debug)]
pub struct Process {
    postgres_binaries: Option<PathBuf>,
    postgres: Option<Postgres>,
    rabbitmq: Option<RabbitMq>,
}

impl Process {
    /// A backend with the PostgreSQL binaries of this folder, or those that it finds.
    pub fn new(postgres_binaries: Option<PathBuf>) -> Process {
        Process { postgres_binaries, postgres: None, rabbitmq: None }
    }
}

impl Backend for Process {
    fn name(&self) -> &'static str {
        "process"
    }

    fn postgres(&mut self) -> BoxFuture<'_, Result<PostgresServer, EnvironmentError>> {
        async {
            if self.postgres.is_none() {
                let explicit = self.postgres_binaries.clone();
                let start = move || {
                    let binaries = PostgresBinaries::find(explicit.as_deref())?;
                    Postgres::start(&binaries, PostgresOptions::default())
                };
                self.postgres = Some(blocking(start).await?);
            }
            let server = self.postgres.as_ref().expect("it was started above");
            Ok(PostgresServer {
                // As an engine on the database's own machine would: over the socket.
                admin_url: server.socket_url("postgres", "postgres"),
                pid: server.pid(),
                data_dir: Some(server.data_dir()),
            })
        }
        .boxed()
    }

    fn rabbitmq(&mut self) -> BoxFuture<'_, Result<RabbitMqServer, EnvironmentError>> {
        async {
            if self.rabbitmq.is_none() {
                let start = || {
                    let binaries = RabbitMqBinaries::find(None)?;
                    RabbitMq::start(&binaries, RabbitMqOptions::default())
                };
                self.rabbitmq = Some(blocking(start).await?);
            }
            let server = self.rabbitmq.as_ref().expect("it was started above");
            Ok(RabbitMqServer {
                amqp_url: server.amqp_url(),
                prometheus_url: Some(server.prometheus_url()),
                pid: server.pid(),
            })
        }
        .boxed()
    }
}

/// Runs a blocking call on a thread for such; a panic there goes on here.
pub(super) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, ServerError> + Send + 'static,
) -> Result<T, ServerError> {
    match spawn_blocking(call).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
