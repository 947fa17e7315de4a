//! Connecting, and what the broker says of a connection on its own account.

use std::time::Duration;

use amq_protocol_uri::{AMQPScheme, AMQPUri};
use amqprs::Close;
use amqprs::callbacks::ConnectionCallback;
use amqprs::connection::{Connection, OpenConnectionArguments};
use amqprs::error::Error;
use async_trait::async_trait;
use tracing::{info, warn};

use super::RabbitMqOptions;

/// How long the broker may take to answer.
const OPEN_MAX: Duration = Duration::from_secs(10);

/// What an AMQP URL says, amqp://USER:PASSWORD@HOST:PORT/VHOST.
///
/// # Errors
/// It is none, or one of TLS.
pub fn arguments(url: &str) -> Result<OpenConnectionArguments, Error> {
    let uri: AMQPUri = url.parse().map_err(Error::UriError)?;
    if uri.scheme == AMQPScheme::AMQPS {
        return Err(Error::UriError("amqps:// is not supported; use amqp://".to_owned()));
    }
    let user = &uri.authority.userinfo;
    let (host, port) = (&uri.authority.host, uri.authority.port);
    let mut arguments = OpenConnectionArguments::new(host, port, &user.username, &user.password);
    Ok(arguments.virtual_host(&uri.vhost).finish())
}

pub(super) async fn open(options: &RabbitMqOptions) -> Result<Connection, Error> {
    let mut arguments = arguments(&options.url)?;
    arguments.connection_name(&options.connection_name);
    let late = |_| Error::ConnectionOpenError(format!("no answer within {OPEN_MAX:?}"));
    let connection = tokio::time::timeout(OPEN_MAX, Connection::open(&arguments)).await;
    let connection = connection.map_err(late)??;
    connection.register_callback(Notices).await?;
    Ok(connection)
}

struct Notices;

#[async_trait]
impl ConnectionCallback for Notices {
    async fn close(&mut self, _: &Connection, close: Close) -> Result<(), Error> {
        warn!(reason = close.reply_text().as_str(), "RabbitMQ closes the connection");
        Ok(())
    }

    async fn blocked(&mut self, _: &Connection, reason: String) {
        warn!(reason, "RabbitMQ takes no messages for now");
    }

    async fn unblocked(&mut self, _: &Connection) {
        info!("RabbitMQ takes messages again");
    }

    async fn secret_updated(&mut self, _: &Connection) {}
}
