//! What must hold of steps because of their types, and between them.

use std::collections::{HashMap, HashSet};

use super::read::{Draft, Name};
use super::{NAME_CHARS_MAX, StepType, TASK_STEPS_MAX};
use crate::batch;
use crate::yaml::{Findings, Location, quoted, suggest};

/// What an instance's name has more than its batch worker's: `_` and up to five digits.
const INSTANCE_CHARS: usize = 6;

/// The steps by name; of those that share one, the first.
type ByName<'d, 'n> = HashMap<&'n str, &'d Draft<'n>>;

/// The batch workers by the names of the steps that they depend on.
type Workers<'n> = HashMap<&'n str, Vec<Name<'n>>>;

/// Notes what is wrong with the steps as decisions, batches and convergences.
pub(super) fn check(drafts: &[Draft<'_>], steps_at: Location, findings: &mut Findings<'_>) {
    let mut by_name = ByName::new();
    let mut workers = Workers::new();
    for (draft, name) in drafts.iter().filter_map(|draft| Some((draft, draft.name?))) {
        by_name.entry(name.0).or_insert(draft);
        if draft.step_type == Some(StepType::BatchWorker) {
            for (parent, _) in &draft.depends_on {
                workers.entry(parent).or_default().push(name);
            }
        }
    }
    for draft in drafts {
        let (Some(step_type), Some(name)) = (draft.step_type, draft.name) else {
            continue;
        };
        foreign_fields(draft, step_type, findings);
        match step_type {
            StepType::Decision => decision(draft, name, &by_name, drafts, findings),
            StepType::DeferredConvergence => convergence(draft, name, findings),
            StepType::Batchable => batchable(name, &workers, findings),
            StepType::BatchWorker => batch_worker(draft, name, &by_name, findings),
            StepType::Standard => {}
        }
        if step_type != StepType::DeferredConvergence {
            no_batch_worker_before(draft, &by_name, findings);
        }
    }
    size(drafts, steps_at, findings);
}

/// Fields that only another type of step has.
fn foreign_fields(draft: &Draft<'_>, step_type: StepType, findings: &mut Findings<'_>) {
    let fields = [
        ("branches", StepType::Decision, draft.branches.as_ref().map(|(_, at)| *at)),
        ("batches_max", StepType::Batchable, draft.batches_max.map(|(_, at)| at)),
        ("on_failure", StepType::BatchWorker, draft.on_failure.map(|(_, at)| at)),
    ];
    for (field, of, at) in fields {
        if let Some(at) = at.filter(|_| of != step_type) {
            let message = format!("only a step of type {of} has {field}, this is {step_type}");
            findings.error(at, &message);
        }
    }
}

fn decision<'n>(
    draft: &Draft<'n>,
    (name, at): Name<'n>,
    by_name: &ByName<'_, 'n>,
    drafts: &[Draft<'n>],
    findings: &mut Findings<'_>,
) {
    let branches = draft.branches.as_ref().map_or(&[][..], |(branches, _)| branches);
    if branches.is_empty() {
        let message = format!("the decision {} needs branches to choose from", quoted(name));
        let children = drafts.iter().filter(|draft| depends_on(draft, name));
        let children: Vec<&str> = children.filter_map(|child| Some(child.name?.0)).collect();
        let hint = (!children.is_empty()).then(|| format!("branches: [{}]", children.join(", ")));
        findings.error_with(at, &message, hint);
    }
    let mut earlier = HashSet::new();
    for &(branch, at) in branches {
        if !earlier.insert(branch) {
            findings.error(at, &format!("the branch {} is given twice", quoted(branch)));
            continue;
        }
        let Some(chosen) = by_name.get(branch) else {
            let hint = suggest(branch, by_name.keys().copied());
            findings.error_with(at, &format!("there is no step {}", quoted(branch)), hint);
            continue;
        };
        if !depends_on(chosen, name) {
            let message = format!(
                "{} is no branch of the decision {}: it does not depend on it",
                quoted(branch),
                quoted(name)
            );
            let hint = format!("add {name} to the depends_on of {branch}");
            findings.error_with(at, &message, Some(hint));
        }
        if chosen.step_type == Some(StepType::DeferredConvergence) {
            let message = format!(
                "the deferred_convergence {} can be no branch: it runs whatever is chosen",
                quoted(branch)
            );
            findings.error(at, &message);
        }
    }
}

fn convergence<'n>(draft: &Draft<'n>, (name, at): Name<'n>, findings: &mut Findings<'_>) {
    if draft.depends_on.is_empty() {
        let message =
            format!("the convergence {} can never run: it depends on nothing", quoted(name));
        findings.error_with(at, &message, Some("a first step is of type standard".to_owned()));
    }
}

fn batchable<'n>((name, at): Name<'n>, workers: &Workers<'n>, findings: &mut Findings<'_>) {
    let of_it = workers.get(name).map_or(&[][..], Vec::as_slice);
    if of_it.is_empty() {
        let message = format!("the batchable step {} needs a batch worker", quoted(name));
        let hint = format!("a step of type batch_worker with depends_on: [{name}]");
        findings.error_with(at, &message, Some(hint));
    }
    for &(worker, at) in of_it.iter().skip(1) {
        let message = format!(
            "{} is a second batch worker of {}, which takes one",
            quoted(worker),
            quoted(name)
        );
        findings.error(at, &message);
    }
}

fn batch_worker<'n>(
    draft: &Draft<'n>,
    (name, at): Name<'n>,
    by_name: &ByName<'_, 'n>,
    findings: &mut Findings<'_>,
) {
    let is_batchable =
        |parent: &&Draft<'_>| parent.step_type.is_none_or(|it| it == StepType::Batchable);
    let parents: Vec<_> = draft.depends_on.iter().map(|(name, _)| by_name.get(name)).collect();
    match parents[..] {
        // What is no step at all is told elsewhere.
        [None] => {}
        [Some(parent)] if is_batchable(parent) => {}
        _ => {
            let message = format!(
                "the batch worker {} must depend on one batchable step, and on nothing else",
                quoted(name)
            );
            findings.error(at, &message);
        }
    }
    if name.len() > NAME_CHARS_MAX - INSTANCE_CHARS {
        let message = format!(
            "the batch worker's name {} leaves no room for the numbers of its instances",
            quoted(name)
        );
        let hint = format!("it may have {} characters", NAME_CHARS_MAX - INSTANCE_CHARS);
        findings.error_with(at, &message, Some(hint));
    }
    let alike = by_name.values().filter_map(|other| other.name);
    for (other, at) in alike.filter(|(other, _)| batch::is_instance(other, name)) {
        let message = format!(
            "{} is what an instance of the batch worker {} is called",
            quoted(other),
            quoted(name)
        );
        findings.error(at, &message);
    }
}

fn no_batch_worker_before<'n>(
    draft: &Draft<'n>,
    by_name: &ByName<'_, 'n>,
    findings: &mut Findings<'_>,
) {
    for (parent, at) in &draft.depends_on {
        let parent_type = by_name.get(parent).and_then(|parent| parent.step_type);
        if parent_type == Some(StepType::BatchWorker) {
            let message = format!(
                "only a deferred_convergence can wait for the instances of the batch worker {}",
                quoted(parent)
            );
            findings.error(*at, &message);
        }
    }
}

/// A task's steps, with all that may be made at run time, must have numbers.
fn size(drafts: &[Draft<'_>], steps_at: Location, findings: &mut Findings<'_>) {
    let batches = drafts.iter().filter(|draft| draft.step_type == Some(StepType::Batchable));
    let batches: usize = batches
        .map(|draft| draft.batches_max.map_or(super::BATCHES_MAX_DEFAULT, |(max, _)| max) as usize)
        .sum();
    let steps = drafts.len() + batches;
    if steps > TASK_STEPS_MAX {
        let message = format!(
            "a task could come to {steps} steps with all its batches, {TASK_STEPS_MAX} are allowed"
        );
        findings.error_with(steps_at, &message, Some("lower batches_max".to_owned()));
    }
}

fn depends_on(draft: &Draft<'_>, name: &str) -> bool {
    draft.depends_on.iter().any(|(parent, _)| *parent == name)
}
