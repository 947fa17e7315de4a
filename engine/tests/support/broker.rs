//! One RabbitMQ for the whole test program; tests keep apart by their queue prefix.

use std::sync::OnceLock;

use stepmark_servers::{RabbitMq, RabbitMqBinaries, RabbitMqOptions};

/// The broker that the tests of this program share.
pub fn rabbitmq() -> &'static RabbitMq {
    static BROKER: OnceLock<RabbitMq> = OnceLock::new();
    BROKER.get_or_init(own_broker)
}

/// A broker for a test that stops it.
pub fn own_broker() -> RabbitMq {
    let binaries = RabbitMqBinaries::find(None).unwrap();
    RabbitMq::start(&binaries, RabbitMqOptions::default()).unwrap()
}
