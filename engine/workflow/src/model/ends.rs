//! A task's end on request, and the way back from a failure.

use super::{Change, Model};
use crate::state::{StepState, TaskState};
use crate::template::StepType;

impl Model {
    /// The task is given up: what has not come to an end is Cancelled, whoever holds it. Nothing
    /// changes when the task is Complete or Cancelled.
    pub fn cancel(&mut self) -> Change {
        let mut change = Change::default();
        if !self.state.is_final() {
            for step_no in 0..self.steps.len() {
                if !self.steps[step_no].state.is_terminal() {
                    self.cancel_step(step_no, &mut change);
                }
            }
            self.go(TaskState::Cancelled, &mut change);
        }
        change
    }

    /// A task in Error is tried again: the steps that failed, as if for the first time, and with
    /// them what hangs on them. Failures that a convergence went on without stay. Batch workers
    /// that were cancelled for another's failure are made anew.
    pub fn redrive(&mut self) -> Change {
        let mut change = Change::default();
        if self.state != TaskState::Error {
            return change;
        }
        let mut ready = Vec::new();
        for step_no in 0..self.steps.len() {
            let step = &mut self.steps[step_no];
            if step.state == StepState::Error && !step.is_tolerated() {
                step.reset();
                self.move_step(step_no, StepState::Pending, &mut change);
                ready.push(step_no);
            } else if step.state == StepState::Cancelled
                && step.step_type == StepType::BatchWorker
                && !step.is_replaced
            {
                ready.push(self.make_anew(step_no));
            }
        }
        self.enqueue(&ready, &mut change);
        change
    }

    /// Puts a new instance into the place of a cancelled one.
    fn make_anew(&mut self, cancelled_no: usize) -> usize {
        let cancelled = &self.steps[cancelled_no];
        let worker_no = cancelled.template_no;
        let worker = self.instances.iter().find(|worker| worker.template_no == worker_no);
        let mut instance = worker.expect("a worker has its template").clone();
        instance.parents_remaining = 0;
        self.steps[cancelled_no].is_replaced = true;
        self.steps[cancelled_no].parents.clear();
        let new_no = self.steps.len();
        for &child_no in &instance.children {
            for parent in &mut self.steps[child_no].parents {
                if *parent == cancelled_no {
                    *parent = new_no;
                }
            }
        }
        self.steps.push(instance);
        new_no
    }

    pub(super) fn cancel_step(&mut self, step_no: usize, change: &mut Change) {
        let step = &mut self.steps[step_no];
        step.token = None;
        step.outcome = None;
        self.move_step(step_no, StepState::Cancelled, change);
    }
}
