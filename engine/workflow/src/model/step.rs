//! One step in the model.

use super::{StepTransition, Token};
use crate::retry::Failure;
use crate::state::StepState;

/// What a handler made of its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It has a result.
    Complete,
    /// It failed.
    Failed(Failure),
}

/// One step of the task.
#[derive(Debug, Clone)]
pub struct Step {
    /// The step's state.
    pub state: StepState,
    /// The attempts made; an attempt that ends in a release or an expired lease is taken back.
    pub attempts: u32,
    /// The attempts that it may make in all.
    pub max_attempts: u32,
    /// How many leases on it have expired.
    pub lease_expiries: u32,
    /// How many of its parents are not Complete.
    pub remaining_parents: usize,
    /// The claim whose outcome counts: set while InProgress and EnqueuedForOrchestration.
    pub token: Option<Token>,
    /// The claim whose result was applied, once Complete.
    pub result_of: Option<Token>,
    pub(super) outcome: Option<Outcome>,
    pub(super) children: Vec<usize>,
    audit: Vec<StepTransition>,
}

impl Step {
    pub(super) const fn new(max_attempts: u32, remaining_parents: usize) -> Self {
        Self {
            state: StepState::Pending,
            attempts: 0,
            max_attempts,
            lease_expiries: 0,
            remaining_parents,
            token: None,
            result_of: None,
            outcome: None,
            children: Vec::new(),
            audit: Vec::new(),
        }
    }

    /// The step's audit, oldest first.
    #[must_use]
    pub fn audit(&self) -> &[StepTransition] {
        &self.audit
    }

    /// Makes one transition and its audit row.
    pub(super) fn go(&mut self, step_no: usize, to: StepState) -> StepTransition {
        let from = self.state;
        assert!(from.can_become(to), "step {step_no}: {from} → {to} is not in the table");
        let sort_key = self.audit.last().map_or(1, |last| last.sort_key + 1);
        let row = StepTransition { step_no, sort_key, from, to, attempt: self.attempts };
        self.state = to;
        self.audit.push(row);
        row
    }
}
