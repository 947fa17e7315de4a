//! The life of one task in memory: the engine's rules without its database, broker and clock.
//!
//! Each operation is what one transaction of the engine does, whole or not at all; operations on a
//! task follow one another, because the engine locks the task's row first. An operation whose
//! from-state or token doesn't fit changes nothing: losing a race is an outcome, not an error.
//! Property tests drive this model through every order of messages and failures, and the engine's
//! SQL is held against it.

mod audit;
mod step;

pub use audit::{Change, StepTransition, TaskTransition, Token};
pub use step::{Outcome, Step};

use crate::readiness::{StepSnapshot, TaskSnapshot};
use crate::retry::{decide, decide_after_expiry};
use crate::state::{StepState, TaskState};
use crate::template::Template;

/// One task and its steps.
#[derive(Debug, Clone)]
pub struct Model {
    state: TaskState,
    steps: Vec<Step>,
    edges: Vec<(usize, usize)>,
    audit: Vec<TaskTransition>,
    evaluations: u64,
}

impl Model {
    /// Creates a task of this template and enqueues its roots.
    #[must_use]
    pub fn create(template: &Template) -> (Self, Change) {
        let edges: Vec<_> = template.edges().collect();
        let mut steps: Vec<Step> = template
            .steps
            .iter()
            .map(|step| Step::new(step.retry.max_attempts, step.parents.len()))
            .collect();
        for &(parent_no, child_no) in &edges {
            steps[parent_no].children.push(child_no);
        }
        let state = TaskState::Pending;
        let mut model = Self { state, steps, edges, audit: Vec::new(), evaluations: 0 };
        let mut change = Change::default();
        model.go(TaskState::Initializing, &mut change);
        let ready = |step_no: &usize| model.steps[*step_no].remaining_parents == 0;
        let roots: Vec<usize> = (0..model.steps.len()).filter(ready).collect();
        model.enqueue(&roots, &mut change);
        (model, change)
    }

    /// A worker takes a dispatch message: Enqueued → InProgress under `token`, one attempt more.
    pub fn claim(&mut self, step_no: usize, token: Token) -> Change {
        let mut change = Change::default();
        if self.steps[step_no].state == StepState::Enqueued {
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
        if self.steps[step_no].state == StepState::InProgress {
            self.steps[step_no].lease_expiries += 1;
            let after = decide_after_expiry(self.steps[step_no].lease_expiries);
            self.give_back(step_no, after.state(), &mut change);
            if after.state() == StepState::Error {
                self.go(TaskState::EvaluatingResults, &mut change);
                self.settle(&[], &mut change);
            }
        }
        change
    }

    /// An orchestrator takes any number of completion messages in one go: makes their steps
    /// Complete, WaitingForRetry or Error, enqueues what has become ready, and moves the task on.
    pub fn process(&mut self, completions: &[usize]) -> Change {
        let mut change = Change::default();
        let step_nos = self.in_state(StepState::EnqueuedForOrchestration, completions);
        if step_nos.is_empty() {
            return change;
        }
        self.go(TaskState::EvaluatingResults, &mut change);
        let mut ready = Vec::new();
        for step_no in step_nos {
            let step = &mut self.steps[step_no];
            let token = step.token.take();
            let outcome = step.outcome.take();
            let to = match outcome.expect("a step waits for orchestration with its outcome") {
                Outcome::Complete => {
                    step.result_of = token;
                    StepState::Complete
                }
                Outcome::Failed(failure) => {
                    decide(step.attempts, step.max_attempts, failure).state()
                }
            };
            self.move_step(step_no, to, &mut change);
            if to == StepState::Complete {
                ready.extend(self.evaluate(step_no));
            }
        }
        ready.sort_unstable();
        self.settle(&ready, &mut change);
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
        };
        let steps = self.steps.iter().map(step).collect();
        TaskSnapshot { task_id, state: self.state, steps, edges: self.edges.clone() }
    }

    fn is_held(&self, step_no: usize, token: Token) -> bool {
        let step = &self.steps[step_no];
        step.state == StepState::InProgress && step.token == Some(token)
    }

    /// Those of `step_nos` that are in `state`, ascending and each once.
    fn in_state(&self, state: StepState, step_nos: &[usize]) -> Vec<usize> {
        let matching = step_nos.iter().copied().filter(|&no| self.steps[no].state == state);
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

    /// Tells the children of a completed step; gives those that wait for nothing more.
    fn evaluate(&mut self, step_no: usize) -> Vec<usize> {
        self.evaluations += 1;
        let children = self.steps[step_no].children.clone();
        for &child_no in &children {
            self.steps[child_no].remaining_parents -= 1;
        }
        let waits_no_more = |no: &usize| self.steps[*no].remaining_parents == 0;
        children.into_iter().filter(waits_no_more).collect()
    }

    /// Ends an evaluation: enqueues what is ready, or says what the task waits for or how it ends.
    fn settle(&mut self, ready: &[usize], change: &mut Change) {
        let any = |holds: fn(StepState) -> bool| self.steps.iter().any(|step| holds(step.state));
        let next = if !ready.is_empty() {
            return self.enqueue(ready, change);
        } else if any(StepState::is_in_flight) {
            TaskState::StepsInProcess
        } else if any(|state| state == StepState::WaitingForRetry) {
            TaskState::WaitingForRetry
        } else if any(|state| !state.is_final()) {
            TaskState::Error
        } else {
            TaskState::Complete
        };
        self.go(next, change);
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
