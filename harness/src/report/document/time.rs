//! Where the time of a run's tasks goes, and how latency grows with the rate.

use serde::Deserialize;

/// Where the time goes, from the engine's own transition times and the client's.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Breakdown {
    /// Tasks that it is taken from.
    pub tasks: u64,
    /// Share of the tasks whose segments sum to their latency within 2 %.
    pub sums_within_2_percent: Option<f64>,
    /// The parts of a task's latency.
    #[serde(default)]
    pub segments: Vec<Segment>,
    /// The steps, in the order of the template.
    #[serde(default)]
    pub steps: Vec<StepShare>,
    /// The ways of single tasks.
    #[serde(default)]
    pub waterfalls: Vec<Waterfall>,
}

/// One part of a task's latency, over its critical path.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Segment {
    /// Its name, such as `enqueue → claim`.
    pub segment: String,
    /// Its median, in milliseconds a task.
    pub p50_ms: Option<f64>,
    /// Its 95th percentile, in milliseconds a task.
    pub p95_ms: Option<f64>,
    /// Its share of all latencies, from 0 to 1.
    pub share: Option<f64>,
}

/// The time of one step: medians over the tasks, in milliseconds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct StepShare {
    /// The step's name.
    pub step: String,
    /// The steps that it waits for.
    #[serde(default)]
    pub parents: Vec<String>,
    /// Tasks in which it ran.
    pub tasks: u64,
    /// In which share of them it lay on the critical path, from 0 to 1.
    pub on_path: f64,
    /// From the task's start until it was enqueued.
    pub enqueued_ms: Option<f64>,
    /// From then until a worker had claimed it.
    pub claim_ms: Option<f64>,
    /// In the handler.
    pub handler_ms: Option<f64>,
    /// From its result until that was processed.
    pub process_ms: Option<f64>,
}

/// The way of one task, segment by segment.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Waterfall {
    /// Which task: the one at `P50` or `P99`.
    pub of: String,
    /// Its latency in milliseconds.
    pub latency_ms: f64,
    /// Its segments.
    #[serde(default)]
    pub bars: Vec<Bar>,
}

/// One segment of one task.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Bar {
    /// The step; null where it is the whole task's.
    pub step: Option<String>,
    /// The segment's name.
    pub segment: String,
    /// Its begin, in milliseconds from the task's start.
    pub from_ms: f64,
    /// Its end.
    pub to_ms: f64,
    /// Whether it lies on the critical path.
    pub on_path: bool,
}

/// Throughput against latency: the same scenario at rising rates.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Ladder {
    /// The scenario's name.
    pub scenario: String,
    /// The broker under test.
    pub broker: String,
    /// The cluster.
    pub on: String,
    /// The rates, rising.
    #[serde(default)]
    pub rungs: Vec<Rung>,
    /// The highest rate before latency bends up, in samples a second.
    pub knee_per_s: Option<f64>,
    /// Why no higher rate was tried.
    pub why_stopped: Option<String>,
}

/// One rate of a ladder.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Rung {
    /// Samples begun a second.
    pub offered_per_s: f64,
    /// Samples answered a second.
    pub achieved_per_s: Option<f64>,
    /// Measured samples.
    pub samples: u64,
    /// Median in milliseconds.
    pub p50_ms: Option<f64>,
    /// 95th percentile in milliseconds.
    pub p95_ms: Option<f64>,
    /// Whether the rate could not be offered.
    pub is_short: bool,
}

impl Breakdown {
    /// The segment that takes most of the time, and its place among the segments.
    #[must_use]
    pub fn slowest(&self) -> Option<(usize, &Segment)> {
        let share = |segment: &Segment| segment.share.or(segment.p50_ms).unwrap_or(0.0);
        let by_share = |a: &(usize, &Segment), b: &(usize, &Segment)| {
            share(a.1).total_cmp(&share(b.1)).then(b.0.cmp(&a.0))
        };
        self.segments.iter().enumerate().max_by(by_share)
    }
}

impl StepShare {
    /// From its enqueuing until its result was processed, in milliseconds.
    #[must_use]
    pub fn took_ms(&self) -> Option<f64> {
        let parts = [self.claim_ms, self.handler_ms, self.process_ms];
        let took: f64 = parts.iter().flatten().sum();
        parts.iter().any(Option::is_some).then_some(took)
    }
}
