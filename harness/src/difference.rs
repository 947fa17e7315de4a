//! Latencies of two scenarios, sample by sample in turns: the difference, and how sure it is. Pure.

use serde::{Deserialize, Serialize};

use crate::scenario::DifferenceAim;
use crate::statistics::{Interval, median_interval};

/// The fewest pairs that carry an interval.
pub const PAIRS_MIN: usize = 20;

/// How much longer the one takes than the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// What it is called: `FFI overhead`.
    pub called: String,
    /// The scenario that it is taken against.
    pub with: String,
    /// `same` cluster, or the other one on its `own` beside it.
    pub on: String,
    /// Pairs, drawing which of the two comes first.
    pub pairs: usize,
    /// The other scenario's median, in milliseconds.
    pub other_p50_ms: f64,
    /// This scenario's median in the same pairs, in milliseconds.
    pub own_p50_ms: f64,
    /// The median of the pairs' differences, in milliseconds.
    pub ms: Interval,
    /// The same in percent of the other scenario's median.
    pub percent: Interval,
    /// The same for each stage of this scenario, in milliseconds.
    pub ms_a_stage: f64,
    /// Whether it is as small as the scenario aims at; null without an aim.
    pub aim_kept: Option<bool>,
}

/// The words of a difference.
#[derive(Debug, Clone)]
pub struct Words {
    /// What it is called.
    pub called: String,
    /// The other scenario's name.
    pub with: String,
    /// Where the other scenario runs: `same` or `own`.
    pub on: &'static str,
}

impl Difference {
    /// Of pairs of milliseconds, this scenario's first. None of fewer than [`PAIRS_MIN`].
    pub fn of(
        words: Words,
        pairs: &[(f64, f64)],
        stages: u32,
        aim: Option<DifferenceAim>,
    ) -> Option<Difference> {
        let ms = median(pairs.iter().map(|(own, other)| own - other).collect())?;
        let own_p50_ms = median(pairs.iter().map(|(own, _)| *own).collect())?.median;
        let other_p50_ms = median(pairs.iter().map(|(_, other)| *other).collect())?.median;
        let percent = |ms: f64| 100.0 * ms / other_p50_ms;
        let Interval { low, median, high } = ms;
        let percent = Interval { low: percent(low), median: percent(median), high: percent(high) };
        let ms_a_stage = ms.median / f64::from(stages);
        let aim_kept = aim.map(|aim| percent.median <= aim.percent && ms_a_stage <= aim.ms_a_stage);
        let (Words { called, with, on }, pairs) = (words, pairs.len());
        Some(Difference {
            called,
            with,
            on: on.to_owned(),
            pairs,
            other_p50_ms,
            own_p50_ms,
            ms,
            percent,
            ms_a_stage,
            aim_kept,
        })
    }

    /// What to say when it is larger than aimed at.
    pub fn missed_aim(&self, aim: Option<DifferenceAim>) -> Option<String> {
        let aim = aim.filter(|_| self.aim_kept == Some(false))?;
        Some(format!(
            "the aim is missed: the {} is {:.1} % and {:.3} ms a stage, the scenario aims at {} % \
             and {} ms",
            self.called, self.percent.median, self.ms_a_stage, aim.percent, aim.ms_a_stage
        ))
    }
}

/// The median and its interval; nothing of too few pairs.
fn median(values: Vec<f64>) -> Option<Interval> {
    (values.len() >= PAIRS_MIN).then(|| median_interval(values))?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(pairs: &[(f64, f64)], aim: Option<DifferenceAim>) -> Option<Difference> {
        let words = Words { called: "tax".to_owned(), with: "other".to_owned(), on: "same" };
        Difference::of(words, pairs, 4, aim)
    }

    #[test]
    fn what_both_have_in_common_is_not_in_the_difference() {
        // The machine gets slower all the time; the difference is 1 ms, give or take a tenth.
        let noise = |i: usize| ((i * 37) % 11) as f64 / 50.0 - 0.1;
        let pair = |i: usize| (6.0 + i as f64 / 10.0 + noise(i), 5.0 + i as f64 / 10.0);
        let pairs: Vec<_> = (0..101).map(pair).collect();
        let found = of(&pairs, None).unwrap();
        assert!((found.ms.median - 1.0).abs() < 0.02, "{found:?}");
        assert!(found.ms.low <= found.ms.median && found.ms.median <= found.ms.high);
        assert!(found.ms.high - found.ms.low < 0.1, "{found:?}");
        assert_eq!(found.ms_a_stage, found.ms.median / 4.0);
        assert!((found.percent.median - 100.0 / 10.0).abs() < 0.3, "{found:?}");
    }

    #[test]
    fn too_few_pairs_have_no_interval_and_an_aim_has_two_sides() {
        assert!(of(&[(1.0, 1.0); PAIRS_MIN - 1], None).is_none());
        let aim = |percent, ms_a_stage| Some(DifferenceAim { percent, ms_a_stage });
        let kept = |aim| of(&[(11.0, 10.0); PAIRS_MIN], aim).unwrap().aim_kept;
        assert_eq!(kept(aim(10.0, 0.25)), Some(true));
        assert_eq!(kept(aim(9.9, 0.25)), Some(false));
        assert_eq!(kept(aim(10.0, 0.24)), Some(false));
        let missed = of(&[(11.0, 10.0); PAIRS_MIN], aim(9.9, 0.25)).unwrap();
        assert!(missed.missed_aim(aim(9.9, 0.25)).unwrap().contains("10.0 % and 0.250 ms"));
    }
}
