//! The handlers of the workflow `@name@`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stepmark_engine::worker::{Outcome, Step, StepError, Worker};

/// The template's namespace, and the scenario's name.
const NAMESPACE: &str = "@name@_rust";

/// Most numbers in a batch.
const BATCH_SIZE: usize = 2;

/// What a task is given: so small that no result is too large.
#[derive(Debug, Deserialize)]
struct Input {
    numbers: Vec<i16>,
}

/// What a batch comes to, and all of them.
#[derive(Debug, Serialize, Deserialize)]
struct Sum {
    sum: i64,
}

/// Registers the handlers, by the names that the template has for them.
pub fn register(worker: Worker) -> Worker {
    worker
        .handler(NAMESPACE, "divide", divide)
        .handler(NAMESPACE, "work", work)
        .handler(NAMESPACE, "total", total)
}

/// Divides the numbers into batches: each becomes a step `work_001`, `work_002` and so on.
async fn divide(step: Step) -> Result<Outcome, StepError> {
    // Another attempt is given the same: this failure is permanent.
    let Input { numbers } = step.context().map_err(StepError::permanent)?;
    let batches: Vec<&[i16]> = numbers.chunks(BATCH_SIZE).collect();
    Ok(Outcome::fan_out(json!({"batches": batches.len()}), batches))
}

/// Adds the numbers of one batch.
async fn work(step: Step) -> Result<Value, StepError> {
    let numbers: Vec<i16> = step.input().map_err(StepError::permanent)?;
    Ok(json!(Sum { sum: numbers.into_iter().map(i64::from).sum() }))
}

/// Adds what the batches have come to.
async fn total(step: Step) -> Result<Value, StepError> {
    let sums: Vec<Sum> = step.batch_results("work").map_err(StepError::permanent)?;
    Ok(json!(Sum { sum: sums.iter().map(|one| one.sum).sum() }))
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
