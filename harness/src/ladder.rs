//! The rate ladder: open loops of rising rates, and the knee between them. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::arrivals::Arrivals;
use crate::broker::Broker;
use crate::recorder::Recorder;
use crate::verdict::RateReport;

/// A rung that achieves less than this share of what it was asked for is beyond what the system
/// can do.
const ACHIEVED_MIN: f64 = 0.95;
/// Rungs past the knee that end the ladder.
const PAST_KNEE: usize = 2;
/// A ladder has no more rungs.
pub const RUNGS_MAX: usize = 40;

/// One rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// Tasks a second that were asked for.
    pub asked_per_s: f64,
    /// Tasks a second that were begun.
    pub offered_per_s: f64,
    /// Tasks a second that came to their ends.
    pub achieved_per_s: f64,
    /// Tasks.
    pub samples: u64,
    /// The median latency from the intended start, in milliseconds.
    pub p50_ms: f64,
    /// The 95th percentile, in milliseconds.
    pub p95_ms: f64,
    /// Whether the rate could not be offered.
    pub is_short: bool,
}

/// The rungs of one scenario, and what they show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ladder {
    /// The scenario's name.
    pub scenario: String,
    /// The broker under test.
    pub broker: Broker,
    /// The cluster.
    pub on: String,
    /// The rungs by their rate.
    pub rungs: Vec<Rung>,
    /// The rate of the knee, in tasks a second.
    pub knee_per_s: Option<f64>,
    /// Why there is no higher rung.
    pub why_stopped: String,
}

impl Rung {
    /// The rung of these arrivals, by the latencies, how late tasks began, and how long they took
    /// all together: until the last had ended, and until it had begun.
    pub fn of(
        arrivals: Arrivals,
        latencies: &Recorder,
        late: &Recorder,
        busy: Duration,
        offering: Duration,
    ) -> Rung {
        let samples = latencies.samples();
        let late_ms_p99 = late.quantile_ms(0.99);
        let rate = RateReport::of(arrivals, samples, busy, offering, late_ms_p99);
        Rung {
            asked_per_s: rate.asked_per_s,
            offered_per_s: rate.offered_per_s,
            achieved_per_s: rate.achieved_per_s,
            samples,
            p50_ms: latencies.quantile_ms(0.5),
            p95_ms: latencies.quantile_ms(0.95),
            is_short: rate.is_short,
        }
    }

    /// Throughput over latency: Kleinrock's *power*, whose maximum is the knee (Kleinrock, *Power
    /// and deterministic rules of thumb for probabilistic problems in computer communications*,
    /// ICC 1979).
    fn power(&self) -> f64 {
        match self.p95_ms > 0.0 {
            true => self.achieved_per_s / self.p95_ms,
            false => 0.0,
        }
    }

    /// Whether the system, or the load, keeps up.
    fn keeps_up(&self) -> bool {
        !self.is_short && self.achieved_per_s >= ACHIEVED_MIN * self.asked_per_s
    }
}

/// The knee: the rung of the highest power among those that keep up.
pub fn knee(rungs: &[Rung]) -> Option<&Rung> {
    let able = rungs.iter().filter(|rung| rung.keeps_up());
    able.max_by(|a, b| a.power().total_cmp(&b.power()))
}

/// Why the ladder ends with these rungs; nothing while it goes on.
pub fn why_stop(rungs: &[Rung]) -> Option<String> {
    let last = rungs.last()?;
    let falls = |rung: &&Rung| !rung.keeps_up();
    if rungs.iter().rev().take_while(falls).count() >= PAST_KNEE {
        return Some(format!(
            "{:.0}/s were achieved of {:.0}/s asked for",
            last.achieved_per_s, last.asked_per_s
        ));
    }
    (rungs.len() >= RUNGS_MAX).then(|| format!("{RUNGS_MAX} rungs, and no end"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A queue of one server (M/M/1) that can do 1,000 a second.
    fn rung(asked: f64) -> Rung {
        let achieved = asked.min(1_000.0);
        let wait = if asked < 999.0 { 1_000.0 / (1_000.0 - asked) } else { 5_000.0 };
        Rung {
            asked_per_s: asked,
            offered_per_s: asked,
            achieved_per_s: achieved,
            samples: 1_000,
            p50_ms: wait * 0.7,
            p95_ms: wait * 3.0,
            is_short: false,
        }
    }

    #[test]
    fn the_knee_of_a_single_queue_is_at_half_of_what_it_can_do() {
        // Kleinrock's own example: the power of M/M/1 is highest at a load of one half.
        let rungs: Vec<Rung> = (1..=12).map(|nr| rung(f64::from(nr) * 100.0)).collect();
        assert_eq!(knee(&rungs).unwrap().asked_per_s, 500.0);
    }

    #[test]
    fn a_ladder_ends_two_rungs_past_what_the_system_can_do() {
        let rates = [250.0, 500.0, 1_000.0, 2_000.0, 4_000.0].map(rung);
        assert_eq!(why_stop(&rates[..4]), None);
        assert_eq!(why_stop(&rates).unwrap(), "1000/s were achieved of 4000/s asked for");
        assert_eq!(why_stop(&[]), None);
    }

    #[test]
    fn a_rung_that_could_not_be_offered_is_no_knee() {
        let mut rungs = [rung(400.0), rung(500.0)];
        rungs[1].is_short = true;
        assert_eq!(knee(&rungs).unwrap().asked_per_s, 400.0);
    }
}
