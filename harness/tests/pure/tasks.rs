//! What people see of a task: its drawing, and what has changed in it.

use chrono::{DateTime, TimeDelta, Utc};
use insta::assert_snapshot;
use serde_json::{Value, json};
use stepmark_harness::task::changes::changes;
use stepmark_harness::task::document::Graph;
use stepmark_harness::task::drawing::{Look, draw};

const WIDE: Look = Look { columns: 120, lines: None, colour: false };

/// The time at which a task has run for so long.
fn at(ms: i64) -> DateTime<Utc> {
    let created = DateTime::parse_from_rfc3339("2026-11-25T12:00:00Z").unwrap();
    created.to_utc() + TimeDelta::milliseconds(ms)
}

fn moment(ms: i64) -> Value {
    at(ms).to_rfc3339().into()
}

/// A step: its name, type, state, and the numbers of its parents. Each was claimed 10 ms after the
/// one before, and came to its state 5 ms later.
fn step(number: i32, name: &str, kind: &str, state: &str, parents: &[i32]) -> Value {
    let begun = i64::from(number) * 10;
    let was_claimed = ["InProgress", "Complete", "Error", "WaitingForRetry"].contains(&state);
    json!({
        "step_no": number, "name": name, "type": kind, "state": state, "parents": parents,
        "attempts": i32::from(was_claimed),
        "started_at": if was_claimed { moment(begun) } else { Value::Null },
        "since": if state == "Pending" { Value::Null } else { moment(begun + 5) },
    })
}

fn standard(number: i32, name: &str, state: &str, parents: &[i32]) -> Value {
    step(number, name, "standard", state, parents)
}

fn graph(template: &str, state: &str, steps: Vec<Value>) -> Graph {
    let ended = ["Complete", "Error", "Cancelled"].contains(&state);
    let graph = json!({
        "task_uuid": "01a210c1-2055-73e6-80ec-e163b540eca3", "namespace": "n",
        "template": template, "state": state, "created_at": moment(0),
        "finished_at": if ended { moment(75) } else { Value::Null }, "steps": steps,
    });
    serde_json::from_value(graph).unwrap()
}

fn drawn(graph: &Graph, now_ms: i64, look: Look) -> String {
    draw(graph, at(now_ms), look).join("\n")
}

fn linear() -> Graph {
    let steps = vec![
        standard(0, "linear_step_1", "Complete", &[]),
        standard(1, "linear_step_2", "InProgress", &[0]),
        standard(2, "linear_step_3", "Pending", &[1]),
        standard(3, "linear_step_4", "Pending", &[2]),
    ];
    graph("linear", "StepsInProcess", steps)
}

/// An analysis, so many workers of which a few are at other states, and an aggregate.
fn batch(workers: i32) -> Graph {
    let mut steps = vec![
        step(0, "analyze_csv", "batchable", "Complete", &[]),
        step(
            1,
            "aggregate",
            "deferred_convergence",
            "Pending",
            &(2..workers + 2).collect::<Vec<_>>(),
        ),
    ];
    for number in 1..=workers {
        let state = match number % 50 {
            3 => "InProgress",
            5 => "Enqueued",
            _ => "Complete",
        };
        let name = format!("process_csv_batch_{number:03}");
        steps.push(step(number + 1, &name, "batch_worker", state, &[0]));
    }
    graph("batch", "StepsInProcess", steps)
}

#[test]
fn a_linear_task_is_a_step_a_stage() {
    assert_snapshot!("drawn_linear", drawn(&linear(), 1_234, WIDE));
}

#[test]
fn a_diamond_has_its_branches_side_by_side_in_one_stage() {
    let steps = vec![
        standard(0, "start", "Complete", &[]),
        standard(1, "branch_b", "Complete", &[0]),
        standard(2, "branch_c", "Complete", &[0]),
        standard(3, "end", "Complete", &[1, 2]),
    ];
    assert_snapshot!("drawn_diamond", drawn(&graph("diamond", "Complete", steps), 99_000, WIDE));
}

#[test]
fn a_tree_names_whom_each_step_waits_for() {
    let mut steps = vec![standard(0, "root", "Complete", &[])];
    for (number, name) in [(1, "left"), (2, "right")] {
        steps.push(standard(number, name, "Complete", &[0]));
    }
    for number in 3..7 {
        let name = format!("leaf_{number}");
        let state = if number == 6 { "EnqueuedForOrchestration" } else { "InProgress" };
        steps.push(standard(number, &name, state, &[(number - 1) / 2]));
    }
    steps.push(standard(7, "convergence", "Pending", &[3, 4, 5, 6]));
    assert_snapshot!("drawn_tree", drawn(&graph("tree", "StepsInProcess", steps), 65_000, WIDE));
}

#[test]
fn branches_that_were_not_chosen_are_there() {
    let steps = vec![
        standard(0, "validate", "Complete", &[]),
        step(1, "routing", "decision", "Complete", &[0]),
        standard(2, "auto_approve", "Skipped", &[1]),
        standard(3, "manager_approval", "Complete", &[1]),
        step(4, "finalize", "deferred_convergence", "Complete", &[2, 3]),
    ];
    let graph = graph("conditional", "Complete", steps);
    assert_snapshot!("drawn_conditional", drawn(&graph, 99_000, WIDE));
}

#[test]
fn a_few_batch_workers_have_a_line_each_and_many_share_one() {
    assert_snapshot!("drawn_batch_of_5", drawn(&batch(5), 400, WIDE));
    assert_snapshot!("drawn_batch_of_500", drawn(&batch(500), 400, WIDE));
}

#[test]
fn failures_are_told_with_their_attempts() {
    let mut steps = vec![
        standard(0, "charge", "Error", &[]),
        standard(1, "reserve", "WaitingForRetry", &[]),
        standard(2, "notify", "Cancelled", &[0, 1]),
    ];
    steps[0]["attempts"] = 3.into();
    steps[1]["attempts"] = 2.into();
    let graph = graph("failed", "WaitingForRetry", steps);
    assert_snapshot!("drawn_failed", drawn(&graph, 7_300, WIDE));
}

#[test]
fn colours_are_there_only_where_they_are_wanted() {
    let look = Look { colour: true, ..WIDE };
    let coloured = drawn(&linear(), 1_234, look);
    assert!(coloured.contains("\u{1b}[32m✔\u{1b}[0m"), "{coloured:?}");
    let plain = console::strip_ansi_codes(&coloured);
    assert_eq!(plain, drawn(&linear(), 1_234, WIDE));
}

#[test]
fn a_drawing_keeps_within_the_terminal_and_shows_where_the_task_is() {
    let steps = (0..40).map(|number| {
        let state = match number {
            0..20 => "Complete",
            20 => "InProgress",
            _ => "Pending",
        };
        let parents: Vec<i32> = (0..number).collect();
        standard(number, &format!("工程_{number}_{}", "長".repeat(30)), state, &parents)
    });
    let graph = graph("tall", "StepsInProcess", steps.collect());
    for (columns, lines) in [(50, 12), (20, 5), (1, 1), (200, 41)] {
        for colour in [false, true] {
            let drawing = draw(&graph, at(500), Look { columns, lines: Some(lines), colour });
            assert!(drawing.len() <= lines.max(5), "{} lines", drawing.len());
            for line in &drawing {
                assert!(console::measure_text_width(line) <= columns, "{line:?}");
            }
        }
    }
    let look = Look { columns: 50, lines: Some(12), colour: false };
    assert_snapshot!("drawn_tall", drawn(&graph, 500, look));
}

#[test]
fn names_cannot_command_the_terminal() {
    let graph = graph("t", "Complete", vec![standard(0, "a\u{1b}[2Jb\r\n", "Complete", &[])]);
    let drawing = draw(&graph, at(0), WIDE);
    assert_eq!(drawing.len(), 3);
    assert!(drawing.iter().all(|line| !line.contains(char::is_control)), "{drawing:?}");
}

#[test]
fn parents_that_are_not_there_and_cycles_do_not_matter() {
    let steps = vec![standard(0, "a", "Pending", &[1]), standard(1, "b", "Pending", &[0, 7])];
    assert_eq!(draw(&graph("odd", "Pending", steps), at(0), WIDE).len(), 4);
    assert_eq!(draw(&graph("none", "Pending", Vec::new()), at(0), WIDE).len(), 2);
}

#[test]
fn changes_are_told_once_in_their_order_with_steps_that_were_made_meanwhile() {
    let first = changes(None, &linear());
    let mut later = linear();
    later.steps[1].state = "Complete".parse().unwrap();
    later.steps[1].since = linear().steps[1].since;
    let more = changes(Some(&linear()), &later);
    assert_snapshot!("changes_linear", [first, more].concat().join("\n"));
    assert_eq!(changes(Some(&later), &later), Vec::<String>::new());
    // A batch grows and moves on in one line.
    let (small, large) = (batch(0), batch(500));
    let grown = changes(Some(&small), &large);
    assert_eq!(grown.len(), 1, "{grown:?}");
    assert!(grown[0].contains("×500  480 Complete, 10 InProgress, 10 Enqueued"), "{grown:?}");
    // The end is told once.
    let ended = graph("t", "Error", vec![standard(0, "a", "Error", &[])]);
    let told = changes(None, &ended);
    assert_eq!(told.last().unwrap(), "       75 ms  the task is Error");
    assert_eq!(changes(Some(&ended), &ended), Vec::<String>::new());
}
