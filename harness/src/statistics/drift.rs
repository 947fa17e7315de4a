//! Whether the latencies of a run changed as it went on: warm-up is judged, not assumed.

use serde::{Deserialize, Serialize};

use super::quantile::{Interval, median_interval};

/// A change is marked when the medians' intervals lie apart and the medians differ by more than
/// this share of the earlier one's.
const CHANGE_MAX: f64 = 0.1;
/// The fewest samples that are judged.
const SAMPLES_MIN: usize = 100;

/// How the latencies of a run changed as it went on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// The median of the first tenth over that of the rest: above 1, the warm-up was too short.
    pub first_tenth_ratio: f64,
    /// Of what follows the first tenth, the median of the second half over that of the first.
    pub second_half_ratio: f64,
    /// Whether the first tenth differs from the rest for sure, and by more than 10 %.
    pub starts_cold: bool,
    /// Whether the second half differs from the first for sure, and by more than 10 %.
    pub goes_on: bool,
}

/// Compares the parts of a run; nothing of fewer than 100 latencies. They come in the order in
/// which the tasks were begun.
pub fn drift(latencies: &[f64]) -> Option<Drift> {
    if latencies.len() < SAMPLES_MIN {
        return None;
    }
    let (first_tenth, rest) = latencies.split_at(latencies.len() / 10);
    let (first_half, second_half) = rest.split_at(rest.len() / 2);
    let median = |part: &[f64]| median_interval(part.to_vec());
    let (first_tenth, rest) = (median(first_tenth)?, median(rest)?);
    let (first_half, second_half) = (median(first_half)?, median(second_half)?);
    Some(Drift {
        first_tenth_ratio: first_tenth.median / rest.median,
        second_half_ratio: second_half.median / first_half.median,
        starts_cold: differ(first_tenth, rest),
        goes_on: differ(first_half, second_half),
    })
}

fn differ(earlier: Interval, later: Interval) -> bool {
    let apart = earlier.low > later.high || earlier.high < later.low;
    apart && (later.median / earlier.median - 1.0).abs() > CHANGE_MAX
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Latencies around 5 ms, of which the one at place n is multiplied by what `change` says.
    fn drift_of(change: impl Fn(usize) -> f64) -> Drift {
        let noise = |place: usize| 4.0 + ((place * 37) % 101) as f64 / 50.0;
        let all: Vec<f64> = (0..1_000).map(|place| noise(place) * change(place)).collect();
        drift(&all).unwrap()
    }

    #[test]
    fn a_level_run_is_not_marked() {
        let found = drift_of(|_| 1.0);
        assert!(!found.starts_cold && !found.goes_on, "{found:?}");
        // A difference that is sure and small is none.
        let found = drift_of(|place| if place < 500 { 1.05 } else { 1.0 });
        assert!(!found.starts_cold && !found.goes_on, "{found:?}");
    }

    #[test]
    fn a_cold_start_and_a_slow_change_are_told_apart() {
        let found = drift_of(|place| if place < 100 { 1.4 } else { 1.0 });
        assert!(found.starts_cold && !found.goes_on, "{found:?}");
        assert!((found.first_tenth_ratio - 1.4).abs() < 0.05, "{found:?}");
        let found = drift_of(|place| 1.0 + place as f64 / 1_000.0);
        assert!(found.goes_on, "{found:?}");
        assert!(found.second_half_ratio > 1.2, "{found:?}");
    }

    #[test]
    fn few_latencies_are_not_judged() {
        assert_eq!(drift(&[1.0; SAMPLES_MIN - 1]), None);
    }
}
