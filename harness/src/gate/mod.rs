//! The gate: whether the head is slower than the base, by rows of samples that were taken in turns.
//! Pure.
//!
//! A row is a scenario on a broker. Of each block of four samples (base, head, head, base) it has
//! one difference: the mean logarithm of the head's latencies less that of the base's, so that a
//! row is about a ratio and no stall outweighs the rest. All rows are decided together
//! ([`suspects`]); those that are suspected are run again, on new clusters, and only what both say
//! fails ([`Gate::regressions`]).

mod row;
mod words;

use serde::{Deserialize, Serialize};

use crate::statistics;

pub use row::{Row, SegmentChange};
pub use words::{markdown, terminal};

/// The version of `gate.json`'s schema.
pub const SCHEMA_VERSION: u32 = 1;

/// The error rate of each of the two runs, for all its rows together: how likely it is that any row
/// is suspected whose head is no slower than [`TOLERATED`].
pub const ERROR_RATE: f64 = 0.05;
/// A head that is slower by this share counts as no slower: so far do two clusters of the same
/// programs differ.
pub const TOLERATED: f64 = 0.015;
/// The effect size: a row fails from this share on, however sure it is that there is a difference.
pub const EFFECT: f64 = 0.03;

/// The share of a row's pairs of clusters that have to be slower than [`TOLERATED`] each by itself:
/// one that something else on the machine has slowed fails nothing.
pub const AGREE: f64 = 0.75;

/// What is said of a row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    /// The head's latency over the base's.
    pub ratio: f64,
    /// How likely the row is if the head were no more than [`TOLERATED`] slower, 0 to 1.
    pub p: f64,
    /// Whether it is slower for sure, all rows of its run considered, by [`EFFECT`] and more, and
    /// on enough of its pairs of clusters ([`AGREE`]).
    pub is_suspect: bool,
}

/// What is said of all rows of a run, in their order; each has its differences by pair of clusters.
pub fn shifts(rows: &[Vec<Vec<f64>>]) -> Vec<Shift> {
    let of = |(row, (p, is_suspect)): (&Vec<Vec<f64>>, (f64, bool))| {
        let ratio = statistics::shift(&row.concat()).map_or(1.0, f64::exp);
        Shift { ratio, p, is_suspect }
    };
    rows.iter().zip(suspects(rows)).map(of).collect()
}

/// The p-value of each row by the signed-rank test, and whether it is suspected: by Holm's method
/// (*A simple sequentially rejective multiple test procedure*, 1979), by its effect size, and by
/// how many of its pairs of clusters agree.
pub fn suspects(rows: &[Vec<Vec<f64>>]) -> Vec<(f64, bool)> {
    let p = |row: &Vec<Vec<f64>>| (statistics::p_above(&row.concat(), TOLERATED.ln_1p()), false);
    let mut found: Vec<(f64, bool)> = rows.iter().map(p).collect();
    let mut by_p: Vec<usize> = (0..found.len()).collect();
    by_p.sort_by(|a, b| found[*a].0.total_cmp(&found[*b].0));
    for (nr, row) in by_p.iter().enumerate() {
        let left = (rows.len() - nr) as f64;
        if found[*row].0 > ERROR_RATE / left {
            break;
        }
        let is_slower = |pair: &[f64], by: f64| statistics::is_at_least(pair, by.ln_1p());
        let pairs = &rows[*row];
        let agree = pairs.iter().filter(|pair| is_slower(pair, TOLERATED)).count();
        let do_agree = agree as f64 >= AGREE * pairs.len() as f64;
        found[*row].1 = do_agree && is_slower(&pairs.concat(), EFFECT);
    }
    found
}

/// What came of a gate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Gate {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The base, as it was asked for, and its commit.
    pub base: String,
    /// The head.
    pub head: String,
    /// All rows.
    pub first: Vec<Row>,
    /// Those that were suspected, once more, on new clusters.
    pub second: Vec<Row>,
    /// Why it came to no decision, if it was broken off.
    pub stopped: Option<String>,
}

impl Gate {
    /// A gate without rows.
    pub fn new(base: String, head: String) -> Gate {
        let (first, second) = (Vec::new(), Vec::new());
        Gate { schema_version: SCHEMA_VERSION, base, head, first, second, stopped: None }
    }

    /// Decides the rows of the first run, or of the second.
    pub fn decide(rows: &mut [Row]) {
        let differences: Vec<Vec<Vec<f64>>> = rows.iter().map(Row::differences).collect();
        let shifts = shifts(&differences);
        for (row, shift) in rows.iter_mut().zip(shifts) {
            row.shift = Some(shift);
        }
    }

    /// The rows that fail: suspected in both runs. As the second run has them.
    pub fn regressions(&self) -> Vec<&Row> {
        self.second.iter().filter(|row| row.is_suspect()).collect()
    }

    /// Why nothing can be said.
    pub fn problems(&self) -> Vec<String> {
        let rows = self.first.iter().chain(&self.second);
        let of = |row: &Row| {
            row.problems.iter().map(|why| format!("{}: {why}", row.name)).collect::<Vec<_>>()
        };
        let of_rows: Vec<String> = rows.flat_map(of).collect();
        match of_rows.is_empty() {
            true => self.stopped.iter().cloned().collect(),
            false => of_rows,
        }
    }
}
