//! The machine's floor: what the engine's building blocks cost here, in the same run.
//!
//! Measured before, between and after the tasks, so that a machine that changes its speed under
//! the run is noticed: the commits' medians of the rounds may differ by [`DRIFT_RATIO_MAX`].

mod own;
mod probe;

use serde::{Deserialize, Serialize};

pub use own::OwnFloor;
pub use probe::{FloorError, Probe};

/// A run is marked as drifted when one round's durable commit is slower than another's by more
/// than this factor.
pub const DRIFT_RATIO_MAX: f64 = 1.25;

/// Medians of one round, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// A prepared one-row INSERT, committed durably, over the same kind of connection as the
    /// engine's: the Unix socket of a private server, the URL's way to one that was told.
    pub commit_ms: Option<f64>,
    /// A prepared `SELECT 1` over the same connection.
    pub sql_round_trip_ms: Option<f64>,
    /// One message through the broker: NOTIFY → LISTEN between two connections, or a persistent
    /// message from publish to consume.
    pub broker_hop_ms: Option<f64>,
    /// `GET /healthz` of the orchestrator over a kept connection.
    pub http_ms: Option<f64>,
}

/// The floor of a whole run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FloorSummary {
    /// The median over the rounds.
    #[serde(flatten)]
    pub median: Floor,
    /// The slowest round's commit over the fastest round's.
    pub drift_ratio: Option<f64>,
    /// Whether the ratio is above [`DRIFT_RATIO_MAX`].
    pub drifted: bool,
    /// The rounds, in order: before, between, after.
    pub rounds: Vec<Floor>,
}

impl FloorSummary {
    /// Summarises the rounds of a run.
    pub fn of(rounds: Vec<Floor>) -> FloorSummary {
        let median_of = |pick: fn(&Floor) -> Option<f64>| {
            let mut values: Vec<f64> = rounds.iter().filter_map(pick).collect();
            median(&mut values)
        };
        let median = Floor {
            commit_ms: median_of(|round| round.commit_ms),
            sql_round_trip_ms: median_of(|round| round.sql_round_trip_ms),
            broker_hop_ms: median_of(|round| round.broker_hop_ms),
            http_ms: median_of(|round| round.http_ms),
        };
        let commits: Vec<f64> = rounds.iter().filter_map(|round| round.commit_ms).collect();
        let slowest = commits.iter().copied().reduce(f64::max);
        let fastest = commits.iter().copied().reduce(f64::min);
        let drift_ratio = slowest.zip(fastest).map(|(slow, fast)| slow / fast);
        let drifted = drift_ratio.is_some_and(|ratio| ratio > DRIFT_RATIO_MAX);
        FloorSummary { median, drift_ratio, drifted, rounds }
    }
}

/// The median of the values (the lower middle of an even number of them).
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}
