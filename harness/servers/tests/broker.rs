//! The broker keeps what it confirmed, and counts every message when it is asked.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::TcpStream;

use amq_protocol_uri::AMQPUri;
use amqprs::callbacks::ChannelCallback;
use amqprs::channel::{
    BasicGetArguments, BasicPublishArguments, Channel, ConfirmSelectArguments,
    QueueDeclareArguments, QueueDeleteArguments,
};
use amqprs::connection::{Connection, OpenConnectionArguments};
use amqprs::error::Error;
use amqprs::{Ack, BasicProperties, Cancel, CloseChannel, Nack, Return};
use async_trait::async_trait;
use stepmark_servers::{RabbitMq, RabbitMqBinaries, RabbitMqOptions};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const QUEUE: &str = "kept";
const MESSAGES: u64 = 25;

/// A channel in confirm mode, its confirmations, and the connection that it lives by.
async fn channel(broker: &RabbitMq) -> (Connection, Channel, UnboundedReceiver<u64>) {
    let uri: AMQPUri = broker.amqp_url().parse().unwrap();
    let user = &uri.authority.userinfo;
    let (host, port) = (&uri.authority.host, uri.authority.port);
    let mut arguments = OpenConnectionArguments::new(host, port, &user.username, &user.password);
    let connection = Connection::open(arguments.virtual_host(&uri.vhost)).await.unwrap();
    let channel = connection.open_channel(None).await.unwrap();
    let (sender, confirmed) = unbounded_channel();
    channel.register_callback(Confirms(sender)).await.unwrap();
    channel.confirm_select(ConfirmSelectArguments::default()).await.unwrap();
    channel.queue_declare(QueueDeclareArguments::durable_client_named(QUEUE)).await.unwrap();
    (connection, channel, confirmed)
}

/// Tells how far the broker has confirmed.
struct Confirms(UnboundedSender<u64>);

#[async_trait]
impl ChannelCallback for Confirms {
    async fn publish_ack(&mut self, _: &Channel, ack: Ack) {
        self.0.send(ack.delivery_tag()).unwrap();
    }

    async fn publish_nack(&mut self, _: &Channel, nack: Nack) {
        panic!("message {} is refused", nack.delivery_tag());
    }

    async fn publish_return(&mut self, _: &Channel, _: Return, _: BasicProperties, _: Vec<u8>) {}

    async fn close(&mut self, _: &Channel, _: CloseChannel) -> Result<(), Error> {
        Ok(())
    }

    async fn cancel(&mut self, _: &Channel, _: Cancel) -> Result<(), Error> {
        Ok(())
    }

    async fn flow(&mut self, _: &Channel, active: bool) -> Result<bool, Error> {
        Ok(active)
    }
}

/// Publishes one message after the other, each confirmed before the next.
async fn publish_persistent(channel: &Channel, confirmed: &mut UnboundedReceiver<u64>) {
    for tag in 1..=MESSAGES {
        let persistent = BasicProperties::default().with_delivery_mode(2).finish();
        let arguments = BasicPublishArguments::new("", QUEUE);
        channel.basic_publish(persistent, b"x".to_vec(), arguments).await.unwrap();
        assert_eq!(confirmed.recv().await, Some(tag));
    }
}

async fn waiting(channel: &Channel) -> u64 {
    let mut count = 0;
    let arguments = BasicGetArguments::new(QUEUE).no_ack(true).finish();
    while channel.basic_get(arguments.clone()).await.unwrap().is_some() {
        count += 1;
    }
    count
}

/// The sum of a counter over its labels, as it is at this moment.
fn counter(broker: &RabbitMq, name: &str) -> u64 {
    let url = broker.prometheus_url();
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let values: Vec<u64> = answer
        .lines()
        .filter(|line| line.split(['{', ' ']).next() == Some(name))
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    assert!(!values.is_empty(), "{name} is not among the metrics:\n{answer}");
    values.iter().sum()
}

#[test]
fn confirmed_messages_survive_restarts_and_are_counted_at_once() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let binaries = RabbitMqBinaries::find(None).unwrap();
    let mut broker = RabbitMq::start(&binaries, RabbitMqOptions::default()).unwrap();
    let amqp_url = broker.amqp_url();

    tokio.block_on(async {
        let (connection, channel, mut confirmed) = channel(&broker).await;
        publish_persistent(&channel, &mut confirmed).await;
        assert_eq!(counter(&broker, "rabbitmq_global_messages_received_total"), MESSAGES);
        assert_eq!(counter(&broker, "rabbitmq_global_messages_confirmed_total"), MESSAGES);
        connection.close().await.unwrap();
    });
    broker.restart().unwrap();
    assert_eq!(broker.amqp_url(), amqp_url);

    tokio.block_on(async {
        let (_connection, channel, mut confirmed) = channel(&broker).await;
        assert_eq!(waiting(&channel).await, MESSAGES);
        assert_eq!(counter(&broker, "rabbitmq_global_messages_delivered_total"), MESSAGES);
        publish_persistent(&channel, &mut confirmed).await;
    });
    broker.kill().unwrap();
    broker.start_again().unwrap();

    tokio.block_on(async {
        let (_connection, channel, _confirmed) = channel(&broker).await;
        assert_eq!(waiting(&channel).await, MESSAGES);
        channel.queue_delete(QueueDeleteArguments::new(QUEUE)).await.unwrap();
    });
}
