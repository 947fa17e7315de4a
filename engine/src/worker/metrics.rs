//! What a worker counts.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// A worker's counters; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct WorkerMetrics {
    stored: IntCounterVec,
    fenced: IntCounter,
}

impl WorkerMetrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let stored = Opts::new("stepmark_outcomes_stored_total", "Outcomes stored, by kind.");
        let fenced = Opts::new(
            "stepmark_outcomes_fenced_total",
            "Outcomes refused because the claim had ended: late results.",
        );
        let metrics = Self {
            stored: IntCounterVec::new(stored, &["outcome"])?,
            fenced: IntCounter::with_opts(fenced)?,
        };
        registry.register(Box::new(metrics.stored.clone()))?;
        registry.register(Box::new(metrics.fenced.clone()))?;
        Ok(metrics)
    }

    pub(super) fn stored(&self, outcome: &str) {
        self.stored.with_label_values(&[outcome]).inc();
    }

    pub(super) fn fenced(&self) {
        self.fenced.inc();
    }
}
