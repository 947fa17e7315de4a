//! Steps whose lease has expired twice: any of them may be what ends the process that runs it, by
//! a crash or without an end. So a worker runs them one by one, and those that are held back
//! meanwhile don't have it counted against them when their leases expire. Once is any crash's lot,
//! and after it all run side by side again.

use std::sync::Arc;

use sqlx::postgres::PgPool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::claim::Claim;
use super::flight::Flight;

/// Runs suspects one after the other, in the order in which they come.
#[derive(Clone)]
pub(super) struct Suspects {
    /// Whose turn it is.
    turn: Arc<Semaphore>,
    pool: PgPool,
    flight: Flight,
    lease_ms: i64,
    shutdown: CancellationToken,
}

impl Suspects {
    pub(super) fn new(
        pool: PgPool,
        flight: Flight,
        lease_ms: u32,
        shutdown: CancellationToken,
    ) -> Self {
        let turn = Arc::new(Semaphore::new(1));
        Self { turn, pool, flight, lease_ms: lease_ms.into(), shutdown }
    }

    /// Runs the step when its turn has come; the permit is its slot. When its claim ends before, it
    /// is forgotten. A drain gives it back, with all claims that are held then.
    pub(super) fn start(&self, mut claim: Claim, permit: OwnedSemaphorePermit) {
        self.flight.hold(&mut claim);
        let suspects = self.clone();
        tokio::spawn(async move {
            let turn = tokio::select! {
                biased;
                () = suspects.shutdown.cancelled() => return,
                () = claim.step.interrupted() => return suspects.flight.forget(&claim),
                turn = suspects.turn.acquire() => turn.expect("the semaphore is never closed"),
            };
            if suspects.begin(&claim).await {
                // Until its outcome is stored: the next one may end the process.
                suspects.flight.run_alone(claim, permit).await;
            } else {
                suspects.flight.forget(&claim);
            }
            drop(turn);
        });
    }

    /// Whether the step is still this worker's. When nobody can tell, it is left to its lease.
    async fn begin(&self, claim: &Claim) -> bool {
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
