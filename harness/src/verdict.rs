//! From what a run saw to what is said about it. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::arrivals::Arrivals;
use crate::breakdown::{self, Breakdown, RunTimes};
use crate::broker::Broker;
use crate::budget::{self, BudgetLine};
use crate::difference::{Difference, PAIRS_MIN};
use crate::distribution::Distribution;
use crate::floor::{DRIFT_RATIO_MAX, FloorSummary, OwnFloor};
use crate::recorder::{LatencyMs, Recorder};
use crate::statements::{self, StatementCalls};
use crate::step_time::StepTime;
use crate::subject::Subject;
use crate::work::{Accounts, Spread, Work};

/// A rate counts as offered while tasks begin no later than this after they were due (P99).
const LATE_MS_MAX: f64 = 10.0;
/// How many problems of one kind are spelled out before the rest is only counted.
const PROBLEMS_SHOWN_MAX: usize = 5;

/// Everything that a run saw.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Observations {
    /// The latencies of the measured tasks.
    #[serde(skip)]
    pub recorder: Recorder,
    /// The time during which load was on, pauses taken off.
    pub busy: Duration,
    /// Open loop: from when the first sample was due until the last one began, pauses taken off.
    pub offering: Duration,
    /// How long after they were due samples began, in milliseconds: the 99th percentile.
    pub late_ms_p99: f64,
    /// Wrong answers, each with the task's name.
    pub wrong: Vec<String>,
    /// Tasks that never came to an end for the client, and why.
    pub unfinished: Vec<String>,
    /// What happened to the cluster that must not happen in a measured run.
    pub faults: Vec<String>,
    /// Whether it could not even begin.
    pub is_missing: bool,
    /// What could not be measured, and what would make it measurable.
    pub gaps: Vec<String>,
    /// What a reader has to know and that changes no verdict.
    pub notes: Vec<String>,
    /// The work behind the tasks.
    pub accounts: Accounts,
    /// The machine's floor.
    pub floor: FloorSummary,
    /// The difference from another scenario, where the two were compared.
    pub difference: Option<Difference>,
    /// Where a step's time went in its worker.
    pub step_time: Option<StepTime>,
    /// The times of tasks, by the audit.
    pub times: RunTimes,
    /// The trace of one of the measured tasks, in OTLP's JSON.
    #[serde(default)]
    pub trace: Option<Value>,
}

impl Observations {
    /// A run that came to no end, for these reasons.
    pub fn failed(faults: Vec<String>) -> Observations {
        Observations { faults, ..Observations::default() }
    }
}

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
        self.rate.is_none() && self.concurrency == 1 && processes == 2
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

/// Says what a run is worth. A run with a wrong answer or a fault keeps none of its figures.
pub fn judge(subject: &Subject, seen: &Observations) -> RunReport {
    let disproof = disproof(seen);
    let correct = disproof.is_empty();
    let mut report = RunReport {
        scenario: subject.scenario.clone(),
        tier: subject.tier,
        broker: subject.broker,
        mode: subject.mode().to_owned(),
        rate: None,
        concurrency: subject.concurrency,
        samples: seen.recorder.samples(),
        warmup: subject.warmup,
        on: subject.on.clone(),
        topology: subject.topology.clone(),
        tasks_a_sample: subject.tasks_a_sample,
        status: if seen.is_missing { Status::Incomplete } else { Status::Invalid },
        correct,
        problems: disproof,
        notes: seen.notes.clone(),
        latency_ms: LatencyMs::default(),
        latency_commits: LatencyMs::default(),
        distribution: None,
        breakdown: None,
        own_floor: None,
        stage_ms: None,
        throughput_per_s: None,
        items: None,
        work: Work::default(),
        work_each: BTreeMap::new(),
        statements: Vec::new(),
        cpu_ms_by_process: BTreeMap::new(),
        budget: Vec::new(),
        is_comparable: subject.is_comparable(),
        floor: FloorSummary::default(),
        difference: None,
        step_time: None,
        reference: subject.published.as_ref().map(|published| Reference {
            label: published.label.clone(),
            p50_ms_min: published.p50_ms.min,
            p50_ms_max: published.p50_ms.max,
            database_operations: published.database_operations,
            task_transitions: published.task_transitions,
        }),
        hlog: None,
        trace: None,
    };
    if correct {
        add_latencies(&mut report, subject, seen);
        add_work(&mut report, seen);
        add_verdict(&mut report, subject, seen);
    }
    report
}

fn add_latencies(report: &mut RunReport, subject: &Subject, seen: &Observations) {
    let latency = seen.recorder.latency();
    let commit = seen.floor.median.commit_ms;
    let in_commits = |ms: Option<f64>| ms.zip(commit).map(|(ms, commit)| ms / commit);
    report.latency_ms = latency;
    report.latency_commits = LatencyMs {
        p50: in_commits(latency.p50),
        p95: in_commits(latency.p95),
        p99: in_commits(latency.p99),
        max: in_commits(latency.max),
    };
    report.stage_ms = latency.p50.map(|p50| p50 / f64::from(subject.sequential_stages));
    report.own_floor = OwnFloor::of(subject.sequential_stages, &seen.floor.median, &latency);
    let distribution = Distribution::of(&seen.recorder, subject.arrivals.is_none());
    report.notes.extend(distribution.notes());
    report.distribution = Some(distribution);
    report.breakdown = breakdown::breakdown(&seen.times);
    let tasks = report.samples as f64 * f64::from(subject.tasks_a_sample);
    let seconds = seen.busy.as_secs_f64();
    report.throughput_per_s = (seconds > 0.0).then(|| tasks / seconds);
    report.items = subject.items.as_ref().zip(report.throughput_per_s).map(|(items, tasks)| {
        ItemsRate { unit: items.unit.clone(), per_s: tasks * items.a_task as f64 }
    });
    let samples = report.samples;
    report.rate = subject.arrivals.map(|arrivals| {
        RateReport::of(arrivals, samples, seen.busy, seen.offering, seen.late_ms_p99)
    });
    if let Some(rate) = report.rate.filter(|rate| rate.is_short) {
        report.notes.push(format!(
            "the rate could not be offered: tasks began up to {:.1} ms after they were due (P99; \
             marked above {LATE_MS_MAX} ms)",
            rate.late_ms_p99
        ));
    }
}

fn add_work(report: &mut RunReport, seen: &Observations) {
    report.work = seen.accounts.mean.clone();
    report.work_each = seen.accounts.each.clone();
    report.statements = seen.accounts.statements.clone();
    report.cpu_ms_by_process = seen.accounts.cpu_ms_by_process.clone();
    report.floor = seen.floor.clone();
    report.step_time = seen.step_time;
    report.difference = seen.difference.clone();
}

fn add_verdict(report: &mut RunReport, subject: &Subject, seen: &Observations) {
    if let Some((called, aim)) = &subject.compared {
        report.notes.extend(match &seen.difference {
            Some(difference) => difference.missed_aim(*aim),
            None => Some(format!("no {called}: it takes {PAIRS_MIN} pairs and more")),
        });
    }
    report.budget = budget::judge_counts(&subject.budget, &seen.accounts);
    if let Some(declared) = &subject.declared {
        let counts_bind = report.is_plainest();
        let seen = &seen.accounts.statements;
        report.budget.extend(statements::judge(declared, subject.broker, counts_bind, seen));
    }
    if subject.counts_nested {
        report.notes.push("statements inside functions were counted, which takes time".to_owned());
    }
    if subject.traces {
        report.notes.push("traces were written, which takes time".to_owned());
        if subject.compared.is_none() {
            let wanted = "one task at a time on the scenario's own cluster";
            report.notes.push(format!("no cost of traces: it takes {wanted}"));
        }
    }
    if subject.is_one_at_a_time() && subject.is_comparable() {
        let (budget, multiple) = (&subject.budget, report.latency_commits.p50);
        report.budget.extend(budget::judge_latency(budget, subject.broker, multiple));
        report.notes.extend(budget::missed_aim(budget, subject.broker, multiple));
    }
    let mut gaps = seen.gaps.clone();
    let mut broken = Vec::new();
    for line in &report.budget {
        match line.kept {
            Some(true) => {}
            Some(false) => broken.push(format!(
                "budget broken: {} is {} where {} is allowed",
                line.name, line.measured, line.allowed
            )),
            None => gaps.push(format!("budget not judged: {} was not measured", line.name)),
        }
    }
    if seen.floor.drifted {
        let ratio = seen.floor.drift_ratio.unwrap_or_default();
        report.notes.push(format!(
            "the machine's floor drifted: commits {ratio:.2} × slower in one round than in \
             another (marked above {DRIFT_RATIO_MAX})"
        ));
    }
    report.status = match (gaps.is_empty(), broken.is_empty()) {
        (true, true) => Status::Good,
        (true, false) => Status::OverBudget,
        (false, _) => Status::Incomplete,
    };
    report.problems = gaps.into_iter().chain(broken).collect();
}

/// Whether the run's latencies stand: every answer right, no fault, and at least one sample.
pub fn stands(seen: &Observations) -> bool {
    disproof(seen).is_empty()
}

/// Everything that takes a run its figures.
fn disproof(seen: &Observations) -> Vec<String> {
    let mut problems = seen.faults.clone();
    problems.extend(shortened("wrong answers", seen.wrong.clone()));
    problems.extend(shortened("unfinished tasks", seen.unfinished.clone()));
    if problems.is_empty() && seen.recorder.samples() == 0 {
        problems.push("no task was measured".to_owned());
    }
    problems
}

fn shortened(what: &str, mut problems: Vec<String>) -> Vec<String> {
    let all = problems.len();
    if all > PROBLEMS_SHOWN_MAX {
        problems.truncate(PROBLEMS_SHOWN_MAX);
        problems.push(format!("… {all} {what} in all"));
    }
    problems
}
