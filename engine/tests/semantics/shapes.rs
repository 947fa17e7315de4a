//! Shapes of workflows, from a line to a thousand steps side by side.

use std::fmt::Write as _;

use serde_json::{Value, json};
use stepmark_engine::config::Broker;

use crate::cluster::{Cluster, obedient, on_both_brokers, states, step};

on_both_brokers!(
    decisions_run_what_they_choose_and_skip_the_rest,
    a_batch_in_a_branch_is_made_only_when_chosen,
    a_decision_waits_for_the_whole_batch,
    a_thousand_batches_are_made_run_and_collected,
);

const NESTED: &str = "
namespace: n
name: nested
steps:
  - {name: outer, type: decision, handler: choose, branches: [inner, x]}
  - {name: inner, type: decision, handler: choose, depends_on: [outer], branches: [a, b]}
  - {name: a, handler: work, depends_on: [inner]}
  - {name: b, handler: work, depends_on: [inner]}
  - {name: after_a, handler: work, depends_on: [a]}
  - {name: x, handler: work, depends_on: [outer]}
  - {name: end, type: deferred_convergence, handler: collect, depends_on: [after_a, b, x]}
  - {name: last, handler: work, depends_on: [end]}
";

/// The outer decision's choice, the inner one's, the steps that are Complete besides the outer.
type Choice = (&'static [&'static str], &'static [&'static str], &'static [&'static str]);

const CHOICES: &[Choice] = &[
    (&["inner"], &["b"], &["inner", "b", "end", "last"]),
    (&["inner"], &["a", "b"], &["inner", "a", "after_a", "b", "end", "last"]),
    (&["x"], &["a"], &["x", "end", "last"]),
    (&["x", "inner"], &["a"], &["x", "inner", "a", "after_a", "end", "last"]),
    (&["x", "inner"], &[], &["x", "inner", "end", "last"]),
    (&["inner"], &[], &["inner"]),
    (&[], &["a"], &[]),
];

async fn decisions_run_what_they_choose_and_skip_the_rest(broker: Broker) {
    let cluster = Cluster::start(broker, &[NESTED], &[]);
    let _worker = cluster.worker(obedient(), &[]);
    for (outer, inner, complete) in CHOICES {
        let context = json!({"outer": outer, "inner": inner});
        let task = cluster.create("nested", context).await;
        let task = cluster.ended(&task, "Complete").await;
        let states = states(&task);
        assert_eq!(states.len(), 8, "{states:?}");
        for (name, state) in states {
            let ran = name == "outer" || complete.contains(&name);
            let expected = if ran { "Complete" } else { "Skipped" };
            assert_eq!(state, expected, "{name} of {outer:?} and {inner:?}");
        }
        let branches = ["after_a", "b", "x"].iter().filter(|it| complete.contains(it)).count();
        if branches > 0 {
            assert_eq!(step(&task, "end")["result"], json!({"count": branches, "sum": branches}));
        }
    }
    cluster.audit_is_sound().await;
}

const BRANCHED_BATCH: &str = "
namespace: n
name: branched
steps:
  - {name: which, type: decision, handler: choose, branches: [divide, plain]}
  - {name: divide, type: batchable, handler: divide, depends_on: [which]}
  - {name: part, type: batch_worker, handler: work, depends_on: [divide]}
  - {name: plain, handler: work, depends_on: [which]}
  - {name: join, type: deferred_convergence, handler: collect, depends_on: [part, plain]}
";

async fn a_batch_in_a_branch_is_made_only_when_chosen(broker: Broker) {
    let cluster = Cluster::start(broker, &[BRANCHED_BATCH], &[]);
    let _worker = cluster.worker(obedient(), &[]);
    for (chosen, batches, parts, joined) in [
        (&["divide"][..], 3, 3, json!({"count": 3, "sum": 6})),
        // The batchable step stands in for the parts that it has not made.
        (&["divide"], 0, 0, json!({"count": 1, "sum": 0})),
        (&["plain"], 3, 0, json!({"count": 1, "sum": 1})),
        (&["divide", "plain"], 2, 2, json!({"count": 3, "sum": 4})),
    ] {
        let task = cluster.create("branched", json!({"which": chosen, "divide": batches})).await;
        let task = cluster.ended(&task, "Complete").await;
        let states = states(&task);
        for (branch, name) in [("divide", "divide"), ("plain", "plain")] {
            let expected = if chosen.contains(&branch) { "Complete" } else { "Skipped" };
            assert_eq!(states[name], expected, "{chosen:?}");
        }
        let made = states.keys().filter(|name| name.starts_with("part_")).count();
        assert_eq!((made, states.len()), (parts, parts + 4), "{states:?}");
        assert_eq!(step(&task, "join")["result"], joined, "{chosen:?} {batches}");
    }
    cluster.audit_is_sound().await;
}

const DECIDED_BATCH: &str = "
namespace: n
name: decided
steps:
  - {name: divide, type: batchable, handler: divide}
  - {name: part, type: batch_worker, handler: work, depends_on: [divide]}
  - {name: merge, type: deferred_convergence, handler: collect, depends_on: [part]}
  - {name: which, type: decision, handler: choose, depends_on: [merge], branches: [a, b]}
  - {name: a, handler: work, depends_on: [which]}
  - {name: b, handler: work, depends_on: [which]}
";

async fn a_decision_waits_for_the_whole_batch(broker: Broker) {
    let cluster = Cluster::start(broker, &[DECIDED_BATCH], &[]);
    let _worker = cluster.worker(obedient(), &[]);
    let mut tasks = Vec::new();
    for batches in [0, 1, 20] {
        let task = cluster.create("decided", json!({"divide": batches, "which": ["b"]})).await;
        tasks.push((task, batches));
    }
    for (task, batches) in tasks {
        let ended = cluster.ended(&task, "Complete").await;
        let states = states(&ended);
        assert_eq!(
            (states["a"], states["b"], states["which"]),
            ("Skipped", "Complete", "Complete")
        );
        assert_eq!(states.len(), 5 + batches);
        let transitions = cluster.client.get(&format!("/v1/tasks/{task}/transitions")).await.json();
        let transitions = transitions["transitions"].as_array().unwrap();
        let at = |step: &str, to: &str| {
            let of_it = transitions.iter().filter(|it| {
                it["step"].as_str().is_some_and(|name| name.starts_with(step)) && it["to"] == to
            });
            of_it.map(|it| it["at"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let decided = at("which", "InProgress").remove(0);
        assert_eq!(at("part_", "Complete").len(), batches);
        assert!(at("part_", "Complete").iter().all(|part| *part < decided));
    }
    cluster.audit_is_sound().await;
}

async fn a_thousand_batches_are_made_run_and_collected(broker: Broker) {
    let cluster = Cluster::start(broker, &[DECIDED_BATCH], &[]);
    let _worker = cluster.worker(obedient(), &[]);
    let task = cluster.create("decided", json!({"divide": 1000, "which": []})).await;
    let task = cluster.ended(&task, "Complete").await;
    assert_eq!(step(&task, "merge")["result"], json!({"count": 1000, "sum": 500_500}));
    assert_eq!(step(&task, "part_1000")["result"], 1000);
    assert!(task["steps"].as_array().unwrap().iter().all(|it| it["attempts"] != 2));
    cluster.audit_is_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_steps_side_by_side_and_two_hundred_in_a_row() {
    let mut wide = "namespace: n\nname: wide\nsteps:\n  - {name: root, handler: work}\n".to_owned();
    let mut line = "namespace: n\nname: line\nsteps:\n  - {name: s0, handler: work}\n".to_owned();
    let mut names = Vec::new();
    for nr in 0..1000 {
        writeln!(wide, "  - {{name: w{nr}, handler: work, depends_on: [root]}}").unwrap();
        names.push(format!("w{nr}"));
    }
    writeln!(wide, "  - {{name: join, handler: collect, depends_on: [{}]}}", names.join(", "))
        .unwrap();
    for nr in 1..200 {
        writeln!(line, "  - {{name: s{nr}, handler: collect, depends_on: [s{}]}}", nr - 1).unwrap();
    }
    let line = line.replace("handler: collect", "handler: work");
    let cluster = Cluster::start(Broker::Pgmq, &[&wide, &line], &[]);
    let _worker = cluster.worker(obedient(), &[]);
    let (wide, line) =
        (cluster.create("wide", json!({})).await, cluster.create("line", json!({})).await);
    let wide = cluster.ended(&wide, "Complete").await;
    assert_eq!(step(&wide, "join")["result"], json!({"count": 1000, "sum": 1000}));
    let line = cluster.ended(&line, "Complete").await;
    let steps: &Vec<Value> = line["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 200);
    assert!(steps.iter().all(|it| it["state"] == "Complete" && it["result"] == 1));
    cluster.audit_is_sound().await;
}
