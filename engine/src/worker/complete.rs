//! The completing lane: stores the outcomes of steps, many in one durable commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::Row;
use stepmark_workflow::retry::BACKOFF_MS_MAX;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;

use super::metrics::WorkerMetrics;
use super::outcome::{Failure, Outcome};
use crate::database::{self, Lane, Pause, is_data_error};
use crate::failpoint::failpoint;
use crate::messaging::{MessagingService, Outgoing, StepId};
use crate::traces::{Attempt, Traces};

/// How long after their start the outcomes of steps that were claimed together wait for each other.
const TOGETHER: Duration = Duration::from_micros(400);

/// Steps that were claimed together. Their handlers may end at nearly the same time, as those do
/// that share an interpreter and run one after the other there, and then one commit serves them
/// all, where the later ones would wait for that of the first.
#[derive(Debug)]
pub(super) struct Together {
    since: Instant,
    /// Those whose outcome the completing lane doesn't have yet.
    awaited: AtomicUsize,
}

impl Together {
    pub(super) fn new(steps: usize) -> Arc<Self> {
        Arc::new(Self { since: Instant::now(), awaited: AtomicUsize::new(steps) })
    }

    /// How long the outcomes of the others are still worth waiting for.
    fn patience(&self) -> Option<Duration> {
        let some_awaited = self.awaited.load(Ordering::Relaxed) > 0;
        TOGETHER.checked_sub(self.since.elapsed()).filter(|_| some_awaited)
    }
}

/// An attempt that has come to its outcome.
#[derive(Debug, Clone)]
pub(super) struct Attempted {
    step_id: StepId,
    claim_token: Uuid,
    outcome: &'static str,
    result: Option<String>,
    /// What a decision has chosen, or a batchable step has made: a JSON array.
    expansion: Option<String>,
    error: Option<String>,
    retry_after_ms: Option<i64>,
    /// When the outcome was there.
    since: Instant,
    together: Arc<Together>,
    /// For its spans, if there are any.
    traced: Option<Attempt>,
    /// Cancelled once it is stored.
    pub(super) stored: CancellationToken,
}

impl Attempted {
    /// `backoff` is asked when the handler wants a retry and doesn't say when.
    pub(super) fn new(
        step_id: StepId,
        claim_token: Uuid,
        together: Arc<Together>,
        traced: Option<Attempt>,
        outcome: Outcome,
        backoff: impl FnOnce() -> Duration,
    ) -> Self {
        let blank = Self {
            step_id,
            claim_token,
            outcome: "Complete",
            result: None,
            expansion: None,
            error: None,
            retry_after_ms: None,
            since: Instant::now(),
            together,
            traced,
            stored: CancellationToken::new(),
        };
        match outcome {
            Outcome::Complete(result) => Self { result: Some(result.get().to_owned()), ..blank },
            Outcome::Branch { result, branches } => Self {
                outcome: "Branch",
                result: Some(result.get().to_owned()),
                expansion: Some(json!(branches).to_string()),
                ..blank
            },
            Outcome::FanOut { result, batches } => {
                let batches: Vec<&str> = batches.iter().map(|batch| batch.get()).collect();
                Self {
                    outcome: "FanOut",
                    result: Some(result.get().to_owned()),
                    expansion: Some(format!("[{}]", batches.join(","))),
                    ..blank
                }
            }
            Outcome::Retry { failure, after } => {
                let after = after.unwrap_or_else(backoff).as_millis();
                let after = after.min(BACKOFF_MS_MAX.into());
                Self {
                    outcome: "Retry",
                    error: Some(failure.document().to_string()),
                    retry_after_ms: Some(i64::try_from(after).expect("a day in ms is small")),
                    ..blank
                }
            }
            Outcome::Fail { failure } => {
                Self { outcome: "Fail", error: Some(failure.document().to_string()), ..blank }
            }
        }
    }

    /// The same attempt as a failure, when its outcome turns out not to be storable.
    fn refused(&self, why: &str) -> Self {
        let failure = Failure::from(format!("the outcome can't be stored: {why}"));
        let error = Some(failure.document().to_string());
        let (result, expansion, retry_after_ms) = (None, None, None);
        Self { outcome: "Fail", result, expansion, error, retry_after_ms, ..self.clone() }
    }
}

/// The lane's own things.
pub(super) struct CompleteLane {
    pub(super) messaging: Arc<dyn MessagingService>,
    pub(super) database: Lane,
    pub(super) attempted: mpsc::Receiver<Attempted>,
    pub(super) batch_max: usize,
    pub(super) metrics: WorkerMetrics,
    pub(super) traces: Traces,
}

impl CompleteLane {
    /// Stores outcomes until all senders are gone and nothing is left.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::new();
        while self.attempted.recv_many(&mut batch, self.batch_max).await > 0 {
            gather(&mut self.attempted, &mut batch, self.batch_max).await;
            // All who lock several steps do so in key order.
            batch.sort_unstable_by_key(|one| one.step_id);
            self.store(&batch).await;
            batch.clear();
        }
    }

    /// Stores a batch, however long the database is away: nobody else has these outcomes until they
    /// are on its disk. What it has lost in a crash is stored again; what it has kept is fenced.
    async fn store(&mut self, batch: &[Attempted]) {
        let mut pause = Pause::default();
        loop {
            match self.complete(batch).await {
                Ok(outgoing) => {
                    batch.iter().for_each(|one| one.stored.cancel());
                    failpoint("worker_after_complete_commit");
                    self.messaging.publish(outgoing).await;
                    for one in batch {
                        self.traces.completed(one.traced.as_ref(), one.since);
                    }
                    return;
                }
                Err(refused) if is_data_error(&refused) => {
                    self.store_refused(batch, &refused).await;
                    return;
                }
                Err(error) => {
                    warn!(%error, steps = batch.len(), "outcomes can't be stored; trying again");
                    self.database.reset();
                    pause.wait().await;
                }
            }
        }
    }

    /// One value spoils its batch: each goes alone, and the one refused becomes a failure.
    async fn store_refused(&mut self, batch: &[Attempted], refused: &sqlx::Error) {
        if let [one] = batch {
            error!(error = %refused, "an outcome is refused by the database");
            let why = refused.as_database_error().map_or("", |error| error.message());
            Box::pin(self.store(&[one.refused(why)])).await;
            return;
        }
        for one in batch {
            Box::pin(self.store(std::slice::from_ref(one))).await;
        }
    }

    async fn complete(&mut self, batch: &[Attempted]) -> Result<Outgoing, sqlx::Error> {
        let row = sqlx::query(include_str!("../../sql/complete_steps.sql"))
            .bind(self.messaging.broker().name())
            .bind(batch.iter().map(|one| one.step_id).collect::<Vec<_>>())
            .bind(batch.iter().map(|one| one.claim_token).collect::<Vec<_>>())
            .bind(batch.iter().map(|one| one.outcome).collect::<Vec<_>>())
            .bind(batch.iter().map(|one| one.result.as_deref()).collect::<Vec<_>>())
            .bind(batch.iter().map(|one| one.expansion.as_deref()).collect::<Vec<_>>())
            .bind(batch.iter().map(|one| one.error.as_deref()).collect::<Vec<_>>())
            .bind(batch.iter().map(|one| one.retry_after_ms).collect::<Vec<_>>())
            .fetch_one(self.database.connection().await?)
            .await?;
        if !row.try_get("durable")? {
            // By now the orchestrator is at work on them.
            database::flush_log(self.database.connection().await?).await?;
        }
        let accepted: Vec<bool> = row.try_get("accepted")?;
        for (one, accepted) in batch.iter().zip(accepted) {
            if accepted {
                self.metrics.stored(one.outcome, one.since.elapsed());
            } else {
                self.metrics.fenced();
                let (task_id, step_no) = (one.step_id.task_id(), one.step_id.step_no());
                info!(task_id, step_no, "a late outcome is fenced: its claim had ended");
            }
        }
        Outgoing::from_row(&row)
    }
}

/// Waits a moment for the outcomes that are worth it.
async fn gather(
    attempted: &mut mpsc::Receiver<Attempted>,
    batch: &mut Vec<Attempted>,
    batch_max: usize,
) {
    let mut counted = 0;
    loop {
        for one in &batch[counted..] {
            one.together.awaited.fetch_sub(1, Ordering::Relaxed);
        }
        counted = batch.len();
        let patience = batch.iter().filter_map(|one| one.together.patience()).max();
        let Some(patience) = patience.filter(|_| counted < batch_max) else {
            return;
        };
        // Tokio's own timer counts in milliseconds.
        let over = tokio::task::spawn_blocking(move || std::thread::sleep(patience));
        let came = tokio::select! {
            biased;
            came = attempted.recv_many(batch, batch_max - counted) => came,
            _ = over => 0,
        };
        if came == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps claimed together, with an outcome each.
    fn claimed(together: Together) -> Vec<Attempted> {
        let (steps, together) = (together.awaited.load(Ordering::Relaxed), Arc::new(together));
        let attempted = |step| {
            let outcome = Outcome::Fail { failure: "no".to_owned().into() };
            let (step_id, together) = (StepId::new(1, step), Arc::clone(&together));
            Attempted::new(step_id, Uuid::now_v7(), together, None, outcome, || Duration::ZERO)
        };
        (0..u16::try_from(steps).expect("there are few")).map(attempted).collect()
    }

    /// How many of the steps are stored with the first one; the others' outcomes are there.
    async fn gathered(together: Together, batch_max: usize) -> usize {
        let (sender, mut attempted) = mpsc::channel(8);
        let mut others = claimed(together);
        let mut batch = vec![others.remove(0)];
        for other in others {
            sender.send(other).await.expect("it is open");
        }
        gather(&mut attempted, &mut batch, batch_max).await;
        batch.len()
    }

    #[tokio::test]
    async fn outcomes_of_steps_claimed_together_are_gathered() {
        let soon = Instant::now() + Duration::from_secs(3600);
        let steps = |awaited| Together { since: soon, awaited: AtomicUsize::new(awaited) };
        assert_eq!(gathered(steps(1), 8).await, 1);
        assert_eq!(gathered(steps(3), 8).await, 3);
        assert_eq!(gathered(steps(3), 2).await, 2);
    }

    #[tokio::test]
    async fn nothing_is_waited_for_longer_than_a_moment() {
        let long_ago = Instant::now() - TOGETHER;
        let steps = Together { since: long_ago, awaited: AtomicUsize::new(3) };
        assert_eq!(gathered(steps, 8).await, 1);
        // One whose outcome doesn't come.
        let (_sender, mut attempted) = mpsc::channel(8);
        let mut batch = claimed(Together { since: Instant::now(), awaited: AtomicUsize::new(2) });
        batch.truncate(1);
        gather(&mut attempted, &mut batch, 8).await;
        assert_eq!(batch.len(), 1);
    }
}
