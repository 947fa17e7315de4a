//! The handlers of the workflow `@name@`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stepmark_engine::worker::{Step, StepError, Worker};

/// The template's namespace, and the scenario's name.
const NAMESPACE: &str = "@name@_rust";

/// What a task is given: so small that no result is too large.
#[derive(Debug, Deserialize)]
struct Input {
    number: i16,
}

/// A step's result.
#[derive(Debug, Serialize, Deserialize)]
struct Number {
    value: i64,
}

/// Registers the handlers, by the names that the template has for them.
pub fn register(worker: Worker) -> Worker {
    worker
        .handler(NAMESPACE, "double", double)
        .handler(NAMESPACE, "increase", increase)
        .handler(NAMESPACE, "square", square)
}

/// Doubles the task's number.
async fn double(step: Step) -> Result<Value, StepError> {
    // Another attempt is given the same: this failure is permanent.
    let Input { number } = step.context().map_err(StepError::permanent)?;
    Ok(json!(Number { value: i64::from(number) * 2 }))
}

/// Adds one to what the step `double` has made.
async fn increase(step: Step) -> Result<Value, StepError> {
    Ok(json!(Number { value: value_of(&step, "double")? + 1 }))
}

/// Squares what the step `increase` has made.
async fn square(step: Step) -> Result<Value, StepError> {
    let value = value_of(&step, "increase")?;
    Ok(json!(Number { value: value * value }))
}

/// The result of a step that this one depends on.
fn value_of(step: &Step, parent: &str) -> Result<i64, StepError> {
    let results: BTreeMap<String, Number> = step.parent_results().map_err(StepError::permanent)?;
    let result = results.get(parent).ok_or_else(|| StepError::permanent(format!("no {parent}")))?;
    Ok(result.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::assert_right;

    #[tokio::test]
    async fn the_scenario_is_answered_right() {
        assert_right(&register(Worker::new()), NAMESPACE).await;
    }
}
