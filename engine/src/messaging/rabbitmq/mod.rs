//! RabbitMQ: durable queues, persistent messages, publisher confirms, and an outbox in PostgreSQL
//! that holds every message until the broker has confirmed it.
//!
//! A message is acknowledged after the commit that it has led to has reached the disk: a database
//! crash that takes the commit back has the message delivered again. What is published on a commit
//! that is then lost names a step in another state, and changes nothing.

mod connection;
mod outbox;
mod publisher;
mod queue;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amqprs::channel::QueueDeclareArguments;
use amqprs::connection::Connection;
use amqprs::{FieldTable, FieldValue};

use futures_util::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgPool};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

pub use self::connection::arguments;
use self::outbox::Outbox;
use self::publisher::Publisher;
use self::queue::RabbitMqQueue;
use super::pgmq::listener;
use super::{MessagingError, MessagingService, Outgoing, PRIORITY_MAX, Queue, Source, SourceQueue};
use crate::calls::Calls;
use crate::config::{Broker, QueueType};
use crate::database::Pause;

/// Where RabbitMQ is, and how its queues are named.
#[derive(Debug, Clone)]
pub struct RabbitMqOptions {
    /// amqp://USER:PASSWORD@HOST:PORT/VHOST
    pub url: String,
    /// What queue names begin with.
    pub queue_prefix: String,
    /// What queues are made as.
    pub queue_type: QueueType,
    /// Name of the connection in the broker's own lists.
    pub connection_name: String,
}

/// The queue of completion messages; all others are of dispatch messages.
const COMPLETIONS: &str = "completions";

/// The provider.
pub struct RabbitMq {
    link: Arc<Link>,
    keeper: AbortHandle,
}

/// The connection, kept by one task and used by all lanes.
struct Link {
    options: RabbitMqOptions,
    connection: watch::Sender<Option<Connection>>,
    /// Every queue that this instance has to do with: they are looked after at each connect.
    queues: Mutex<BTreeSet<String>>,
    outbox: Outbox,
    publisher: Publisher,
    database: PgConnectOptions,
}

impl RabbitMq {
    /// Connects, and goes on to reconnect whenever the connection is lost.
    ///
    /// # Errors
    /// The broker can't be reached within `patience`.
    pub async fn start(
        options: RabbitMqOptions,
        database: PgConnectOptions,
        pool: PgPool,
        patience: Duration,
    ) -> Result<Self, MessagingError> {
        let outbox = Outbox::new(pool);
        let link = Arc::new(Link {
            publisher: Publisher::start(outbox.clone(), options.queue_prefix.clone()),
            options,
            database,
            connection: watch::Sender::new(None),
            queues: Mutex::new(BTreeSet::from([COMPLETIONS.to_owned()])),
            outbox,
        });
        let deadline = tokio::time::Instant::now() + patience;
        let mut pause = Pause::default();
        let first = loop {
            match link.connect().await {
                Ok(connection) => break connection,
                Err(error) if tokio::time::Instant::now() >= deadline => return Err(error),
                Err(_) => pause.wait().await,
            }
        };
        let keeper = tokio::spawn(Arc::clone(&link).keep(first)).abort_handle();
        Ok(Self { link, keeper })
    }
}

impl Link {
    /// A connection whose queues are there and whose publisher runs.
    async fn connect(&self) -> Result<Connection, MessagingError> {
        let connection = connection::open(&self.options).await?;
        let queues: Vec<String> =
            self.queues.lock().expect("no holder panics").iter().cloned().collect();
        for queue in queues {
            self.ensure_queue(&connection, &queue).await?;
        }
        self.publisher.attach(connection.open_channel(None).await?).await?;
        Ok(connection)
    }

    async fn keep(self: Arc<Self>, first: Connection) {
        let mut next = Some(first);
        loop {
            let mut pause = Pause::default();
            let connection = loop {
                match next.take().map_or_else(|| None, Some) {
                    Some(connection) => break connection,
                    None => match self.connect().await {
                        Ok(connection) => break connection,
                        Err(error) => {
                            warn!(%error, "RabbitMQ can't be reached; trying again");
                            pause.wait().await;
                        }
                    },
                }
            };
            info!("connected to RabbitMQ");
            self.connection.send_replace(Some(connection.clone()));
            self.republish().await;
            while connection.is_open() {
                let lost = connection.listen_network_io_failure();
                // An end between the two looks would be heard by nobody.
                let _ = tokio::time::timeout(Duration::from_secs(1), lost).await;
            }
            warn!("the connection to RabbitMQ is lost");
            self.publisher.detach().await;
            self.connection.send_replace(None);
        }
    }

    /// Sees that a queue exists. Where the broker doesn't know it, it is declared, and messages
    /// that the database has for it, if any, are sent again: the broker has lost them.
    async fn ensure_queue(
        &self,
        connection: &Connection,
        queue: &str,
    ) -> Result<(), MessagingError> {
        let name = format!("{}{queue}", self.options.queue_prefix);
        let mut durable = QueueDeclareArguments::durable_client_named(&name);
        durable.arguments(self.queue_arguments(queue));
        let passive = durable.clone().passive(true).finish();
        match self.declare_queue(connection, passive).await {
            Ok(()) => return Ok(()),
            Err(_) if connection.is_open() => {} // not found, for which it closes the channel
            Err(error) => return Err(error),
        }
        // Before the queue is there: cut short in between, the next one finds it missing still.
        // What is published before it is there comes back, and is published again.
        let lost = self.outbox.write_lost(queue).await?;
        if lost > 0 {
            warn!(queue = name, messages = lost, "the broker has lost a queue; sending again");
        }
        self.declare_queue(connection, durable).await
    }

    fn queue_arguments(&self, queue: &str) -> FieldTable {
        let mut arguments = FieldTable::new();
        let mut set = |key: &str, value| {
            arguments.insert(key.try_into().expect("a short name"), value);
        };
        match self.options.queue_type {
            QueueType::Classic if queue == COMPLETIONS => {}
            QueueType::Classic => set("x-max-priority", FieldValue::s(PRIORITY_MAX)),
            QueueType::Quorum => {
                set("x-queue-type", FieldValue::S("quorum".try_into().expect("a short name")));
                // Otherwise RabbitMQ 4 drops what was given back twenty times, as it may be while
                // the database is away.
                set("x-delivery-limit", FieldValue::I(i32::MAX));
            }
        }
        arguments
    }

    /// On a channel of its own, which the broker closes when it refuses.
    async fn declare_queue(
        &self,
        connection: &Connection,
        arguments: QueueDeclareArguments,
    ) -> Result<(), MessagingError> {
        let channel = connection.open_channel(None).await?;
        channel.queue_declare(arguments).await?;
        channel.close().await?;
        Ok(())
    }

    /// Publishes what nobody has confirmed: all that was marked unsent, and what is old.
    async fn republish(&self) {
        while self.publisher.is_attached().await {
            match self.outbox.due().await {
                Ok(due) if due.message_ids.is_empty() => return,
                Ok(due) => self.publisher.publish(due).await,
                Err(error) => {
                    warn!(%error, "the outbox can't be read");
                    return;
                }
            }
        }
    }

    /// Hears the calls of other instances.
    async fn hear(self: Arc<Self>, calls: Arc<dyn Calls>) {
        let mut pause = Pause::default();
        loop {
            let Err(error) = self.hear_calls(&*calls).await;
            warn!(%error, channel = calls.channel(), "calls can't be heard; trying again");
            pause.wait().await;
        }
    }

    async fn hear_calls(&self, calls: &dyn Calls) -> Result<Infallible, sqlx::Error> {
        let mut listener = listener(&self.database, [calls.channel()]).await?;
        calls.missed(); // what happened before has called nobody here
        loop {
            match listener.try_recv().await? {
                Some(call) => calls.hear(call.payload()),
                None => calls.missed(), // the connection was lost, and calls with it
            }
        }
    }

    /// The connection, waited for as long as it takes.
    async fn connected(&self) -> Connection {
        let mut current = self.connection.subscribe();
        let connection = current
            .wait_for(Option::is_some)
            .await
            .expect("the sender lives as long as this link")
            .clone();
        connection.expect("it was waited for")
    }
}

impl MessagingService for RabbitMq {
    fn broker(&self) -> Broker {
        Broker::Rabbitmq
    }

    fn declare(&self, namespaces: Vec<String>) -> BoxFuture<'_, Result<(), MessagingError>> {
        Box::pin(async move {
            let connection = self.link.connected().await;
            for namespace in namespaces {
                let queue = format!("dispatch.{namespace}");
                self.link.queues.lock().expect("no holder panics").insert(queue.clone());
                self.link.ensure_queue(&connection, &queue).await?;
            }
            self.link.republish().await;
            Ok(())
        })
    }

    fn open(
        &self,
        source: Source,
        prefetch: u16,
    ) -> BoxFuture<'_, Result<Box<dyn Queue>, MessagingError>> {
        Box::pin(async move {
            let hearing = tokio::spawn(Arc::clone(&self.link).hear(source.calls));
            let listening = AbortOnDropHandle::new(hearing);
            let queues = match source.queue {
                SourceQueue::Completions => vec![COMPLETIONS.to_owned()],
                SourceQueue::Dispatches(namespaces) => {
                    let queues = namespaces.iter().map(|name| format!("dispatch.{name}")).collect();
                    self.declare(namespaces).await?;
                    queues
                }
            };
            let link = Arc::clone(&self.link);
            Ok(Box::new(RabbitMqQueue::new(link, queues, prefetch, listening)) as Box<dyn Queue>)
        })
    }

    fn publish(&self, outgoing: Outgoing) -> BoxFuture<'_, ()> {
        Box::pin(self.link.publisher.publish(outgoing))
    }

    fn tend(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.link.republish())
    }

    fn is_ready(&self) -> BoxFuture<'_, bool> {
        Box::pin(self.link.publisher.is_attached())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.keeper.abort();
            self.link.publisher.drain().await;
            let connection = self.link.connection.send_replace(None);
            if let Some(connection) = connection {
                let _ = connection.close().await; // it goes away either way
            }
        })
    }
}
