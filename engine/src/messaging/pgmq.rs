//! PGMQ: the queues are tables of the engine's own database, and LISTEN/NOTIFY wakes the lanes.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions, PgRow};

use super::{MessagingError, MessagingService, Outgoing, Phase, Queue, Source};
use crate::config::Broker;

/// The provider.
#[derive(Debug)]
pub struct Pgmq {
    options: PgConnectOptions,
}

impl Pgmq {
    /// A provider on the engine's database.
    #[must_use]
    pub const fn new(options: PgConnectOptions) -> Self {
        Self { options }
    }
}

/// A connection on which a lane is woken, and on which it may act.
pub(crate) async fn listener(
    options: &PgConnectOptions,
    channel: &str,
) -> Result<PgListener, sqlx::Error> {
    let pool: PgPool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(channel).await?;
    Ok(listener)
}

/// Waking and acting share one connection: each backend that listens is woken by every NOTIFY of
/// the database, whatever its channel, so that two a lane would cost twice the wake-ups.
struct PgmqQueue {
    listener: PgListener,
    /// Empty for completions, whose calls are for everybody.
    namespaces: Vec<String>,
    looked: bool,
}

impl PgmqQueue {
    fn concerns(&self, payload: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|name| name == payload)
    }
}

impl Queue for PgmqQueue {
    fn wait(&mut self, patience: Duration) -> BoxFuture<'_, Result<(), MessagingError>> {
        Box::pin(async move {
            // What lay there before the lane began to listen has called nobody.
            if !std::mem::replace(&mut self.looked, true) {
                return Ok(());
            }
            let called = tokio::time::timeout(patience, async {
                // None: the connection was lost and calls with it, so look.
                while let Some(call) = self.listener.try_recv().await? {
                    if self.concerns(call.payload()) {
                        break;
                    }
                }
                Ok(())
            });
            called.await.unwrap_or(Ok(()))
        })
    }

    fn act<'a>(
        &'a mut self,
        phase: &'a dyn Phase,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<PgRow>, MessagingError>> {
        Box::pin(async move {
            // The statement sees whatever these calls have announced.
            while self.listener.next_buffered().is_some() {}
            let statement = phase.taking(i32::try_from(max).unwrap_or(i32::MAX));
            Ok(statement.fetch_all(&mut self.listener).await?)
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
            let (channel, namespaces) = match source {
                Source::Dispatches(namespaces) => ("stepmark_dispatch", namespaces),
                Source::Completions => ("stepmark_completions", Vec::new()),
            };
            let listener = listener(&self.options, channel).await?;
            Ok(Box::new(PgmqQueue {
                listener,
                namespaces,
                looked: false,
            }) as Box<dyn Queue>)
        })
    }

    fn publish(&self, _outgoing: Outgoing) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn republish(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn is_ready(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { true }) // PGMQ is ready when the database is
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}
