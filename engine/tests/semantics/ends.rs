//! Failures of batches, and the way back from them.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use stepmark_engine::config::Broker;
use stepmark_engine::worker::{Outcome, Step, StepError, Worker};

use crate::cluster::{Cluster, on_both_brokers, post, states, step};

on_both_brokers!(
    a_batch_that_continues_collects_results_and_failures,
    a_redrive_runs_what_failed_and_what_hangs_on_it_and_nothing_else,
    a_batch_that_fails_fast_is_redriven_whole,
);

/// Which handlers have run, and the steps that fail for now.
#[derive(Default)]
struct Play {
    calls: BTreeMap<String, u32>,
    failing: HashSet<String>,
}

type Stage = Arc<Mutex<Play>>;

/// A stage on which these steps fail.
fn stage(failing: &[&str]) -> Stage {
    let failing = failing.iter().map(|name| (*name).to_owned()).collect();
    Arc::new(Mutex::new(Play { failing, ..Play::default() }))
}

/// Enters a step: whether it is to fail.
fn enter(stage: &Stage, step: &Step) -> Result<(), StepError> {
    let mut play = stage.lock().unwrap();
    *play.calls.entry(step.name.clone()).or_default() += 1;
    if play.failing.contains(&step.name) {
        return Err(StepError::permanent(format!("{} fails", step.name)));
    }
    Ok(())
}

fn playing(stage: &Stage) -> Worker {
    let [work, divide, collect] = [(), (), ()].map(|()| Arc::clone(stage));
    Worker::new()
        .handler("n", "work", move |step: Step| {
            let entered = enter(&work, &step);
            async move {
                entered?;
                Ok::<_, StepError>(json!(step.input::<Option<i64>>()?.unwrap_or(1)))
            }
        })
        .handler("n", "divide", move |step: Step| {
            let entered = enter(&divide, &step);
            async move {
                entered?;
                let count = step.context::<Value>()?["batches"].as_i64().unwrap_or(0);
                Ok::<_, StepError>(Outcome::fan_out(count, 1..=count))
            }
        })
        .handler("n", "collect", move |step: Step| {
            let entered = enter(&collect, &step);
            async move {
                entered?;
                let results: Vec<i64> = step.batch_results("part")?;
                let failures = step.parent_failures().await?;
                let failures: Vec<&String> = failures.keys().collect();
                Ok::<_, StepError>(json!({"results": results, "failures": failures}))
            }
        })
}

fn batch(on_failure: &str) -> String {
    format!(
        "
namespace: n
name: batch
steps:
  - {{name: divide, type: batchable, handler: divide}}
  - {{name: part, type: batch_worker, handler: work, depends_on: [divide],
     on_failure: {on_failure}}}
  - {{name: merge, type: deferred_convergence, handler: collect, depends_on: [part]}}
  - {{name: after, handler: work, depends_on: [merge]}}
"
    )
}

async fn a_batch_that_continues_collects_results_and_failures(broker: Broker) {
    let cluster = Cluster::start(broker, &[&batch("continue_on_failure")], &[]);
    let stage = stage(&["part_002", "part_005"]);
    let _worker = cluster.worker(playing(&stage), &[]);
    let task = cluster.create("batch", json!({"batches": 6})).await;
    let task = cluster.ended(&task, "Complete").await;
    let expected = json!({"results": [1, 3, 4, 6], "failures": ["part_002", "part_005"]});
    assert_eq!(step(&task, "merge")["result"], expected);
    let states = states(&task);
    assert_eq!((states["part_002"], states["part_001"]), ("Error", "Complete"));
    assert_eq!(states["after"], "Complete");
    // It is Complete: there is nothing to redrive.
    let path = format!("/v1/tasks/{}/redrive", task["task_uuid"].as_str().unwrap());
    assert_eq!(post(&cluster.client, &path, None).await.status, 409);

    stage.lock().unwrap().failing.extend((1..=6).map(|nr| format!("part_00{nr}")));
    let task = cluster.create("batch", json!({"batches": 6})).await;
    let task = cluster.ended(&task, "Complete").await;
    assert_eq!(step(&task, "merge")["result"]["results"], json!([]));
    assert_eq!(step(&task, "merge")["result"]["failures"].as_array().unwrap().len(), 6);
    cluster.audit_is_sound().await;
}

const TREE: &str = "
namespace: n
name: tree
steps:
  - {name: root, handler: work}
  - {name: bad, handler: work, depends_on: [root]}
  - {name: good, handler: work, depends_on: [root]}
  - {name: after_bad, handler: work, depends_on: [bad]}
  - {name: after_good, handler: work, depends_on: [good]}
  - {name: end, handler: work, depends_on: [after_bad, after_good]}
";

async fn a_redrive_runs_what_failed_and_what_hangs_on_it_and_nothing_else(broker: Broker) {
    let cluster = Cluster::start(broker, &[TREE], &[]);
    let stage = stage(&["bad", "end"]);
    let _worker = cluster.worker(playing(&stage), &[]);
    let uuid = cluster.create("tree", json!({})).await;
    let path = format!("/v1/tasks/{uuid}/redrive");
    let task = cluster.ended(&uuid, "Error").await;
    assert_eq!(states(&task)["after_bad"], "Pending");
    assert_eq!(states(&task)["after_good"], "Complete");
    let failed = cluster.client.get("/v1/tasks?state=Error").await.json();
    assert_eq!(failed["tasks"][0]["task_uuid"], *uuid);
    assert_eq!(failed["tasks"][0]["failures"][0]["step"], "bad");
    assert_eq!(failed["tasks"][0]["failures"][0]["error"]["message"], "bad fails");

    for still_failing in ["bad", "end"] {
        // It fails once more at the same place, and then goes on to the next.
        assert_eq!(post(&cluster.client, &path, None).await.status, 200);
        let task = cluster.ended(&uuid, "Error").await;
        assert_eq!(states(&task)[still_failing], "Error");
        stage.lock().unwrap().failing.remove(still_failing);
        if still_failing == "bad" {
            assert_eq!(post(&cluster.client, &path, None).await.status, 200);
            cluster.ended(&uuid, "Error").await;
        }
    }
    assert_eq!(post(&cluster.client, &path, None).await.status, 200);
    let task = cluster.ended(&uuid, "Complete").await;
    assert!(task["steps"].as_array().unwrap().iter().all(|it| it["error"].is_null()), "{task}");
    assert_eq!(post(&cluster.client, &path, None).await.status, 409);
    let calls = stage.lock().unwrap().calls.clone();
    let expected =
        [("after_bad", 1), ("after_good", 1), ("bad", 3), ("end", 3), ("good", 1), ("root", 1)];
    assert!(calls.iter().map(|(name, calls)| (name.as_str(), *calls)).eq(expected), "{calls:?}");
    assert!(cluster.client.get("/v1/tasks?state=Error").await.json()["tasks"] == json!([]));
    cluster.audit_is_sound().await;
}

async fn a_batch_that_fails_fast_is_redriven_whole(broker: Broker) {
    let cluster = Cluster::start(broker, &[&batch("fail_fast")], &[]);
    let stage = stage(&["part_003"]);
    // One at a time and in order: of the parts, the first two end before the third fails.
    let _worker = cluster.worker(playing(&stage), &["--concurrency", "1"]);
    let uuid = cluster.create("batch", json!({"batches": 6})).await;
    let path = format!("/v1/tasks/{uuid}/redrive");
    for _ in 0..2 {
        let task = cluster.ended(&uuid, "Error").await;
        let states = states(&task);
        assert_eq!((states["part_003"], states["merge"]), ("Error", "Pending"), "{states:?}");
        assert!(states.values().all(|state| !["Enqueued", "InProgress"].contains(state)));
        assert_eq!(post(&cluster.client, &path, None).await.status, 200);
    }
    cluster.ended(&uuid, "Error").await;
    let before = stage.lock().unwrap().calls.clone();
    stage.lock().unwrap().failing.clear();
    assert_eq!(post(&cluster.client, &path, None).await.status, 200);
    let task = cluster.ended(&uuid, "Complete").await;
    let expected = json!({"results": [1, 2, 3, 4, 5, 6], "failures": []});
    assert_eq!(step(&task, "merge")["result"], expected);
    // Each part has run to its end once, whatever was cancelled and made anew.
    let parts = task["steps"].as_array().unwrap().iter();
    let mut complete: Vec<&str> = parts
        .filter(|it| it["type"] == "batch_worker" && it["state"] == "Complete")
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    complete.sort_unstable();
    let names: Vec<String> = (1..=6).map(|nr| format!("part_00{nr}")).collect();
    assert_eq!(complete, names);
    let after = stage.lock().unwrap().calls.clone();
    assert_eq!(after["divide"], 1);
    assert_eq!(after["part_003"], before["part_003"] + 1);
    assert_eq!((after["merge"], after["after"]), (1, 1));
    cluster.audit_is_sound().await;
}
