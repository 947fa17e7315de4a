//! Waiting for a task's end, and its audit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use stepmark_engine::worker::{Step, StepError, Worker};
use tokio::sync::Semaphore;

use crate::client::Client;
use crate::support::{
    Database, Orchestrator, RunningWorker, number, postgres, template, template_folder,
};

/// A worker whose one step ends when the gate lets it.
fn gated(gate: &Arc<Semaphore>) -> Worker {
    let gate = Arc::clone(gate);
    Worker::new().handler("n", "a", move |_: Step| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await?.forget();
            Ok::<_, StepError>(json!("done"))
        }
    })
}

async fn statements(database: &Database) -> i64 {
    let superuser = postgres().superuser_url("postgres");
    let mut watcher = PgConnection::connect(&superuser).await.unwrap();
    let name = database.url.rsplit('/').next().unwrap();
    let sql = format!(
        "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements s \
         JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = '{name}'"
    );
    number(&mut watcher, &sql).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_on_any_orchestrator_is_woken_and_polls_nothing() {
    let database = Database::migrated();
    let folder = template_folder(&[&template("n", "t", &[("a", &[])])]);
    let flags = ["--sweep-ms", "600000", "--templates", folder.to_str().unwrap()];
    // One of the two processes a completion; the other one must hear of it.
    let orchestrators =
        [Orchestrator::start(&database, &flags), Orchestrator::start(&database, &flags)];
    let gate = Arc::new(Semaphore::new(0));
    let _worker = RunningWorker::start(gated(&gate), &database, &["--sweep-ms", "600000"]);
    let clients = orchestrators.each_ref().map(Client::of);
    for round in 0..5 {
        let task = clients[round % 2].create(&json!({"namespace": "n", "template": "t"})).await;
        let waits = clients.clone().map(|client| {
            let task = task.clone();
            tokio::spawn(async move {
                let ended = client.ended(&task).await;
                (ended, Instant::now())
            })
        });
        if round == 0 {
            // The waits are told by the database's own count to be at rest.
            let mut last = -1;
            while std::mem::replace(&mut last, statements(&database).await) != last {
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(statements(&database).await, last, "waiting asks the database nothing");
        }
        let opened = Instant::now();
        gate.add_permits(1);
        for wait in waits {
            let (ended, at) = wait.await.unwrap();
            assert_eq!(ended["state"], "Complete");
            let elapsed = at.duration_since(opened);
            assert!(elapsed < Duration::from_secs(5), "told after {elapsed:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_ends_when_it_is_over_with_the_task_as_it_is() {
    let database = Database::migrated();
    let orchestrator = Orchestrator::start(&database, &[]);
    let client = Client::of(&orchestrator);
    let linear = json!({"namespace": "rust_e2e_linear", "template": "mathematical_sequence"});
    let task = client.create(&linear).await;
    let begun = Instant::now();
    let answer = client.get(&format!("/v1/tasks/{task}?wait=0.3")).await;
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("StepsInProcess")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_of_a_linear_task_is_complete_and_in_order() {
    let database = Database::migrated();
    let orchestrator = Orchestrator::start(&database, &[]);
    let client = Client::of(&orchestrator);
    let worker = Worker::new().handler("rust_e2e_linear", "square", async |_: Step| {
        Ok::<_, StepError>(json!({"value": "1"}))
    });
    let _worker = RunningWorker::start(worker, &database, &[]);
    let linear = json!({"namespace": "rust_e2e_linear", "template": "mathematical_sequence"});
    let task = client.create(&linear).await;
    client.ended(&task).await;
    let audit = client.get(&format!("/v1/tasks/{task}/transitions")).await.json();
    assert_eq!(audit["task_uuid"], json!(task));
    let entries = audit["transitions"].as_array().unwrap();
    assert!(entries.is_sorted_by_key(|entry| entry["at"].as_str().unwrap().to_owned()));

    let path = |of: &dyn Fn(&Value) -> bool| {
        let entries: Vec<&Value> = entries.iter().filter(|entry| of(entry)).collect();
        let keys = entries.iter().map(|entry| entry["sort_key"].as_u64().unwrap());
        assert!(keys.eq(1..=entries.len() as u64), "gaps: {entries:?}");
        for two in entries.windows(2) {
            assert_eq!(two[0]["to"], two[1]["from"]);
        }
        let to = entries.iter().map(|entry| entry["to"].as_str().unwrap());
        to.collect::<Vec<_>>().join(" ")
    };
    let round = "EvaluatingResults EnqueuingSteps StepsInProcess ".repeat(3);
    let expected =
        format!("Initializing EnqueuingSteps StepsInProcess {round}EvaluatingResults Complete");
    assert_eq!(path(&|entry| entry["kind"] == "task"), expected);
    for step in 1..=4 {
        let name = format!("linear_step_{step}");
        assert_eq!(
            path(&|entry| entry["step"] == *name),
            "Enqueued InProgress EnqueuedForOrchestration Complete"
        );
    }
    assert_eq!(entries.len(), 14 + 16);
    let metrics = client.get("/metrics").await.text;
    assert!(metrics.contains("stepmark_dependency_evaluations_total 4"), "{metrics}");
}
