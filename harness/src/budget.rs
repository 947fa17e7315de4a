//! Compares what a task cost with what its scenario allows.

use serde::{Deserialize, Serialize};

use crate::broker::Broker;
use crate::scenario::{Bound, Budget, LatencyBound};
use crate::work::Accounts;

/// One line of the budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetLine {
    /// What is counted.
    pub name: String,
    /// What is allowed, for people.
    pub allowed: String,
    /// What was measured, for people.
    pub measured: String,
    /// Whether the measured figure is allowed; null when it could not be measured.
    pub kept: Option<bool>,
}

/// Judges every count that the budget bounds.
pub fn judge_counts(budget: &Budget, accounts: &Accounts) -> Vec<BudgetLine> {
    let mean = &accounts.mean;
    let mut lines = Vec::new();
    let mut add = |name, bound: Option<Bound>, figure| {
        lines.extend(bound.map(|bound| count_line(name, bound, accounts, figure)));
    };
    add("step_transitions", budget.step_transitions, mean.step_transitions);
    add("task_transitions", budget.task_transitions, mean.task_transitions);
    add("messages", budget.messages, mean.messages);
    add("dependency_evaluations", budget.dependency_evaluations, mean.dependency_evaluations);
    // The engine's housekeeping falls into some task or other, so the typical task is judged.
    lines.extend(budget.sql_statements.map(|bound| {
        let typical = accounts.each.get("sql_statements").map(|spread| spread.p50);
        line("sql_statements", bound, typical.or(mean.sql_statements).map(|v| (v, v)))
    }));
    lines
}

/// Judges the latency of one task at a time as a multiple of the durable commit.
pub fn judge_latency(budget: &Budget, broker: Broker, multiple: Option<f64>) -> Option<BudgetLine> {
    let bound = Bound { max: Some(latency_bound(budget, broker)?.max), ..Bound::default() };
    Some(line("p50_latency_commits", bound, multiple.map(|v| (v, v))))
}

/// What to say of a latency that is above the scenario's aim.
pub fn missed_aim(budget: &Budget, broker: Broker, multiple: Option<f64>) -> Option<String> {
    let aim = latency_bound(budget, broker)?.aim?;
    let multiple = multiple.filter(|multiple| *multiple > aim)?;
    Some(format!(
        "the aim is missed: P50 is {} × the durable commit, the scenario aims at {}",
        figure(multiple),
        figure(aim)
    ))
}

fn latency_bound(budget: &Budget, broker: Broker) -> Option<LatencyBound> {
    let allowed = budget.latency_commits?;
    Some(match broker {
        Broker::Pgmq => allowed.pgmq,
        Broker::Rabbitmq => allowed.rabbitmq,
    })
}

/// A count is judged by its mean over all tasks, and where it was taken task by task, by its
/// extremes too.
fn count_line(
    name: &'static str,
    bound: Bound,
    accounts: &Accounts,
    mean: Option<f64>,
) -> BudgetLine {
    let each = accounts.each.get(name);
    let measured = match (each, mean) {
        (Some(each), Some(mean)) => Some((each.min.min(mean), each.max.max(mean))),
        (Some(each), None) => Some((each.min, each.max)),
        (None, mean) => mean.map(|mean| (mean, mean)),
    };
    line(name, bound, measured)
}

fn line(name: &'static str, bound: Bound, measured: Option<(f64, f64)>) -> BudgetLine {
    let kept = measured.map(|(low, high)| {
        bound.exactly.is_none_or(|only| low == only && high == only)
            && bound.min.is_none_or(|min| low >= min)
            && bound.max.is_none_or(|max| high <= max)
    });
    let measured = match measured {
        None => "not measured".to_owned(),
        Some((low, high)) if low == high => figure(low),
        Some((low, high)) => format!("{} to {}", figure(low), figure(high)),
    };
    BudgetLine { name: name.to_owned(), allowed: allowed(bound), measured, kept }
}

fn allowed(bound: Bound) -> String {
    match (bound.exactly, bound.min, bound.max) {
        (Some(only), _, _) => figure(only),
        (None, Some(min), Some(max)) => format!("{} to {}", figure(min), figure(max)),
        (None, Some(min), None) => format!("≥ {}", figure(min)),
        (None, None, Some(max)) => format!("≤ {}", figure(max)),
        (None, None, None) => "any".to_owned(),
    }
}

/// A number with as many decimals as it needs, three at most.
fn figure(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
