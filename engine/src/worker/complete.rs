//! The completing lane: stores the outcomes of steps, many in one durable commit.

use std::sync::Arc;
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
    /// Cancelled once it is stored.
    pub(super) stored: CancellationToken,
}

impl Attempted {
    /// `backoff` is asked when the handler wants a retry and doesn't say when.
    pub(super) fn new(
        step_id: StepId,
        claim_token: Uuid,
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
}

impl CompleteLane {
    /// Stores outcomes until all senders are gone and nothing is left.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::new();
        while self.attempted.recv_many(&mut batch, self.batch_max).await > 0 {
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
