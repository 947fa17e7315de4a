//! Scenario files: what to run, on what, what the right answer is, and what it may cost.
//!
//! ```yaml
//! name: linear_many
//! tier: 1
//! workflow: {namespace: rust_e2e_linear, template: mathematical_sequence}  # and a version
//! topology: {orchestrators: 1, workers: {rust: 1}}
//! sequential_stages: 4
//! generator: {seed: 7, fields: {even_number: {integer: {min: 2, max: 100, step: 2}}}}
//! oracle:
//!   formula:
//!     task_state: Complete
//!     steps:
//!       linear_step_1: {state: Complete, result: {value: "${text(even_number ^ 2)}"}}
//!       # … and every other step
//! items: {unit: numbers, a_task: 4}   # optional, as are budget and published
//! ```
//! What the tasks are given stands in one of four forms, each with its right answers: `input` with
//! `expected`; `cases`, a list of both; `inputs` or `generator`, with an `oracle` that is a
//! `formula` or a `program`.

mod bounds;
mod cases;
mod compare;
mod expected;
mod files;
mod generator;
mod read;
mod steps;
mod workflow;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepmark_workflow::state::{StepState, TaskState};

use crate::language::Language;
use crate::statements::Declared;
use crate::topology::{On, Topology};
use crate::workload::{Computed, Inputs};

pub use files::{
    ScenarioError, files_of, load_all, read_all, select, template_of, template_sources,
};
pub use read::Surroundings;
pub use steps::is_made_by;

/// One scenario, as its file states it.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The scenario's name, unique over all tiers.
    pub name: String,
    /// The tier of the benchmark, 1 to 5; 6 is for workflows of one's own.
    pub tier: u8,
    /// The workflow that each task of the run is made from.
    pub workflow: Workflow,
    /// How many processes of which kind the figures are taken on.
    pub topology: Topology,
    /// The language of the workflow's handlers.
    pub language: Language,
    /// Tasks of a sample, which are started together; 1 unless told.
    pub tasks_a_sample: u32,
    /// The scenario that this one's latency is set against, in pairs.
    pub compare: Option<Compare>,
    /// What the tasks are given.
    pub inputs: Inputs,
    /// Where the right answers come from.
    pub oracle: Oracle,
    /// Stages that cannot overlap: the longest path, in steps.
    pub sequential_stages: u32,
    /// Steps of its template that choose or make others, once a task: decisions and batchable ones.
    /// Nothing where the template is not known.
    pub expansions: Option<u32>,
    /// What a task is so many of, where tasks are not what a reader wants counted.
    pub items: Option<Items>,
    /// What a task may cost.
    pub budget: Budget,
    /// The statements that the engine may send, where the scenarios' folder declares them.
    pub declared: Option<Arc<Declared>>,
    /// The figures that were published for this scenario.
    pub published: Option<Published>,
}

/// A comparison of latencies, sample by sample in turns.
#[derive(Debug, Clone)]
pub struct Compare {
    /// The name of the other scenario.
    pub with: String,
    /// The other scenario itself, once all are read.
    pub other: Option<Arc<Scenario>>,
    /// The cluster that the other scenario is run on.
    pub on: CompareOn,
    /// What the difference is called, for people: `FFI overhead`.
    pub called: String,
    /// The difference aimed at, if there is one: one above it is marked and not condemned.
    pub aim: Option<DifferenceAim>,
}

/// Where the other scenario of a comparison runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompareOn {
    /// The same cluster.
    Same,
    /// A cluster of its own topology, beside it.
    Own,
}

/// Both have to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DifferenceAim {
    /// In percent of the other scenario's median.
    pub percent: f64,
    /// In milliseconds for each step of the longest path.
    pub ms_a_stage: f64,
}

/// A workflow template, by name.
#[derive(Debug, Clone)]
pub struct Workflow {
    /// The template's namespace.
    pub namespace: String,
    /// The template's name.
    pub template: String,
    /// The template's version; the newest when absent.
    pub version: Option<i32>,
}

/// Where the right answers come from.
#[derive(Debug, Clone)]
pub enum Oracle {
    /// One for each input, in the same order.
    Table(Vec<Expected>),
    /// Formulas over the input.
    Formula(Computed),
    /// A program that is asked once a run.
    Program(Program),
}

/// A program that answers with one [`Expected`] as JSON a line to one input a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The program and its arguments; it runs with the project's root as its folder.
    pub command: Vec<String>,
    /// How long it may take for all inputs of a run.
    pub timeout: Duration,
}

/// What a task consists of, for a figure of throughput that says more than tasks a second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Items {
    /// What they are called, in the plural.
    pub unit: String,
    /// How many of them a task has.
    pub a_task: u64,
}

/// The right answer. As JSON it is what an oracle's program answers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The state that every task ends in.
    pub task_state: TaskState,
    /// Every step of the task by name; a step more or less is a wrong answer.
    pub steps: BTreeMap<String, ExpectedStep>,
}

/// The right answer of one step.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedStep {
    /// The state that the step ends in.
    pub state: StepState,
    /// The step's result; absent when the step must have none.
    pub result: Option<Value>,
}

/// Bounds on the work of one fault-free task. What is absent is measured and not judged.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Budget {
    /// State transitions of steps, from the audit.
    pub step_transitions: Option<Bound>,
    /// State transitions of the task, from the audit.
    pub task_transitions: Option<Bound>,
    /// Messages sent, counted at the broker.
    pub messages: Option<Bound>,
    /// Dependency evaluations, one a completed step.
    pub dependency_evaluations: Option<Bound>,
    /// SQL statements of the engine's role.
    pub sql_statements: Option<Bound>,
    /// P50 of one task at a time, at most, in durable commits of the same run.
    pub latency_commits: Option<LatencyCommits>,
    /// What differs on the ten instances.
    pub ten: TenBudget,
}

/// What more instances cost a task: all of them look for work and are woken by it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TenBudget {
    /// SQL statements of the engine's role.
    pub sql_statements: Option<Bound>,
    /// P50 of one task at a time.
    pub latency_commits: Option<LatencyCommits>,
}

impl Scenario {
    /// The same, set against itself on a cluster that writes no traces.
    #[must_use]
    pub fn beside_itself_without_traces(self) -> Scenario {
        let compare = Compare {
            with: "itself without traces".to_owned(),
            other: Some(Arc::new(Scenario { compare: None, ..self.clone() })),
            on: CompareOn::Own,
            called: "cost of traces".to_owned(),
            aim: None,
        };
        Scenario { compare: Some(compare), ..self }
    }
}

impl Budget {
    /// The budget on this cluster: the counts are the same on any.
    #[must_use]
    pub fn on(&self, on: On) -> Budget {
        let own = self.clone();
        let TenBudget { sql_statements, latency_commits } = match on {
            On::Own => return own,
            On::Ten => self.ten.clone(),
            On::Grid { .. } => TenBudget::default(),
        };
        Budget { sql_statements, latency_commits, ..own }
    }
}

/// A bound on a count, both ends included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// The only count allowed.
    pub exactly: Option<f64>,
    /// The lowest count allowed.
    pub min: Option<f64>,
    /// The highest count allowed.
    pub max: Option<f64>,
}

/// A latency bound by broker, as a multiple of the durable commit.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct LatencyCommits {
    /// The bound on PGMQ.
    pub pgmq: LatencyBound,
    /// The bound on RabbitMQ.
    pub rabbitmq: LatencyBound,
}

/// A latency bound with room for the machine's noise, and what the engine is built to reach.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct LatencyBound {
    /// The highest multiple allowed: above it the budget is broken.
    pub max: f64,
    /// The multiple aimed at, if there is one: a run above it is marked and not condemned.
    pub aim: Option<f64>,
}

/// Figures of the published benchmark: other hardware, shown for orientation only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Published {
    /// What the figures are labelled with wherever they are shown.
    pub label: String,
    /// P50 in milliseconds.
    pub p50_ms: Range,
    /// Database operations a task, as the published text counts them.
    pub database_operations: Option<u32>,
    /// Task transitions a task, as the published text counts them.
    pub task_transitions: Option<u32>,
}

/// A closed range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// The lower end.
    pub min: f64,
    /// The upper end.
    pub max: f64,
}
