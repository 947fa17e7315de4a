//! A workflow for every type of step and every kind of failure, and the handlers of them all.

use serde_json::{Value, json};
use stepmark_engine::worker::{Outcome, Step, StepError, Worker};
use stepmark_workflow::Template;

/// The workflows' namespace.
pub const NAMESPACE: &str = "kinds";

/// What there is to try: a template's name, its steps, and a context.
pub const KINDS: &[(&str, &str, &str)] = &[
    ("linear", "{name: a, handler: given}, {name: b, handler: given, depends_on: [a]}", "{}"),
    (
        "retried",
        "{name: a, handler: third_time, retry: {max_attempts: 3, backoff_initial_ms: 1, \
        backoff_max_ms: 1}}, {name: b, handler: given, depends_on: [a]}",
        "{}",
    ),
    (
        "exhausted",
        "{name: a, handler: third_time, retry: {max_attempts: 2, \
        backoff_initial_ms: 1, backoff_max_ms: 1}}, {name: b, handler: given, depends_on: [a]}",
        "{}",
    ),
    (
        "permanent",
        "{name: a, handler: refuse}, {name: b, handler: given}, \
        {name: c, handler: given, depends_on: [a, b]}",
        "{}",
    ),
    ("panicking", "{name: a, handler: panic, retry: {max_attempts: 1}}", "{}"),
    ("missing", "{name: a, handler: nobody}", "{}"),
    ("misfit", "{name: a, handler: decide}", r#"{"choose": []}"#),
    ("unstorable", "{name: a, handler: nul}", "{}"),
    ("one_branch", DECISION, r#"{"choose": ["left"]}"#),
    ("both_branches", DECISION, r#"{"choose": ["right", "left"]}"#),
    ("no_branch", DECISION, r#"{"choose": []}"#),
    ("strange_branch", DECISION, r#"{"choose": ["up", "left", "join", "up"]}"#),
    ("batches", BATCH, r#"{"batches": [10, 20, 30]}"#),
    ("no_batches", BATCH, r#"{"batches": []}"#),
    ("too_many_batches", BATCH, r#"{"batches": [1, 2, 3, 4]}"#),
    ("failing_batch", BATCH, r#"{"batches": ["bad"]}"#),
    ("tolerated_batch", TOLERANT, r#"{"batches": [10, "bad", 30]}"#),
    ("failed_batches", TOLERANT, r#"{"batches": ["bad", "bad"]}"#),
];

const DECISION: &str = "{name: decide, type: decision, handler: decide, branches: [left, right]}, \
    {name: left, handler: given, depends_on: [decide]}, \
    {name: right, handler: given, depends_on: [decide]}, \
    {name: join, type: deferred_convergence, handler: given, depends_on: [left, right]}, \
    {name: both, handler: given, depends_on: [left, right]}";
const BATCH: &str = "{name: split, type: batchable, handler: split, batches_max: 3}, \
    {name: work, type: batch_worker, handler: work, depends_on: [split]}, \
    {name: merge, type: deferred_convergence, handler: merge, depends_on: [work]}";
const TOLERANT: &str = "{name: split, type: batchable, handler: split, batches_max: 3}, \
    {name: work, type: batch_worker, handler: work, depends_on: [split], \
        on_failure: continue_on_failure}, \
    {name: merge, type: deferred_convergence, handler: merge, depends_on: [work]}";

/// A kind's template, as YAML.
pub fn kind_text(name: &str, steps: &str) -> String {
    format!("{{namespace: {NAMESPACE}, name: {name}, steps: [{steps}]}}")
}

/// A kind's template and context.
pub fn kind(name: &str) -> (Template, Value) {
    let (_, steps, context) = KINDS.iter().find(|kind| kind.0 == name).unwrap();
    let template = Template::parse(name, &kind_text(name, steps)).unwrap();
    (template, serde_json::from_str(context).unwrap())
}

/// The handlers of all of them.
pub fn kinds_worker() -> Worker {
    Worker::new()
        .handler(NAMESPACE, "given", given)
        .handler(NAMESPACE, "third_time", third_time)
        .handler(NAMESPACE, "decide", async |step: Step| {
            let context: Value = step.context()?;
            let chosen: Vec<String> = serde_json::from_value(context["choose"].clone())?;
            Ok::<_, StepError>(Outcome::branch("decided", chosen))
        })
        .handler(NAMESPACE, "split", async |step: Step| {
            let context: Value = step.context()?;
            let batches: Vec<Value> = serde_json::from_value(context["batches"].clone())?;
            Ok::<_, StepError>(Outcome::fan_out(json!({"batches": batches.len()}), batches))
        })
        .handler(NAMESPACE, "work", async |step: Step| {
            let number: u64 = step.input().map_err(|_| StepError::permanent("no number"))?;
            Ok::<_, StepError>(json!({"twice": 2 * number, "of": step.name}))
        })
        .handler(NAMESPACE, "merge", async |step: Step| {
            let results: Vec<Value> = step.batch_results("work")?;
            let failures = step.parent_failures().await?;
            let all = step.parent_results::<Value>()?;
            Ok::<_, StepError>(json!({"results": results, "failures": failures, "all": all}))
        })
        .handler(NAMESPACE, "refuse", async |_: Step| -> Result<Value, StepError> {
            Err(StepError::permanent("refused\0"))
        })
        .handler(NAMESPACE, "panic", async |_: Step| -> Result<Value, StepError> {
            panic!("out of cheese")
        })
        .handler(NAMESPACE, "nul", async |_: Step| Ok::<_, StepError>(json!("\0")))
}

/// Tells all that it is given.
async fn given(step: Step) -> Result<Value, StepError> {
    step.heartbeat().await?;
    let token = step.idempotency_token();
    Ok(json!({
        "step": [step.namespace, step.name, step.handler, step.step_type.name()],
        "attempt": [step.attempt, step.max_attempts],
        "token": token.strip_prefix(&step.task_uuid.to_string()),
        "context": step.context::<Value>()?,
        "parents": step.parent_results::<Value>()?,
        "input": step.input::<Value>()?,
        "checkpoint": step.checkpoint::<Value>()?,
        "failures": step.parent_failures().await?,
    }))
}

/// Comes further at each attempt, and to the end at the third. Not every attempt says how far.
async fn third_time(step: Step) -> Result<Value, StepError> {
    let before = step.checkpoint::<Value>()?;
    if step.attempt == 1 {
        step.save_checkpoint(&json!({"at": "nothing"})).await?;
        step.save_checkpoint(&json!({"at": step.attempt})).await?;
    }
    match step.attempt {
        3 => Ok(json!({"before": before})),
        attempt => Err(StepError::retry(format!("attempt {attempt}, before it {before:?}"))),
    }
}
