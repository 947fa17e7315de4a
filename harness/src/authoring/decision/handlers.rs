//! The handlers of the workflow `@name@`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stepmark_engine::worker::{Outcome, Step, StepError, Worker};

/// The template's namespace, and the scenario's name.
const NAMESPACE: &str = "@name@_rust";

/// Numbers from here on are doubled and not squared.
const LARGE: i64 = 100;

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
        .handler(NAMESPACE, "choose", choose)
        .handler(NAMESPACE, "double", double)
        .handler(NAMESPACE, "square", square)
        .handler(NAMESPACE, "finish", finish)
}

/// Chooses a branch; the other one is skipped.
async fn choose(step: Step) -> Result<Outcome, StepError> {
    // Another attempt is given the same: this failure is permanent.
    let Input { number } = step.context().map_err(StepError::permanent)?;
    let value = i64::from(number);
    let branch = if value < LARGE { "square" } else { "double" };
    Ok(Outcome::branch(Number { value }, [branch]))
}

/// Doubles the number.
async fn double(step: Step) -> Result<Value, StepError> {
    Ok(json!(Number { value: chosen(&step)? * 2 }))
}

/// Squares the number.
async fn square(step: Step) -> Result<Value, StepError> {
    let value = chosen(&step)?;
    Ok(json!(Number { value: value * value }))
}

/// Tells which branch has run and what it has made: a branch that was skipped gives no result.
async fn finish(step: Step) -> Result<Value, StepError> {
    let results = numbers(&step)?.into_iter().map(|(name, number)| (name, number.value));
    Ok(json!(results.collect::<BTreeMap<_, _>>()))
}

/// The number that the decision was made for.
fn chosen(step: &Step) -> Result<i64, StepError> {
    let result = numbers(step)?.remove("choose");
    Ok(result.ok_or_else(|| StepError::permanent("no decision"))?.value)
}

/// The results of the steps that this one depends on.
fn numbers(step: &Step) -> Result<BTreeMap<String, Number>, StepError> {
    step.parent_results().map_err(StepError::permanent)
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
