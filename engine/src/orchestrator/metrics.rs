//! What an orchestrator counts.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use sqlx::Row;
use sqlx::postgres::PgRow;

/// An orchestrator's counters; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct OrchestratorMetrics {
    created: IntCounter,
    finished: IntCounter,
    processed: IntCounter,
    evaluations: IntCounter,
    recovered: IntCounterVec,
}

impl OrchestratorMetrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let recovered = Opts::new("stepmark_steps_recovered_total", "Steps moved on by a sweep.");
        let metrics = Self {
            created: IntCounter::new("stepmark_tasks_created_total", "Tasks created.")?,
            finished: IntCounter::new(
                "stepmark_tasks_finished_total",
                "Tasks that came to Complete, Error or Cancelled.",
            )?,
            processed: IntCounter::new(
                "stepmark_outcomes_processed_total",
                "Step outcomes processed.",
            )?,
            evaluations: IntCounter::new(
                "stepmark_dependency_evaluations_total",
                "Completed steps whose dependants were evaluated.",
            )?,
            recovered: IntCounterVec::new(recovered, &["reason"])?,
        };
        registry.register(Box::new(metrics.created.clone()))?;
        registry.register(Box::new(metrics.finished.clone()))?;
        registry.register(Box::new(metrics.processed.clone()))?;
        registry.register(Box::new(metrics.evaluations.clone()))?;
        registry.register(Box::new(metrics.recovered.clone()))?;
        Ok(metrics)
    }

    pub(super) fn created(&self, tasks: usize) {
        self.created.inc_by(tasks as u64);
    }

    pub(super) fn finished(&self, tasks: usize) {
        self.finished.inc_by(tasks as u64);
    }

    pub(super) fn processed(&self, row: &PgRow) -> Result<(), sqlx::Error> {
        self.processed.inc_by(count(row, "steps_processed")?);
        self.evaluations.inc_by(count(row, "steps_evaluated")?);
        Ok(())
    }

    pub(super) fn recovered(
        &self,
        reason: &str,
        row: &PgRow,
        column: &str,
    ) -> Result<(), sqlx::Error> {
        self.recovered.with_label_values(&[reason]).inc_by(count(row, column)?);
        Ok(())
    }
}

fn count(row: &PgRow, column: &str) -> Result<u64, sqlx::Error> {
    Ok(row.try_get::<i32, _>(column)?.unsigned_abs().into())
}
