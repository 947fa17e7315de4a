//! A row: one scenario on one broker, on both clusters.

use serde::{Deserialize, Serialize};

use super::Shift;
use crate::breakdown::{Breakdown, Segment, breakdown};
use crate::broker::Broker;
use crate::measurement::{Block, Turns};
use crate::statistics::quantile_of_sorted;

/// One scenario on one broker, on both clusters.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// Scenario and broker.
    pub name: String,
    /// The scenario's name.
    pub scenario: String,
    /// The broker.
    pub broker: Broker,
    /// The median latencies in milliseconds, the base's first.
    pub p50_ms: [f64; 2],
    /// Latencies in milliseconds, by pair of clusters and block: two of the base, two of the head.
    pub pairs: Vec<Vec<Block>>,
    /// Where the time went, in the order in which a task goes through it.
    pub segments: Vec<SegmentChange>,
    /// What is said of it, once it is decided.
    pub shift: Option<Shift>,
    /// Why nothing can be said.
    pub problems: Vec<String>,
}

/// A segment of the critical path, on both clusters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SegmentChange {
    /// The segment.
    pub segment: Segment,
    /// Its median with the base, in milliseconds.
    pub base_ms: f64,
    /// Its median with the head, in milliseconds.
    pub head_ms: f64,
}

impl SegmentChange {
    /// How much longer the head takes, in milliseconds.
    pub fn more_ms(&self) -> f64 {
        self.head_ms - self.base_ms
    }
}

impl Row {
    /// The row of what was seen of a scenario.
    pub fn of(scenario: &str, broker: Broker, turns: &Turns) -> Row {
        let mut problems = turns.problems.clone();
        if problems.is_empty() && turns.pairs.iter().all(Vec::is_empty) {
            problems.push("there are no samples".to_owned());
        }
        let found = turns.times.each_ref().map(breakdown);
        Row {
            name: format!("{scenario} on {}", broker.name()),
            scenario: scenario.to_owned(),
            broker,
            p50_ms: [0, 1].map(|side| median_ms(&turns.pairs, side)),
            pairs: turns.pairs.clone(),
            segments: changes(&found),
            shift: None,
            problems,
        }
    }

    /// A row that could not be taken, and why.
    pub fn failed(scenario: &str, broker: Broker, why: String) -> Row {
        let turns = Turns { problems: vec![why], ..Turns::default() };
        Row::of(scenario, broker, &turns)
    }

    /// A difference a block, by pair of clusters: the mean logarithm of the head's latencies less
    /// that of the base's.
    pub fn differences(&self) -> Vec<Vec<f64>> {
        self.pairs.iter().map(|blocks| blocks.iter().map(difference).collect()).collect()
    }

    /// Whether it is decided, and suspected.
    pub fn is_suspect(&self) -> bool {
        self.shift.is_some_and(|shift| shift.is_suspect)
    }

    /// The segment that has grown most, if any has grown.
    pub fn grown(&self) -> Option<&SegmentChange> {
        let grown = self.segments.iter().filter(|segment| segment.more_ms() > 0.0);
        grown.max_by(|a, b| a.more_ms().total_cmp(&b.more_ms()))
    }
}

fn difference([base, head]: &Block) -> f64 {
    let mean = |side: &[f64; 2]| f64::midpoint(side[0].ln(), side[1].ln());
    mean(head) - mean(base)
}

fn median_ms(pairs: &[Vec<Block>], side: usize) -> f64 {
    let mut all: Vec<f64> = pairs.iter().flatten().flat_map(|block| block[side]).collect();
    all.sort_by(f64::total_cmp);
    quantile_of_sorted(&all, 0.5).unwrap_or_default()
}

fn changes(found: &[Option<Breakdown>; 2]) -> Vec<SegmentChange> {
    let ms = |side: usize, wanted| {
        let segments = found[side].as_ref().map(|of| &of.segments[..]).unwrap_or_default();
        segments.iter().find(|of| of.segment == wanted).map(|of| of.p50_ms)
    };
    let change = |segment| {
        let (base, head) = (ms(0, segment), ms(1, segment));
        let (base_ms, head_ms) = (base.unwrap_or_default(), head.unwrap_or_default());
        base.or(head).map(|_| SegmentChange { segment, base_ms, head_ms })
    };
    Segment::ALL.into_iter().filter_map(change).collect()
}
