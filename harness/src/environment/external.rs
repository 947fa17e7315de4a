//! Servers that run already: the user tells their URLs.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::{Backend, EnvironmentError, PostgresServer, RabbitMqServer, Told};

/// The backend `external`. The harness makes a database and a role of its own in PostgreSQL and
/// drops both afterwards; in RabbitMQ it uses the engine's queues.
#[derive(Debug)]
pub struct External {
    told: Told,
}

impl External {
    /// A backend of these servers.
    pub fn new(told: Told) -> External {
        External { told }
    }
}

impl Backend for External {
    fn name(&self) -> &'static str {
        "external"
    }

    fn postgres(&mut self) -> BoxFuture<'_, Result<PostgresServer, EnvironmentError>> {
        let missing = EnvironmentError::NotTold("--database-url (a superuser of PostgreSQL)");
        let url = self.told.database_url.clone().ok_or(missing);
        let server = |admin_url| PostgresServer { admin_url, pid: None, data_dir: None };
        ready(url.map(server)).boxed()
    }

    fn rabbitmq(&mut self) -> BoxFuture<'_, Result<RabbitMqServer, EnvironmentError>> {
        let missing = EnvironmentError::NotTold("--rabbitmq-url (amqp://…)");
        let url = self.told.rabbitmq_url.clone().ok_or(missing);
        let prometheus_url = self.told.prometheus_url.clone();
        let server = |amqp_url| RabbitMqServer { amqp_url, prometheus_url, pid: None };
        ready(url.map(server)).boxed()
    }
}
