//! Steps in flight: from their claim until their outcome is handed on to be stored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use stepmark_workflow::StepType;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::breaker::Breaker;
use super::claim::Claim;
use super::complete::Attempted;
use super::handlers::Handlers;
use super::interrupts::Interrupts;
use super::metrics::WorkerMetrics;
use super::outcome::Outcome;
use crate::json;
use crate::messaging::StepId;

/// How long a condemned process waits for the handlers that are still at work.
const CONDEMNED_DRAIN: Duration = Duration::from_secs(5);

/// Starts handlers and knows which steps are with one.
#[derive(Clone)]
pub(super) struct Flight {
    handlers: Handlers,
    attempted: mpsc::Sender<Attempted>,
    result_bytes_max: usize,
    running: TaskTracker,
    interrupts: Arc<Interrupts>,
    breaker: Arc<Breaker>,
    metrics: WorkerMetrics,
    abandoned: CancellationToken,
}

impl Flight {
    pub(super) fn new(
        handlers: Handlers,
        attempted: mpsc::Sender<Attempted>,
        result_bytes_max: usize,
        interrupts: Arc<Interrupts>,
        breaker: Arc<Breaker>,
        metrics: WorkerMetrics,
    ) -> Self {
        let (running, abandoned) = (TaskTracker::new(), CancellationToken::new());
        Self {
            handlers,
            attempted,
            result_bytes_max,
            running,
            interrupts,
            breaker,
            metrics,
            abandoned,
        }
    }

    /// Runs the step's handler; the permit is its slot.
    pub(super) fn start(&self, mut claim: Claim, permit: OwnedSemaphorePermit) {
        self.hold(&mut claim);
        drop(self.run_held(claim, permit)); // it runs on
    }

    /// Runs the handler of a claim that is held, until its outcome is stored or it is given up.
    pub(super) async fn run_alone(&self, claim: Claim, permit: OwnedSemaphorePermit) {
        if let Ok(Some(stored)) = self.run_held(claim, permit).await {
            stored.cancelled().await;
        }
    }

    /// A claim whose handler begins later: from now on it is told when the claim has ended.
    pub(super) fn hold(&self, claim: &mut Claim) {
        claim.step.desk.told = self.interrupts.begin(claim.claim_token, claim.step_id);
    }

    /// A claim whose handler will not begin.
    pub(super) fn forget(&self, claim: &Claim) {
        self.interrupts.end(claim.claim_token);
    }

    /// Gives what tells that the outcome is stored, if there is one.
    fn run_held(
        &self,
        claim: Claim,
        permit: OwnedSemaphorePermit,
    ) -> JoinHandle<Option<CancellationToken>> {
        let flight = self.clone();
        self.running.spawn(async move {
            let Claim { step_id, claim_token, retry, together, mut traced, step, .. } = claim;
            let (attempt, step_type) = (step.attempt.unsigned_abs(), step.step_type);
            let begun = Instant::now();
            let run = flight.handlers.run(step);
            let outcome = flight.abandoned.run_until_cancelled(run).await?;
            flight.metrics.ran(begun.elapsed());
            let outcome = storable(outcome, step_type, flight.result_bytes_max);
            flight.breaker.record(&outcome);
            if let Some(traced) = &mut traced {
                let error = outcome.failure().map(|failure| failure.message.clone());
                traced.part("handler", begun, error);
            }
            let jittered = || retry.delay(attempt, rand::random::<f64>());
            let attempted =
                Attempted::new(step_id, claim_token, together, traced, outcome, jittered);
            let stored = attempted.stored.clone();
            // A slow store holds the slot: no more is claimed than can be stored.
            let _ = flight.attempted.send(attempted).await; // closed only when all is drained
            flight.interrupts.end(claim_token);
            drop(permit);
            Some(stored)
        })
    }

    /// Waits for the handlers, at most `patience`, and no longer than a little when the process is
    /// condemned; gives those up that still run then, and returns their claims.
    pub(super) async fn drain(
        &self,
        patience: Duration,
        condemned: &CancellationToken,
    ) -> Vec<(Uuid, StepId)> {
        let hurried = async {
            condemned.cancelled().await;
            tokio::time::sleep(CONDEMNED_DRAIN).await;
        };
        self.running.close();
        tokio::select! {
            () = self.running.wait() => {}
            () = tokio::time::sleep(patience) => {}
            () = hurried => {}
        }
        let claims = self.interrupts.take();
        self.abandoned.cancel();
        claims
    }
}

/// The outcome, or a failure that says why it can't be stored.
pub(super) fn storable(outcome: Outcome, step_type: StepType, bytes_max: usize) -> Outcome {
    if let Some(message) = outcome.misfit(step_type) {
        return Outcome::Fail { failure: message.into() };
    }
    let (result, batches): (&RawValue, &[Box<RawValue>]) = match &outcome {
        Outcome::Complete(result) | Outcome::Branch { result, .. } => (result, &[]),
        Outcome::FanOut { result, batches } => (result, batches),
        Outcome::Retry { .. } | Outcome::Fail { .. } => return outcome,
    };
    let size = result.get().len() + batches.iter().map(|batch| batch.get().len()).sum::<usize>();
    if size > bytes_max {
        let message = format!("the result has {size} bytes, the limit is {bytes_max}");
        return Outcome::Fail { failure: message.into() };
    }
    let mut checked = std::iter::once(result).chain(batches.iter().map(|batch| &**batch));
    match checked.try_for_each(|value| json::check(value.get())) {
        Ok(()) => outcome,
        Err(error) => {
            Outcome::Fail { failure: format!("the result can't be stored: {error}").into() }
        }
    }
}
