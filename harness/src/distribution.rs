//! How the latencies of a run spread, how sure their percentiles are, and what is odd about them.

use serde::{Deserialize, Serialize};

use crate::recorder::Recorder;
use crate::statistics::{Comb, Drift, Ends, comb, drift};

/// A stall is told when it would have made P99 longer by more than this factor, had load not waited
/// for it.
const HIDDEN_RATIO_MAX: f64 = 2.0;

/// The spread of a run's latencies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Confidence intervals of 95 % of the percentiles, in milliseconds, by order statistics.
    pub interval_ms: LatencyIntervals,
    /// The quantile function, to be drawn: quantile from 0 to 1, milliseconds.
    pub percentiles: Vec<(f64, f64)>,
    /// Latencies over time, to be drawn: seconds since load went on, milliseconds. Of a long run,
    /// not all.
    pub timeline: Vec<(f64, f64)>,
    /// Whether latencies changed as the run went on.
    pub drift: Option<Drift>,
    /// The polling comb that they stand on, if there is one.
    pub comb: Option<Comb>,
    /// Closed loop: a stall that kept load from being made, and so from being measured.
    pub hidden_stall: Option<HiddenStall>,
}

/// Confidence intervals by percentile; null where the samples don't carry it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencyIntervals {
    /// Of the median.
    pub p50: Option<Ends>,
    /// Of the 95th percentile.
    pub p95: Option<Ends>,
    /// Of the 99th percentile.
    pub p99: Option<Ends>,
}

/// What a closed loop does not see (coordinated omission): while one task stalls, those that would
/// have come in the meantime are not begun, and their latencies are not there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HiddenStall {
    /// The longest latency, in milliseconds.
    pub longest_ms: f64,
    /// P99 with the latencies that are not there, in milliseconds: one a median time, as
    /// `HdrHistogram` corrects for it.
    pub p99_ms: f64,
}

impl Distribution {
    /// Of what was recorded; `is_closed` tells that load waited for its own tasks.
    pub fn of(recorder: &Recorder, is_closed: bool) -> Distribution {
        let in_order: Vec<f64> = recorder.in_order().iter().map(|(_, ms)| *ms).collect();
        Distribution {
            interval_ms: recorder.intervals(),
            percentiles: recorder.curve(),
            timeline: recorder.timeline(),
            drift: drift(&in_order),
            comb: comb(&in_order),
            hidden_stall: is_closed.then(|| hidden_stall(recorder)).flatten(),
        }
    }

    /// What a reader has to know of it, a sentence each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(drift) = &self.drift {
            if drift.starts_cold {
                let what = match drift.first_tenth_ratio > 1.0 {
                    true => "the warm-up was too short (--warmup)",
                    false => "what follows is slower",
                };
                notes.push(format!(
                    "the first tenth of the samples has {:.2} × the median of the rest: {what}",
                    drift.first_tenth_ratio
                ));
            }
            if drift.goes_on {
                notes.push(format!(
                    "latencies drift: the median of the second half is {:.2} × that of the first",
                    drift.second_half_ratio
                ));
            }
        }
        if let Some(comb) = &self.comb {
            notes.push(format!(
                "latencies stand at multiples of {:.0} ms ({} teeth): something on the way polls, \
                 and percentiles tell of the poll",
                comb.period_ms, comb.teeth
            ));
        }
        if let Some(stall) = &self.hidden_stall {
            notes.push(format!(
                "a stall of {:.0} ms kept tasks from being begun (coordinated omission): with \
                 those P99 would be {:.1} ms; measure with --rate",
                stall.longest_ms, stall.p99_ms
            ));
        }
        notes
    }
}

fn hidden_stall(recorder: &Recorder) -> Option<HiddenStall> {
    let latency = recorder.latency();
    let (p99, longest_ms) = (latency.p99?, latency.max?);
    let p99_ms = recorder.p99_corrected_ms()?;
    (p99_ms > HIDDEN_RATIO_MAX * p99).then_some(HiddenStall { longest_ms, p99_ms })
}
