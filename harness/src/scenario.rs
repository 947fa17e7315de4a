//! Scenario files: what to run, on what, what the right answer is, and what it may cost.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use stepmark_workflow::state::{StepState, TaskState};
use stepmark_workflow::yaml::{self, Diagnostic};

/// One scenario, as its file states it. Unknown keys are refused at their position.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The scenario's name, unique over all tiers.
    pub name: String,
    /// The tier of the benchmark, 1 to 5.
    pub tier: u8,
    /// The workflow that each task of the run is made from.
    pub workflow: Workflow,
    /// How many processes of which kind the figures are taken on.
    pub topology: Topology,
    /// The context that every task is created with.
    pub input: Value,
    /// Stages that cannot overlap: the longest path, in steps.
    pub sequential_stages: u32,
    /// What a right answer looks like.
    pub expected: Expected,
    /// What a task may cost.
    #[serde(default)]
    pub budget: Budget,
    /// The figures that were published for this scenario.
    pub published: Option<Published>,
}

/// A workflow template, by name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workflow {
    /// The template's namespace.
    pub namespace: String,
    /// The template's name.
    pub template: String,
    /// The template's version; the newest when absent.
    pub version: Option<i32>,
}

/// A language that workers are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Handlers in Rust, linked with the worker core.
    Rust,
}

impl Language {
    /// The language's name as it stands in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Language::Rust => "rust",
        }
    }
}

/// The processes of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// Number of orchestrator processes.
    pub orchestrators: u32,
    /// Number of worker processes by language.
    pub workers: BTreeMap<Language, u32>,
}

/// The right answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The state that every task ends in.
    pub task_state: TaskState,
    /// Every step of the task by name; a step more or less is a wrong answer.
    pub steps: BTreeMap<String, ExpectedStep>,
}

/// The right answer of one step.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedStep {
    /// The state that the step ends in.
    pub state: StepState,
    /// The step's result; absent when the step must have none.
    pub result: Option<Value>,
}

/// Bounds on the work of one fault-free task. What is absent is measured and not judged.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
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
}

/// A bound on a count, both ends included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bound {
    /// The only count allowed.
    pub exactly: Option<f64>,
    /// The lowest count allowed.
    pub min: Option<f64>,
    /// The highest count allowed.
    pub max: Option<f64>,
}

/// A latency bound by broker, as a multiple of the durable commit.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyCommits {
    /// The bound on PGMQ.
    pub pgmq: LatencyBound,
    /// The bound on RabbitMQ.
    pub rabbitmq: LatencyBound,
}

/// A latency bound with room for the machine's noise, and what the engine is built to reach.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyBound {
    /// The highest multiple allowed: above it the budget is broken.
    pub max: f64,
    /// The multiple aimed at, if there is one: a run above it is marked and not condemned.
    pub aim: Option<f64>,
}

/// Figures of the published benchmark: other hardware, shown for orientation only.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
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
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The lower end.
    pub min: f64,
    /// The upper end.
    pub max: f64,
}

/// Why the scenario files cannot be used. Trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file is not a scenario; the message has its position.
    #[error("{0}")]
    Malformed(Box<Diagnostic>),
    /// The file or folder cannot be read.
    #[error("{path}: {error}")]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// Why it was not.
        error: std::io::Error,
    },
    /// Two files carry the same scenario name.
    #[error("{second}: the scenario {name} is defined in {first} already")]
    Twice {
        /// The scenario's name.
        name: String,
        /// The file that came first.
        first: PathBuf,
        /// The file that came second.
        second: PathBuf,
    },
    /// No file has a scenario of that name.
    #[error("no scenario named {name}; there are: {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// No scenario belongs to the tier.
    #[error("no scenario of tier {0}")]
    EmptyTier(u8),
}

impl Scenario {
    /// Reads a scenario from YAML text; `source_name` stands in error messages.
    ///
    /// # Errors
    /// The text is not YAML, has an unknown key, or a value of the wrong type.
    pub fn parse(source_name: &str, text: &str) -> Result<Scenario, ScenarioError> {
        yaml::parse(source_name, text).map_err(|error| ScenarioError::Malformed(Box::new(error)))
    }
}

/// Reads every scenario below `folder` (its subfolders are the tiers), sorted by tier and name.
///
/// # Errors
/// A file is unreadable or malformed, or a name is used twice.
pub fn load_all(folder: &Path) -> Result<Vec<Scenario>, ScenarioError> {
    let mut found: BTreeMap<String, (PathBuf, Scenario)> = BTreeMap::new();
    for tier in entries(folder)? {
        let is_tier = tier.file_name().is_some_and(|n| n.to_string_lossy().starts_with("tier"));
        if !is_tier || !tier.is_dir() {
            continue;
        }
        for path in entries(&tier)? {
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let text = std::fs::read_to_string(&path)
                .map_err(|error| ScenarioError::Unreadable { path: path.clone(), error })?;
            let scenario = Scenario::parse(&path.display().to_string(), &text)?;
            if let Some((first, _)) = found.get(&scenario.name) {
                let (name, first) = (scenario.name, first.clone());
                return Err(ScenarioError::Twice { name, first, second: path });
            }
            found.insert(scenario.name.clone(), (path, scenario));
        }
    }
    let mut scenarios: Vec<Scenario> = found.into_values().map(|(_, s)| s).collect();
    // Within a tier the longest line comes first: the others are read against it.
    scenarios.sort_by(|a, b| (a.tier, b.sequential_stages).cmp(&(b.tier, a.sequential_stages)));
    Ok(scenarios)
}

/// Picks the scenarios that a run was asked for.
///
/// # Errors
/// A name or tier that no file has.
pub fn select(
    all: Vec<Scenario>,
    tier: Option<u8>,
    names: &[String],
) -> Result<Vec<Scenario>, ScenarioError> {
    if let Some(name) = names.iter().find(|name| !all.iter().any(|s| &s.name == *name)) {
        let known = all.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(ScenarioError::Unknown { name: name.clone(), known });
    }
    let wanted = |s: &Scenario| {
        tier.is_none_or(|tier| s.tier == tier) && (names.is_empty() || names.contains(&s.name))
    };
    let picked: Vec<Scenario> = all.into_iter().filter(wanted).collect();
    match (picked.is_empty(), tier) {
        (true, Some(tier)) => Err(ScenarioError::EmptyTier(tier)),
        _ => Ok(picked),
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, ScenarioError> {
    let unreadable = |error| ScenarioError::Unreadable { path: folder.to_path_buf(), error };
    let mut paths = std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>())
        .map_err(unreadable)?;
    paths.sort();
    Ok(paths)
}
