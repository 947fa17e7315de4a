//! What the samples of a run look like, beyond a few percentiles.

use serde::Deserialize;

/// The samples' distribution, in order of size and in order of time.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Distribution {
    /// Confidence intervals of 95 %.
    #[serde(default)]
    pub interval_ms: IntervalsMs,
    /// Quantile and milliseconds, by rising quantile.
    #[serde(default)]
    pub percentiles: Vec<(f64, f64)>,
    /// Seconds since the first sample's start, and milliseconds; at most 1,000 of the samples.
    #[serde(default)]
    pub timeline: Vec<(f64, f64)>,
    /// Whether the samples move.
    pub drift: Option<Drift>,
    /// Whether they gather at multiples of a period.
    pub comb: Option<Comb>,
    /// Whether a closed loop has hidden a stall.
    pub hidden_stall: Option<Stall>,
}

/// Confidence intervals of 95 % of percentiles, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub struct IntervalsMs {
    /// Of the median.
    pub p50: Option<Bounds>,
    /// Of the 95th.
    pub p95: Option<Bounds>,
    /// Of the 99th.
    pub p99: Option<Bounds>,
}

/// Both ends of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Bounds {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// Medians of parts of a run against each other.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Drift {
    /// The first tenth against the rest.
    pub first_tenth_ratio: f64,
    /// The second half against the first.
    pub second_half_ratio: f64,
    /// Whether the first tenth is slower than chance would have it.
    pub starts_cold: bool,
    /// Whether the second half differs from the first by more than chance.
    pub goes_on: bool,
}

/// Samples that gather at multiples of a period, as behind a poll.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Comb {
    /// The period in milliseconds.
    pub period_ms: f64,
    /// So many multiples were seen.
    pub teeth: u64,
}

/// A pause that kept a closed loop from starting the tasks that would have felt it.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Stall {
    /// The longest sample, in milliseconds.
    pub longest_ms: f64,
    /// P99 as it would be with the tasks that were not started, in milliseconds.
    pub p99_ms: f64,
}
