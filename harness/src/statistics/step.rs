//! Where the level of a series has changed.
//!
//! The series is looked at after every value, as those who add one do: of all places at which what
//! came since the last change can be cut in two, the one with the largest two-sample t is taken
//! (Worsley, *On the likelihood ratio test for a shift in location of normal populations*, JASA 74,
//! 1979), and its significance is that of Student's t times the number of places (Bonferroni). In
//! the end every change is looked for anew between its neighbours, and is dropped where the later
//! values don't bear it out. Hunter (Fleming et al., ICPE 2023) judges and merges its changes by
//! the same t, because a test by permutation, as in the E-divisive of Matteson and James (2014),
//! cannot be significant with three values on a side.
//!
//! Values are taken as logarithms, so that steps are ratios and noise is a share of the level.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The fewest values in which a change is looked for.
pub const RUNS_MIN: usize = 10;
/// The fewest values on each side of a change: one or two that are out of line are none.
const SIDE_MIN: usize = 3;
/// How often chance alone may look like a change, each time that a series is looked at.
const SIGNIFICANCE: f64 = 0.02;

/// A change of a level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The place, from 0, of the first value at the new level.
    pub at: usize,
    /// The level before: the geometric mean from the change before it on.
    pub before: f64,
    /// The level from there on, until the next change.
    pub after: f64,
}

impl Step {
    /// The new level over the old one.
    pub fn ratio(&self) -> f64 {
        self.after / self.before
    }
}

/// The changes in a series of positive values, in order; a change by a smaller share than `least`
/// is none. Nothing of fewer than [`RUNS_MIN`] values, or where one is not positive.
pub fn steps(values: &[f64], least: f64) -> Vec<Step> {
    if values.len() < RUNS_MIN || values.iter().any(|value| *value <= 0.0) {
        return Vec::new();
    }
    let least = least.ln_1p();
    let sums = Sums::of(values.iter().map(|value| value.ln()));
    let mut cuts = vec![0];
    for seen in RUNS_MIN..=values.len() {
        cuts.extend(sums.cut(cuts[cuts.len() - 1], seen, least));
    }
    cuts.push(values.len());
    let mut place = 1;
    while place + 1 < cuts.len() {
        match sums.cut(cuts[place - 1], cuts[place + 1], least) {
            Some(better) => {
                cuts[place] = better;
                place += 1;
            }
            None => {
                // The one before has another neighbour now.
                cuts.remove(place);
                place = (place - 1).max(1);
            }
        }
    }
    let level = |from: usize, to: usize| values[0] * sums.side(from, to).0.exp();
    let step = |cuts: &[usize]| Step {
        at: cuts[1],
        before: level(cuts[0], cuts[1]),
        after: level(cuts[1], cuts[2]),
    };
    cuts.windows(3).map(step).collect()
}

/// Sums of the first so many values and of their squares, from the first value's level: any part's
/// mean takes one subtraction.
struct Sums(Vec<(f64, f64)>);

impl Sums {
    fn of(values: impl Iterator<Item = f64>) -> Sums {
        let mut sums = vec![(0.0, 0.0)];
        let mut base = None;
        let (mut sum, mut squares) = (0.0, 0.0);
        for value in values {
            // Squares of small numbers lose less.
            let value = value - *base.get_or_insert(value);
            sum += value;
            squares += value * value;
            sums.push((sum, squares));
        }
        Sums(sums)
    }

    /// The mean of a part, less the first value of all, and the squares of its deviations.
    fn side(&self, from: usize, to: usize) -> (f64, f64) {
        let ((sum, squares), (sum_before, squares_before)) = (self.0[to], self.0[from]);
        let (sum, squares) = (sum - sum_before, squares - squares_before);
        let mean = sum / (to - from) as f64;
        (mean, (squares - sum * mean).max(0.0))
    }

    /// The place that cuts a part into two levels, if any does for sure.
    fn cut(&self, from: usize, to: usize, least: f64) -> Option<usize> {
        let places = from + SIDE_MIN..(to + 1).checked_sub(SIDE_MIN)?;
        let (tested, freedom) = (places.len() as f64, (to - from) as f64 - 2.0);
        let apart = |place: usize| self.side(place, to).0 - self.side(from, place).0;
        // How far the means of the two sides, which have one variance, lie apart, in standard
        // errors of their difference. Two levels without any noise do as far as can be.
        let t = |place: usize| {
            let squares = self.side(from, place).1 + self.side(place, to).1;
            let share = 1.0 / (place - from) as f64 + 1.0 / (to - place) as f64;
            let apart = apart(place).abs();
            if apart == 0.0 { 0.0 } else { apart / (squares / freedom * share).sqrt() }
        };
        let best = places.map(|place| (place, t(place)));
        let (place, t) = best.max_by(|(_, one), (_, other)| one.total_cmp(other))?;
        let by_chance = 2.0 * StudentsT::new(0.0, 1.0, freedom).ok()?.sf(t) * tested;
        (by_chance < SIGNIFICANCE && apart(place).abs() >= least).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    use statrs::distribution::Normal;

    const SERIES: usize = 500;
    const LEAST: f64 = 0.1;

    /// Values around 25, with noise of 5 %; those from `at` on are multiplied by `ratio`.
    fn series(random: &mut StdRng, count: usize, at: usize, ratio: f64) -> Vec<f64> {
        let noise = Normal::new(0.0, 0.05).unwrap();
        let value = |place| {
            let noise = noise.inverse_cdf(random.random_range(1e-9..1.0 - 1e-9));
            25.0 * noise.exp() * if place < at { 1.0 } else { ratio }
        };
        (0..count).map(value).collect()
    }

    fn share(mut holds: impl FnMut(&mut StdRng) -> bool) -> f64 {
        let mut random = StdRng::seed_from_u64(7);
        (0..SERIES).filter(|_| holds(&mut random)).count() as f64 / SERIES as f64
    }

    /// How often a step after ten steady runs is found once three runs at the new level are in.
    fn found(ratio: f64) -> f64 {
        share(|random| {
            let steps = steps(&series(random, 13, 10, ratio), LEAST);
            steps
                .iter()
                .any(|step| step.at.abs_diff(10) <= 1 && (step.ratio() > 1.0) == (ratio > 1.0))
        })
    }

    #[test]
    fn a_step_after_ten_runs_is_found_within_three() {
        for (ratio, least) in [(1.2, 0.9), (1.25, 0.97), (1.5, 0.999), (1.0 / 1.25, 0.97)] {
            let found = found(ratio);
            assert!(found >= least, "{ratio}: {found}");
        }
    }

    #[test]
    fn a_steady_series_rarely_looks_like_one_with_a_step() {
        // Looked at after every run up to the 30th, as a project does.
        let alarms = share(|random| {
            let values = series(random, 30, 30, 1.0);
            (RUNS_MIN..=30).any(|seen| !steps(&values[..seen], LEAST).is_empty())
        });
        assert!(alarms <= 0.03, "{alarms}");
    }

    #[test]
    fn every_step_of_several_is_found_where_it_is_however_short_the_time_between() {
        for (last, least) in [(20, 0.95), (14, 0.9)] {
            let found = share(|random| {
                let mut values = series(random, 30, 10, 1.5);
                values[last..].iter_mut().for_each(|value| *value /= 1.5);
                let places: Vec<usize> = steps(&values, LEAST).iter().map(|it| it.at).collect();
                places == [10, last]
            });
            assert!(found >= least, "{last}: {found}");
        }
    }

    #[test]
    fn one_value_out_of_line_is_no_step_and_a_count_without_noise_needs_no_size() {
        let mut values = vec![14.0; 13];
        values[12] = 30.0;
        assert_eq!(steps(&values, 0.001), []);
        values[10..].fill(15.0);
        let found = steps(&values, 0.001);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].at, 10);
        assert!((found[0].ratio() - 15.0 / 14.0).abs() < 1e-9, "{found:?}");
        assert_eq!(steps(&[14.0; 30], 0.001), []);
        assert_eq!(steps(&[14.0; RUNS_MIN - 1], 0.001), []);
        assert_eq!(steps(&[0.0; 30], 0.001), []);
    }
}
