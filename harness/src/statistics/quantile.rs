//! Quantiles with their confidence intervals, by order statistics.
//!
//! No assumption is made on the distribution: of n independent samples, the number below a quantile
//! q is binomial with n and q, whatever they are drawn from, so that two order statistics hold the
//! quantile with a probability that follows from n and q alone (Conover, *Practical Nonparametric
//! Statistics*, 3rd ed., 3.2; David and Nagaraja, *Order Statistics*, 3rd ed., 7.1).

use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, DiscreteCDF};

/// What may lie outside of an interval of 95 %, on either side.
const TAIL: f64 = 0.025;

/// A median with its confidence interval of 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The median.
    pub median: f64,
    /// The upper end.
    pub high: f64,
}

/// The ends of a confidence interval of 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ends {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The ranks, from 1, of the samples between which a quantile (0 to 1) lies with 95 %; nothing
/// where so few samples cannot tell: then one of them would have to lie beyond all.
pub fn ranks(samples: u64, quantile: f64) -> Option<(u64, u64)> {
    let below = Binomial::new(quantile, samples).ok()?;
    let low = first(samples, |count| below.cdf(count) > TAIL);
    let high = first(samples, |count| below.cdf(count) >= 1.0 - TAIL) + 1;
    (low >= 1 && high <= samples).then_some((low, high))
}

/// The first count up to `most` that holds, where all after one that does hold too.
fn first(most: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = u64::midpoint(low, high);
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// The confidence interval of a quantile of sorted values.
pub fn interval(sorted: &[f64], quantile: f64) -> Option<Ends> {
    let (low, high) = ranks(sorted.len() as u64, quantile)?;
    let at = |rank: u64| sorted[usize::try_from(rank - 1).unwrap_or(usize::MAX)];
    Some(Ends { low: at(low), high: at(high) })
}

/// The median and its interval.
pub fn median_interval(mut values: Vec<f64>) -> Option<Interval> {
    values.sort_by(f64::total_cmp);
    let Ends { low, high } = interval(&values, 0.5)?;
    let count = values.len();
    let median = f64::midpoint(values[(count - 1) / 2], values[count / 2]);
    Some(Interval { low, median, high })
}

/// The quantile of sorted values by nearest rank; nothing of no values.
pub fn quantile_of_sorted(sorted: &[f64], quantile: f64) -> Option<f64> {
    let rank = (quantile * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    #[test]
    fn the_ranks_are_those_of_the_tables() {
        // Conover, table A3: n = 20, p = 0.5: P(X <= 5) = 0.0207, P(X <= 14) = 0.9793.
        assert_eq!(ranks(20, 0.5), Some((6, 15)));
        assert_eq!(ranks(5, 0.5), None);
        assert_eq!(ranks(6, 0.5), Some((1, 6)));
        // The highest of n lies beyond P95 with 1 - 0.95^n, which is 97.5 % from 72 on.
        assert_eq!(ranks(71, 0.95), None);
        assert!(ranks(73, 0.95).is_some());
    }

    #[test]
    fn the_interval_holds_the_quantile_19_times_in_20() {
        let mut random = StdRng::seed_from_u64(1);
        for (samples, quantile) in [(50, 0.5), (200, 0.95), (1_000, 0.99)] {
            let holds = (0..1_000).filter(|_| {
                let mut values: Vec<f64> = (0..samples).map(|_| random.random()).collect();
                values.sort_by(f64::total_cmp);
                let Ends { low, high } = interval(&values, quantile).unwrap();
                low <= quantile && quantile <= high
            });
            let holds = holds.count();
            assert!((935..=995).contains(&holds), "{holds} of 1,000 for {quantile}");
        }
    }

    #[test]
    fn a_median_between_two_values_is_their_mean() {
        let values = (1..=20).map(f64::from).collect();
        assert_eq!(median_interval(values), Some(Interval { low: 6.0, median: 10.5, high: 15.0 }));
        assert_eq!(quantile_of_sorted(&[1.0, 2.0, 3.0], 0.5), Some(2.0));
        assert_eq!(quantile_of_sorted(&[], 0.5), None);
    }
}
