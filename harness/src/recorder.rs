//! Latencies in an HDR histogram: microseconds, three significant digits.
//!
//! A percentile is given only where the samples carry it: the median where its confidence interval
//! can be told (6 samples), P95 from 200 samples on and P99 from 1,000 on, so that at least ten of
//! them lie beyond it.

use std::io::Write;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use serde::{Deserialize, Serialize};

use crate::distribution::LatencyIntervals;
use crate::statistics::{Ends, ranks};

/// The fewest samples that carry a median.
pub const P50_SAMPLES_MIN: u64 = 6;
/// The fewest samples that carry a P95.
pub const P95_SAMPLES_MIN: u64 = 200;
/// The fewest samples that carry a P99.
pub const P99_SAMPLES_MIN: u64 = 1_000;
/// The longest latency that is told apart from longer ones, in microseconds: one hour.
const LATENCY_US_MAX: u64 = 3_600_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;
/// Samples that are kept one by one; of more, every second one, every fourth one and so on.
const KEPT_MAX: usize = 20_000;
/// Points of a drawing over time.
const TIMELINE_MAX: usize = 1_000;
/// Steps of the drawn quantile function for each halving of what lies beyond.
const TICKS_A_HALVING: u32 = 4;
/// The longest gap between tasks that a correction for coordinated omission fills up.
const CORRECTED_MAX: u64 = 1_000_000;

/// Collects the latencies of one run.
#[derive(Debug, Clone)]
pub struct Recorder {
    histogram: Histogram<u64>,
    started: SystemTime,
    kept: Vec<Recorded>,
    /// One in so many samples is kept.
    keeps_every: u64,
}

/// A sample that was kept by itself, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// When it was begun, or due to begin, since load first went on; pauses are not in it.
    pub at_us: u64,
    /// How long it took.
    pub latency_us: u64,
}

/// Percentiles in milliseconds; null where the samples don't carry them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencyMs {
    /// The median, from 6 samples on.
    pub p50: Option<f64>,
    /// The 95th percentile, from 200 samples on.
    pub p95: Option<f64>,
    /// The 99th percentile, from 1,000 samples on.
    pub p99: Option<f64>,
    /// The longest.
    pub max: Option<f64>,
}

impl Default for Recorder {
    /// One without samples, of no time.
    fn default() -> Recorder {
        Recorder::new(SystemTime::UNIX_EPOCH)
    }
}

impl Recorder {
    /// A recorder without samples; `started` is when its first task began.
    pub fn new(started: SystemTime) -> Recorder {
        let histogram = Histogram::new_with_bounds(1, LATENCY_US_MAX, SIGNIFICANT_DIGITS)
            .expect("the bounds are constants that hdrhistogram accepts");
        Recorder { histogram, started, kept: Vec::new(), keeps_every: 1 }
    }

    /// What was recorded before: the histogram, and the samples that were kept of it.
    pub fn restored(started: SystemTime, histogram: Histogram<u64>, kept: Vec<Recorded>) -> Self {
        Recorder { histogram, started, kept, keeps_every: 1 }
    }

    /// Adds one latency of a task that was begun, or due, so long after load first went on. What is
    /// longer than an hour counts as an hour.
    pub fn record(&mut self, at: Duration, latency: Duration) {
        let nr = self.histogram.len();
        let latency_us = micros(latency).clamp(1, LATENCY_US_MAX);
        self.histogram.saturating_record(latency_us);
        if nr.is_multiple_of(self.keeps_every) {
            self.kept.push(Recorded { at_us: micros(at), latency_us });
        }
        if self.kept.len() >= KEPT_MAX {
            let mut is_even = false;
            self.kept.retain(|_| {
                is_even = !is_even;
                is_even
            });
            self.keeps_every *= 2;
        }
    }

    /// Number of latencies.
    pub fn samples(&self) -> u64 {
        self.histogram.len()
    }

    /// When the first task began.
    pub fn started(&self) -> SystemTime {
        self.started
    }

    /// The samples that were kept, in the order in which they were recorded.
    pub fn kept(&self) -> &[Recorded] {
        &self.kept
    }

    /// The percentiles that the samples carry.
    pub fn latency(&self) -> LatencyMs {
        let samples = self.samples();
        let at = |quantile, samples_min| {
            (samples >= samples_min)
                .then(|| milliseconds(self.histogram.value_at_quantile(quantile)))
        };
        LatencyMs {
            p50: at(0.50, P50_SAMPLES_MIN),
            p95: at(0.95, P95_SAMPLES_MIN),
            p99: at(0.99, P99_SAMPLES_MIN),
            max: (samples > 0).then(|| milliseconds(self.histogram.max())),
        }
    }

    /// A quantile, however many samples there are, in milliseconds.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        milliseconds(self.histogram.value_at_quantile(quantile))
    }

    /// The percentiles' confidence intervals, where the samples carry the percentile.
    pub fn intervals(&self) -> LatencyIntervals {
        let samples = self.samples();
        let at_rank = |rank: u64| {
            let quantile = rank as f64 / samples as f64;
            milliseconds(self.histogram.value_at_quantile(quantile))
        };
        let of = |quantile, samples_min| {
            let (low, high) = ranks(samples, quantile).filter(|_| samples >= samples_min)?;
            Some(Ends { low: at_rank(low), high: at_rank(high) })
        };
        LatencyIntervals {
            p50: of(0.50, P50_SAMPLES_MIN),
            p95: of(0.95, P95_SAMPLES_MIN),
            p99: of(0.99, P99_SAMPLES_MIN),
        }
    }

    /// The quantile function: quantiles from 0 to 1, closer together the nearer they are to 1, and
    /// milliseconds.
    pub fn curve(&self) -> Vec<(f64, f64)> {
        let steps = self.histogram.iter_quantiles(TICKS_A_HALVING);
        let point = |quantile: f64, micros| (quantile, milliseconds(micros));
        steps.map(|step| point(step.quantile_iterated_to(), step.value_iterated_to())).collect()
    }

    /// The samples that were kept, by their time: seconds and milliseconds.
    pub fn in_order(&self) -> Vec<(f64, f64)> {
        let mut kept = self.kept.clone();
        kept.sort_by_key(|sample| sample.at_us);
        let point =
            |sample: &Recorded| (sample.at_us as f64 / 1e6, milliseconds(sample.latency_us));
        kept.iter().map(point).collect()
    }

    /// The same, so few that they can be drawn.
    pub fn timeline(&self) -> Vec<(f64, f64)> {
        let all = self.in_order();
        let every = all.len().div_ceil(TIMELINE_MAX).max(1);
        all.into_iter().step_by(every).collect()
    }

    /// P99 with the latencies of those tasks that a closed loop did not begin because it waited for
    /// a longer one: one a median latency.
    pub fn p99_corrected_ms(&self) -> Option<f64> {
        let interval = self.histogram.value_at_quantile(0.5);
        if interval == 0 || self.histogram.max() / interval > CORRECTED_MAX {
            return None;
        }
        let corrected = self.histogram.clone_correct(interval);
        Some(milliseconds(corrected.value_at_quantile(0.99)))
    }

    /// Writes the histogram as an interval log (`.hlog`, V2 compressed) of one interval.
    ///
    /// # Errors
    /// The writer fails.
    pub fn write_hlog(
        &self,
        tag: &str,
        took: Duration,
        writer: &mut impl Write,
    ) -> std::io::Result<()> {
        let mut serializer = V2DeflateSerializer::new();
        let mut log = IntervalLogWriterBuilder::new()
            .add_comment("[Latencies in microseconds; Interval_Max in milliseconds]")
            .with_start_time(self.started)
            .with_base_time(self.started)
            .with_max_value_divisor(1_000.0)
            .begin_log_with(writer, &mut serializer)?;
        log.write_histogram(&self.histogram, Duration::ZERO, took, Tag::new(tag))
            .map_err(|error| std::io::Error::other(format!("{error:?}")))
    }
}

fn milliseconds(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
