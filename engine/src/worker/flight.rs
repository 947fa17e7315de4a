//! Steps in flight: from their claim until their outcome is handed on to be stored.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::claim::Claim;
use super::complete::Attempted;
use super::handlers::Handlers;
use super::step::Outcome;
use crate::json;
use crate::messaging::StepId;

/// Starts handlers and knows which steps are with one.
#[derive(Clone)]
pub(super) struct Flight {
    handlers: Handlers,
    attempted: mpsc::Sender<Attempted>,
    result_bytes_max: usize,
    running: TaskTracker,
    claims: Arc<Mutex<HashMap<Uuid, StepId>>>,
    abandoned: CancellationToken,
}

impl Flight {
    pub(super) fn new(
        handlers: Handlers,
        attempted: mpsc::Sender<Attempted>,
        result_bytes_max: usize,
    ) -> Self {
        let (running, claims) = (TaskTracker::new(), Arc::default());
        let abandoned = CancellationToken::new();
        Self { handlers, attempted, result_bytes_max, running, claims, abandoned }
    }

    /// Runs the step's handler; the permit is its slot.
    pub(super) fn start(&self, claim: Claim, permit: OwnedSemaphorePermit) {
        let flight = self.clone();
        self.held().insert(claim.claim_token, claim.step_id);
        self.running.spawn(async move {
            let Claim { step_id, claim_token, retry, step } = claim;
            let attempt = step.attempt.unsigned_abs();
            let run = flight.handlers.run(step);
            let Some(outcome) = flight.abandoned.run_until_cancelled(run).await else {
                return;
            };
            let outcome = storable(outcome, flight.result_bytes_max);
            let jittered = || retry.delay(attempt, rand::random::<f64>());
            let attempted = Attempted::new(step_id, claim_token, outcome, jittered);
            // A slow store holds the slot: no more is claimed than can be stored.
            let _ = flight.attempted.send(attempted).await; // closed only when all is drained
            flight.held().remove(&claim_token);
            drop(permit);
        });
    }

    /// Waits for the handlers, at most `patience`; gives those up that still run then, and returns
    /// their claims.
    pub(super) async fn drain(&self, patience: Duration) -> Vec<(Uuid, StepId)> {
        self.running.close();
        let _ = tokio::time::timeout(patience, self.running.wait()).await; // the rest is returned
        let claims = self.held().drain().collect();
        self.abandoned.cancel();
        claims
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, StepId>> {
        self.claims.lock().expect("no holder panics")
    }
}

/// The outcome, or a failure that says why its result can't be stored.
fn storable(outcome: Outcome, bytes_max: usize) -> Outcome {
    let Outcome::Complete(result) = &outcome else {
        return outcome;
    };
    let size = result.get().len();
    if size > bytes_max {
        let message = format!("the result has {size} bytes, the limit is {bytes_max}");
        return Outcome::Fail { message };
    }
    match json::check(result.get()) {
        Ok(()) => outcome,
        Err(error) => Outcome::Fail { message: format!("the result can't be stored: {error}") },
    }
}
