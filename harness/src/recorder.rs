//! Latencies in an HDR histogram: microseconds, three significant digits.
//!
//! A percentile is given only where the samples carry it: P95 from 200 samples on and P99 from
//! 1,000 on, so that at least ten of them lie beyond it.

use std::io::Write;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use serde::{Deserialize, Serialize};

/// The fewest samples that carry a P95.
pub const P95_SAMPLES_MIN: u64 = 200;
/// The fewest samples that carry a P99.
pub const P99_SAMPLES_MIN: u64 = 1_000;
/// The longest latency that is told apart from longer ones, in microseconds: one hour.
const LATENCY_US_MAX: u64 = 3_600_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// Collects the latencies of one run.
#[derive(Debug, Clone)]
pub struct Recorder {
    histogram: Histogram<u64>,
    started: SystemTime,
}

/// Percentiles in milliseconds; null where the samples don't carry them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencyMs {
    /// The median.
    pub p50: Option<f64>,
    /// The 95th percentile, from 200 samples on.
    pub p95: Option<f64>,
    /// The 99th percentile, from 1,000 samples on.
    pub p99: Option<f64>,
    /// The longest.
    pub max: Option<f64>,
}

impl Recorder {
    /// A recorder without samples; `started` is when its first task began.
    pub fn new(started: SystemTime) -> Recorder {
        let histogram = Histogram::new_with_bounds(1, LATENCY_US_MAX, SIGNIFICANT_DIGITS)
            .expect("the bounds are constants that hdrhistogram accepts");
        Recorder { histogram, started }
    }

    /// Adds one latency; what is longer than an hour counts as an hour.
    pub fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(LATENCY_US_MAX);
        self.histogram.saturating_record(micros.max(1));
    }

    /// Number of latencies.
    pub fn samples(&self) -> u64 {
        self.histogram.len()
    }

    /// The percentiles that the samples carry.
    pub fn latency(&self) -> LatencyMs {
        let samples = self.samples();
        let at = |quantile, samples_min| {
            (samples >= samples_min)
                .then(|| milliseconds(self.histogram.value_at_quantile(quantile)))
        };
        LatencyMs {
            p50: at(0.50, 1),
            p95: at(0.95, P95_SAMPLES_MIN),
            p99: at(0.99, P99_SAMPLES_MIN),
            max: (samples > 0).then(|| milliseconds(self.histogram.max())),
        }
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
