//! What is said about a run: its entry in `report.json`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::arrivals::Arrivals;
use crate::breakdown::Breakdown;
use crate::broker::Broker;
use crate::budget::BudgetLine;
use crate::difference::Difference;
use crate::distribution::Distribution;
use crate::floor::{FloorSummary, OwnFloor};
use crate::recorder::LatencyMs;
use crate::statements::StatementCalls;
use crate::step_time::StepTime;
use crate::work::{Spread, Work};

/// A rate counts as offered while tasks begin no later than this after they were due (P99).
pub(super) const LATE_MS_MAX: f64 = 10.0;

/// What is said about a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// One run in the report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunReport {
    /// The scenario's name.
    pub scenario: String,
    /// The scenario's tier.
    pub tier: u8,
    /// The broker under test.
    pub broker: Broker,
    /// How load was made: `closed loop`, each client waits for its task before the next; or `open
    /// loop, fixed` or `open loop, Poisson`, tasks begin when they are due, whatever became of
    /// those before.
    pub mode: String,
    /// Open loop: the rate that was asked for, and what came of it.
    pub rate: Option<RateReport>,
    /// Tasks under way at any moment.
    pub concurrency: usize,
    /// Measured tasks.
    pub samples: u64,
    /// Tasks before the measurement, checked like the others.
    pub warmup: u64,
    /// The cluster: the scenario's `own`, the `ten` instances, or orchestrators x workers.
    pub on: String,
    /// Processes of the cluster by kind.
    pub topology: BTreeMap<String, u32>,
    /// Tasks of a sample, started together: latency is that of the last of them, and work is that
    /// of them all.
    pub tasks_a_sample: u32,
    /// What is said about the run.
    pub status: Status,
    /// Whether every answer was checked and right, with no fault on the way.
    pub correct: bool,
    /// Why the run is not good.
    pub problems: Vec<String>,
    /// What a reader has to know besides.
    pub notes: Vec<String>,
    /// Latencies, from before the request is sent until the caller knows of Complete.
    pub latency_ms: LatencyMs,
    /// The same in durable commits of this run.
    pub latency_commits: LatencyMs,
    /// How the latencies spread, how sure their percentiles are, and what is odd about them.
    pub distribution: Option<Distribution>,
    /// Where the time of a task goes, by the audit's clock.
    pub breakdown: Option<Breakdown>,
    /// The scenario's own floor on this machine, in this run.
    pub own_floor: Option<OwnFloor>,
    /// P50 over the scenario's sequential stages, in milliseconds.
    pub stage_ms: Option<f64>,
    /// Tasks completed a second while load was on.
    pub throughput_per_s: Option<f64>,
    /// The same in what tasks consist of, where the scenario says what that is.
    pub items: Option<ItemsRate>,
    /// Mean work of a task.
    pub work: Work,
    /// Spreads of the counts that were taken task by task.
    pub work_each: BTreeMap<String, Spread>,
    /// The engine's SQL by its texts.
    #[serde(default)]
    pub statements: Vec<StatementCalls>,
    /// CPU milliseconds a task by process.
    pub cpu_ms_by_process: BTreeMap<String, Option<f64>>,
    /// The budget, line by line.
    pub budget: Vec<BudgetLine>,
    /// Whether its latencies are those of other runs: not where statements inside functions were
    /// counted or traces written, which takes time, nor where few tasks were run for their counts.
    #[serde(default = "comparable")]
    pub is_comparable: bool,
    /// The machine's floor in this run.
    pub floor: FloorSummary,
    /// How much longer it takes than another scenario, where the two were compared.
    pub difference: Option<Difference>,
    /// Mean time of a step in its worker.
    pub step_time: Option<StepTime>,
    /// The published figures.
    pub reference: Option<Reference>,
    /// The file with the latencies' histogram, beside the report.
    pub hlog: Option<String>,
    /// The file with the trace of one task, beside the report.
    #[serde(default)]
    pub trace: Option<String>,
}

/// As of reports that don't say it.
const fn comparable() -> bool {
    true
}

/// An open loop's rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RateReport {
    /// Tasks a second that were asked for.
    pub asked_per_s: f64,
    /// Tasks a second that were begun.
    pub offered_per_s: f64,
    /// Tasks a second that came to their ends.
    pub achieved_per_s: f64,
    /// How long after their intended start tasks were begun, in milliseconds: the 99th percentile.
    /// It is part of their latencies.
    pub late_ms_p99: f64,
    /// Whether the rate could not be offered: the load itself was too slow.
    pub is_short: bool,
}

impl RunReport {
    /// Whether it is one task at a time on one orchestrator and one worker: nobody else looks for
    /// work then, so that calls of statements follow from the task's messages.
    pub fn is_plainest(&self) -> bool {
        let processes: u32 = self.topology.values().sum();
        let is_alone = self.concurrency == 1 && self.tasks_a_sample == 1;
        self.rate.is_none() && is_alone && processes == 2
    }
}

impl RateReport {
    /// What came of arrivals of which so many were begun in the time `offering`, and had ended
    /// after the time `busy`.
    pub fn of(
        arrivals: Arrivals,
        samples: u64,
        busy: Duration,
        offering: Duration,
        late_ms_p99: f64,
    ) -> RateReport {
        let asked_per_s = arrivals.rate_per_s;
        // The last one's own turn belongs to the time in which so many were begun.
        let offering = offering.as_secs_f64() + 1.0 / asked_per_s;
        RateReport {
            asked_per_s,
            offered_per_s: samples as f64 / offering,
            achieved_per_s: samples as f64 / offering.max(busy.as_secs_f64()),
            late_ms_p99,
            is_short: late_ms_p99 > LATE_MS_MAX,
        }
    }
}

/// Throughput in what tasks consist of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemsRate {
    /// What is counted, in the plural.
    pub unit: String,
    /// So many of them a second while load was on.
    pub per_s: f64,
}

/// The published figures, which come from other hardware.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
