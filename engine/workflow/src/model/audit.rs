//! What an operation changed, and the append-only record of it.

use crate::state::{StepState, TaskState};

/// A claim's random name. A result that comes with another than the step's present one is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// One row of a step's audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepTransition {
    /// Which step.
    pub step_no: usize,
    /// Place in the step's own audit, from 1 on without gaps.
    pub sort_key: u32,
    /// The state left.
    pub from: StepState,
    /// The state entered.
    pub to: StepState,
    /// The step's attempts once the transition is made; 0 before the first claim.
    pub attempt: u32,
}

/// One row of a task's audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskTransition {
    /// Place in the task's own audit, from 1 on without gaps.
    pub sort_key: u32,
    /// The state left.
    pub from: TaskState,
    /// The state entered.
    pub to: TaskState,
}

/// What one operation changed, in order. Nothing, when it lost its race.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// The rows written to the steps' audits.
    pub steps: Vec<StepTransition>,
    /// The rows written to the task's audit.
    pub task: Vec<TaskTransition>,
    /// Steps whose dispatch message the transport must have: a new one, or one that it delivers
    /// again.
    pub dispatches: Vec<usize>,
    /// Steps whose completion message the transport must have.
    pub completions: Vec<usize>,
}

impl Change {
    /// Whether the operation changed nothing at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.task.is_empty()
    }
}
