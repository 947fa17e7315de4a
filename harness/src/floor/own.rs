//! The floor as a model: what a scenario would take here, if nothing were done but what durability
//! and dispatch call for, each at the price that was measured in the same run.

use serde::{Deserialize, Serialize};

use super::Floor;
use crate::recorder::LatencyMs;

/// A scenario's own floor. Of a critical path with s stages:
/// - durable commits: s + 2. The task's creation, each stage's results, and the task's end.
/// - hops: 2 s. A dispatch message and a completion message a stage.
/// - SQL round trips: 2 s - 1. A claim and an evaluation a stage; the last evaluation is the
///   commit of the task's end.
/// - HTTP round trips: 2. The request, and the wait for the end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OwnFloor {
    /// Durable commits on the critical path.
    pub commits: u32,
    /// Messages on the critical path.
    pub hops: u32,
    /// Round trips to the database beside the commits.
    pub sql_round_trips: u32,
    /// Round trips of the client.
    pub http_round_trips: u32,
    /// All of them at their measured medians, in milliseconds.
    pub ms: f64,
    /// P50 over the floor.
    pub p50_ratio: Option<f64>,
    /// P95 over the floor.
    pub p95_ratio: Option<f64>,
}

impl OwnFloor {
    /// Of a scenario with so many sequential stages; nothing where a part was not measured.
    pub fn of(stages: u32, floor: &Floor, latency: &LatencyMs) -> Option<OwnFloor> {
        let (commits, hops) = (stages + 2, 2 * stages);
        let (sql_round_trips, http_round_trips) = ((2 * stages).saturating_sub(1), 2);
        let ms = f64::from(commits) * floor.commit_ms?
            + f64::from(hops) * floor.broker_hop_ms?
            + f64::from(sql_round_trips) * floor.sql_round_trip_ms?
            + f64::from(http_round_trips) * floor.http_ms?;
        let ratio = |latency: Option<f64>| latency.map(|latency| latency / ms);
        let (p50_ratio, p95_ratio) = (ratio(latency.p50), ratio(latency.p95));
        Some(OwnFloor {
            commits,
            hops,
            sql_round_trips,
            http_round_trips,
            ms,
            p50_ratio,
            p95_ratio,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn four_stages_have_six_commits_and_eight_hops() {
        let floor = Floor {
            commit_ms: Some(0.25),
            sql_round_trip_ms: Some(0.06),
            broker_hop_ms: Some(0.1),
            http_ms: Some(0.1),
        };
        let latency = LatencyMs { p50: Some(5.84), ..LatencyMs::default() };
        let own = OwnFloor::of(4, &floor, &latency).unwrap();
        assert_eq!((own.commits, own.hops, own.sql_round_trips), (6, 8, 7));
        assert!((own.ms - 2.92).abs() < 1e-9, "{own:?}");
        assert!((own.p50_ratio.unwrap() - 2.0).abs() < 1e-9, "{own:?}");
        let unmeasured = Floor { broker_hop_ms: None, ..floor };
        assert_eq!(OwnFloor::of(4, &unmeasured, &latency), None);
    }
}
