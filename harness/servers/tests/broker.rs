//! The broker keeps what it confirmed, and counts every message when it is asked.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::TcpStream;

use lapin::options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use stepmark_servers::{RabbitMq, RabbitMqBinaries, RabbitMqOptions};

const QUEUE: &str = "kept";
const MESSAGES: u64 = 25;

async fn channel(broker: &RabbitMq) -> (Connection, Channel) {
    let url = broker.amqp_url();
    let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(QUEUE.into(), durable, FieldTable::default()).await.unwrap();
    (connection, channel)
}

async fn publish_persistent(channel: &Channel) {
    for _ in 0..MESSAGES {
        let persistent = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish("".into(), QUEUE.into(), options, b"x", persistent);
        assert!(sent.await.unwrap().await.unwrap().is_ack());
    }
}

async fn waiting(channel: &Channel) -> u64 {
    let mut count = 0;
    let options = BasicGetOptions { no_ack: true };
    while channel.basic_get(QUEUE.into(), options).await.unwrap().is_some() {
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
        let (connection, channel) = channel(&broker).await;
        publish_persistent(&channel).await;
        assert_eq!(counter(&broker, "rabbitmq_global_messages_received_total"), MESSAGES);
        assert_eq!(counter(&broker, "rabbitmq_global_messages_confirmed_total"), MESSAGES);
        connection.close(200, "".into()).await.unwrap();
    });
    broker.restart().unwrap();
    assert_eq!(broker.amqp_url(), amqp_url);

    tokio.block_on(async {
        let (_connection, channel) = channel(&broker).await;
        assert_eq!(waiting(&channel).await, MESSAGES);
        assert_eq!(counter(&broker, "rabbitmq_global_messages_delivered_total"), MESSAGES);
        publish_persistent(&channel).await;
    });
    broker.kill().unwrap();
    broker.start_again().unwrap();

    tokio.block_on(async {
        let (_connection, channel) = channel(&broker).await;
        assert_eq!(waiting(&channel).await, MESSAGES);
        channel.queue_delete(QUEUE.into(), QueueDeleteOptions::default()).await.unwrap();
    });
}
