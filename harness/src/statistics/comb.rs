//! Finds a polling comb: latencies that stand at multiples of a quantum because something on the
//! way looks only every so often. A mean over such a comb says more of the poll than of the system.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

/// The fewest latencies that are judged.
const SAMPLES_MIN: usize = 100;
/// The shortest quantum that is looked for, in milliseconds: a timer's tick is no poll.
const PERIOD_MS_MIN: f64 = 4.0;
/// From one quantum that is tried to the next.
const PERIOD_STEP: f64 = 1.002;
/// How closely latencies have to stand to the teeth: the length of their mean direction round the
/// quantum, 0 to 1 (Mardia and Jupp, *Directional Statistics*, 2.3).
const CONCENTRATION_MIN: f64 = 0.8;
/// A comb has so many teeth, each with so large a share of the latencies.
const TEETH_MIN: usize = 3;
const TOOTH_SHARE_MIN: f64 = 0.03;

/// A comb in the latencies of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comb {
    /// From one tooth to the next, in milliseconds.
    pub period_ms: f64,
    /// Teeth that hold at least 3 % of the latencies each.
    pub teeth: usize,
}

/// The comb in these latencies (in milliseconds), if there is one: the widest that fits.
pub fn comb(latencies_ms: &[f64]) -> Option<Comb> {
    if latencies_ms.len() < SAMPLES_MIN {
        return None;
    }
    let mut sorted = latencies_ms.to_vec();
    sorted.sort_by(f64::total_cmp);
    // Few stragglers must not make it look wide.
    let edge = sorted.len() / 50;
    let within = &sorted[edge..sorted.len() - edge];
    let span = within.last()? - within.first()?;
    let mut period_ms = span / (TEETH_MIN - 1) as f64 * 1.25;
    let mut best: Option<(f64, f64)> = None;
    while period_ms >= PERIOD_MS_MIN {
        let concentration = concentration(within, period_ms);
        match best {
            // Past the peak: what follows are its fractions.
            Some((peak, _)) if concentration < peak - 0.1 => break,
            Some((peak, _)) if concentration <= peak => {}
            _ if concentration < CONCENTRATION_MIN || teeth(within, period_ms) < TEETH_MIN => {}
            _ => best = Some((concentration, period_ms)),
        }
        period_ms /= PERIOD_STEP;
    }
    let (_, period_ms) = best?;
    Some(Comb { period_ms, teeth: teeth(within, period_ms) })
}

fn direction(latencies: &[f64], period: f64) -> (f64, f64) {
    let sum = latencies.iter().fold((0.0, 0.0), |(cos, sin), latency| {
        let angle = TAU * latency / period;
        (cos + angle.cos(), sin + angle.sin())
    });
    let count = latencies.len() as f64;
    (sum.0 / count, sum.1 / count)
}

fn concentration(latencies: &[f64], period: f64) -> f64 {
    let (cos, sin) = direction(latencies, period);
    cos.hypot(sin)
}

/// Teeth that hold their share.
fn teeth(sorted: &[f64], period: f64) -> usize {
    let (cos, sin) = direction(sorted, period);
    // The first tooth's place between 0 and the period.
    let phase = sin.atan2(cos) / TAU * period;
    let tooth = |latency: &f64| ((latency - phase) / period).round() as i64;
    let held = sorted.chunk_by(|a, b| tooth(a) == tooth(b));
    held.filter(|tooth| tooth.len() as f64 >= TOOTH_SHARE_MIN * sorted.len() as f64).count()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    /// Latencies of this median whose logarithms are about normal.
    fn skewed(random: &mut StdRng, median: f64, sigma: f64) -> f64 {
        let normal: f64 = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        median * (sigma * normal).exp()
    }

    #[test]
    fn a_poll_of_50_ms_is_found_and_its_quantum_told() {
        let mut random = StdRng::seed_from_u64(2);
        for median in [60.0, 112.0, 400.0] {
            let polled: Vec<f64> = (0..500)
                .map(|_| {
                    let ended = skewed(&mut random, median, 0.4);
                    (ended / 50.0).ceil() * 50.0 + 0.2 + random.random::<f64>() * 3.0
                })
                .collect();
            let found = comb(&polled).unwrap();
            assert!((found.period_ms - 50.0).abs() < 1.0, "{found:?}");
            assert!(found.teeth >= 3, "{found:?}");
        }
    }

    #[test]
    fn ordinary_latencies_have_none() {
        let mut random = StdRng::seed_from_u64(3);
        for (median, sigma) in [(5.0, 0.1), (5.0, 0.5), (30.0, 0.3), (120.0, 1.0), (40.0, 0.02)] {
            for samples in [100, 1_000] {
                let all: Vec<f64> =
                    (0..samples).map(|_| skewed(&mut random, median, sigma)).collect();
                assert_eq!(comb(&all), None, "{median} {sigma} {samples}");
            }
        }
    }

    #[test]
    fn two_ways_through_a_system_are_no_comb() {
        let mut random = StdRng::seed_from_u64(4);
        let two = |random: &mut StdRng| if random.random::<bool>() { 6.0 } else { 16.0 };
        let all: Vec<f64> = (0..500).map(|_| two(&mut random) + random.random::<f64>()).collect();
        assert_eq!(comb(&all), None);
    }
}
