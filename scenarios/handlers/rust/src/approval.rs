//! The approval workflow: a decision among three branches by an amount of money, exactly.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use stepmark_engine::worker::{Outcome, Step, StepError, Worker};

const NAMESPACE: &str = "conditional_approval_rust";

/// From this amount on a manager approves.
const MANAGER_FROM: Decimal = Decimal::from_parts(1_000, 0, 0, false, 0);
/// Above this amount finance reviews.
const FINANCE_ABOVE: Decimal = Decimal::from_parts(5_000, 0, 0, false, 0);

/// What a task is given.
#[derive(Deserialize)]
struct Request {
    /// A number or a text of one, as it was written: through a float it would not be exact.
    amount: Box<RawValue>,
}

/// A validated request, as the steps hand it on.
#[derive(Deserialize)]
struct Validated {
    amount: String,
}

/// What a branch has made of it.
#[derive(Deserialize)]
struct Approval {
    amount: String,
    approved_by: String,
}

/// Registers the handlers of the approval workflow.
pub fn register(worker: Worker) -> Worker {
    worker
        .handler(NAMESPACE, "validate_request", validate_request)
        .handler(NAMESPACE, "routing_decision", routing_decision)
        .handler(NAMESPACE, "auto_approve", |step| approve(step, "system"))
        .handler(NAMESPACE, "manager_approval", |step| approve(step, "manager"))
        .handler(NAMESPACE, "finance_review", |step| approve(step, "finance"))
        .handler(NAMESPACE, "finalize_approval", finalize_approval)
}

async fn validate_request(step: Step) -> Result<Value, StepError> {
    let Request { amount } = step.context().map_err(StepError::permanent)?;
    let amount = parse(amount.get().trim_matches('"'))?;
    if amount <= Decimal::ZERO {
        return Err(StepError::permanent(format!("amount is {amount}: it must be above 0")));
    }
    Ok(json!({"amount": amount.to_string()}))
}

async fn routing_decision(step: Step) -> Result<Outcome, StepError> {
    let Validated { amount } = only_parent(&step)?;
    let branch = route(parse(&amount)?);
    Ok(Outcome::branch(json!({"amount": amount, "branch": branch}), [branch]))
}

/// Below 1,000, up to 5,000, and above.
fn route(amount: Decimal) -> &'static str {
    if amount < MANAGER_FROM {
        "auto_approve"
    } else if amount <= FINANCE_ABOVE {
        "manager_approval"
    } else {
        "finance_review"
    }
}

async fn approve(step: Step, by: &str) -> Result<Value, StepError> {
    let Validated { amount } = only_parent(&step)?;
    Ok(json!({"amount": amount, "approved_by": by}))
}

async fn finalize_approval(step: Step) -> Result<Value, StepError> {
    let Approval { amount, approved_by } = only_parent(&step)?;
    Ok(json!({"amount": amount, "approved": true, "approved_by": approved_by}))
}

/// The result of the one parent that has run: of the three branches, the chosen one.
fn only_parent<T: serde::de::DeserializeOwned>(step: &Step) -> Result<T, StepError> {
    let results: BTreeMap<String, T> = step.parent_results().map_err(StepError::permanent)?;
    let count = results.len();
    match (results.into_values().next(), count) {
        (Some(result), 1) => Ok(result),
        _ => Err(StepError::permanent(format!("{count} parents have a result, not one"))),
    }
}

fn parse(amount: &str) -> Result<Decimal, StepError> {
    let parsed = Decimal::from_str_exact(amount);
    parsed
        .or_else(|error| match amount.contains(['e', 'E']) {
            true => Decimal::from_scientific(amount),
            false => Err(error),
        })
        .map_err(|error| StepError::permanent(format!("amount is {amount:?}: {error}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{parse, route};

    #[test]
    fn both_boundaries_belong_to_the_manager() {
        let cases = [
            ("0.01", "auto_approve"),
            ("500", "auto_approve"),
            ("999.9999999999999999999999", "auto_approve"),
            ("1e3", "manager_approval"),
            ("1000.00", "manager_approval"),
            ("5000", "manager_approval"),
            ("5000.0000000000000000000001", "finance_review"),
            ("1000000", "finance_review"),
        ];
        for (amount, branch) in cases {
            assert_eq!(route(parse(amount).unwrap()), branch, "{amount}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for amount in ["", "ten", "1e400", "0x10", "1,000", "null", "9".repeat(40).as_str()] {
            assert!(parse(amount).is_err(), "{amount}");
        }
    }
}
