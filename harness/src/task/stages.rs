//! A task's steps as the lines of its drawing: layered by longest path, large batches as one line.

use std::collections::{BTreeMap, HashMap};

use stepmark_workflow::batch::is_instance;
use stepmark_workflow::state::StepState;
use stepmark_workflow::template::levels;

use super::document::{Graph, GraphStep, Moment};

/// Workers of one batch that have a line each; more are one line together.
const BATCH_LINES_MAX: usize = 8;

/// One line: a step, or the many workers of a batch.
#[derive(Debug)]
pub struct Entry<'g> {
    /// The step's name, or the batch worker's.
    pub name: &'g str,
    /// The steps, at least one.
    pub steps: Vec<&'g GraphStep>,
    /// What it waits for, as the lines are called.
    pub parents: Vec<String>,
}

impl Entry<'_> {
    /// What the line is called.
    pub fn label(&self) -> String {
        match self.steps.len() {
            1 => self.name.to_owned(),
            many => format!("{} ×{many}", self.name),
        }
    }

    /// The state of most interest: a failure, then what goes on, then what is still to come.
    pub fn state(&self) -> StepState {
        use StepState::*;
        let by_interest = [
            Error,
            InProgress,
            WaitingForRetry,
            EnqueuedForOrchestration,
            Enqueued,
            Pending,
            Complete,
            Skipped,
            Cancelled,
        ];
        let is_there = |state: &StepState| self.steps.iter().any(|step| step.state == *state);
        by_interest.into_iter().find(is_there).unwrap_or(Pending)
    }

    /// Whether nothing of it can change any more, unless somebody redrives the task.
    pub fn is_over(&self) -> bool {
        self.steps.iter().all(|step| step.state.is_terminal())
    }

    /// The state, or how many steps are in each.
    pub fn states(&self) -> String {
        match self.steps[..] {
            [step] => step.state.name().to_owned(),
            _ => counted(self.steps.iter().map(|step| step.state)),
        }
    }

    /// The attempt that it is at.
    pub fn attempt(&self) -> i32 {
        self.steps.iter().map(|step| step.attempts).max().unwrap_or_default()
    }

    /// When it came to the states that it is in.
    pub fn since(&self) -> Option<Moment> {
        self.steps.iter().filter_map(|step| step.since).max()
    }

    /// From when its time is counted, and to when, where that is over: that of the last attempt,
    /// or of the wait for one.
    pub fn time(&self) -> Option<(Moment, Option<Moment>)> {
        let started = self.steps.iter().filter_map(|step| step.started_at).min();
        if self.is_over() {
            return Some((started?, self.since()));
        }
        match self.state() {
            StepState::Pending => None,
            StepState::Enqueued | StepState::WaitingForRetry => Some((self.since()?, None)),
            _ => Some((started?, None)),
        }
    }
}

/// How many there are of each state: `3 Complete, 1 InProgress`.
pub fn counted(states: impl Iterator<Item = StepState>) -> String {
    let mut counts = BTreeMap::new();
    for state in states {
        *counts.entry(state).or_insert(0_usize) += 1;
    }
    // The furthest first.
    let counts = counts.iter().rev().map(|(state, count)| format!("{count} {state}"));
    counts.collect::<Vec<_>>().join(", ")
}

/// The lines of each stage.
pub fn stages(graph: &Graph) -> Vec<Vec<Entry<'_>>> {
    let stage_of = longest_paths(graph);
    let mut workers: HashMap<(usize, &str), usize> = HashMap::new();
    for (step, stage) in graph.steps.iter().zip(&stage_of) {
        if let Some(worker) = batch_worker(step) {
            *workers.entry((*stage, worker)).or_default() += 1;
        }
    }
    let last = stage_of.iter().max().map_or(0, |stage| stage + 1);
    let mut stages: Vec<Vec<Entry>> = (0..last).map(|_| Vec::new()).collect();
    let mut place_of = HashMap::new();
    let mut batches = HashMap::new();
    for (step, &stage) in graph.steps.iter().zip(&stage_of) {
        let together = batch_worker(step).map(|worker| (stage, worker));
        let together = together.filter(|batch| workers[batch] > BATCH_LINES_MAX);
        let next = stages[stage].len();
        let place = together.map_or(next, |batch| *batches.entry(batch).or_insert(next));
        if place == next {
            let name = together.map_or(step.name.as_str(), |(_, worker)| worker);
            stages[stage].push(Entry { name, steps: Vec::new(), parents: Vec::new() });
        }
        stages[stage][place].steps.push(step);
        place_of.insert(step.step_no, (stage, place));
    }
    let label =
        |number: &i32| place_of.get(number).map(|&(stage, place)| stages[stage][place].label());
    let parents = |entry: &Entry| {
        let mut parents: Vec<String> = Vec::new();
        // The workers of a batch wait for the same.
        for parent in entry.steps[0].parents.iter().filter_map(label) {
            if parents.last() != Some(&parent) {
                parents.push(parent);
            }
        }
        parents
    };
    let all: Vec<Vec<Vec<String>>> =
        stages.iter().map(|stage| stage.iter().map(parents).collect()).collect();
    for (entry, parents) in stages.iter_mut().flatten().zip(all.into_iter().flatten()) {
        entry.parents = parents;
    }
    stages
}

/// The batch worker that this is an instance of.
fn batch_worker(step: &GraphStep) -> Option<&str> {
    let worker = step.name.rsplit_once('_').map(|(worker, _)| worker);
    worker.filter(|worker| step.r#type == "batch_worker" && is_instance(&step.name, worker))
}

/// The length of the longest path to each step, in steps; a parent that is not there counts for
/// nothing.
fn longest_paths(graph: &Graph) -> Vec<usize> {
    let steps = graph.steps.iter().enumerate();
    let index: HashMap<i32, usize> = steps.map(|(index, step)| (step.step_no, index)).collect();
    let parents: Vec<Vec<usize>> = graph
        .steps
        .iter()
        .map(|step| step.parents.iter().filter_map(|no| index.get(no).copied()).collect())
        .collect();
    let parents: Vec<&[usize]> = parents.iter().map(Vec::as_slice).collect();
    levels(&parents).into_iter().map(Option::unwrap_or_default).collect()
}
