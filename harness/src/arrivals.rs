//! When the tasks of an open loop are due. Pure: the times follow from the rate and a seed.

use std::fmt::{self, Display};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// The arrivals of an open loop.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Arrivals {
    /// Samples a second.
    pub rate_per_s: f64,
    /// How they lie in time.
    pub spacing: Spacing,
}

/// How arrivals lie in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Spacing {
    /// One after the other at the same distance.
    Fixed,
    /// As many independent callers make them: gaps are exponentially distributed.
    Poisson,
}

impl Arrivals {
    /// When each arrival is due, from the first on, which is due at once.
    pub fn due(&self, seed: u64) -> impl Iterator<Item = Duration> + use<> {
        let Arrivals { rate_per_s, spacing } = *self;
        let mut random = StdRng::seed_from_u64(seed);
        let mut poisson_s = 0.0;
        (0_u64..).map(move |nr| match spacing {
            // No sum, so that no error adds up.
            Spacing::Fixed => seconds(nr as f64 / rate_per_s),
            Spacing::Poisson => {
                let due = seconds(poisson_s);
                // Inversion: 1 - u is in (0, 1], and its logarithm finite.
                let u: f64 = random.random();
                poisson_s -= (1.0 - u).ln() / rate_per_s;
                due
            }
        })
    }

    /// The mode of load, for people.
    pub fn mode(&self) -> &'static str {
        match self.spacing {
            Spacing::Fixed => "open loop, fixed",
            Spacing::Poisson => "open loop, Poisson",
        }
    }
}

impl Display for Arrivals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/s", self.rate_per_s)
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(spacing: Spacing, count: usize) -> Vec<f64> {
        let arrivals = Arrivals { rate_per_s: 50.0, spacing };
        arrivals.due(7).take(count).map(|due| due.as_secs_f64()).collect()
    }

    #[test]
    fn a_fixed_rate_has_equal_gaps() {
        assert_eq!(due(Spacing::Fixed, 4), [0.0, 0.02, 0.04, 0.06]);
    }

    #[test]
    fn poisson_gaps_have_the_mean_and_the_spread_of_the_exponential_distribution() {
        let due = due(Spacing::Poisson, 10_001);
        let gaps: Vec<f64> = due.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let square = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>();
        let deviation = (square / gaps.len() as f64).sqrt();
        assert!((mean * 50.0 - 1.0).abs() < 0.03, "{mean}");
        assert!((deviation / mean - 1.0).abs() < 0.05, "{deviation}");
        // The share of gaps beyond their mean is 1/e.
        let beyond = gaps.iter().filter(|gap| **gap > 0.02).count() as f64;
        assert!((beyond / gaps.len() as f64 - 0.368).abs() < 0.02, "{beyond}");
    }
}
