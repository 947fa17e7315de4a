//! One step in the model.

use super::{StepTransition, Token};
use crate::retry::Failure;
use crate::state::StepState;
use crate::template::{FailureStrategy, StepTemplate, StepType, Wiring};

/// What a handler made of its step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It has a result.
    Complete,
    /// A decision's: it has a result, and these of its branches are chosen, by number.
    Branch(Vec<usize>),
    /// A batchable step's: it has a result, and so many batches are to be worked on.
    FanOut(usize),
    /// It failed.
    Failed(Failure),
}

/// One step of the task.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its number in the template; an instance's is its batch worker's.
    pub template_no: usize,
    /// What it is to its task.
    pub step_type: StepType,
    /// The step's state.
    pub state: StepState,
    /// The attempts made; an attempt that ends in a release or an expired lease is taken back.
    pub attempts: u32,
    /// The attempts that it may make in all.
    pub max_attempts: u32,
    /// How many leases on it have expired.
    pub lease_expiries: u32,
    /// The steps that it waits for.
    pub parents: Vec<usize>,
    /// How many of its parents have not ended in a way that it can go on from.
    pub parents_remaining: usize,
    /// How many of its parents were skipped.
    pub parents_skipped: usize,
    /// How many of its parents have failed, and it runs nevertheless.
    pub parents_failed: usize,
    /// The claim whose outcome counts: set while InProgress and EnqueuedForOrchestration.
    pub token: Option<Token>,
    /// The claim whose result was applied, once Complete.
    pub result_of: Option<Token>,
    pub(super) outcome: Option<Outcome>,
    pub(super) on_failure: FailureStrategy,
    pub(super) children: Vec<usize>,
    pub(super) branches: Vec<usize>,
    pub(super) placeholders: Vec<usize>,
    /// Cancelled with its batch, and made anew by a redrive.
    pub(super) is_replaced: bool,
    audit: Vec<StepTransition>,
}

impl Step {
    pub(super) fn new(template_no: usize, template: &StepTemplate, wiring: &Wiring) -> Self {
        Self {
            template_no,
            step_type: template.step_type,
            state: StepState::Pending,
            attempts: 0,
            max_attempts: template.retry.max_attempts,
            lease_expiries: 0,
            parents: wiring.parents.clone(),
            parents_remaining: wiring.parents.len(),
            parents_skipped: 0,
            parents_failed: 0,
            token: None,
            result_of: None,
            outcome: None,
            on_failure: template.on_failure,
            children: wiring.children.clone(),
            branches: wiring.branches.clone(),
            placeholders: wiring.placeholders.clone(),
            is_replaced: false,
            audit: Vec::new(),
        }
    }

    /// The step's audit, oldest first.
    #[must_use]
    pub fn audit(&self) -> &[StepTransition] {
        &self.audit
    }

    /// Of a decision: the steps that it may choose.
    #[must_use]
    pub fn branches(&self) -> &[usize] {
        &self.branches
    }

    /// Whether it has ended in Error, and its convergence goes on without it.
    #[must_use]
    pub fn is_tolerated(&self) -> bool {
        self.state == StepState::Error
            && self.step_type == StepType::BatchWorker
            && self.on_failure == FailureStrategy::ContinueOnFailure
    }

    /// A step that has come to an end with its task's failure and can be tried again: it is as new,
    /// but for its audit.
    pub(super) const fn reset(&mut self) {
        self.attempts = 0;
        self.lease_expiries = 0;
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
