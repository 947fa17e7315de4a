//! From what a run saw to what is said about it. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::broker::Broker;
use crate::budget::{self, BudgetLine};
use crate::difference::{Difference, PAIRS_MIN};
use crate::floor::{DRIFT_RATIO_MAX, FloorSummary};
use crate::language::Language;
use crate::oracle::Wrong;
use crate::recorder::{LatencyMs, Recorder};
use crate::scenario::{Compare, CompareOn, Scenario};
use crate::step_time::StepTime;
use crate::topology::{On, Topology, Without};
use crate::work::{Accounts, Spread, Work};

/// How many problems of one kind are spelled out before the rest is only counted.
const PROBLEMS_SHOWN_MAX: usize = 5;

/// How a run was set up.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The cluster that it is taken on.
    pub on: On,
    /// The languages that were left out by choice.
    pub without: Without,
    /// The broker under test.
    pub broker: Broker,
    /// Tasks under way at any moment.
    pub concurrency: usize,
    /// Tasks before the measurement.
    pub warmup: u64,
    /// Tasks that are going to be measured; a guess where nobody can tell. An oracle's program is
    /// asked for so many answers beforehand.
    pub samples: u64,
}

impl Plan {
    /// What the files of a run are called: scenario, broker, the concurrency if it is not 1, and
    /// the cluster if it is not the scenario's own.
    pub fn run_name(&self, scenario: &Scenario) -> String {
        let mut name = format!("{}-{}", scenario.name, self.broker.name());
        if self.concurrency != 1 {
            name += &format!("-{}", self.concurrency);
        }
        if self.on != On::Own {
            name += &format!("-{}", self.on);
        }
        name
    }

    /// The processes of the cluster.
    pub fn topology(&self, scenario: &Scenario) -> Topology {
        self.on.topology(scenario).without(self.without)
    }

    /// The languages of all workers, those included that run beside the cluster for a comparison.
    pub fn languages(&self, scenario: &Scenario) -> BTreeSet<Language> {
        let own = self.compared(scenario).filter(|(compare, _)| compare.on == CompareOn::Own);
        let others = own.into_iter().flat_map(|(_, other)| other.topology.languages());
        self.topology(scenario).languages().chain(others).collect()
    }

    /// The language for whose sake the run is left out, if any: its handlers are in it, or those of
    /// the scenario that it is compared with.
    pub fn leaves_out(&self, scenario: &Scenario) -> Option<Language> {
        let other = self.compared(scenario).map(|(_, other)| other.language);
        let mut needed = std::iter::once(scenario.language).chain(other);
        needed.find(|language| self.without.has(*language))
    }

    /// The scenario that this one is compared with in this run, if it is: one task at a time, on
    /// its own cluster.
    pub fn compared<'s>(&self, scenario: &'s Scenario) -> Option<(&'s Compare, &'s Scenario)> {
        let compare = scenario.compare.as_ref()?;
        let other = compare.other.as_deref()?;
        (self.on == On::Own && self.concurrency == 1).then_some((compare, other))
    }
}

/// Everything that a run saw.
#[derive(Debug, Clone)]
pub struct Observations {
    /// The latencies of the measured tasks.
    pub recorder: Recorder,
    /// The time during which load was on, pauses taken off.
    pub busy: Duration,
    /// Wrong answers, with the task's identity.
    pub wrong: Vec<(String, Wrong)>,
    /// Tasks that never came to an end for the client, and why.
    pub unfinished: Vec<String>,
    /// What happened to the cluster that must not happen in a measured run.
    pub faults: Vec<String>,
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
}

impl Observations {
    /// A run that came to no end, for these reasons.
    pub fn failed(faults: Vec<String>) -> Observations {
        Observations {
            recorder: Recorder::new(SystemTime::UNIX_EPOCH),
            busy: Duration::ZERO,
            wrong: Vec::new(),
            unfinished: Vec::new(),
            faults,
            gaps: Vec::new(),
            notes: Vec::new(),
            accounts: Accounts::default(),
            floor: FloorSummary::default(),
            difference: None,
            step_time: None,
        }
    }
}

/// What is said about a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// The scenario's name.
    pub scenario: String,
    /// The scenario's tier.
    pub tier: u8,
    /// The broker under test.
    pub broker: Broker,
    /// How load was made: `closed loop`, each client waits for its task before the next.
    pub mode: &'static str,
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
    /// P50 over the scenario's sequential stages, in milliseconds.
    pub stage_ms: Option<f64>,
    /// Tasks completed a second while load was on.
    pub throughput_per_s: Option<f64>,
    /// The same in what tasks consist of, where the scenario says what that is.
    pub items: Option<ItemsRate>,
    /// Mean work of a task.
    pub work: Work,
    /// Spreads of the counts that were taken task by task.
    pub work_each: BTreeMap<&'static str, Spread>,
    /// CPU milliseconds a task by process.
    pub cpu_ms_by_process: BTreeMap<String, Option<f64>>,
    /// The budget, line by line.
    pub budget: Vec<BudgetLine>,
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
}

/// Throughput in what tasks consist of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ItemsRate {
    /// What is counted, in the plural.
    pub unit: String,
    /// So many of them a second while load was on.
    pub per_s: f64,
}

/// The published figures, which come from other hardware.
#[derive(Debug, Clone, Serialize)]
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
pub fn judge(scenario: &Scenario, plan: Plan, seen: &Observations) -> RunReport {
    let disproof = disproof(seen);
    let correct = disproof.is_empty();
    let mut report = RunReport {
        scenario: scenario.name.clone(),
        tier: scenario.tier,
        broker: plan.broker,
        mode: "closed loop",
        concurrency: plan.concurrency,
        samples: seen.recorder.samples(),
        warmup: plan.warmup,
        on: plan.on.to_string(),
        topology: topology(&plan.topology(scenario)),
        tasks_a_sample: scenario.tasks_a_sample,
        status: Status::Invalid,
        correct,
        problems: disproof,
        notes: seen.notes.clone(),
        latency_ms: LatencyMs::default(),
        latency_commits: LatencyMs::default(),
        stage_ms: None,
        throughput_per_s: None,
        items: None,
        work: Work::default(),
        work_each: BTreeMap::new(),
        cpu_ms_by_process: BTreeMap::new(),
        budget: Vec::new(),
        floor: FloorSummary::default(),
        difference: None,
        step_time: None,
        reference: scenario.published.as_ref().map(|published| Reference {
            label: published.label.clone(),
            p50_ms_min: published.p50_ms.min,
            p50_ms_max: published.p50_ms.max,
            database_operations: published.database_operations,
            task_transitions: published.task_transitions,
        }),
        hlog: None,
    };
    if correct {
        add_figures(&mut report, scenario, plan, seen);
    }
    report
}

fn add_figures(report: &mut RunReport, scenario: &Scenario, plan: Plan, seen: &Observations) {
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
    report.stage_ms = latency.p50.map(|p50| p50 / f64::from(scenario.sequential_stages));
    let seconds = seen.busy.as_secs_f64();
    let tasks = report.samples as f64 * f64::from(scenario.tasks_a_sample);
    report.throughput_per_s = (seconds > 0.0).then(|| tasks / seconds);
    report.items = scenario.items.as_ref().zip(report.throughput_per_s).map(|(items, tasks)| {
        ItemsRate { unit: items.unit.clone(), per_s: tasks * items.a_task as f64 }
    });
    report.work = seen.accounts.mean.clone();
    report.work_each = seen.accounts.each.clone();
    report.cpu_ms_by_process = seen.accounts.cpu_ms_by_process.clone();
    report.floor = seen.floor.clone();
    report.step_time = seen.step_time;
    report.difference = seen.difference.clone();
    if let Some((compare, _)) = plan.compared(scenario) {
        report.notes.extend(match &seen.difference {
            Some(difference) => difference.missed_aim(compare.aim),
            None => Some(format!("no {}: it takes {PAIRS_MIN} pairs and more", compare.called)),
        });
    }

    let budget = scenario.budget.on(plan.on);
    report.budget = budget::judge_counts(&budget, &seen.accounts);
    if plan.concurrency == 1 {
        let multiple = report.latency_commits.p50;
        report.budget.extend(budget::judge_latency(&budget, plan.broker, multiple));
        report.notes.extend(budget::missed_aim(&budget, plan.broker, multiple));
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

/// Everything that takes a run its figures.
fn disproof(seen: &Observations) -> Vec<String> {
    let wrong = seen.wrong.iter().map(|(task, wrong)| format!("task {task}: {wrong}")).collect();
    let mut problems = seen.faults.clone();
    problems.extend(shortened("wrong answers", wrong));
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

fn topology(topology: &Topology) -> BTreeMap<String, u32> {
    let workers = topology.workers.iter();
    let workers = workers.map(|(language, n)| (format!("worker-{}", language.name()), *n));
    let orchestrators = ("orchestrator".to_owned(), topology.orchestrators);
    std::iter::once(orchestrators).chain(workers).collect()
}
