//! What time does to tasks: priorities, delayed starts, deadlines.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use stepmark_engine::config::Broker;
use stepmark_engine::worker::{Step, StepError, Worker};
use tokio::sync::Semaphore;

use crate::cluster::{Cluster, obedient, on_both_brokers, post};
use crate::support::{eventually, number, seeds};

on_both_brokers!(
    the_highest_priority_is_handled_first_and_the_oldest_of_one,
    a_put_off_task_starts_when_it_is_due_whatever_orchestrator_is_there,
    a_deadline_cancels_what_runs_and_its_handler_is_told,
    a_deadline_and_a_completion_end_a_task_once,
);

const ONE: &str = "{namespace: n, name: one, steps: [{name: a, handler: work}]}";

/// A request for a task with these fields besides.
fn request(fields: Value) -> Value {
    let mut body = json!({"namespace": "n", "template": "one"});
    body.as_object_mut().unwrap().append(&mut fields.as_object().unwrap().clone());
    body
}

async fn the_highest_priority_is_handled_first_and_the_oldest_of_one(broker: Broker) {
    let cluster = Cluster::start(broker, &[ONE], &[]);
    let mut tasks = Vec::new();
    for nr in 0..60 {
        let priority = nr * 7 % 10;
        let body = request(json!({"priority": priority, "context": {"rank": [-priority, nr]}}));
        tasks.push(cluster.client.create(&body).await);
    }
    if broker == Broker::Rabbitmq {
        let mut connection = cluster.connect().await;
        eventually("the broker has all messages", async || {
            let unsent = "SELECT count(*) FROM message_outbox";
            (number(&mut connection, unsent).await == 0).then_some(())
        })
        .await;
    }
    let handled = Arc::new(Mutex::new(Vec::new()));
    let ranks = Arc::clone(&handled);
    let worker = Worker::new().handler("n", "work", move |step: Step| {
        let ranks = Arc::clone(&ranks);
        async move {
            let context: Value = step.context()?;
            let rank: (i64, i64) = serde_json::from_value(context["rank"].clone())?;
            ranks.lock().unwrap().push(rank);
            Ok::<_, StepError>(json!(1))
        }
    });
    let _worker = cluster.worker(worker, &["--concurrency", "1"]);
    for task in &tasks {
        let task = cluster.ended(task, "Complete").await;
        assert_eq!(
            task["priority"].as_i64().unwrap(),
            -task["context"]["rank"][0].as_i64().unwrap()
        );
    }
    let handled = handled.lock().unwrap().clone();
    assert_eq!(handled.len(), 60);
    assert!(handled.is_sorted(), "{handled:?}");
    cluster.audit_is_sound().await;
}

async fn a_put_off_task_starts_when_it_is_due_whatever_orchestrator_is_there(broker: Broker) {
    let mut cluster = Cluster::start(broker, &[ONE], &[]);
    let _worker = cluster.worker(obedient(), &[]);
    let soon = cluster.client.create(&request(json!({"delay_ms": 1200}))).await;
    let never = cluster.client.create(&request(json!({"delay_ms": 600_000}))).await;
    let late = request(json!({"delay_ms": 1000, "deadline_ms": 400}));
    let late = cluster.client.create(&late).await;
    for task in [&soon, &never] {
        let task = cluster.client.get(&format!("/v1/tasks/{task}")).await.json();
        assert_eq!(
            (&task["state"], &task["steps"][0]["state"]),
            (&json!("Pending"), &json!("Pending"))
        );
        assert!(task["start_at"].as_str() > task["created_at"].as_str());
    }
    let answer = post(&cluster.client, &format!("/v1/tasks/{never}/cancel"), None).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    cluster.kill();
    let client = &cluster.client;
    let task = client.ended(&soon).await;
    assert_eq!(task["state"], "Complete");
    let late = client.ended(&late).await;
    assert_eq!((&late["state"], &late["reason"]), (&json!("Cancelled"), &json!("deadline passed")));
    let never = client.ended(&never).await;
    assert_eq!(never["steps"][0]["state"], "Cancelled");
    let early = "SELECT count(*) FROM tasks t JOIN workflow_step_transitions x \
        ON x.step_id >> 16 = t.task_id WHERE x.to_state IN ('Enqueued', 'InProgress') \
        AND x.at < t.created_at + t.delay_ms * interval '1 ms'";
    assert_eq!(number(&mut cluster.connect().await, early).await, 0, "started before it was due");
    cluster.audit_is_sound().await;
}

async fn a_deadline_cancels_what_runs_and_its_handler_is_told(broker: Broker) {
    let ours = "{namespace: n, name: one, deadline_ms: 600, steps: [{name: a, handler: work},
        {name: b, handler: work, depends_on: [a]}]}";
    let mut cluster = Cluster::start(broker, &[ours], &[]);
    let told = Arc::new(Semaphore::new(0));
    let tells = Arc::clone(&told);
    let worker = Worker::new().handler("n", "work", move |step: Step| {
        let told = Arc::clone(&tells);
        async move {
            step.interrupted().await;
            told.add_permits(1);
            Ok::<_, StepError>(json!(1))
        }
    });
    let _worker = cluster.worker(worker, &["--sweep-ms", "600000"]);
    let of_template = cluster.client.create(&request(json!({}))).await;
    let of_request = cluster.client.create(&request(json!({"deadline_ms": 300}))).await;
    // The deadlines are the database's: those that are passed with nobody there are not forgotten.
    cluster.kill();
    let client = &cluster.client;
    for task in [&of_request, &of_template] {
        let task = client.ended(task).await;
        assert_eq!(
            (&task["state"], &task["reason"]),
            (&json!("Cancelled"), &json!("deadline passed"))
        );
        assert!(task["finished_at"].as_str() >= task["deadline_at"].as_str(), "{task}");
    }
    drop(told.acquire_many(2).await.unwrap());
    cluster.audit_is_sound().await;
}

async fn a_deadline_and_a_completion_end_a_task_once(broker: Broker) {
    let cluster = Cluster::start(broker, &[ONE], &[]);
    let another = cluster.another();
    let worker = Worker::new().handler("n", "work", async |step: Step| {
        let us: u64 = serde_json::from_value(step.context::<Value>()?["us"].clone())?;
        tokio::time::sleep(Duration::from_micros(us)).await; // it works
        Ok::<_, StepError>(json!(1))
    });
    let _worker = cluster.worker(worker, &[]);
    let (mut tasks, mut ends) = (Vec::new(), [0, 0]);
    for seed in seeds(40) {
        let us = StdRng::seed_from_u64(seed).random_range(0..1_600_000);
        let body = request(json!({"deadline_ms": 800, "context": {"us": us}}));
        tasks.push(cluster.client.create(&body).await);
    }
    let other = crate::client::Client::of(&another);
    for task in &tasks {
        let ended = other.ended(task).await;
        let complete = ended["state"] == "Complete";
        assert_eq!(ended["reason"], if complete { json!(null) } else { json!("deadline passed") });
        ends[usize::from(complete)] += 1;
    }
    assert!(ends.iter().all(|count| *count > 0), "no race: {ends:?}");
    let twice = "SELECT count(*) FROM tasks t WHERE 1 <> (SELECT count(*) FROM task_transitions x \
        WHERE x.task_id = t.task_id AND x.to_state IN ('Complete', 'Error', 'Cancelled'))";
    assert_eq!(number(&mut cluster.connect().await, twice).await, 0);
    cluster.audit_is_sound().await;
}
