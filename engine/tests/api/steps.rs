//! What becomes of a step whose handler isn't there, fails, panics, dies or is told to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use stepmark_engine::config::WorkerConfig;
use stepmark_engine::worker::{Outcome, Step, StepError, Worker};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::support::{Database, Orchestrator, RunningWorker, eventually, template_folder};

/// One step, tried twice at most, at once.
const TWICE: &str = "{namespace: n, name: t, steps: [{name: a, handler: h, \
    retry: {max_attempts: 2, backoff_initial_ms: 1, backoff_max_ms: 1}}]}";

/// An orchestrator of that template, and its client.
fn cluster(flags: &[&str]) -> (Database, Orchestrator, Client) {
    let database = Database::migrated();
    let folder = template_folder(&[TWICE]);
    let mut all = vec!["--templates", folder.to_str().unwrap()];
    all.extend(flags);
    let orchestrator = Orchestrator::start(&database, &all);
    let client = Client::of(&orchestrator);
    (database, orchestrator, client)
}

fn task() -> Value {
    json!({"namespace": "n", "template": "t"})
}

/// The task's one step, once the task has ended in this state.
async fn ended(client: &Client, state: &str) -> Value {
    let uuid = client.create(&task()).await;
    let ended = client.ended(&uuid).await;
    assert_eq!(ended["state"], state, "{ended}");
    ended["steps"][0].clone()
}

fn message(step: &Value) -> &str {
    step["error"]["message"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_handler_ends_the_task_and_is_named() {
    let (database, _orchestrator, client) = cluster(&[]);
    let worker = Worker::new().handler("n", "other", async |_: Step| Ok::<_, StepError>(json!(1)));
    let _worker = RunningWorker::start(worker, &database, &[]);
    let step = ended(&client, "Error").await;
    assert_eq!((&step["state"], &step["attempts"]), (&json!("Error"), &json!(1)));
    let says = "no handler \"h\" in namespace \"n\": this worker has other";
    assert!(message(&step).contains(says), "{step}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_a_failure_that_is_tried_again() {
    let (database, _orchestrator, client) = cluster(&[]);
    let worker = Worker::new().handler("n", "h", async |step: Step| {
        assert!(step.attempt > 1, "the first attempt fails");
        Ok::<_, StepError>(json!(step.idempotency_token()))
    });
    let _worker = RunningWorker::start(worker, &database, &[]);
    let step = ended(&client, "Complete").await;
    assert_eq!((&step["attempts"], &step["error"]), (&json!(2), &json!(null)));
    assert!(step["result"].as_str().unwrap().ends_with("/a"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_always_panics_ends_in_error_with_its_words() {
    let (database, _orchestrator, client) = cluster(&[]);
    let worker = Worker::new().handler("n", "h", async |_: Step| -> Result<Value, StepError> {
        panic!("out of cheese\0")
    });
    let _worker = RunningWorker::start(worker, &database, &[]);
    let step = ended(&client, "Error").await;
    assert_eq!(step["attempts"], 2);
    assert!(message(&step).contains("the handler panicked: out of cheese"), "{step}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permanent_failure_is_not_tried_again() {
    let (database, _orchestrator, client) = cluster(&[]);
    let worker = Worker::new().handler("n", "h", async |_: Step| -> Result<Value, StepError> {
        Err(StepError::permanent("no such account"))
    });
    let _worker = RunningWorker::start(worker, &database, &[]);
    let step = ended(&client, "Error").await;
    assert_eq!((&step["attempts"], message(&step)), (&json!(1), "no such account"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_cannot_be_kept_fails_its_step_and_no_other() {
    let (database, _orchestrator, client) = cluster(&[]);
    let kinds = Arc::new(AtomicU32::new(0));
    let worker = Worker::new().handler("n", "h", move |_: Step| {
        let kind = kinds.fetch_add(1, Ordering::Relaxed);
        async move {
            let result = match kind {
                0 => "\"\\u0000\"".to_owned(),
                1 => format!("{}{}", "[".repeat(100), "]".repeat(100)),
                2 => "1e999999".to_owned(),
                3 => format!("\"{}\"", "x".repeat(2 << 20)),
                _ => "12345678901234567890123456789012345678901234567890".to_owned(),
            };
            Ok::<_, StepError>(Outcome::Complete(RawValue::from_string(result)?))
        }
    });
    let _worker = RunningWorker::start(worker, &database, &[]);
    for says in ["\\u0000", "64 levels", "can't be stored", "2097154 bytes"] {
        let step = ended(&client, "Error").await;
        assert!(message(&step).contains(says), "{says}: {step}");
    }
    let uuid = client.create(&task()).await;
    client.ended(&uuid).await;
    let text = client.get(&format!("/v1/tasks/{uuid}")).await.text;
    assert!(text.contains("12345678901234567890123456789012345678901234567890"), "{text}");
}

/// A worker whose steps begin, and end when the gate lets them.
fn gated(begun: &Arc<Semaphore>, gate: &Arc<Semaphore>) -> Worker {
    let (begun, gate) = (Arc::clone(begun), Arc::clone(gate));
    Worker::new().handler("n", "h", move |_: Step| {
        let (begun, gate) = (Arc::clone(&begun), Arc::clone(&gate));
        async move {
            begun.add_permits(1);
            gate.acquire().await?.forget();
            Ok::<_, StepError>(json!("done"))
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_told_to_end_finishes_what_it_has_begun_and_begins_nothing() {
    let (database, _orchestrator, client) = cluster(&[]);
    let (begun, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let worker = RunningWorker::start(gated(&begun, &gate), &database, &["--concurrency", "1"]);
    let first = client.create(&task()).await;
    begun.acquire().await.unwrap().forget();
    worker.tell();
    let second = client.create(&task()).await;
    gate.add_permits(2);
    worker.drain().await;
    let first = client.ended(&first).await;
    assert_eq!(first["state"], "Complete");
    assert_eq!((&first["steps"][0]["attempts"], begun.available_permits()), (&json!(1), 0));
    let second = client.get(&format!("/v1/tasks/{second}")).await.json();
    assert_eq!(second["steps"][0]["state"], "Enqueued");
    assert_eq!(second["steps"][0]["attempts"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_cannot_end_in_time_is_given_back_uncounted() {
    let (database, _orchestrator, client) = cluster(&[]);
    let (begun, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let worker = RunningWorker::start(gated(&begun, &gate), &database, &["--drain-ms", "200"]);
    let uuid = client.create(&task()).await;
    begun.acquire().await.unwrap().forget();
    worker.drain().await;
    let step = client.get(&format!("/v1/tasks/{uuid}")).await.json()["steps"][0].clone();
    assert_eq!((&step["state"], &step["attempts"]), (&json!("Enqueued"), &json!(0)));
    assert_eq!(step["lease_expiries"], 0);
    gate.add_permits(1);
    let _other = RunningWorker::start(gated(&begun, &gate), &database, &[]);
    let ended = client.ended(&uuid).await;
    assert_eq!((&ended["state"], &ended["steps"][0]["attempts"]), (&json!("Complete"), &json!(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_of_a_dead_worker_is_taken_over_when_its_lease_has_expired() {
    let (database, _orchestrator, client) = cluster(&["--sweep-ms", "100"]);
    let (begun, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let dying = RunningWorker::start(gated(&begun, &gate), &database, &["--lease-ms", "300"]);
    let uuid = client.create(&task()).await;
    begun.acquire().await.unwrap().forget();
    drop(dying);
    gate.add_permits(1);
    let _other = RunningWorker::start(gated(&begun, &gate), &database, &[]);
    let step = client.ended(&uuid).await["steps"][0].clone();
    assert_eq!((&step["state"], &step["attempts"]), (&json!("Complete"), &json!(1)));
    assert_eq!(step["lease_expiries"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_comes_when_its_backoff_is_over_and_not_at_the_next_sweep() {
    let (database, _orchestrator, client) = cluster(&["--sweep-ms", "600000"]);
    let worker = Worker::new().handler("n", "h", async |step: Step| {
        if step.attempt == 1 {
            return Err(StepError::retry_after("not yet", Duration::from_millis(300)));
        }
        Ok(json!(1))
    });
    let _worker = RunningWorker::start(worker, &database, &["--sweep-ms", "600000"]);
    let uuid = client.create(&task()).await;
    eventually("it waits for its retry", async || {
        let task = client.get(&format!("/v1/tasks/{uuid}")).await.json();
        (task["state"] != "StepsInProcess").then_some(())
    })
    .await;
    assert_eq!(client.ended(&uuid).await["state"], "Complete");
}

/// It is enough that this compiles.
#[test]
fn a_worker_can_be_spawned_beside_other_work() {
    fn spawnable<T: Send + 'static>(_: fn(Worker, WorkerConfig) -> T) {}
    spawnable(|worker, config| worker.run(config, CancellationToken::new()));
}
