//! The number workflows: exact integers of any size, as decimal strings in JSON.

use std::collections::BTreeMap;

use num_bigint::BigInt;
use serde::{Deserialize, Serialize};
use stepmark_engine::worker::{Outcome, Step, StepError, Worker};

/// A step's result.
#[derive(Debug, Serialize, Deserialize)]
struct Number {
    value: String,
}

/// What a task is given.
#[derive(Debug, Deserialize)]
struct Input {
    even_number: u64,
}

/// Registers the handlers of linear, diamond, DAG and tree.
pub fn register(worker: Worker) -> Worker {
    worker
        .handler("rust_e2e_linear", "square", square)
        .handler("rust_e2e_diamond", "square", square)
        .handler("rust_e2e_diamond", "multiply_and_square", multiply_and_square)
        .handler("rust_e2e_mixed_dag", "square", square)
        .handler("rust_e2e_mixed_dag", "multiply_and_square", multiply_and_square)
        .handler("rust_e2e_mixed_dag", "multiply_all_and_square", multiply_and_square)
        .handler("rust_e2e_tree", "square", square)
        .handler("rust_e2e_tree", "multiply_all_and_square", multiply_and_square)
}

/// Squares the value of its one parent, or the input where it has none.
async fn square(step: Step) -> Result<Outcome, StepError> {
    let mut values = parent_values(&step)?;
    let value = match (values.pop(), values.is_empty()) {
        (None, _) => input(&step)?,
        (Some(value), true) => value,
        (Some(_), false) => return Err(StepError::permanent("square takes one parent at most")),
    };
    squared(&value)
}

/// Multiplies the values of all parents, then squares.
async fn multiply_and_square(step: Step) -> Result<Outcome, StepError> {
    let values = parent_values(&step)?;
    if values.is_empty() {
        return Err(StepError::permanent("there is no parent to multiply the values of"));
    }
    squared(&values.into_iter().product())
}

/// The same input and parents would be as wrong at the next attempt: these failures are permanent.
fn input(step: &Step) -> Result<BigInt, StepError> {
    let Input { even_number } = step.context().map_err(StepError::permanent)?;
    if even_number % 2 != 0 {
        return Err(StepError::permanent(format!("even_number is {even_number}, which is odd")));
    }
    Ok(even_number.into())
}

fn parent_values(step: &Step) -> Result<Vec<BigInt>, StepError> {
    let results: BTreeMap<String, Number> = step.parent_results().map_err(StepError::permanent)?;
    let parse = |(name, Number { value }): (String, Number)| {
        value.parse().map_err(|error| {
            StepError::permanent(format!("{name} gave {value:?}, not an integer: {error}"))
        })
    };
    results.into_iter().map(parse).collect()
}

fn squared(value: &BigInt) -> Result<Outcome, StepError> {
    let result = Number { value: (value * value).to_string() };
    Ok(serde_json::to_value(result)?.into())
}
