//! What a template amounts to before anything runs: its shape, and the work of one fault-free task.

use serde::Serialize;

use crate::Template;

/// Transitions of a step that runs: Pending → Enqueued → InProgress → EnqueuedForOrchestration →
/// Complete.
const STEP_TRANSITIONS: usize = 4;
/// A dispatch message and a completion message.
const STEP_MESSAGES: usize = 2;
/// Transitions with which a task begins: Pending → Initializing → EnqueuingSteps → StepsInProcess.
const TASK_BEGINNING: usize = 3;
/// Transitions of a task when completions are drained together: through EvaluatingResults, and
/// where something was enqueued through EnqueuingSteps too.
const TASK_ROUND: usize = 2;

/// A template's shape, and what one task of it costs when every step completes at its first
/// attempt. All are counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Steps.
    pub steps: usize,
    /// Dependencies.
    pub edges: usize,
    /// Steps that must run one after the other: the longest path.
    pub stages: usize,
    /// Most steps that one step waits for.
    pub fan_in_max: usize,
    /// Most steps that wait for one step.
    pub fan_out_max: usize,
    /// Transitions of all steps.
    pub step_transitions: usize,
    /// Fewest transitions of the task: the completions of each stage are drained together.
    pub task_transitions_min: usize,
    /// Most transitions of the task: each completion is drained alone, and each of a step that
    /// others wait for lets one of them run.
    pub task_transitions_max: usize,
    /// Messages: a dispatch and a completion a step.
    pub messages: usize,
    /// Dependency evaluations: one a completed step.
    pub dependency_evaluations: usize,
}

impl Plan {
    /// The plan of a template.
    #[must_use]
    pub fn of(template: &Template) -> Self {
        let steps = template.steps.len();
        let mut fan_out = vec![0; steps];
        for (parent_no, _) in template.edges() {
            fan_out[parent_no] += 1;
        }
        let stages = template.stages();
        let waited_for = fan_out.iter().filter(|children| **children > 0).count();
        Self {
            steps,
            edges: template.edges().count(),
            stages,
            fan_in_max: template.steps.iter().map(|step| step.parents.len()).max().unwrap_or(0),
            fan_out_max: fan_out.iter().copied().max().unwrap_or(0),
            step_transitions: STEP_TRANSITIONS * steps,
            task_transitions_min: TASK_BEGINNING + TASK_ROUND * stages + (stages - 1),
            task_transitions_max: TASK_BEGINNING + TASK_ROUND * steps + waited_for,
            messages: STEP_MESSAGES * steps,
            dependency_evaluations: steps,
        }
    }
}
