//! The harness's own connections to RabbitMQ.

use amq_protocol_uri::{AMQPScheme, AMQPUri};
use amqprs::connection::{Connection, OpenConnectionArguments};
use amqprs::error::Error;

/// A connection to the broker at amqp://USER:PASSWORD@HOST:PORT/VHOST.
///
/// # Errors
/// The URL is none, or the broker does not answer or refuses.
pub async fn open(url: &str) -> Result<Connection, Error> {
    let uri: AMQPUri = url.parse().map_err(Error::UriError)?;
    if uri.scheme == AMQPScheme::AMQPS {
        return Err(Error::UriError("amqps:// is not supported; use amqp://".to_owned()));
    }
    let user = &uri.authority.userinfo;
    let (host, port) = (&uri.authority.host, uri.authority.port);
    let mut arguments = OpenConnectionArguments::new(host, port, &user.username, &user.password);
    Connection::open(arguments.virtual_host(&uri.vhost)).await
}
