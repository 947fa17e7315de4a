//! The brokers that the engine's messages travel through.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

/// A provider of the engine's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Broker {
    /// Queue tables in PostgreSQL.
    Pgmq,
    /// RabbitMQ.
    Rabbitmq,
}

impl Broker {
    /// The broker's name in flags, files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Broker::Pgmq => "pgmq",
            Broker::Rabbitmq => "rabbitmq",
        }
    }
}

impl Display for Broker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
