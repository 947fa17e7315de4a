//! From what a run saw to what is said about it. Pure.

mod run;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::breakdown::{self, RunTimes};
use crate::budget;
use crate::difference::{Difference, PAIRS_MIN};
use crate::distribution::Distribution;
use crate::floor::{DRIFT_RATIO_MAX, FloorSummary, OwnFloor};
use crate::recorder::{LatencyMs, Recorder};
use crate::statements::{self, Counted};
use crate::step_time::StepTime;
use crate::subject::Subject;
use crate::work::{Accounts, Work};

use run::LATE_MS_MAX;
pub use run::{ItemsRate, RateReport, Reference, RunReport, Status};

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
        let run = Counted {
            broker: subject.broker,
            counts_bind: report.is_plainest(),
            expansions: subject.expansions,
            statements: &seen.accounts.statements,
        };
        report.budget.extend(statements::judge(declared, run));
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
