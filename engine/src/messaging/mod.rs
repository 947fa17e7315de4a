//! The transport of dispatch and completion messages: one trait, two providers.
//!
//! A message names a step and nothing more; what it says is looked up where it is acted on, by a
//! guarded statement, so that a message delivered twice changes nothing the second time. Sending
//! happens inside the SQL functions, in the transaction of the state change: into PGMQ's table, or
//! into the outbox, whose rows [`MessagingService::publish`] brings to RabbitMQ after the commit.

mod pgmq;
mod rabbitmq;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Postgres, Row};
use uuid::Uuid;

pub use self::pgmq::Pgmq;
pub use self::rabbitmq::{RabbitMq, RabbitMqOptions, arguments as amqp_arguments};
use crate::calls::Calls;
use crate::config::Broker;

/// Why a transport can't be used at the moment; all of these may pass.
#[derive(Debug, thiserror::Error)]
pub enum MessagingError {
    /// PostgreSQL, which carries PGMQ's queues, the wake-up calls and the outbox.
    #[error("PostgreSQL: {0}")]
    Database(#[from] sqlx::Error),
    /// RabbitMQ.
    #[error("RabbitMQ: {0}")]
    RabbitMq(#[from] amqprs::error::Error),
    /// RabbitMQ has ended a consumer, as it does when its queue is deleted.
    #[error("RabbitMQ has ended the consumer of {0}")]
    ConsumerEnded(String),
}

/// A queue that a lane takes from, and the calls that it hears besides.
#[derive(Clone)]
pub struct Source {
    /// The queue.
    pub queue: SourceQueue,
    /// Who is told of other instances' calls for as long as the lane lives.
    pub calls: Arc<dyn Calls>,
}

/// The queues that there are.
#[derive(Debug, Clone)]
pub enum SourceQueue {
    /// Dispatch messages of these namespaces.
    Dispatches(Vec<String>),
    /// Completion messages.
    Completions,
}

/// Key of a step: its task's, shifted by 16 bits, and its number in the task, from 0. All who lock
/// several steps do so in its order.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    sqlx::Type,
)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct StepId(i64);

const _: () = assert!(stepmark_workflow::template::STEPS_MAX <= 1 << 16, "a number has 16 bits");

impl StepId {
    /// The key of a task's step.
    #[must_use]
    pub const fn new(task_id: i64, step_no: u16) -> Self {
        Self(task_id << 16 | step_no as i64)
    }

    /// Key of the task.
    #[must_use]
    pub const fn task_id(self) -> i64 {
        self.0 >> 16
    }

    /// Number of the step in its task.
    #[must_use]
    pub const fn step_no(self) -> u16 {
        self.0 as u16
    }
}

/// The body of a message, but for the namespace that PGMQ's dispatch messages carry too.
#[derive(serde::Deserialize)]
struct Message {
    step_id: StepId,
}

/// The highest priority of a task, and of its dispatch messages; the lowest is 0.
pub const PRIORITY_MAX: i16 = 9;

/// A statement with its arguments.
pub type Statement<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

/// What a lane does to the steps that messages name: one set-based statement.
pub trait Phase: Send + Sync {
    /// The statement that takes up to `max` messages from PGMQ itself, in its transaction; of these
    /// namespaces, where it is about dispatch messages.
    fn taking<'a>(&'a self, namespaces: &'a [String], max: i32) -> Statement<'a>;

    /// The statement for messages that have been delivered; in key order.
    fn delivered(&self, steps: &[StepId]) -> Statement<'_>;
}

/// One lane's end of a queue, with the connection on which it acts.
pub trait Queue: Send {
    /// Waits until there may be messages, and at most `patience`.
    fn wait(&mut self, patience: Duration) -> BoxFuture<'_, Result<(), MessagingError>>;

    /// Hears the calls of [`Source::calls`] while the lane waits for something else than messages,
    /// and forgets none that announces any; it returns when that fails, and never otherwise.
    fn hear(&mut self) -> BoxFuture<'_, MessagingError>;

    /// Takes up to `max` messages without waiting, and does `phase` to the steps that they name.
    /// They are settled with its commit or at the next wait; a failure gives them back. The rows
    /// are the phase's; there are none when there was no message to be had. Must not be cut short:
    /// what the phase has done would not be known.
    fn act<'a>(
        &'a mut self,
        phase: &'a dyn Phase,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<PgRow>, MessagingError>>;
}

/// Messages that a committed state change has left to be published.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The outbox rows that hold them.
    pub message_ids: Vec<Uuid>,
    /// Queue of each, without the prefix.
    pub queues: Vec<String>,
    /// Priority of each, 0 to [`PRIORITY_MAX`].
    pub priorities: Vec<i16>,
    /// Body of each, JSON.
    pub bodies: Vec<String>,
}

impl Outgoing {
    /// The messages of a phase's row; none on PGMQ.
    ///
    /// # Errors
    /// The row lacks the columns `message_ids`, `queues`, `priorities` and `bodies`.
    pub fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let message_ids: Option<Vec<Uuid>> = row.try_get("message_ids")?;
        Ok(match message_ids {
            None => Self::default(),
            Some(message_ids) => Self {
                message_ids,
                queues: row.try_get("queues")?,
                priorities: row.try_get("priorities")?,
                bodies: row.try_get("bodies")?,
            },
        })
    }
}

/// A transport. Both providers pass one conformance suite (`tests/messaging`).
pub trait MessagingService: Send + Sync {
    /// Which one it is; the SQL functions are told.
    fn broker(&self) -> Broker;

    /// Sees that dispatch messages of these namespaces have a queue to go to.
    fn declare(&self, namespaces: Vec<String>) -> BoxFuture<'_, Result<(), MessagingError>>;

    /// Opens a lane's end of a queue, able to take `prefetch` messages at once.
    fn open(
        &self,
        source: Source,
        prefetch: u16,
    ) -> BoxFuture<'_, Result<Box<dyn Queue>, MessagingError>>;

    /// Publishes what a commit has left. Never fails: what can't be published now stays in the
    /// outbox and is published again.
    fn publish(&self, outgoing: Outgoing) -> BoxFuture<'_, ()>;

    /// Does what is to be done from time to time; called by an orchestrator's sweeps. RabbitMQ:
    /// publishes again what was left unconfirmed, by this or another instance. PGMQ: vacuums its
    /// tables when they hold many dead rows.
    fn tend(&self) -> BoxFuture<'_, ()>;

    /// Whether the transport works now.
    fn is_ready(&self) -> BoxFuture<'_, bool>;

    /// Waits for what has been published to be confirmed, and closes.
    fn close(&self) -> BoxFuture<'_, ()>;
}
