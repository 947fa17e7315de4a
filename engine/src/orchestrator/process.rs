//! The processing lane: takes completion messages and moves their tasks on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use super::metrics::OrchestratorMetrics;
use super::recover::Alarm;
use crate::config::EngineConfig;
use crate::database::Pause;
use crate::failpoint::failpoint;
use crate::messaging::{
    MessagingError, MessagingService, Outgoing, Phase, Queue, Source, SourceQueue, Statement,
    StepId,
};
use crate::traces::{Processed, Traces};
use crate::waiters::Waiters;

/// EnqueuedForOrchestration → Complete, WaitingForRetry or Error, and what follows from it.
struct Processing;

impl Phase for Processing {
    fn taking<'a>(&'a self, _namespaces: &'a [String], max: i32) -> Statement<'a> {
        sqlx::query(include_str!("../../sql/process_taken.sql")).bind(max)
    }

    fn delivered(&self, steps: &[StepId]) -> Statement<'_> {
        sqlx::query(include_str!("../../sql/process_delivered.sql")).bind(steps.to_vec())
    }
}

/// The lane's own things.
pub(super) struct ProcessLane {
    pub(super) config: EngineConfig,
    pub(super) messaging: Arc<dyn MessagingService>,
    pub(super) waiters: Arc<Waiters>,
    pub(super) alarm: Arc<Alarm>,
    pub(super) metrics: OrchestratorMetrics,
    pub(super) traces: Traces,
}

impl ProcessLane {
    /// Processes completions until the shutdown begins.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let mut queue = None;
        let mut pause = Pause::default();
        while !shutdown.is_cancelled() {
            match self.round(&mut queue, &shutdown).await {
                Ok(()) => pause = Pause::default(),
                Err(error) => {
                    warn!(%error, "completions can't be processed; trying again");
                    queue = None;
                    pause.wait().await;
                }
            }
        }
    }

    /// Waits for messages, and processes what there is.
    async fn round(
        &mut self,
        queue: &mut Option<Box<dyn Queue>>,
        shutdown: &CancellationToken,
    ) -> Result<(), MessagingError> {
        let batch_max = self.config.batch_max;
        let queue = match queue {
            Some(queue) => queue,
            None => {
                let prefetch = u16::try_from(batch_max.saturating_mul(2)).unwrap_or(u16::MAX);
                // It waits for a broker that is away, for as long as that takes.
                let calls = Arc::clone(&self.waiters) as _;
                let source = Source { queue: SourceQueue::Completions, calls };
                let opening = shutdown.run_until_cancelled(self.messaging.open(source, prefetch));
                let Some(opened) = opening.await else {
                    return Ok(());
                };
                queue.insert(opened?)
            }
        };
        let waited = shutdown.run_until_cancelled(queue.wait(self.config.sweep())).await;
        let Some(waited) = waited else {
            return Ok(());
        };
        waited?;
        while !shutdown.is_cancelled() {
            let begun = Instant::now();
            let rows = queue.act(&Processing, batch_max as usize).await?;
            let Some(row) = rows.first() else {
                break;
            };
            failpoint("orchestrator_after_process_commit");
            self.messaging.publish(Outgoing::from_row(row)?).await;
            self.tell(row)?;
            match row.try_get::<Option<Json<Vec<Processed>>>, _>("traced") {
                Ok(steps) => self.traces.processed(steps.map_or_else(Vec::new, |it| it.0), begun),
                Err(error) => warn!(%error, "steps can't be traced"),
            }
            if row.try_get("queue_empty")? {
                break;
            }
        }
        Ok(())
    }

    /// Wakes who waits here for a task that has ended, without the way through the database, and
    /// sets the alarm for retries that have begun to wait.
    fn tell(&self, row: &PgRow) -> Result<(), sqlx::Error> {
        if let Some(finished) = row.try_get::<Option<Vec<Uuid>>, _>("tasks_finished")? {
            self.metrics.finished(finished.len());
            self.waiters.wake(finished);
        }
        if let Some(ms) = row.try_get::<Option<i64>, _>("next_retry_ms")? {
            self.alarm.within(Duration::from_millis(ms.unsigned_abs()));
        }
        self.metrics.processed(row)
    }
}
