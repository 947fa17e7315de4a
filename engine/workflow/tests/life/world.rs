//! A database with its queues, a few workers, and everything that can go wrong between them.
//!
//! What a step does in reality is decided here by a script; what the engine does is the model's
//! doing. Commits that the engine makes asynchronously are lost when the database crashes before a
//! synchronous one; what workers hold in memory is not.

use stepmark_workflow::model::{Change, Model, Outcome, Token};
use stepmark_workflow::retry::Failure;
use stepmark_workflow::state::{StepState, TaskState};
use stepmark_workflow::{StepType, Template};

use crate::claims::{check_change, check_world};

/// What one run of a handler does.
#[derive(Debug, Clone, Copy)]
pub enum Run {
    Completes,
    FailsForNow,
    FailsForGood,
    /// The handler takes its process with it.
    KillsItsWorker,
}

/// Something that happens. A number picks one of what is there, whatever its size.
#[derive(Debug, Clone, Copy)]
pub enum Event {
    /// A worker takes a dispatch message; unless it is kept, that message is then gone.
    Dispatch { pick: usize, keep: bool },
    /// A worker reports what it holds; `again` reports a second time later.
    Report { pick: usize, again: bool },
    /// A worker dies with what it holds.
    WorkerDies { pick: usize },
    /// A worker gives back what it holds.
    Release { pick: usize },
    /// An orchestrator takes `count` completion messages from `pick` on.
    Complete { pick: usize, count: usize, keep: bool },
    /// The lease on a step runs out, whether its worker lives or not.
    LeaseExpires { pick: usize },
    /// An attempt has taken too long, whether its worker lives or not.
    TimesOut { pick: usize },
    /// Somebody gives the task up.
    Cancel,
    /// Somebody has a failed task tried again.
    Redrive,
    /// The backoff of a step is over.
    RetryDue { pick: usize },
    /// The database writes out what was committed asynchronously.
    Flush,
    /// The database crashes and starts again.
    DatabaseCrashes,
}

/// What a database crash brings back.
#[derive(Debug, Clone)]
struct Database {
    model: Model,
    dispatches: Vec<usize>,
    completions: Vec<usize>,
}

/// A step that some worker runs.
#[derive(Debug, Clone)]
struct Held {
    step_no: usize,
    token: Token,
    run: Run,
    /// What it makes of its step if it completes.
    result: Outcome,
}

/// A result that a worker was told is stored.
#[derive(Debug, Clone)]
pub struct Accepted {
    pub step_no: usize,
    pub token: Token,
    pub outcome: Outcome,
}

pub struct World {
    now: Database,
    durable: Database,
    held: Vec<Held>,
    script: Vec<Vec<Run>>,
    /// What decisions choose, and how many batches there are.
    choices: u32,
    tokens: u64,
    /// All results that some worker was told are stored.
    pub accepted: Vec<Accepted>,
    /// Dispatch and completion messages sent, those of a lost commit included.
    pub messages: usize,
}

impl World {
    /// `script` has what the runs of each step do, in order; further ones complete.
    pub fn new(template: &Template, mut script: Vec<Vec<Run>>, choices: u32) -> Self {
        script.iter_mut().for_each(|runs| runs.reverse());
        let (model, change) = Model::create(template);
        let now = Database { model, dispatches: Vec::new(), completions: Vec::new() };
        let durable = now.clone();
        let (held, accepted) = (Vec::new(), Vec::new());
        let (tokens, messages) = (0, 0);
        let mut world = Self { now, durable, held, script, choices, tokens, accepted, messages };
        world.commit(&change, true);
        world
    }

    pub fn model(&self) -> &Model {
        &self.now.model
    }

    pub fn happens(&mut self, event: Event) {
        match event {
            Event::Dispatch { pick, keep } => self.dispatch(pick, keep),
            Event::Report { pick, again } => self.report(pick, again),
            Event::WorkerDies { pick } => {
                take(&mut self.held, pick, false);
            }
            Event::Release { pick } => {
                if let Some(held) = take(&mut self.held, pick, false) {
                    let change = self.now.model.release(held.step_no, held.token);
                    self.commit(&change, false);
                }
            }
            Event::Complete { pick, count, keep } => self.complete(pick, count, keep),
            Event::LeaseExpires { pick } => {
                if let Some(step_no) = take(&mut self.in_state(StepState::InProgress), pick, true) {
                    let change = self.now.model.lease_expired(step_no);
                    self.commit(&change, false);
                }
            }
            Event::RetryDue { pick } => {
                let mut waiting = self.in_state(StepState::WaitingForRetry);
                if let Some(step_no) = take(&mut waiting, pick, true) {
                    let change = self.now.model.retry_due(&[step_no]);
                    self.commit(&change, false);
                }
            }
            Event::TimesOut { pick } => {
                if let Some(step_no) = take(&mut self.in_state(StepState::InProgress), pick, true) {
                    let change = self.now.model.timed_out(step_no);
                    self.commit(&change, true);
                }
            }
            Event::Cancel => {
                let change = self.now.model.cancel();
                self.commit(&change, true);
            }
            Event::Redrive => {
                let change = self.now.model.redrive();
                self.commit(&change, true);
            }
            Event::Flush => self.durable = self.now.clone(),
            Event::DatabaseCrashes => self.now = self.durable.clone(),
        }
        check_world(self);
    }

    /// Lets everything that is still to come happen, without further mishaps but those of the
    /// script. Gives the rounds that it took.
    pub fn run_out(&mut self, rounds_max: usize, together: bool) -> usize {
        for round in 0..=rounds_max {
            if self.model().state().is_terminal() {
                return round;
            }
            while !self.now.dispatches.is_empty() {
                self.happens(Event::Dispatch { pick: 0, keep: false });
            }
            while !self.held.is_empty() {
                self.happens(Event::Report { pick: 0, again: false });
            }
            let count = if together { usize::MAX } else { 1 };
            while !self.now.completions.is_empty() {
                self.happens(Event::Complete { pick: 0, count, keep: false });
            }
            for _ in self.in_state(StepState::WaitingForRetry) {
                self.happens(Event::RetryDue { pick: 0 });
            }
            if self.now.dispatches.is_empty() {
                for _ in self.in_state(StepState::InProgress) {
                    self.happens(Event::LeaseExpires { pick: 0 });
                }
            }
        }
        panic!("not terminal after {rounds_max} rounds: {:?}", self.model().snapshot(1));
    }

    fn dispatch(&mut self, pick: usize, keep: bool) {
        let Some(step_no) = take(&mut self.now.dispatches, pick, keep) else {
            return;
        };
        self.tokens += 1;
        let token = Token(self.tokens);
        let change = self.now.model.claim(step_no, token);
        if !change.is_empty() {
            let run = self.script.get_mut(step_no).and_then(Vec::pop);
            let run = run.unwrap_or(Run::Completes);
            let result = self.result(step_no);
            self.held.push(Held { step_no, token, run, result });
        }
        self.commit(&change, false);
    }

    fn report(&mut self, pick: usize, again: bool) {
        let Some(Held { step_no, token, run, result }) = take(&mut self.held, pick, again) else {
            return;
        };
        let outcome = match run {
            Run::Completes => result,
            Run::FailsForNow => Outcome::Failed(Failure::Retryable),
            Run::FailsForGood => Outcome::Failed(Failure::Permanent),
            Run::KillsItsWorker => {
                self.held.retain(|held| held.token != token);
                return;
            }
        };
        let change = self.now.model.store_outcome(step_no, token, outcome.clone());
        if !change.is_empty() {
            self.accepted.push(Accepted { step_no, token, outcome });
            self.commit(&change, true);
        }
    }

    /// What the handler of a step makes of it when nothing goes wrong.
    fn result(&self, step_no: usize) -> Outcome {
        let step = &self.model().steps()[step_no];
        let turn = u32::try_from(step_no).unwrap() * 7;
        let choice = self.choices.rotate_right(turn) as usize;
        match step.step_type {
            StepType::Decision => {
                let branches = step.branches().iter().enumerate();
                let chosen = branches.filter(|(nr, _)| choice >> (nr % 32) & 1 == 1);
                Outcome::Branch(chosen.map(|(_, branch)| *branch).collect())
            }
            StepType::Batchable => Outcome::FanOut(choice % 4),
            _ => Outcome::Complete,
        }
    }

    fn complete(&mut self, pick: usize, count: usize, keep: bool) {
        if self.now.completions.is_empty() {
            return;
        }
        let from = pick % self.now.completions.len();
        let to = from.saturating_add(count.max(1)).min(self.now.completions.len());
        let taken = self.now.completions[from..to].to_vec();
        if !keep {
            self.now.completions.drain(from..to);
        }
        let change = self.now.model.process(&taken);
        self.commit(&change, false);
    }

    fn commit(&mut self, change: &Change, synchronous: bool) {
        check_change(&self.now.model, change);
        self.messages += change.dispatches.len() + change.completions.len();
        self.now.dispatches.extend(&change.dispatches);
        self.now.completions.extend(&change.completions);
        // A waiting client is told of the end, however the task came to it.
        if synchronous || self.model().state().is_terminal() {
            self.durable = self.now.clone();
        }
    }

    fn in_state(&self, state: StepState) -> Vec<usize> {
        let steps = self.model().steps().iter().enumerate();
        steps.filter(|(_, step)| step.state == state).map(|(step_no, _)| step_no).collect()
    }

    /// What a client that asks now could have been told for good.
    pub fn durable_state(&self) -> TaskState {
        self.durable.model.state()
    }
}

/// The picked item, if there is any; it stays where it is if told so.
fn take<T: Clone>(items: &mut Vec<T>, pick: usize, keep: bool) -> Option<T> {
    let at = pick.checked_rem(items.len())?;
    Some(if keep { items[at].clone() } else { items.remove(at) })
}
