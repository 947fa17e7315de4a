//! What has changed in a task between two looks, a line each: for logs, and where there is no
//! terminal to draw on.

use std::collections::HashMap;

use stepmark_workflow::state::StepState;

use super::document::Graph;
use super::stages::{Entry, stages};
use super::words::{duration, plain};

/// The lines that tell how the task came from `before` to `after`: the task's time so far, the
/// step, its state, its time. Without a look before, those of all steps that are begun.
pub fn changes(before: Option<&Graph>, after: &Graph) -> Vec<String> {
    let stages_before = before.map(stages).unwrap_or_default();
    let told: HashMap<_, _> =
        stages_before.iter().flatten().map(|entry| (key(entry), state(entry))).collect();
    let mut lines = Vec::new();
    if before.is_none() {
        let (namespace, template) = (plain(&after.namespace), plain(&after.template));
        lines.push(format!("{}  {namespace}/{template}", plain(&after.task_uuid)));
    }
    let stages = stages(after);
    let changed = stages.iter().flatten().filter(|entry| match told.get(&key(entry)) {
        Some(told) => *told != state(entry),
        None => entry.steps.iter().any(|step| step.state != StepState::Pending),
    });
    let mut changed: Vec<_> = changed.map(|entry| (entry.since(), entry)).collect();
    changed.sort_by_key(|(since, _)| *since);
    for (since, entry) in changed {
        let at = since.map(|since| duration(since.0 - after.created_at.0)).unwrap_or_default();
        let time = entry.time().and_then(|(from, to)| Some(duration(to?.0 - from.0)));
        let time = time.map(|time| format!("  {time}")).unwrap_or_default();
        lines.push(format!("{at:>12}  {}  {}{time}", plain(&entry.label()), state(entry)));
    }
    if let Some(end) = after.finished_at
        && before.is_none_or(|before| before.finished_at.is_none())
    {
        let time = duration(end.0 - after.created_at.0);
        lines.push(format!("{time:>12}  the task is {}", after.state));
    }
    lines
}

/// What stays the same of a line: of those that share a name, their order.
fn key<'g>(entry: &Entry<'g>) -> (&'g str, i32) {
    (entry.name, entry.steps[0].step_no)
}

fn state(entry: &Entry) -> String {
    match entry.attempt() {
        attempt @ 2.. => format!("{}, attempt {attempt}", entry.states()),
        _ => entry.states(),
    }
}
