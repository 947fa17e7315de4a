//! Old tasks are deleted while new ones run.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use stepmark_engine::config::Broker;

use crate::client::Client;
use crate::cluster::{Cluster, obedient, post};
use crate::support::{execute, number};

const TEMPLATE: &str = "
namespace: n
name: batch
steps:
  - {name: divide, type: batchable, handler: divide}
  - {name: part, type: batch_worker, handler: work, depends_on: [divide]}
  - {name: merge, type: deferred_convergence, handler: collect, depends_on: [part]}
";

/// Rows of tasks that are no more.
const ORPHANS: &str = "SELECT (SELECT count(*) FROM workflow_steps \
        WHERE step_id >> 16 NOT IN (SELECT task_id FROM tasks)) \
    + (SELECT count(*) FROM workflow_step_transitions \
        WHERE step_id NOT IN (SELECT step_id FROM workflow_steps)) \
    + (SELECT count(*) FROM task_transitions \
        WHERE task_id NOT IN (SELECT task_id FROM tasks)) \
    + (SELECT count(*) FROM pgmq.q_stepmark_dispatch) \
    + (SELECT count(*) FROM pgmq.q_stepmark_completions) \
    + (SELECT count(*) FROM message_outbox)";

fn request(key: &str, batches: u32) -> Value {
    json!({"namespace": "n", "template": "batch", "idempotency_key": key,
        "context": {"divide": batches}})
}

/// Prunes to the end of all tasks; how many were deleted, and in how many requests.
async fn prune(client: &Client, older_than_ms: i64, states: Option<&[&str]>) -> (i64, u32) {
    let (mut after, mut pruned, mut requests) = (json!(null), 0, 0);
    loop {
        let mut body = json!({"older_than_ms": older_than_ms, "limit": 7, "after": after});
        if let Some(states) = states {
            body["states"] = json!(states);
        }
        let answer = post(client, "/v1/tasks/prune", Some(body)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let answer = answer.json();
        assert!(answer["pruned"].as_i64().unwrap() <= 7, "{answer}");
        pruned += answer["pruned"].as_i64().unwrap();
        requests += 1;
        after = answer["next"].clone();
        if after.is_null() {
            return (pruned, requests);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_old_tasks_go_with_all_their_rows_while_others_run() {
    let failing = "{namespace: n, name: failing, steps: [{name: a, handler: nobody}]}";
    let cluster = Cluster::start(Broker::Pgmq, &[TEMPLATE, failing], &[]);
    let client = &cluster.client;
    let _worker = cluster.worker(obedient(), &[]);
    for nr in 0..30 {
        let task = client.create(&request(&format!("old-{nr}"), 3)).await;
        cluster.ended(&task, "Complete").await;
    }
    let failed = cluster.create("failing", json!({})).await;
    cluster.ended(&failed, "Error").await;
    let put_off = json!({"namespace": "n", "template": "batch", "delay_ms": 600_000});
    let (cancelled, put_off) = (client.create(&put_off).await, client.create(&put_off).await);
    let answer = post(client, &format!("/v1/tasks/{cancelled}/cancel"), None).await;
    assert_eq!(answer.status, 200);
    let mut connection = cluster.connect().await;
    let age = "UPDATE tasks SET finished_at = finished_at - interval '1 hour', \
        failed_at = failed_at - interval '1 hour'";
    execute(&mut connection, age).await;
    let young = client.create(&request("young", 2)).await;
    cluster.ended(&young, "Complete").await;

    let ended = Arc::new(AtomicBool::new(false));
    let loading = tokio::spawn({
        let (client, ended) = (client.clone(), Arc::clone(&ended));
        async move {
            let mut tasks = Vec::new();
            while !ended.load(Ordering::Relaxed) || tasks.len() < 50 {
                tasks.push(client.create(&request(&format!("new-{}", tasks.len()), 4)).await);
            }
            tasks
        }
    });
    let (pruned, requests) = prune(client, 1_800_000, None).await;
    assert_eq!(pruned, 31, "the Complete and the Cancelled ones");
    assert!(requests >= 5, "{requests}");
    assert_eq!(prune(client, 1_800_000, None).await.0, 0);
    assert_eq!(client.get(&format!("/v1/tasks/{failed}")).await.json()["state"], "Error");
    assert_eq!(prune(client, 1_800_000, Some(&["Error"])).await.0, 1);
    ended.store(true, Ordering::Relaxed);
    for task in loading.await.unwrap() {
        let task = cluster.ended(&task, "Complete").await;
        assert_eq!(task["steps"].as_array().unwrap().len(), 6);
    }
    for gone in [&failed, &cancelled] {
        assert_eq!(client.get(&format!("/v1/tasks/{gone}")).await.status, 404);
        for what in ["cancel", "redrive"] {
            let answer = post(client, &format!("/v1/tasks/{gone}/{what}"), None).await;
            assert_eq!(answer.status, 404);
        }
    }
    assert_eq!(client.get(&format!("/v1/tasks/{put_off}")).await.json()["state"], "Pending");
    assert_eq!(number(&mut connection, ORPHANS).await, 0, "rows of tasks that are gone");

    // The keys of pruned tasks are free again, those of others still stand for their tasks.
    let again = client.post(&request("old-3", 3)).await;
    assert_eq!(again.status, 201, "{}", again.text);
    let again = again.json()["task_uuid"].as_str().unwrap().to_owned();
    cluster.ended(&again, "Complete").await;
    let held = client.post(&request("young", 2)).await;
    assert_eq!((held.status, &held.json()["task_uuid"]), (200, &json!(young)));
    cluster.audit_is_sound().await;
    let all = "SELECT count(*) FROM tasks WHERE finished_at IS NOT NULL";
    let all = number(&mut connection, all).await;
    assert_eq!(prune(client, 0, None).await.0, all);
    assert_eq!(number(&mut connection, ORPHANS).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_prune_at_once_delete_each_task_once() {
    let cluster = Cluster::start(Broker::Pgmq, &[TEMPLATE], &[]);
    let another = cluster.another();
    let other = Client::of(&another);
    let _worker = cluster.worker(obedient(), &[]);
    let mut tasks = HashSet::new();
    for nr in 0..60 {
        tasks.insert(cluster.client.create(&request(&format!("k{nr}"), 2)).await);
    }
    for task in &tasks {
        cluster.ended(task, "Complete").await;
    }
    let (one, two) = tokio::join!(prune(&cluster.client, 0, None), prune(&other, 0, None));
    assert_eq!(one.0 + two.0, 60);
    assert_eq!(number(&mut cluster.connect().await, ORPHANS).await, 0);
}
