//! Steps whose lease has expired twice: any of them may be what ends the process that runs it, by
//! a crash or without an end. So a worker runs them one by one, and those that are held back
//! meanwhile don't have it counted against them when their leases expire. Once is any crash's lot,
//! and after it all run side by side again.

use std::collections::VecDeque;

use sqlx::postgres::PgPool;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::claim::Claim;
use super::flight::Flight;

/// A step that was claimed, with its slot.
pub(super) type Suspect = (Claim, OwnedSemaphorePermit);

/// The lane's own things.
pub(super) struct SuspectLane {
    pub(super) pool: PgPool,
    pub(super) suspects: mpsc::UnboundedReceiver<Vec<Suspect>>,
    pub(super) flight: Flight,
    pub(super) lease_ms: i64,
}

impl SuspectLane {
    /// Runs suspects one after the other until the shutdown begins or nobody sends any. Those that
    /// are left are given back with all claims that are held then.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let mut waiting = VecDeque::new();
        loop {
            let more = match waiting.is_empty() {
                true => shutdown.run_until_cancelled(self.suspects.recv()).await.flatten(),
                false => self.suspects.try_recv().ok(),
            };
            waiting.extend(more.into_iter().flatten());
            let Some((claim, permit)) = waiting.pop_front() else {
                return;
            };
            if shutdown.is_cancelled() {
                return;
            }
            if self.begin(&claim).await {
                // Until its outcome is stored: the next one may end the process.
                self.flight.run_alone(claim, permit).await;
            } else {
                self.flight.forget(&claim);
            }
        }
    }

    /// Whether the step is still this worker's. When nobody can tell, it is left to its lease.
    async fn begin(&self, claim: &Claim) -> bool {
        if claim.step.is_interrupted() {
            return false;
        }
        let begun = sqlx::query_scalar(include_str!("../../sql/begin_step.sql"))
            .bind(claim.step_id)
            .bind(claim.claim_token)
            .bind(self.lease_ms)
            .fetch_one(&self.pool)
            .await;
        begun.unwrap_or_else(|error| {
            warn!(%error, "a step can't be begun; its lease will expire");
            false
        })
    }
}
