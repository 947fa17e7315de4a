//! The transport of dispatch and completion messages: one trait, two providers.
//!
//! A message names a step and nothing more; what it says is looked up where it is acted on, by a
//! guarded statement, so that a message delivered twice changes nothing the second time. Sending
//! happens inside the SQL functions, in the transaction of the state change: into PGMQ's table, or
//! into the outbox, whose rows [`MessagingService::publish`] brings to RabbitMQ after the commit.

mod pgmq;
mod rabbitmq;

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::Row;
use sqlx::postgres::PgRow;

pub use self::pgmq::Pgmq;
pub(crate) use self::pgmq::listener as pgmq_listener;
pub use self::rabbitmq::{RabbitMq, RabbitMqOptions};
use crate::config::Broker;

/// Why a transport can't be used at the moment; all of these may pass.
#[derive(Debug, thiserror::Error)]
pub enum MessagingError {
    /// PostgreSQL, which carries PGMQ's queues, the wake-up calls and the outbox.
    #[error("PostgreSQL: {0}")]
    Database(#[from] sqlx::Error),
    /// RabbitMQ.
    #[error("RabbitMQ: {0}")]
    RabbitMq(#[from] lapin::Error),
    /// RabbitMQ has ended a consumer, as it does when its queue is deleted.
    #[error("RabbitMQ has ended the consumer of {0}")]
    ConsumerEnded(String),
}

/// A queue that a lane takes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Dispatch messages of these namespaces.
    Dispatches(Vec<String>),
    /// Completion messages.
    Completions,
}

/// The step that a message names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StepRef {
    /// Key of the task.
    pub task_id: i64,
    /// Number of the step in its task, from 0.
    pub step_no: i32,
}

/// What a lane has to act on.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// Messages lie in the database, and the statement that acts on them takes them itself.
    InDatabase,
    /// These have been delivered; they are settled after the statement that acts on them.
    Delivered(Vec<StepRef>),
}

impl Taken {
    /// Two parallel arrays for a set-based statement, task ids and step numbers.
    #[must_use]
    pub fn arrays(steps: &[StepRef]) -> (Vec<i64>, Vec<i32>) {
        steps
            .iter()
            .map(|step| (step.task_id, step.step_no))
            .unzip()
    }
}

/// One lane's end of a queue. Taking and settling alternate.
pub trait Queue: Send {
    /// Waits until there may be messages, and at most `patience`.
    fn wait(&mut self, patience: Duration) -> BoxFuture<'_, Result<(), MessagingError>>;

    /// What there is to act on now, at most `max` messages, without waiting.
    fn take(&mut self, max: usize) -> Taken;

    /// Settles what was taken; called after the commit of the statement that acted on it.
    fn settle(&mut self) -> BoxFuture<'_, Result<(), MessagingError>>;

    /// Gives back what was taken, because the statement that was to act on it has failed.
    fn give_back(&mut self) -> BoxFuture<'_, ()>;
}

/// Messages that a committed state change has left to be published.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The outbox rows that hold them.
    pub message_ids: Vec<i64>,
    /// Queue of each, without the prefix.
    pub queues: Vec<String>,
    /// Body of each, JSON.
    pub bodies: Vec<String>,
}

impl Outgoing {
    /// Columns that a statement selects to be read by [`Outgoing::from_row`].
    pub const COLUMNS: &str = "(outgoing).message_ids, (outgoing).queues, (outgoing).bodies";

    /// The messages of a phase's row; none on PGMQ.
    ///
    /// # Errors
    /// The row lacks [`Outgoing::COLUMNS`].
    pub fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let message_ids: Option<Vec<i64>> = row.try_get("message_ids")?;
        Ok(match message_ids {
            None => Self::default(),
            Some(message_ids) => Self {
                message_ids,
                queues: row.try_get("queues")?,
                bodies: row.try_get("bodies")?,
            },
        })
    }
}

/// A transport. Both providers pass one conformance suite (`tests/messaging.rs`).
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

    /// Publishes again what was left unconfirmed, by this or another instance; called by sweeps.
    fn republish(&self) -> BoxFuture<'_, ()>;

    /// Whether the transport works now.
    fn is_ready(&self) -> BoxFuture<'_, bool>;

    /// Waits for what has been published to be confirmed, and closes.
    fn close(&self) -> BoxFuture<'_, ()>;
}
