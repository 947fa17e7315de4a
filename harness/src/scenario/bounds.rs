//! A scenario's budget, and the figures that were published for it.

use stepmark_workflow::yaml::{Fields, Findings, Node};

use super::{Bound, Budget, LatencyBound, LatencyCommits, Published, Range, TenBudget};

/// Highest bound on anything.
const BOUND_MAX: f64 = 1e12;

pub(super) fn budget(node: &Node, findings: &mut Findings<'_>) -> Option<Budget> {
    let known = [
        "step_transitions",
        "task_transitions",
        "messages",
        "dependency_evaluations",
        "sql_statements",
        "latency_commits",
        "ten",
    ];
    let fields = Fields::read(node, "a budget", &known, findings)?;
    let mut bound = |name| fields.get(name).and_then(|node| self::bound(node, name, findings));
    Some(Budget {
        step_transitions: bound("step_transitions"),
        task_transitions: bound("task_transitions"),
        messages: bound("messages"),
        dependency_evaluations: bound("dependency_evaluations"),
        sql_statements: bound("sql_statements"),
        latency_commits: fields
            .get("latency_commits")
            .and_then(|node| latency_commits(node, findings)),
        ten: fields.get("ten").and_then(|node| ten(node, findings)).unwrap_or_default(),
    })
}

fn ten(node: &Node, findings: &mut Findings<'_>) -> Option<TenBudget> {
    let fields = Fields::read(node, "ten", &["sql_statements", "latency_commits"], findings)?;
    let sql_statements = fields.get("sql_statements");
    let latency = fields.get("latency_commits");
    Some(TenBudget {
        sql_statements: sql_statements.and_then(|node| bound(node, "sql_statements", findings)),
        latency_commits: latency.and_then(|node| latency_commits(node, findings)),
    })
}

fn bound(node: &Node, name: &'static str, findings: &mut Findings<'_>) -> Option<Bound> {
    let fields = Fields::read(node, name, &["exactly", "min", "max"], findings)?;
    let mut number =
        |name| fields.get(name).and_then(|node| node.number(name, 0.0, BOUND_MAX, findings));
    let bound = Bound { exactly: number("exactly"), min: number("min"), max: number("max") };
    let given = |name| fields.get(name).is_some();
    if given("exactly") && (given("min") || given("max")) {
        findings.error_with(
            fields.at("exactly"),
            "`exactly` is both ends: it has no min or max beside it",
            Some("take either `exactly`, or `min` and `max`".to_owned()),
        );
    }
    if !(given("exactly") || given("min") || given("max")) {
        let hint = Some("leave it out: what has no bound is measured and not judged".to_owned());
        findings.error_with(node.at, "a bound needs `exactly`, `min` or `max`", hint);
    }
    in_order(node, bound.min, bound.max, ["min", "max"], findings);
    Some(bound)
}

fn latency_commits(node: &Node, findings: &mut Findings<'_>) -> Option<LatencyCommits> {
    let fields = Fields::read(node, "latency_commits", &["pgmq", "rabbitmq"], findings)?;
    let mut bound =
        |name| fields.required(name, findings).and_then(|node| latency(node, name, findings));
    let (pgmq, rabbitmq) = (bound("pgmq"), bound("rabbitmq"));
    Some(LatencyCommits { pgmq: pgmq?, rabbitmq: rabbitmq? })
}

fn latency(node: &Node, name: &'static str, findings: &mut Findings<'_>) -> Option<LatencyBound> {
    let fields = Fields::read(node, name, &["max", "aim"], findings)?;
    let max = fields.required("max", findings);
    let max = max.and_then(|node| node.number("max", 0.0, BOUND_MAX, findings));
    let aim = fields.get("aim").and_then(|node| node.number("aim", 0.0, BOUND_MAX, findings));
    in_order(node, aim, max, ["aim", "max"], findings);
    Some(LatencyBound { max: max?, aim })
}

pub(super) fn published(node: &Node, findings: &mut Findings<'_>) -> Option<Published> {
    let known = ["label", "p50_ms", "database_operations", "task_transitions"];
    let fields = Fields::read(node, "published", &known, findings)?;
    let label = fields.required("label", findings);
    let label = label.and_then(|node| Some(node.text("label", findings)?.to_owned()));
    let p50_ms = fields.required("p50_ms", findings).and_then(|node| range(node, findings));
    let mut count =
        |name| fields.get(name).and_then(|node| node.integer(name, 0, u32::MAX, findings));
    let database_operations = count("database_operations");
    let task_transitions = count("task_transitions");
    Some(Published { label: label?, p50_ms: p50_ms?, database_operations, task_transitions })
}

fn range(node: &Node, findings: &mut Findings<'_>) -> Option<Range> {
    let fields = Fields::read(node, "p50_ms", &["min", "max"], findings)?;
    let mut end = |name| {
        let node = fields.required(name, findings)?;
        node.number(name, 0.0, BOUND_MAX, findings)
    };
    let (min, max) = (end("min"), end("max"));
    in_order(node, min, max, ["min", "max"], findings);
    Some(Range { min: min?, max: max? })
}

/// Notes a lower end that lies above the upper one.
fn in_order(
    node: &Node,
    low: Option<f64>,
    high: Option<f64>,
    [low_name, high_name]: [&str; 2],
    findings: &mut Findings<'_>,
) {
    if let (Some(low), Some(high)) = (low, high)
        && low > high
    {
        let message = format!("{low_name} ({low}) is more than {high_name} ({high})");
        findings.error(node.at, &message);
    }
}
