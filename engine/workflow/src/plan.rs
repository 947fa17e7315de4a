//! What a template amounts to before anything runs: its shape, and the work of one fault-free task.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{Model, Outcome, Token};
use crate::state::StepState;
use crate::{StepType, Template};

/// Transitions with which a task begins: Pending → Initializing → EnqueuingSteps → StepsInProcess.
const TASK_BEGINNING: usize = 3;
/// Transitions of a task when completions are drained together: through EvaluatingResults, and
/// where something was enqueued through EnqueuingSteps too.
const TASK_ROUND: usize = 2;

/// What is decided at run time, by the steps' names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Choices {
    /// The branches that each decision chooses; its first one where it isn't named here.
    pub branches: BTreeMap<String, Vec<String>>,
    /// How many batches each batchable step makes; one where it isn't named here.
    pub batches: BTreeMap<String, usize>,
}

/// A choice that the template doesn't offer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// Not a decision, or not a batchable step.
    #[error("{step} is no step of type {wanted}; there is: {known}")]
    Step {
        /// What was named.
        step: String,
        /// What it would have to be.
        wanted: StepType,
        /// The steps of that type.
        known: String,
    },
    /// Not a branch of the decision.
    #[error("{branch} is no branch of {decision}; its branches are: {known}")]
    Branch {
        /// The decision.
        decision: String,
        /// What was named.
        branch: String,
        /// Its branches.
        known: String,
    },
    /// More batches than the template allows.
    #[error("{step} makes {batches_max} batches at most, not {batches}")]
    Batches {
        /// The batchable step.
        step: String,
        /// How many were asked for.
        batches: usize,
        /// How many there may be.
        batches_max: u32,
    },
}

/// A template's shape, and what one task of it costs when every step completes at its first
/// attempt. All are counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// What it rests on: every decision's choice, every batchable step's batches.
    pub choices: Choices,
    /// Steps of the task in the end, those made at run time included.
    pub steps: usize,
    /// Steps that are skipped.
    pub steps_skipped: usize,
    /// Dependencies of the task in the end.
    pub edges: usize,
    /// Steps that must run one after the other: the longest path of steps that run.
    pub stages: usize,
    /// Most steps that one step waits for.
    pub fan_in_max: usize,
    /// Most steps that wait for one step.
    pub fan_out_max: usize,
    /// Transitions of all steps: four of one that runs, one of one that is skipped.
    pub step_transitions: usize,
    /// Fewest transitions of the task: the completions of each stage are drained together.
    pub task_transitions_min: usize,
    /// Most transitions of the task: each completion is drained alone, and each of a step that
    /// others wait for lets one of them run.
    pub task_transitions_max: usize,
    /// Messages: a dispatch and a completion a step that runs.
    pub messages: usize,
    /// Dependency evaluations: one a completed step.
    pub dependency_evaluations: usize,
}

impl Plan {
    /// The plan of a template, where these things are decided at run time.
    ///
    /// # Errors
    /// A choice that the template doesn't offer.
    pub fn of(template: &Template, choices: &Choices) -> Result<Self, ChoiceError> {
        let choices = complete(template, choices)?;
        let (mut model, mut change) = Model::create(template);
        let (mut messages, mut step_transitions) = (0, 0);
        let mut rounds = 0;
        loop {
            messages += change.dispatches.len() + change.completions.len();
            step_transitions += change.steps.len();
            let mut completions = Vec::new();
            for &step_no in &change.dispatches {
                let outcome = outcome(template, &choices, model.steps()[step_no].template_no);
                for change in [
                    model.claim(step_no, Token(0)),
                    model.store_outcome(step_no, Token(0), outcome),
                ] {
                    messages += change.completions.len();
                    step_transitions += change.steps.len();
                }
                completions.push(step_no);
            }
            if completions.is_empty() {
                break;
            }
            rounds += 1;
            change = model.process(&completions);
        }
        let count = |state| model.steps().iter().filter(|step| step.state == state).count();
        let (ran, edges) = (count(StepState::Complete), model.edges());
        let mut fan_out = vec![0; model.steps().len()];
        edges.iter().for_each(|(parent_no, _)| fan_out[*parent_no] += 1);
        let runs = |no: usize| model.steps()[no].state == StepState::Complete;
        let mut waited_for: Vec<usize> =
            edges.iter().filter(|(a, b)| runs(*a) && runs(*b)).map(|(a, _)| *a).collect();
        waited_for.sort_unstable();
        waited_for.dedup();
        Ok(Self {
            choices,
            steps: model.steps().len(),
            steps_skipped: count(StepState::Skipped),
            edges: edges.len(),
            stages: rounds,
            fan_in_max: model.steps().iter().map(|step| step.parents.len()).max().unwrap_or(0),
            fan_out_max: fan_out.into_iter().max().unwrap_or(0),
            step_transitions,
            task_transitions_min: model.audit().len(),
            task_transitions_max: TASK_BEGINNING + TASK_ROUND * ran + waited_for.len(),
            messages,
            dependency_evaluations: usize::try_from(model.evaluations()).unwrap_or(usize::MAX),
        })
    }
}

/// What the step's handler makes of it.
fn outcome(template: &Template, choices: &Choices, template_no: usize) -> Outcome {
    let step = &template.steps[template_no];
    match step.step_type {
        StepType::Decision => {
            let chosen = choices.branches[&step.name].iter();
            Outcome::Branch(chosen.filter_map(|branch| template.step_no(branch)).collect())
        }
        StepType::Batchable => Outcome::FanOut(choices.batches[&step.name]),
        _ => Outcome::Complete,
    }
}

/// The same choices, checked, and those besides that were left open.
fn complete(template: &Template, choices: &Choices) -> Result<Choices, ChoiceError> {
    let of_type = |wanted| template.steps.iter().filter(move |step| step.step_type == wanted);
    let named = |step: &String, wanted| {
        let known = || of_type(wanted).map(|step| &*step.name).collect::<Vec<_>>().join(", ");
        of_type(wanted).find(|known| known.name == *step).ok_or_else(|| ChoiceError::Step {
            step: step.clone(),
            wanted,
            known: known(),
        })
    };
    for (decision, branches) in &choices.branches {
        let step = named(decision, StepType::Decision)?;
        if let Some(branch) = branches.iter().find(|branch| !step.branches.contains(branch)) {
            return Err(ChoiceError::Branch {
                decision: decision.clone(),
                branch: branch.clone(),
                known: step.branches.join(", "),
            });
        }
    }
    for (batchable, &batches) in &choices.batches {
        let step = named(batchable, StepType::Batchable)?;
        if batches > step.batches_max as usize {
            let (step, batches_max) = (step.name.clone(), step.batches_max);
            return Err(ChoiceError::Batches { step, batches, batches_max });
        }
    }
    let mut all = choices.clone();
    for step in of_type(StepType::Decision) {
        let first = || step.branches.iter().take(1).cloned().collect();
        all.branches.entry(step.name.clone()).or_insert_with(first);
    }
    for step in of_type(StepType::Batchable) {
        all.batches.entry(step.name.clone()).or_insert(1);
    }
    Ok(all)
}
