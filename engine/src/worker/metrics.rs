//! What a worker counts.

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{Counter, CounterVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::breaker::{Breaker, BreakerState};

/// A worker's counters; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct WorkerMetrics {
    stored: IntCounterVec,
    fenced: IntCounter,
    seconds: CounterVec,
    run: Counter,
    serialisation: Counter,
    handler: Counter,
    completion: Counter,
}

/// Where a handler's time went on the other side of a bridge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct FarSide {
    /// In the handler itself.
    pub(super) handler: Duration,
    /// Reading and writing JSON, on both sides.
    pub(super) serialisation: Duration,
}

impl Default for WorkerMetrics {
    fn default() -> Self {
        let right = "the names are right";
        let stored = Opts::new("stepmark_outcomes_stored_total", "Outcomes stored, by kind.");
        let fenced = Opts::new(
            "stepmark_outcomes_fenced_total",
            "Outcomes refused because the claim had ended: late results.",
        );
        let seconds = Opts::new(
            "stepmark_step_seconds_total",
            "Time spent on steps: run, from a claim to its outcome; of that, where the handler is \
             in another language, handler and serialisation, and the rest is the bridge; \
             completion, from the outcome until it is stored.",
        );
        let seconds = CounterVec::new(seconds, &["part"]).expect(right);
        let part = |name| seconds.with_label_values(&[name]);
        Self {
            stored: IntCounterVec::new(stored, &["outcome"]).expect(right),
            fenced: IntCounter::with_opts(fenced).expect(right),
            run: part("run"),
            serialisation: part("serialisation"),
            handler: part("handler"),
            completion: part("completion"),
            seconds,
        }
    }
}

impl WorkerMetrics {
    pub(super) fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.stored.clone()))?;
        registry.register(Box::new(self.fenced.clone()))?;
        registry.register(Box::new(self.seconds.clone()))
    }

    pub(super) fn stored(&self, outcome: &str, completion: Duration) {
        self.stored.with_label_values(&[outcome]).inc();
        self.completion.inc_by(completion.as_secs_f64());
    }

    pub(super) fn fenced(&self) {
        self.fenced.inc();
    }

    pub(super) fn ran(&self, run: Duration) {
        self.run.inc_by(run.as_secs_f64());
    }

    pub(super) fn far_side(&self, spent: FarSide) {
        self.handler.inc_by(spent.handler.as_secs_f64());
        self.serialisation.inc_by(spent.serialisation.as_secs_f64());
    }
}

/// Tells a breaker's state whenever it is asked.
#[derive(Debug)]
pub(super) struct BreakerGauge {
    breaker: Arc<Breaker>,
    gauge: IntGauge,
}

impl BreakerGauge {
    pub(super) fn register(
        registry: &Registry,
        breaker: Arc<Breaker>,
    ) -> Result<(), prometheus::Error> {
        let gauge = IntGauge::new(
            "stepmark_breaker_state",
            "The circuit breaker in front of the handlers: 0 closed, 1 half-open, 2 open.",
        )?;
        registry.register(Box::new(Self { breaker, gauge }))
    }
}

impl Collector for BreakerGauge {
    fn desc(&self) -> Vec<&prometheus::core::Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<prometheus::proto::MetricFamily> {
        self.gauge.set(match self.breaker.state() {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open(_) => 2,
        });
        self.gauge.collect()
    }
}
