//! Tasks, lists and audits as tables.

use serde_json::value::RawValue;

use crate::cli::api::table;
use crate::task::document::{Failure, ListedTask, Task, TaskList, TaskStep, Transitions};
use crate::task::words::{duration, error_message, plain, short};

/// Columns that a result or an error may take; all of it is in the JSON.
const VALUE_COLUMNS_MAX: usize = 60;

/// A task with its steps.
pub(super) fn task(task: &Task) -> String {
    let template = format!("{}/{} version {}", task.namespace, task.template, task.version);
    let time =
        task.finished_at.map(|end| format!(", took {}", duration(end.0 - task.created_at.0)));
    let created = format!("{}{}", task.created_at, time.unwrap_or_default());
    let priority = Some(task.priority).filter(|priority| *priority != 0);
    let facts = [
        ("task", Some(task.task_uuid.clone())),
        ("template", Some(template)),
        ("state", Some(task.state.to_string())),
        ("reason", task.reason.clone()),
        ("created", Some(created)),
        ("starts", task.start_at.map(|at| at.to_string())),
        ("deadline", task.deadline_at.map(|at| at.to_string())),
        ("priority", priority.map(|priority| priority.to_string())),
        ("key", task.idempotency_key.clone()),
        ("context", Some(short(task.context.get(), VALUE_COLUMNS_MAX))),
    ];
    let facts = facts.into_iter().filter_map(|(name, fact)| Some((name, fact?)));
    let facts: String = facts.map(|(name, it)| format!("{name:<9} {}\n", plain(&it))).collect();
    let mut table = table(["step", "type", "state", "attempts", "result"]);
    for TaskStep { name, r#type, state, attempts, result, error } in &task.steps {
        let value = match (result, error) {
            (_, Some(error)) => error_message(Some(error)),
            (result, None) => result.as_deref().map_or("", RawValue::get).to_owned(),
        };
        let value = short(&value, VALUE_COLUMNS_MAX);
        table.add_row([plain(name), plain(r#type), state.to_string(), attempts.to_string(), value]);
    }
    format!("{facts}\n{}", table.trim_fmt())
}

/// Why a task is Error or Cancelled, a line for each reason.
pub(super) fn reasons(task: &Task) -> Vec<String> {
    let failed = task.steps.iter().filter(|step| step.error.is_some());
    let errors = failed.map(|step| (&step.name, error_message(step.error.as_deref())));
    let errors = errors.map(|(name, message)| format!("{}: {message}", plain(name)));
    task.reason.as_deref().map(plain).into_iter().chain(errors).collect()
}

/// A list of tasks.
pub(super) fn list(list: &TaskList) -> String {
    let heading = ["task", "template", "state", "priority", "created", "took", "why"];
    let mut table = table(heading);
    for task in &list.tasks {
        let took = task.finished_at.map(|end| duration(end.0 - task.created_at.0));
        table.add_row([
            plain(&task.task_uuid),
            format!("{}/{}", plain(&task.namespace), plain(&task.template)),
            task.state.to_string(),
            task.priority.to_string(),
            task.created_at.to_string(),
            took.unwrap_or_default(),
            why(task),
        ]);
    }
    table.trim_fmt()
}

fn why(task: &ListedTask) -> String {
    let failure = |Failure { step, attempts, error }: &Failure| {
        let attempts = match attempts {
            1 => "1 attempt".to_owned(),
            many => format!("{many} attempts"),
        };
        let why = format!("{step} ({attempts}): {}", error_message(error.as_deref()));
        short(&why, VALUE_COLUMNS_MAX)
    };
    let reason = task.reason.iter().map(|reason| short(reason, VALUE_COLUMNS_MAX));
    reason.chain(task.failures.iter().map(failure)).collect::<Vec<_>>().join("\n")
}

/// A task's audit.
pub(super) fn audit(audit: &Transitions) -> String {
    let mut table = table(["at", "step", "from", "to", "attempt", "reason"]);
    for change in &audit.transitions {
        let attempt = change.attempt.map(|attempt| attempt.to_string());
        table.add_row([
            change.at.0.format("%F %T%.3fZ").to_string(),
            change.step.as_deref().map_or_else(|| "(task)".to_owned(), plain),
            plain(&change.from),
            plain(&change.to),
            attempt.unwrap_or_default(),
            short(change.reason.as_deref().unwrap_or_default(), VALUE_COLUMNS_MAX),
        ]);
    }
    table.trim_fmt()
}
