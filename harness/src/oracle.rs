//! Verdicts on answers: pure, so that a wrong engine can be played with values alone.
//!
//! Each task is judged twice: by what the API told the client, and by what the database holds,
//! with the audit of every transition. One wrong answer makes the run invalid.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use serde::Deserialize;
use serde_json::Value;
use stepmark_workflow::state::{StepState, TaskState};

use crate::scenario::Expected;

/// A task as the API told it to the client.
#[derive(Debug, Clone, Deserialize)]
pub struct Answer {
    /// The task's identity.
    pub task_uuid: String,
    /// Its state.
    pub state: TaskState,
    /// Its steps.
    #[serde(default)]
    pub steps: Vec<AnsweredStep>,
}

/// A step as the API told it to the client.
#[derive(Debug, Clone, Deserialize)]
pub struct AnsweredStep {
    /// The step's name.
    pub name: String,
    /// Its state.
    pub state: StepState,
    /// Its result.
    pub result: Option<Value>,
}

/// A task as the database holds it, with its audit.
#[derive(Debug, Clone)]
pub struct TaskRecord {
    /// The task's identity.
    pub task_uuid: String,
    /// Its state.
    pub state: TaskState,
    /// The task's own transitions, by sort key.
    pub transitions: Vec<Transition<TaskState>>,
    /// Its steps.
    pub steps: Vec<StepRecord>,
}

/// A step as the database holds it, with its audit.
#[derive(Debug, Clone)]
pub struct StepRecord {
    /// The step's name.
    pub name: String,
    /// Its state.
    pub state: StepState,
    /// Its result.
    pub result: Option<Value>,
    /// Its parents' places among the task's steps.
    pub parents: Vec<usize>,
    /// Its transitions, by sort key.
    pub transitions: Vec<Transition<StepState>>,
}

/// One row of the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition<State> {
    /// The row's place in the history of its task or step, from 1.
    pub sort_key: i32,
    /// The state that was left.
    pub from: State,
    /// The state that was entered.
    pub to: State,
    /// When, by the database's clock, in microseconds of Unix time.
    pub at_us: i64,
}

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Wrong {
    /// The task ended in another state.
    #[error("the task is {actual} and not {expected}")]
    TaskState {
        /// The state that it had to end in.
        expected: TaskState,
        /// The state that it is in.
        actual: TaskState,
    },
    /// A step is missing.
    #[error("the step {0} is missing")]
    StepMissing(String),
    /// A step is there that the workflow does not have.
    #[error("the step {0} does not belong to the workflow")]
    StepStray(String),
    /// A step ended in another state.
    #[error("the step {step} is {actual} and not {expected}")]
    StepState {
        /// The step's name.
        step: String,
        /// The state that it had to end in.
        expected: StepState,
        /// The state that it is in.
        actual: StepState,
    },
    /// A step has another result.
    #[error("the step {step} has the result {actual} and not {expected}")]
    StepResult {
        /// The step's name.
        step: String,
        /// The right result.
        expected: Value,
        /// The result that is there.
        actual: Value,
    },
    /// The audit's sort keys are not 1, 2, 3, …
    #[error("audit of {of}: sort key {found} where {expected} has to be")]
    AuditGap {
        /// Whose audit: `task`, or a step's name.
        of: String,
        /// The sort key that is there.
        found: i32,
        /// The sort key that has to be there.
        expected: i32,
    },
    /// A transition starts where the one before did not end, or the last one does not lead to
    /// the current state.
    #[error("audit of {of}: {left} where {entered} was entered last")]
    AuditBroken {
        /// Whose audit: `task`, or a step's name.
        of: String,
        /// The state that was left, or is the current one.
        left: String,
        /// The state that had been entered.
        entered: String,
    },
    /// A transition that the table of states does not have.
    #[error("audit of {of}: {from} → {to} is not an allowed transition")]
    AuditForbidden {
        /// Whose audit: `task`, or a step's name.
        of: String,
        /// The state that was left.
        from: String,
        /// The state that was entered.
        to: String,
    },
    /// A step's result was applied more than once.
    #[error("audit of {step}: its result was applied {times} times")]
    AppliedAgain {
        /// The step's name.
        step: String,
        /// How often it became Complete.
        times: usize,
    },
    /// There is nothing to compare the task with.
    #[error("it cannot be judged: {0}")]
    Unjudged(String),
    /// The task was the answer to another request already.
    #[error("the task answers more than one request")]
    Repeated,
    /// The client was told of a task that the database does not have.
    #[error("the database has lost the task")]
    Lost,
    /// The database has a task that no client asked for.
    #[error("no client asked for the task")]
    Stray,
}

/// Judges what the API told the client.
pub fn judge_answer(expected: &Expected, answer: &Answer) -> Vec<Wrong> {
    let mut wrong = judge_state(expected, answer.state);
    let steps = answer.steps.iter().map(|s| (s.name.as_str(), s.state, s.result.as_ref()));
    wrong.extend(judge_steps(expected, steps));
    wrong
}

/// Judges what the database holds: states, results and the whole audit.
pub fn judge_record(expected: &Expected, task: &TaskRecord) -> Vec<Wrong> {
    let mut wrong = judge_state(expected, task.state);
    let steps = task.steps.iter().map(|s| (s.name.as_str(), s.state, s.result.as_ref()));
    wrong.extend(judge_steps(expected, steps));
    let allowed = |from: TaskState, to| from.can_become(to);
    wrong.extend(judge_audit("task", TaskState::Pending, task.state, &task.transitions, allowed));
    for step in &task.steps {
        let allowed = |from: StepState, to| from.can_become(to);
        let rows = &step.transitions;
        wrong.extend(judge_audit(&step.name, StepState::Pending, step.state, rows, allowed));
        let times = rows.iter().filter(|row| row.to == StepState::Complete).count();
        if times > 1 {
            wrong.push(Wrong::AppliedAgain { step: step.name.clone(), times });
        }
    }
    wrong
}

/// Compares the tasks that clients asked for with those that the database holds.
pub fn judge_presence<'a>(
    asked: &BTreeSet<&'a str>,
    held: &BTreeSet<&'a str>,
) -> Vec<(&'a str, Wrong)> {
    let lost = asked.difference(held).map(|uuid| (*uuid, Wrong::Lost));
    let stray = held.difference(asked).map(|uuid| (*uuid, Wrong::Stray));
    lost.chain(stray).collect()
}

fn judge_state(expected: &Expected, actual: TaskState) -> Vec<Wrong> {
    let expected = expected.task_state;
    if actual == expected { vec![] } else { vec![Wrong::TaskState { expected, actual }] }
}

fn judge_steps<'a>(
    expected: &Expected,
    steps: impl Iterator<Item = (&'a str, StepState, Option<&'a Value>)>,
) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let mut missing: BTreeMap<&str, _> =
        expected.steps.iter().map(|(name, step)| (name.as_str(), step)).collect();
    for (name, state, result) in steps {
        let Some(right) = missing.remove(name) else {
            wrong.push(Wrong::StepStray(name.to_owned()));
            continue;
        };
        let step = name.to_owned();
        if state != right.state {
            let (expected, actual) = (right.state, state);
            wrong.push(Wrong::StepState { step, expected, actual });
        } else if result.unwrap_or(&Value::Null) != right.result.as_ref().unwrap_or(&Value::Null) {
            let expected = right.result.clone().unwrap_or_default();
            let actual = result.cloned().unwrap_or_default();
            wrong.push(Wrong::StepResult { step, expected, actual });
        }
    }
    wrong.extend(missing.keys().map(|name| Wrong::StepMissing((*name).to_owned())));
    wrong
}

fn judge_audit<State: Copy + PartialEq + Display>(
    of: &str,
    born_in: State,
    current: State,
    rows: &[Transition<State>],
    allowed: impl Fn(State, State) -> bool,
) -> Vec<Wrong> {
    let of = of.to_owned();
    let mut entered = born_in;
    for (row, expected) in rows.iter().zip(1..) {
        if row.sort_key != expected {
            return vec![Wrong::AuditGap { of, found: row.sort_key, expected }];
        }
        if row.from != entered {
            let (left, entered) = (row.from.to_string(), entered.to_string());
            return vec![Wrong::AuditBroken { of, left, entered }];
        }
        if !allowed(row.from, row.to) {
            let (from, to) = (row.from.to_string(), row.to.to_string());
            return vec![Wrong::AuditForbidden { of, from, to }];
        }
        entered = row.to;
    }
    if entered == current {
        return vec![];
    }
    vec![Wrong::AuditBroken { of, left: current.to_string(), entered: entered.to_string() }]
}
