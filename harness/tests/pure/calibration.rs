//! How often the gate is wrong, by suites that are drawn from recorded ones: the same programs on
//! both sides, on a real machine, quiet or not.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Deserialize;
use statrs::distribution::{Beta, ContinuousCDF};
use stepmark_harness::gate::suspects;

/// Rows of a suite: the scenarios with handlers in Rust, on both brokers.
const ROWS: usize = 16;
/// Pairs of new clusters that a row runs on, and its blocks on each.
const PAIRS: usize = 4;
const BLOCKS: usize = 100;
/// Neighbours that are drawn together: noise comes in phases, which single draws would tear apart.
const STRETCH: usize = 10;

/// What a gate has recorded on one pair of clusters, of the same programs both.
#[derive(Deserialize)]
struct Recorded {
    /// Scenario and broker.
    name: String,
    /// Whether the machine had nothing else to do; else compilers took both cores.
    is_quiet: bool,
    /// The logarithm of head over base of each block, in ten-thousandths.
    differences: Vec<i32>,
}

/// The differences of all recorded pairs of clusters, by the row's name.
struct Recording(Vec<Vec<Vec<f64>>>);

impl Recording {
    /// All of them, or those of a quiet machine alone.
    fn read(only_quiet: bool) -> Recording {
        let lines = include_str!("recorded/same_on_both_sides.jsonl").lines();
        let pairs = lines.map(|line| serde_json::from_str::<Recorded>(line).unwrap());
        let pairs: Vec<Recorded> = pairs.filter(|pair| pair.is_quiet || !only_quiet).collect();
        let mut names: Vec<&str> = pairs.iter().map(|pair| pair.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let of = |name: &&str| {
            let its = pairs.iter().filter(|pair| pair.name == *name);
            let differences =
                |pair: &Recorded| pair.differences.iter().map(|d| f64::from(*d) / 1e4).collect();
            its.map(differences).collect()
        };
        Recording(names.iter().map(of).collect())
    }

    /// A row like those recorded: stretches of some pairs of clusters, either side as the base, all
    /// slower by a share.
    fn draw(&self, row: usize, slower_by: f64, random: &mut StdRng) -> Vec<Vec<f64>> {
        let recorded = &self.0[row % self.0.len()];
        let mut pair = || {
            let pair = &recorded[random.random_range(0..recorded.len())];
            let sign = if random.random() { 1.0 } else { -1.0 };
            let mut drawn = Vec::with_capacity(BLOCKS);
            for _ in 0..BLOCKS / STRETCH {
                let from = random.random_range(0..=pair.len() - STRETCH);
                let stretch = pair[from..from + STRETCH].iter();
                drawn.extend(stretch.map(|difference| sign * difference + slower_by.ln_1p()));
            }
            drawn
        };
        (0..PAIRS).map(|_| pair()).collect()
    }

    /// The rows that a gate fails, of a suite one of whose rows may be slower by a share.
    fn failed(&self, planted: Option<(usize, f64)>, random: &mut StdRng) -> Vec<usize> {
        let mut take = |row: usize| {
            let by = planted.filter(|(it, _)| *it == row).map_or(0.0, |(_, by)| by);
            self.draw(row, by, random)
        };
        let first: Vec<Vec<Vec<f64>>> = (0..ROWS).map(&mut take).collect();
        let again: Vec<usize> = suspected(&first);
        let second: Vec<Vec<Vec<f64>>> = again.iter().map(|row| take(*row)).collect();
        suspected(&second).into_iter().map(|row| again[row]).collect()
    }
}

fn suspected(rows: &[Vec<Vec<f64>>]) -> Vec<usize> {
    let found = suspects(rows).into_iter().enumerate();
    found.filter(|(_, (_, is_suspect))| *is_suspect).map(|(row, _)| row).collect()
}

/// The upper bound of 95 % of a share (Clopper and Pearson, 1934).
fn upper_bound(found: usize, of: usize) -> f64 {
    Beta::new(found as f64 + 1.0, (of - found) as f64).unwrap().inverse_cdf(0.95)
}

/// Counts in how many of these suites something holds, on both halves at once.
fn count(suites: usize, holds: impl Fn(usize, &mut StdRng) -> bool + Sync) -> usize {
    let half = |seed: u64| {
        let mut random = StdRng::seed_from_u64(seed);
        (0..suites / 2).filter(|suite| holds(*suite, &mut random)).count()
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        half(2) + other.join().unwrap()
    })
}

#[test]
fn suites_without_a_difference_fail_in_one_of_a_hundred_at_most() {
    let recording = Recording::read(false);
    let suites = 10_000;
    let alarms = count(suites, |_, random| !recording.failed(None, random).is_empty());
    let bound = upper_bound(alarms, suites);
    println!("{alarms} of {suites} suites fail; at most {:.2} %", 100.0 * bound);
    assert!(bound <= 0.01, "{alarms} of {suites} suites fail: {bound}");
}

#[test]
fn a_row_that_is_five_percent_slower_fails_nine_times_in_ten() {
    let recording = Recording::read(true);
    let suites = 1_000;
    let found = count(suites, |suite, random| {
        let planted = suite % ROWS;
        recording.failed(Some((planted, 0.05)), random).contains(&planted)
    });
    println!("found in {found} of {suites} suites");
    assert!(found * 10 >= suites * 9, "found in {found} of {suites} suites");
}
