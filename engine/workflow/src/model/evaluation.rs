//! What a step's end means for the others: children run or are skipped, batches are made.

use std::collections::BTreeMap;

use super::{Change, Model, Outcome, Step};
use crate::retry::decide;
use crate::state::{StepState, TaskState};
use crate::template::{FailureStrategy, StepType};

/// What the end of one parent means for a child.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    /// Parents that have ended.
    ended: usize,
    /// Those of them that were skipped.
    skipped: usize,
    /// Those of them that have failed, which the child goes on without.
    failed: usize,
}

/// What children are told, by their numbers.
type ToldBy = BTreeMap<usize, Told>;

impl Model {
    /// An orchestrator takes any number of completion messages in one go: makes their steps
    /// Complete, WaitingForRetry or Error, enqueues or skips what that decides, makes the batches
    /// that are asked for, and moves the task on.
    pub fn process(&mut self, completions: &[usize]) -> Change {
        let mut change = Change::default();
        let step_nos = self.in_state(StepState::EnqueuedForOrchestration, completions);
        if step_nos.is_empty() {
            return change;
        }
        self.go(TaskState::EvaluatingResults, &mut change);
        let (mut told, mut failed, mut ready) = (ToldBy::new(), Vec::new(), Vec::new());
        for step_no in step_nos {
            let step = &mut self.steps[step_no];
            let token = step.token.take();
            let outcome = step.outcome.take();
            let outcome = outcome.expect("a step waits for orchestration with its outcome");
            let to = match outcome {
                Outcome::Failed(failure) => {
                    decide(step.attempts, step.max_attempts, failure).state()
                }
                _ => StepState::Complete,
            };
            if to == StepState::Complete {
                step.result_of = token;
                self.evaluations += 1;
            }
            self.move_step(step_no, to, &mut change);
            match outcome {
                Outcome::Complete => self.tell_children(step_no, &mut told),
                Outcome::Branch(chosen) => self.branch(step_no, &chosen, &mut told),
                Outcome::FanOut(batches) => {
                    ready.extend(self.fan_out(step_no, batches, &mut told));
                }
                Outcome::Failed(_) if to == StepState::Error => failed.push(step_no),
                Outcome::Failed(_) => {}
            }
        }
        self.workers_failed(&failed, &mut told, &mut change);
        ready.extend(self.tell(told, &mut change));
        self.settle(ready, &mut change);
        change
    }

    /// Steps have ended in Error outside of an evaluation. Gives what can run now.
    pub(super) fn step_failed(&mut self, step_nos: &[usize], change: &mut Change) -> Vec<usize> {
        let mut told = ToldBy::new();
        self.workers_failed(step_nos, &mut told, change);
        self.tell(told, change)
    }

    fn tell_children(&self, step_no: usize, told: &mut ToldBy) {
        for &child_no in &self.steps[step_no].children {
            told.entry(child_no).or_default().ended += 1;
        }
    }

    /// The branches that are not chosen are told of a skipped parent.
    fn branch(&self, step_no: usize, chosen: &[usize], told: &mut ToldBy) {
        self.tell_children(step_no, told);
        let branches = self.steps[step_no].branches.iter();
        for branch in branches.filter(|branch| !chosen.contains(branch)) {
            told.entry(*branch).or_default().skipped += 1;
        }
    }

    /// Makes the instances of a batch worker, which can run at once, and puts them into the place
    /// of their batchable step where that stood in for them.
    fn fan_out(&mut self, step_no: usize, batches: usize, told: &mut ToldBy) -> Vec<usize> {
        self.tell_children(step_no, told);
        let is_of_it = |worker: &&Step| worker.parents == [step_no];
        let worker = self.instances.iter().find(is_of_it).expect("a batchable step has a worker");
        let mut instance = worker.clone();
        instance.parents_remaining = 0;
        let made: Vec<usize> = (self.steps.len()..self.steps.len() + batches).collect();
        self.steps.extend(std::iter::repeat_n(instance.clone(), batches));
        if made.is_empty() {
            return made; // the batchable step goes on standing in for them
        }
        for &child_no in &instance.children {
            let child = &mut self.steps[child_no];
            if child.placeholders.contains(&step_no) {
                child.parents.retain(|parent| *parent != step_no);
                child.parents_remaining -= 1;
                told.get_mut(&child_no).expect("it is a child").ended -= 1;
            }
            child.parents.extend(&made);
            child.parents_remaining += batches;
        }
        made
    }

    /// Batch workers have ended in Error: the others of a batch that fails with them are
    /// cancelled; a convergence that goes on without them is told.
    fn workers_failed(&mut self, step_nos: &[usize], told: &mut ToldBy, change: &mut Change) {
        for &step_no in step_nos {
            let step = &self.steps[step_no];
            if step.step_type != StepType::BatchWorker {
                continue;
            }
            if step.on_failure == FailureStrategy::ContinueOnFailure {
                for &child_no in &step.children {
                    let told = told.entry(child_no).or_default();
                    told.ended += 1;
                    told.failed += 1;
                }
                continue;
            }
            let worker_no = step.template_no;
            let others = (0..self.steps.len()).filter(|no| {
                let other = &self.steps[*no];
                other.template_no == worker_no
                    && other.step_type == StepType::BatchWorker
                    && !other.state.is_terminal()
            });
            for other in others.collect::<Vec<_>>() {
                self.cancel_step(other, change);
            }
        }
    }

    /// Tells children of their parents' ends; those that are skipped for it tell theirs. Gives
    /// those that can run now.
    fn tell(&mut self, mut told: ToldBy, change: &mut Change) -> Vec<usize> {
        let mut ready = Vec::new();
        while !told.is_empty() {
            let mut next = ToldBy::new();
            for (child_no, news) in told {
                let child = &mut self.steps[child_no];
                if child.state != StepState::Pending {
                    continue;
                }
                child.parents_remaining -= news.ended;
                child.parents_skipped += news.skipped;
                child.parents_failed += news.failed;
                let is_skipped = match child.step_type {
                    StepType::DeferredConvergence => {
                        !child.parents.is_empty() && child.parents_skipped == child.parents.len()
                    }
                    _ => child.parents_skipped > 0,
                };
                if is_skipped {
                    self.move_step(child_no, StepState::Skipped, change);
                    for &grandchild_no in &self.steps[child_no].children {
                        let told = next.entry(grandchild_no).or_default();
                        told.ended += 1;
                        told.skipped += 1;
                    }
                } else if child.parents_remaining == 0 {
                    ready.push(child_no);
                }
            }
            told = next;
        }
        ready
    }

    /// Ends an evaluation: enqueues what is ready, or says what the task waits for or how it ends.
    pub(super) fn settle(&mut self, mut ready: Vec<usize>, change: &mut Change) {
        ready.sort_unstable();
        let any = |holds: &dyn Fn(&Step) -> bool| self.steps.iter().any(holds);
        let next = if !ready.is_empty() {
            return self.enqueue(&ready, change);
        } else if any(&|step| step.state.is_in_flight()) {
            TaskState::StepsInProcess
        } else if any(&|step| step.state == StepState::WaitingForRetry) {
            TaskState::WaitingForRetry
        } else if any(&|step| !step.state.is_final() && !step.is_tolerated()) {
            TaskState::Error
        } else {
            TaskState::Complete
        };
        self.go(next, change);
    }
}
