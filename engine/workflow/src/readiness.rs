//! Which steps can run now, decided from a snapshot of tasks. The pure twin of two SQL functions:
//! [`step_readiness`] of `get_step_readiness_status_batch`, [`next_ready_tasks`] of
//! `get_next_ready_tasks`. Tests hold each pair together.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::state::{StepState, TaskState};
use crate::template::StepType;

/// One task as readiness sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSnapshot {
    /// The task's number in the database.
    pub task_id: i64,
    /// The task's state.
    pub state: TaskState,
    /// The steps; a step's number is its place, from 0 on.
    pub steps: Vec<StepSnapshot>,
    /// The dependencies as (number of the parent, number of the child), each once. One that names a
    /// step that is not there is ignored, as a join over the steps' rows would.
    pub edges: Vec<(usize, usize)>,
}

/// One step as readiness sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepSnapshot {
    /// The step's state.
    pub state: StepState,
    /// The attempts made so far.
    pub attempts: u32,
    /// The attempts that it may make in all.
    pub max_attempts: u32,
    /// When it may be tried again, in milliseconds on the clock of `now_ms`; `None` is at once.
    pub retry_at_ms: Option<i64>,
    /// What it is to its task.
    pub step_type: StepType,
    /// Whether it is a batch worker that its task goes on without: in Error where its batch goes
    /// on, or cancelled and made anew.
    pub is_tolerated: bool,
}

/// What one step waits for, if anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepReadiness {
    /// How many steps it depends on.
    pub total_parents: usize,
    /// How many of these are Complete.
    pub completed_parents: usize,
    /// Whether all of them are; of a deferred convergence, whether all have ended that run, and at
    /// least one was not skipped.
    pub dependencies_satisfied: bool,
    /// Whether it is WaitingForRetry, has attempts left, and its backoff is over.
    pub retry_eligible: bool,
    /// Whether it can be enqueued now: Pending with its dependencies satisfied, or WaitingForRetry
    /// and eligible. (Not both are asked of a retry: its parents cannot become incomplete.)
    pub ready_for_execution: bool,
}

/// What a task as a whole can do now. The first that holds, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionStatus {
    /// At least one step can be enqueued.
    HasReadySteps,
    /// Nothing can be enqueued; at least one step is Enqueued, InProgress or
    /// EnqueuedForOrchestration and will move on.
    Processing,
    /// Nothing runs; at least one step is WaitingForRetry with attempts left, its backoff not over.
    WaitingForRetry,
    /// Every step is Complete, Skipped, or a failure that is gone on without (so it is for a task
    /// without steps).
    AllComplete,
    /// At least one step is Error, or WaitingForRetry without attempts left, and nothing more can
    /// run.
    BlockedByFailures,
    /// At least one step is Cancelled and nothing more can run.
    Cancelled,
    /// Steps are Pending and nothing explains why. The engine leaves no task like this: a report of
    /// one is a report of a bug.
    Stalled,
}

impl ExecutionStatus {
    /// The name that SQL uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HasReadySteps => "has_ready_steps",
            Self::Processing => "processing",
            Self::WaitingForRetry => "waiting_for_retry",
            Self::AllComplete => "all_complete",
            Self::BlockedByFailures => "blocked_by_failures",
            Self::Cancelled => "cancelled",
            Self::Stalled => "stalled",
        }
    }
}

impl fmt::Display for ExecutionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A task with something to enqueue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyTask {
    /// The task's number in the database.
    pub task_id: i64,
    /// The numbers of the steps that can be enqueued, ascending; at least one.
    pub ready_steps: Vec<usize>,
}

/// The readiness of every step, by number. The task's own state plays no part in it.
#[must_use]
pub fn step_readiness(task: &TaskSnapshot, now_ms: i64) -> Vec<StepReadiness> {
    let mut parents = vec![(0, 0, 0, 0); task.steps.len()];
    for &(parent_no, child_no) in &task.edges {
        let (Some(parent), Some((total, completed, skipped, tolerated))) =
            (task.steps.get(parent_no), parents.get_mut(child_no))
        else {
            continue;
        };
        *total += 1;
        *completed += usize::from(parent.state == StepState::Complete);
        *skipped += usize::from(parent.state == StepState::Skipped);
        *tolerated += usize::from(parent.is_tolerated);
    }
    let readiness = |(step, parents): (&StepSnapshot, _)| {
        let (total_parents, completed_parents, skipped, tolerated): (usize, usize, _, _) = parents;
        let dependencies_satisfied = match step.step_type {
            StepType::DeferredConvergence => {
                completed_parents + skipped + tolerated == total_parents
                    && (total_parents == 0 || skipped < total_parents)
            }
            _ => completed_parents == total_parents,
        };
        let due = step.retry_at_ms.is_none_or(|retry_at_ms| retry_at_ms <= now_ms);
        let retry_eligible = has_retries(step) && due;
        let ready_for_execution =
            retry_eligible || (step.state == StepState::Pending && dependencies_satisfied);
        StepReadiness {
            total_parents,
            completed_parents,
            dependencies_satisfied,
            retry_eligible,
            ready_for_execution,
        }
    };
    task.steps.iter().zip(parents).map(readiness).collect()
}

/// What the task as a whole can do.
#[must_use]
pub fn execution_status(task: &TaskSnapshot, now_ms: i64) -> ExecutionStatus {
    let any = |holds: &dyn Fn(&StepSnapshot) -> bool| task.steps.iter().any(holds);
    if step_readiness(task, now_ms).iter().any(|step| step.ready_for_execution) {
        ExecutionStatus::HasReadySteps
    } else if any(&|step| step.state.is_in_flight()) {
        ExecutionStatus::Processing
    } else if any(&has_retries) {
        ExecutionStatus::WaitingForRetry
    } else if !any(&|step| {
        !matches!(step.state, StepState::Complete | StepState::Skipped) && !step.is_tolerated
    }) {
        ExecutionStatus::AllComplete
    } else if any(&|step| matches!(step.state, StepState::Error | StepState::WaitingForRetry)) {
        ExecutionStatus::BlockedByFailures
    } else if any(&|step| step.state == StepState::Cancelled) {
        ExecutionStatus::Cancelled
    } else {
        ExecutionStatus::Stalled
    }
}

/// The tasks that have something to enqueue and are not terminal, by number, at most `limit`.
#[must_use]
pub fn next_ready_tasks(tasks: &[TaskSnapshot], now_ms: i64, limit: usize) -> Vec<ReadyTask> {
    let ready = |task: &TaskSnapshot| {
        let steps = step_readiness(task, now_ms);
        let numbered = steps.iter().enumerate().filter(|(_, step)| step.ready_for_execution);
        let ready_steps: Vec<usize> = numbered.map(|(step_no, _)| step_no).collect();
        let open = !task.state.is_terminal() && !ready_steps.is_empty();
        open.then_some(ReadyTask { task_id: task.task_id, ready_steps })
    };
    let mut found: Vec<ReadyTask> = tasks.iter().filter_map(ready).collect();
    found.sort_by_key(|task| task.task_id);
    found.truncate(limit);
    found
}

fn has_retries(step: &StepSnapshot) -> bool {
    step.state == StepState::WaitingForRetry && step.attempts < step.max_attempts
}
