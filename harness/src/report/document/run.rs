//! One run in the report.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Breakdown, Distribution};
use crate::floor::FloorSummary;
use crate::recorder::LatencyMs;
use crate::statistics::Interval;
use crate::step_time::StepTime;
use crate::work::{Spread, Work};

/// What is said about a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Every answer right, everything measured, in budget.
    Good,
    /// Every answer right and everything measured, and a budget is broken.
    OverBudget,
    /// Something that had to be measured was not.
    Incomplete,
    /// A wrong answer, a lost task or a fault: no figure stands.
    Invalid,
}

/// One run. The fields are those of an entry of `runs` in `report.json`.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // REPORT.md has them
pub struct Run {
    pub scenario: String,
    pub tier: u8,
    pub broker: String,
    pub mode: String,
    pub rate: Option<Rate>,
    pub concurrency: u64,
    pub samples: u64,
    pub warmup: u64,
    pub on: String,
    pub topology: BTreeMap<String, u32>,
    pub tasks_a_sample: u32,
    pub status: Status,
    pub correct: bool,
    pub problems: Vec<String>,
    pub notes: Vec<String>,
    pub latency_ms: LatencyMs,
    pub latency_commits: LatencyMs,
    pub stage_ms: Option<f64>,
    pub throughput_per_s: Option<f64>,
    pub items: Option<Items>,
    pub work: Work,
    pub work_each: BTreeMap<String, Spread>,
    pub cpu_ms_by_process: BTreeMap<String, Option<f64>>,
    pub budget: Vec<BudgetLine>,
    pub floor: FloorSummary,
    pub difference: Option<Difference>,
    pub step_time: Option<StepTime>,
    pub reference: Option<Reference>,
    pub hlog: Option<String>,
    pub distribution: Option<Distribution>,
    pub breakdown: Option<Breakdown>,
    pub own_floor: Option<OwnFloor>,
}

/// The rate of an open loop, in samples a second.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Rate {
    /// What was asked for.
    pub asked_per_s: f64,
    /// What was begun.
    pub offered_per_s: Option<f64>,
    /// What was answered.
    pub achieved_per_s: Option<f64>,
    /// P99 of how late tasks were begun against their intended start, in milliseconds.
    pub late_ms_p99: Option<f64>,
    /// Whether the rate could not be offered.
    pub is_short: bool,
}

/// Throughput in what tasks consist of.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Items {
    /// What is counted, in the plural.
    pub unit: String,
    /// So many of them a second while load was on.
    pub per_s: f64,
}

/// One line of the budget.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BudgetLine {
    /// What is counted.
    pub name: String,
    /// What is allowed, for people.
    pub allowed: String,
    /// What was measured, for people.
    pub measured: String,
    /// Whether the measured figure is allowed; null when it could not be measured.
    pub kept: Option<bool>,
}

/// How much longer the run takes than another scenario, in pairs of samples.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Difference {
    /// What it is called: `FFI overhead`.
    pub called: String,
    /// The scenario that it is taken against.
    pub with: String,
    /// `same` cluster, or the other one on its `own` beside it.
    pub on: String,
    /// Pairs, alternating which of the two comes first.
    pub pairs: u64,
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

/// The published figures, which come from other hardware.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Reference {
    /// The label that they are shown with.
    pub label: String,
    /// The lowest P50 published, in milliseconds.
    pub p50_ms_min: f64,
    /// The highest P50 published, in milliseconds.
    pub p50_ms_max: f64,
    /// Database operations a task, as the published text counts them.
    pub database_operations: Option<u32>,
    /// Task transitions a task, as the published text counts them.
    pub task_transitions: Option<u32>,
}

/// What the critical path of a scenario needs of the machine, and the latency as a multiple of it.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct OwnFloor {
    /// Durable commits on the path.
    pub commits: f64,
    /// Hops of a message.
    pub hops: f64,
    /// Round trips to the database.
    pub sql_round_trips: f64,
    /// Round trips of the client.
    pub http_round_trips: f64,
    /// What these take on this machine, in milliseconds.
    pub ms: f64,
    /// P50 as a multiple of it.
    pub p50_ratio: Option<f64>,
    /// P95 as a multiple of it.
    pub p95_ratio: Option<f64>,
}

impl Run {
    /// Whether each client waits for its task before it starts the next.
    #[must_use]
    pub fn is_closed_loop(&self) -> bool {
        self.rate.is_none()
    }

    /// Whether it ran on the scenario's own cluster.
    #[must_use]
    pub fn is_on_own(&self) -> bool {
        self.on == "own"
    }

    /// Whether it is one task at a time on the scenario's own cluster.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.is_on_own() && self.is_alone()
    }

    /// Whether it is one task at a time.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.is_closed_loop() && self.concurrency == 1
    }

    /// The load in few words: `closed, 64` at once, or `Poisson, 50/s`.
    #[must_use]
    pub fn load(&self) -> String {
        match self.rate {
            None => format!("closed, {}", self.concurrency),
            Some(rate) => format!("{}, {}/s", self.arrivals(), rate.asked_per_s),
        }
    }

    /// The load in a sentence's words.
    #[must_use]
    pub fn load_in_words(&self) -> String {
        match (self.rate, self.concurrency) {
            (Some(rate), _) => format!("{} at {} a second", self.mode, rate.asked_per_s),
            (None, 1) => format!("{}, one at a time", self.mode),
            (None, at_once) => format!("{}, {at_once} at once", self.mode),
        }
    }

    /// The cluster in a sentence's words.
    #[must_use]
    pub fn cluster_in_words(&self) -> String {
        match self.on.as_str() {
            "own" => "own cluster".to_owned(),
            "ten" => "ten instances".to_owned(),
            grid => format!("cluster {grid}"),
        }
    }

    /// Like the run's files: scenario, broker, load and cluster, the last two where they are not
    /// the plain ones.
    #[must_use]
    pub fn name(&self) -> String {
        let mut name = format!("{}-{}", self.scenario, self.broker);
        match self.rate {
            Some(rate) => name += &format!("-{}ps", rate.asked_per_s),
            None if self.concurrency != 1 => name += &format!("-{}", self.concurrency),
            None => {}
        }
        if !self.is_on_own() {
            name += &format!("-{}", self.on);
        }
        name
    }

    /// Milliseconds during which load was on, by the throughput.
    #[must_use]
    pub fn busy_ms(&self) -> Option<f64> {
        let tasks = self.samples as f64 * f64::from(self.tasks_a_sample);
        self.throughput_per_s.filter(|rate| *rate > 0.0).map(|rate| 1e3 * tasks / rate)
    }

    /// Sequential stages of the scenario.
    #[must_use]
    pub fn stages(&self) -> Option<f64> {
        let (p50, stage) = self.latency_ms.p50.zip(self.stage_ms)?;
        (stage > 0.0).then(|| (p50 / stage).round())
    }

    /// How arrivals are spread: the mode's last word.
    fn arrivals(&self) -> &str {
        self.mode.rsplit(' ').next().unwrap_or(&self.mode)
    }
}
