//! The API's documents, as far as people are shown them. What handlers made stays as it is.

use std::fmt;

use chrono::{DateTime, SubsecRound, Utc};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use stepmark_workflow::state::{StepState, TaskState};

/// A moment, in RFC 3339 where it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub DateTime<Utc>);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Moment, D::Error> {
        let text = String::deserialize(deserializer)?;
        let moment = DateTime::parse_from_rfc3339(&text).map_err(D::Error::custom)?;
        Ok(Moment(moment.to_utc()))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Z", self.0.trunc_subsecs(0).naive_utc())
    }
}

/// A task that was created, cancelled or redriven.
#[derive(Debug, Deserialize)]
pub struct Named {
    /// Its id.
    pub task_uuid: String,
    /// Its state.
    pub state: TaskState,
}

/// A task.
#[derive(Debug, Deserialize)]
pub struct Task {
    /// Its id.
    pub task_uuid: String,
    /// Its template's namespace.
    pub namespace: String,
    /// Its template.
    pub template: String,
    /// Its template's version.
    pub version: i32,
    /// Its state.
    pub state: TaskState,
    /// What the handlers are given.
    pub context: Box<RawValue>,
    /// Its idempotency key.
    pub idempotency_key: Option<String>,
    /// 0 to 9.
    pub priority: i16,
    /// When it was created.
    pub created_at: Moment,
    /// When it was or will be started, where it was put off.
    pub start_at: Option<Moment>,
    /// When it is cancelled if it has not ended, where there is such a time.
    pub deadline_at: Option<Moment>,
    /// When it ended.
    pub finished_at: Option<Moment>,
    /// Why it was cancelled.
    pub reason: Option<String>,
    /// Its steps.
    pub steps: Vec<TaskStep>,
}

/// A step of a task.
#[derive(Debug, Deserialize)]
pub struct TaskStep {
    /// Its name.
    pub name: String,
    /// Its type.
    pub r#type: String,
    /// Its state.
    pub state: StepState,
    /// Attempts begun.
    pub attempts: i32,
    /// What the handler returned.
    pub result: Option<Box<RawValue>>,
    /// Why the last attempt failed.
    pub error: Option<Box<RawValue>>,
}

/// The audit of a task.
#[derive(Debug, Deserialize)]
pub struct Transitions {
    /// In the order in which they were written.
    pub transitions: Vec<Transition>,
}

/// One state change.
#[derive(Debug, Deserialize)]
pub struct Transition {
    /// The step; none for the task itself.
    pub step: Option<String>,
    /// The state that was left.
    pub from: String,
    /// The state that was entered.
    pub to: String,
    /// The step's attempt.
    pub attempt: Option<i32>,
    /// Why, when it is not the ordinary course.
    pub reason: Option<String>,
    /// When.
    pub at: Moment,
}

/// Tasks, the newest first.
#[derive(Debug, Deserialize)]
pub struct TaskList {
    /// The tasks.
    pub tasks: Vec<ListedTask>,
    /// Where the list goes on; none at its end.
    pub next: Option<i64>,
}

/// A task in a list.
#[derive(Debug, Deserialize)]
pub struct ListedTask {
    /// Its id.
    pub task_uuid: String,
    /// Its template's namespace.
    pub namespace: String,
    /// Its template.
    pub template: String,
    /// Its state.
    pub state: TaskState,
    /// 0 to 9.
    pub priority: i16,
    /// When it was created.
    pub created_at: Moment,
    /// When it ended.
    pub finished_at: Option<Moment>,
    /// Why it was cancelled.
    pub reason: Option<String>,
    /// The steps that have failed.
    pub failures: Vec<Failure>,
}

/// A step in Error.
#[derive(Debug, Deserialize)]
pub struct Failure {
    /// Its name.
    pub step: String,
    /// Attempts begun.
    pub attempts: i32,
    /// Why the last one failed.
    pub error: Option<Box<RawValue>>,
}

/// What was deleted.
#[derive(Debug, Deserialize)]
pub struct Pruned {
    /// Number of tasks.
    pub pruned: u64,
    /// Where to go on; none when all tasks have been looked at.
    pub next: Option<i64>,
}

/// A namespace.
#[derive(Debug, Deserialize)]
pub struct Namespace {
    /// Its name.
    pub namespace: String,
    /// Since when it is paused.
    pub paused_at: Option<Moment>,
}

/// The steps of a task and what they wait for, those included that were made at run time.
#[derive(Debug, Clone, Deserialize)]
pub struct Graph {
    /// The task's id.
    pub task_uuid: String,
    /// Its template's namespace.
    pub namespace: String,
    /// Its template.
    pub template: String,
    /// Its state.
    pub state: TaskState,
    /// When it was created.
    pub created_at: Moment,
    /// When it ended.
    pub finished_at: Option<Moment>,
    /// In the order of their numbers.
    pub steps: Vec<GraphStep>,
}

/// A step, with what it waits for.
#[derive(Debug, Clone, Deserialize)]
pub struct GraphStep {
    /// Its number in its task.
    pub step_no: i32,
    /// Its name.
    pub name: String,
    /// Its type.
    pub r#type: String,
    /// Its state.
    pub state: StepState,
    /// Attempts begun.
    pub attempts: i32,
    /// When it was claimed last.
    pub started_at: Option<Moment>,
    /// When it came to the state that it is in; none while it has always been Pending.
    pub since: Option<Moment>,
    /// Numbers of the steps that it waits for.
    pub parents: Vec<i32>,
}
