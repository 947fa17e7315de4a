//! PGMQ: the queues are tables of the engine's own database, and LISTEN/NOTIFY wakes the lanes.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgListener, PgNotification, PgPool, PgPoolOptions, PgRow};

use super::{MessagingError, MessagingService, Outgoing, Phase, Queue, Source, SourceQueue};
use tracing::{error, warn};

use crate::config::Broker;
use crate::database::is_data_error;

/// Channel of the calls that tell of dispatch messages; the payload is their namespace.
const DISPATCH: &str = "stepmark_dispatch";

/// Channel of the calls that tell of completion messages.
const COMPLETIONS: &str = "stepmark_completions";

/// Dead rows past which a queue's table is vacuumed at a sweep. Every taking statement steps over
/// them, and autovacuum comes once a minute: too late for a table that turns over at each step.
const DEAD_ROWS_MAX: i64 = 5_000;

/// The provider.
#[derive(Debug)]
pub struct Pgmq {
    options: PgConnectOptions,
    pool: PgPool,
}

impl Pgmq {
    /// A provider on the engine's database; the pool is for what happens rarely.
    #[must_use]
    pub const fn new(options: PgConnectOptions, pool: PgPool) -> Self {
        Self { options, pool }
    }

    async fn vacuum(&self) -> Result<(), sqlx::Error> {
        let bloated: bool = sqlx::query_scalar(include_str!("../../sql/queues_bloated.sql"))
            .bind(DEAD_ROWS_MAX)
            .fetch_one(&self.pool)
            .await?;
        if bloated {
            sqlx::query(include_str!("../../sql/queues_vacuum.sql")).execute(&self.pool).await?;
        }
        Ok(())
    }
}

/// A connection that listens on channels.
pub(super) async fn listener(
    options: &PgConnectOptions,
    channels: impl IntoIterator<Item = &str>,
) -> Result<PgListener, sqlx::Error> {
    let pool: PgPool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen_all(channels).await?;
    Ok(listener)
}

/// All that a lane has to do with PostgreSQL goes over one connection, because PostgreSQL wakes
/// every backend that listens for every NOTIFY in the database, whatever its channel: two a lane
/// would cost twice the wake-ups.
struct PgmqQueue {
    listener: PgListener,
    pool: PgPool,
    source: Source,
    /// Namespaces to take from: those that have called since the last wait; all at a sweep.
    called: Vec<String>,
    looked: bool,
}

impl PgmqQueue {
    /// Takes note of a call; whether it is for this lane's queue.
    fn note(&mut self, call: &PgNotification) -> bool {
        if call.channel() == self.source.calls.channel() {
            self.source.calls.hear(call.payload());
            return false;
        }
        match &self.source.queue {
            SourceQueue::Dispatches(namespaces) => {
                let concerns = namespaces.iter().any(|ns| ns == call.payload());
                if concerns && !self.called.iter().any(|ns| ns == call.payload()) {
                    self.called.push(call.payload().to_owned());
                }
                concerns
            }
            SourceQueue::Completions => true,
        }
    }

    /// Looks everywhere: nobody has called, or calls may have been missed.
    fn look_everywhere(&mut self) {
        if let SourceQueue::Dispatches(namespaces) = &self.source.queue {
            self.called.clone_from(namespaces);
        }
        self.source.calls.missed();
    }

    /// Deletes messages that name no step: the taking statement fails on them for as long as they
    /// are there, and whatever waits behind them would wait for ever.
    async fn clean(&self) {
        let cleaned = sqlx::query_scalar::<_, i64>(include_str!("../../sql/queues_clean.sql"))
            .fetch_one(&self.pool)
            .await;
        match cleaned {
            Ok(messages) => error!(messages, "messages that name no step are deleted"),
            Err(error) => warn!(%error, "the queues can't be cleaned"),
        }
    }

    async fn next_call(&mut self) -> Result<(), sqlx::Error> {
        loop {
            match self.listener.try_recv().await? {
                Some(call) if !self.note(&call) => {}
                Some(_) => return Ok(()),
                None => {
                    // The connection was lost, and calls with it.
                    self.look_everywhere();
                    return Ok(());
                }
            }
        }
    }
}

impl Queue for PgmqQueue {
    fn wait(&mut self, patience: Duration) -> BoxFuture<'_, Result<(), MessagingError>> {
        Box::pin(async move {
            self.called.clear();
            // What lay there before the lane began to listen has called nobody.
            if !std::mem::replace(&mut self.looked, true) {
                self.look_everywhere();
                return Ok(());
            }
            match tokio::time::timeout(patience, self.next_call()).await {
                Ok(called) => called?,
                Err(_) => self.look_everywhere(),
            }
            Ok(())
        })
    }

    fn hear(&mut self) -> BoxFuture<'_, MessagingError> {
        Box::pin(async move {
            loop {
                if let Err(error) = self.next_call().await {
                    return error.into();
                }
            }
        })
    }

    fn act<'a>(
        &'a mut self,
        phase: &'a dyn Phase,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<PgRow>, MessagingError>> {
        Box::pin(async move {
            // The statement sees whatever these calls have announced.
            while let Some(call) = self.listener.next_buffered() {
                self.note(&call);
            }
            if !self.called.is_empty() {
                self.called.rotate_left(1); // so that a busy namespace can't starve the others
            }
            let max = i32::try_from(max).unwrap_or(i32::MAX);
            let statement = phase.taking(&self.called, max);
            let acted = statement.fetch_all(&mut self.listener).await;
            if acted.as_ref().is_err_and(is_data_error) {
                self.clean().await;
            }
            Ok(acted?)
        })
    }
}

impl MessagingService for Pgmq {
    fn broker(&self) -> Broker {
        Broker::Pgmq
    }

    fn declare(&self, _namespaces: Vec<String>) -> BoxFuture<'_, Result<(), MessagingError>> {
        Box::pin(async { Ok(()) }) // one queue serves all namespaces
    }

    fn open(
        &self,
        source: Source,
        _prefetch: u16,
    ) -> BoxFuture<'_, Result<Box<dyn Queue>, MessagingError>> {
        Box::pin(async move {
            let channel = match &source.queue {
                SourceQueue::Dispatches(_) => DISPATCH,
                SourceQueue::Completions => COMPLETIONS,
            };
            let listener = listener(&self.options, [channel, source.calls.channel()]).await?;
            source.calls.missed(); // what happened before has called nobody here
            let (pool, called) = (self.pool.clone(), Vec::new());
            Ok(Box::new(PgmqQueue { listener, pool, source, called, looked: false })
                as Box<dyn Queue>)
        })
    }

    fn publish(&self, _outgoing: Outgoing) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn tend(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Err(error) = self.vacuum().await {
                warn!(%error, "the queues' tables can't be vacuumed");
            }
        })
    }

    fn is_ready(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { true }) // PGMQ is ready when the database is
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}
