//! The life of one task in memory: the engine's rules without its database, broker and clock.
//!
//! Each operation is what one transaction of the engine does, whole or not at all; operations on a
//! task follow one another, because the engine locks the task's row first. An operation whose
//! from-state or token doesn't fit changes nothing: losing a race is an outcome, not an error.
//! Property tests drive this model through every order of messages and failures, and the engine's
//! SQL is held against it.

mod audit;
mod ends;
mod evaluation;
mod step;

pub use audit::{Change, StepTransition, TaskTransition, Token};
pub use step::{Outcome, Step};

use crate::readiness::{StepSnapshot, TaskSnapshot};
use crate::retry::{Failure, decide_after_expiry};
use crate::state::{StepState, TaskState};
use crate::template::{StepType, Template};

/// One task and its steps.
#[derive(Debug, Clone)]
pub struct Model {
    state: TaskState,
    steps: Vec<Step>,
    /// Each batch worker of the template, as an instance begins.
    instances: Vec<Step>,
    audit: Vec<TaskTransition>,
    evaluations: u64,
}

impl Model {
    /// Creates a task of this template and enqueues its roots.
    #[must_use]
    pub fn create(template: &Template) -> (Self, Change) {
        let mut model = Self::create_delayed(template);
        let change = model.start();
        (model, change)
    }

    /// Creates a task of this template that is to be started later.
    #[must_use]
    pub fn create_delayed(template: &Template) -> Self {
        let wiring = template.wiring();
        let mut steps: Vec<Step> = template
            .steps
            .iter()
            .zip(&wiring)
            .enumerate()
            .map(|(step_no, (step, wiring))| Step::new(step_no, step, wiring))
            .collect();
        let is_worker = |step: &Step| step.step_type == StepType::BatchWorker;
        // They come last in a template, so that the others' numbers are their places.
        let instances = steps.split_off(steps.iter().position(is_worker).unwrap_or(steps.len()));
        Self { state: TaskState::Pending, steps, instances, audit: Vec::new(), evaluations: 0 }
    }

    /// A delayed task's time has come: Pending → Initializing, and its roots are enqueued.
    pub fn start(&mut self) -> Change {
        let mut change = Change::default();
        if self.state == TaskState::Pending {
            self.go(TaskState::Initializing, &mut change);
            let ready = |step_no: &usize| self.steps[*step_no].parents_remaining == 0;
            let roots: Vec<usize> = (0..self.steps.len()).filter(ready).collect();
            self.enqueue(&roots, &mut change);
        }
        change
    }

    /// A worker takes a dispatch message: Enqueued → InProgress under `token`, one attempt more.
    pub fn claim(&mut self, step_no: usize, token: Token) -> Change {
        let mut change = Change::default();
        if self.is_in(step_no, StepState::Enqueued) {
            self.steps[step_no].attempts += 1;
            self.steps[step_no].token = Some(token);
            self.move_step(step_no, StepState::InProgress, &mut change);
        }
        change
    }

    /// A worker reports: InProgress → EnqueuedForOrchestration, if its claim is the present one.
    pub fn store_outcome(&mut self, step_no: usize, token: Token, outcome: Outcome) -> Change {
        let mut change = Change::default();
        if self.is_held(step_no, token) {
            self.steps[step_no].outcome = Some(outcome);
            self.move_step(step_no, StepState::EnqueuedForOrchestration, &mut change);
            change.completions.push(step_no);
        }
        change
    }

    /// A worker gives back what it has not begun, as when it drains: InProgress → Enqueued.
    pub fn release(&mut self, step_no: usize, token: Token) -> Change {
        let mut change = Change::default();
        if self.is_held(step_no, token) {
            self.give_back(step_no, StepState::Enqueued, &mut change);
        }
        change
    }

    /// The lease ran out: InProgress → Enqueued, or Error when that was once too often.
    pub fn lease_expired(&mut self, step_no: usize) -> Change {
        let mut change = Change::default();
        if self.is_in(step_no, StepState::InProgress) {
            self.steps[step_no].lease_expiries += 1;
            let after = decide_after_expiry(self.steps[step_no].lease_expiries);
            self.give_back(step_no, after.state(), &mut change);
            if after.state() == StepState::Error {
                self.go(TaskState::EvaluatingResults, &mut change);
                let ready = self.step_failed(&[step_no], &mut change);
                self.settle(ready, &mut change);
            }
        }
        change
    }

    /// The attempt took longer than it may: InProgress → EnqueuedForOrchestration, as a failure
    /// that may be tried again.
    pub fn timed_out(&mut self, step_no: usize) -> Change {
        let mut change = Change::default();
        if self.is_in(step_no, StepState::InProgress) {
            self.steps[step_no].token = None;
            self.steps[step_no].outcome = Some(Outcome::Failed(Failure::Retryable));
            self.move_step(step_no, StepState::EnqueuedForOrchestration, &mut change);
            change.completions.push(step_no);
        }
        change
    }

    /// The backoff of these steps is over: those that are WaitingForRetry → Enqueued.
    pub fn retry_due(&mut self, steps: &[usize]) -> Change {
        let mut change = Change::default();
        let due = self.in_state(StepState::WaitingForRetry, steps);
        if !due.is_empty() {
            // Only an evaluation leads from StepsInProcess to EnqueuingSteps.
            if self.state == TaskState::StepsInProcess {
                self.go(TaskState::EvaluatingResults, &mut change);
            }
            self.enqueue(&due, &mut change);
        }
        change
    }

    /// The task's state.
    #[must_use]
    pub const fn state(&self) -> TaskState {
        self.state
    }

    /// The steps, by number.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The task's audit, oldest first.
    #[must_use]
    pub fn audit(&self) -> &[TaskTransition] {
        &self.audit
    }

    /// The dependencies as they are now, as (number of the parent, number of the child).
    #[must_use]
    pub fn edges(&self) -> Vec<(usize, usize)> {
        let of = |(child, step): (usize, &Step)| {
            step.parents.iter().map(move |parent| (*parent, child)).collect::<Vec<_>>()
        };
        self.steps.iter().enumerate().flat_map(of).collect()
    }

    /// How often the dependency graph was evaluated: once a completed step.
    #[must_use]
    pub const fn evaluations(&self) -> u64 {
        self.evaluations
    }

    /// The task as readiness sees it. The model has no clock, so no retry in it is ever due.
    #[must_use]
    pub fn snapshot(&self, task_id: i64) -> TaskSnapshot {
        let step = |step: &Step| StepSnapshot {
            state: step.state,
            attempts: step.attempts,
            max_attempts: step.max_attempts,
            retry_at_ms: Some(i64::MAX),
            step_type: step.step_type,
            is_tolerated: step.is_tolerated() || step.is_replaced,
        };
        let steps = self.steps.iter().map(step).collect();
        TaskSnapshot { task_id, state: self.state, steps, edges: self.edges() }
    }

    /// Whether there is such a step, and in that state. A message or a worker may know of one whose
    /// making was lost in a crash, and comes again.
    fn is_in(&self, step_no: usize, state: StepState) -> bool {
        self.steps.get(step_no).is_some_and(|step| step.state == state)
    }

    fn is_held(&self, step_no: usize, token: Token) -> bool {
        self.is_in(step_no, StepState::InProgress) && self.steps[step_no].token == Some(token)
    }

    /// Those of `step_nos` that are in `state`, ascending and each once.
    fn in_state(&self, state: StepState, step_nos: &[usize]) -> Vec<usize> {
        let matching = step_nos.iter().copied().filter(|&no| self.is_in(no, state));
        let mut found: Vec<usize> = matching.collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Ends a claim without an outcome, and takes its attempt back.
    fn give_back(&mut self, step_no: usize, to: StepState, change: &mut Change) {
        self.steps[step_no].attempts -= 1;
        self.steps[step_no].token = None;
        self.move_step(step_no, to, change);
        if to == StepState::Enqueued {
            change.dispatches.push(step_no);
        }
    }

    fn enqueue(&mut self, step_nos: &[usize], change: &mut Change) {
        self.go(TaskState::EnqueuingSteps, change);
        for &step_no in step_nos {
            self.move_step(step_no, StepState::Enqueued, change);
            change.dispatches.push(step_no);
        }
        self.go(TaskState::StepsInProcess, change);
    }

    fn move_step(&mut self, step_no: usize, to: StepState, change: &mut Change) {
        change.steps.push(self.steps[step_no].go(step_no, to));
    }

    fn go(&mut self, to: TaskState, change: &mut Change) {
        let from = self.state;
        assert!(from.can_become(to), "task: {from} → {to} is not in the table");
        let sort_key = self.audit.last().map_or(1, |last| last.sort_key + 1);
        let row = TaskTransition { sort_key, from, to };
        self.state = to;
        self.audit.push(row);
        change.task.push(row);
    }
}
