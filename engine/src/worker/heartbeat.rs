//! The heartbeat lane: what handlers tell while they are at work, many in one statement; and the
//! look for claims that have ended without this worker being told.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use super::interrupts::Interrupts;
use crate::database::{Lane, is_data_error};
use crate::messaging::StepId;

/// Why a heartbeat was in vain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeartbeatError {
    /// The step is no longer this handler's: its task was cancelled, its lease has expired or the
    /// attempt has taken too long. Whatever the handler returns is not stored; it should stop.
    #[error("the step is no longer this handler's: it was cancelled, timed out or taken over")]
    ClaimEnded,
    /// The database is away. Trying again can help, until the lease expires.
    #[error("the database can't be told now; try again")]
    Away,
    /// The checkpoint can't be stored as it is.
    #[error("the checkpoint can't be stored: {0}")]
    Checkpoint(String),
}

impl HeartbeatError {
    /// One word for it, for handlers in other languages.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ClaimEnded => "claim_ended",
            Self::Away => "away",
            Self::Checkpoint(_) => "checkpoint",
        }
    }
}

/// A handler is at work, and where it gives one, this is how far it has come.
pub(super) struct Heartbeat {
    pub(super) step_id: StepId,
    pub(super) claim_token: Uuid,
    pub(super) checkpoint: Option<String>,
    pub(super) answer: oneshot::Sender<Result<(), HeartbeatError>>,
}

/// The lane's own things.
pub(super) struct HeartbeatLane {
    pub(super) database: Lane,
    pub(super) heartbeats: mpsc::Receiver<Heartbeat>,
    pub(super) interrupts: Arc<Interrupts>,
    pub(super) batch_max: usize,
    pub(super) lease_ms: u32,
    pub(super) sweep: Duration,
}

impl HeartbeatLane {
    /// Stores heartbeats until all senders are gone, and looks from time to time, while handlers
    /// run, whether their claims still hold: no call may have told of their end.
    pub(super) async fn run(mut self, ended: CancellationToken) {
        let mut batch = Vec::new();
        // Heartbeats don't put it off.
        let mut sweep = tokio::time::interval(self.sweep);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                received = self.heartbeats.recv_many(&mut batch, self.batch_max) => {
                    if received == 0 {
                        return;
                    }
                    self.store(std::mem::take(&mut batch)).await;
                }
                _ = sweep.tick() => self.look().await,
                () = self.interrupts.look.notified() => self.look().await,
                () = ended.cancelled() => return,
            }
        }
    }

    async fn store(&mut self, mut batch: Vec<Heartbeat>) {
        // All who lock several steps do so in key order.
        batch.sort_unstable_by_key(|one| one.step_id);
        match self.beat(&batch).await {
            Ok(held) => {
                for (one, held) in batch.into_iter().zip(held) {
                    let told = if held { Ok(()) } else { Err(HeartbeatError::ClaimEnded) };
                    let _ = one.answer.send(told); // the handler may be gone
                }
            }
            Err(refused) if is_data_error(&refused) && batch.len() == 1 => {
                let why = refused.as_database_error().map_or("", |error| error.message());
                let why = HeartbeatError::Checkpoint(why.to_owned());
                for one in batch {
                    let _ = one.answer.send(Err(why.clone())); // the handler may be gone
                }
            }
            // One value spoils its batch.
            Err(refused) if is_data_error(&refused) => {
                for one in batch {
                    Box::pin(self.store(vec![one])).await;
                }
            }
            Err(error) => {
                warn!(%error, handlers = batch.len(), "heartbeats can't be stored");
                self.database.reset();
                for one in batch {
                    let _ = one.answer.send(Err(HeartbeatError::Away)); // the handler may be gone
                }
            }
        }
    }

    async fn beat(&mut self, batch: &[Heartbeat]) -> Result<Vec<bool>, sqlx::Error> {
        sqlx::query_scalar(include_str!("../../sql/heartbeat_steps.sql"))
            .bind(batch.iter().map(|one| one.step_id).collect::<Vec<_>>())
            .bind(batch.iter().map(|one| one.claim_token).collect::<Vec<_>>())
            .bind(batch.iter().map(|one| one.checkpoint.as_deref()).collect::<Vec<_>>())
            .bind(i64::from(self.lease_ms))
            .fetch_one(self.database.connection().await?)
            .await
    }

    /// Tells the handlers whose claims have ended.
    async fn look(&mut self) {
        let held = self.interrupts.held();
        if held.is_empty() {
            return;
        }
        let (tokens, steps): (Vec<Uuid>, Vec<StepId>) = held.into_iter().unzip();
        let ended = async {
            sqlx::query_scalar(include_str!("../../sql/claims_ended.sql"))
                .bind(steps)
                .bind(tokens)
                .fetch_all(self.database.connection().await?)
                .await
        };
        match ended.await {
            Ok(ended) => self.interrupts.interrupt(ended),
            Err(error) => {
                warn!(%error, "claims can't be looked after; trying again at the next sweep");
                self.database.reset();
            }
        }
    }
}
