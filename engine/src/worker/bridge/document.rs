//! The documents that cross the bridge.
//!
//! To the host, events, told apart by `kind`:
//! - `step`: a handler is to be run. `call` names it in everything that follows. With it come
//!   `namespace`, `handler`, `task_uuid`, `step` (its name), `type`, `attempt`, `max_attempts`,
//!   `timeout_ms`, `idempotency_token`, `context`, `parent_results` (of those parents that have
//!   one, by their names), `parents_failed` (how many), `input` and `checkpoint` (or null);
//! - `interrupted`: the step of this `call` is no longer the handler's, which should stop;
//! - `answered`: how the `request` went: `error` is null, or has a `kind` (`claim_ended`, `away`,
//!   `checkpoint`) and a `message`; `value` is what was asked for.
//!
//! From the host, one of
//! - `{"complete": {"result": …}}`
//! - `{"branch": {"result": …, "branches": ["…"]}}`
//! - `{"fan_out": {"result": …, "batches": […]}}`
//! - `{"retry": {"failure": {"message": "…", "exception": "…", "stack": "…"}, "after_ms": null}}`
//! - `{"fail": {"failure": {"message": "…"}}}`

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json as value};
use uuid::Uuid;

use crate::json;
use crate::worker::{Failure, HeartbeatError, Outcome, Step};

#[derive(Serialize)]
struct StepEvent<'a> {
    kind: &'static str,
    call: u64,
    namespace: &'a str,
    handler: &'a str,
    task_uuid: Uuid,
    step: &'a str,
    r#type: &'static str,
    attempt: i32,
    max_attempts: i32,
    timeout_ms: u128,
    idempotency_token: String,
    context: &'a RawValue,
    parent_results: BTreeMap<String, Box<RawValue>>,
    parents_failed: i32,
    input: Option<&'a RawValue>,
    checkpoint: Option<&'a RawValue>,
}

pub(super) fn step(call: u64, step: &Step) -> Result<String, serde_json::Error> {
    let raw = |text| serde_json::from_str::<&RawValue>(text);
    serde_json::to_string(&StepEvent {
        kind: "step",
        call,
        namespace: &step.namespace,
        handler: &step.handler,
        task_uuid: step.task_uuid,
        step: &step.name,
        r#type: step.step_type.name(),
        attempt: step.attempt,
        max_attempts: step.max_attempts,
        timeout_ms: step.timeout.as_millis(),
        idempotency_token: step.idempotency_token(),
        context: raw(&step.context)?,
        parent_results: step.parent_results()?,
        parents_failed: step.parents_failed,
        input: step.input.as_deref().map(raw).transpose()?,
        checkpoint: step.checkpoint.as_deref().map(raw).transpose()?,
    })
}

pub(super) fn interrupted(call: u64) -> String {
    value!({"kind": "interrupted", "call": call}).to_string()
}

pub(super) fn answered(request: u64, answered: Result<Value, HeartbeatError>) -> String {
    let (value, error) = match answered {
        Ok(value) => (value, Value::Null),
        Err(error) => (Value::Null, value!({"kind": error.kind(), "message": error.to_string()})),
    };
    value!({"kind": "answered", "request": request, "value": value, "error": error}).to_string()
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Answer {
    Complete { result: Box<RawValue> },
    Branch { result: Box<RawValue>, branches: Vec<String> },
    FanOut { result: Box<RawValue>, batches: Vec<Box<RawValue>> },
    Retry { failure: Failure, after_ms: Option<u64> },
    Fail { failure: Failure },
}

/// Integers that JavaScript would round are refused in results, whatever the language that made
/// them: a step in another one may be given them.
pub(super) fn outcome(answer: &str) -> Outcome {
    if let Err(error) = json::check_integers(answer) {
        return Outcome::Fail { failure: format!("the result can't be stored: {error}").into() };
    }
    match serde_json::from_str(answer) {
        Ok(Answer::Complete { result }) => Outcome::Complete(result),
        Ok(Answer::Branch { result, branches }) => Outcome::Branch { result, branches },
        Ok(Answer::FanOut { result, batches }) => Outcome::FanOut { result, batches },
        Ok(Answer::Retry { failure, after_ms }) => {
            Outcome::Retry { failure, after: after_ms.map(Duration::from_millis) }
        }
        Ok(Answer::Fail { failure }) => Outcome::Fail { failure },
        Err(error) => {
            Outcome::Fail { failure: format!("the handler's answer is not one: {error}").into() }
        }
    }
}

/// Writes a line of the host into the worker's log. Levels are `error`, `warn`, `info`, `debug`;
/// another one is taken for `info`.
pub fn log(level: &str, logger: &str, message: &str) {
    match level {
        "error" => tracing::error!(target: "handler", logger, "{message}"),
        "warn" => tracing::warn!(target: "handler", logger, "{message}"),
        "debug" => tracing::debug!(target: "handler", logger, "{message}"),
        _ => tracing::info!(target: "handler", logger, "{message}"),
    }
}
