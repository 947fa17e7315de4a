//! The circuit breaker in front of the handlers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::json;
use stepmark_engine::config::Broker;
use stepmark_engine::worker::{Step, StepError, Worker};

use crate::cluster::{Cluster, on_both_brokers, step};

on_both_brokers!(a_worker_at_which_all_fails_leaves_the_steps_to_others_until_it_is_well_again);

const PATIENT: &str = "{namespace: n, name: one, steps: [{name: a, handler: work,
    retry: {max_attempts: 50, backoff_initial_ms: 1, backoff_max_ms: 1}}]}";

async fn a_worker_at_which_all_fails_leaves_the_steps_to_others_until_it_is_well_again(
    broker: Broker,
) {
    let cluster = Cluster::start(broker, &[PATIENT], &[]);
    let (ill, attempts) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU32::new(0)));
    let (is_ill, count) = (Arc::clone(&ill), Arc::clone(&attempts));
    let worker = Worker::new().handler("n", "work", move |_: Step| {
        count.fetch_add(1, Ordering::SeqCst);
        let is_ill = is_ill.load(Ordering::SeqCst);
        async move { if is_ill { Err(StepError::retry("ill")) } else { Ok(json!("well again")) } }
    });
    let pause = ["--breaker-failures", "3", "--breaker-pause-ms", "1500"];
    let flags = [pause.as_slice(), &["--concurrency", "1"]].concat();
    let worker = cluster.worker(worker, &flags);
    let first = cluster.create("one", json!({})).await;
    // Three attempts, and then it claims no more: what comes is another worker's.
    crate::support::eventually("three failures", async || {
        (attempts.load(Ordering::SeqCst) == 3).then_some(())
    })
    .await;
    let other = Worker::new()
        .handler("n", "work", async |_: Step| Ok::<_, StepError>(json!("by the other")));
    let other = cluster.worker(other, &[]);
    let task = cluster.ended(&first, "Complete").await;
    let step = step(&task, "a");
    assert_eq!((&step["result"], &step["attempts"]), (&json!("by the other"), &json!(4)));
    assert_eq!(attempts.load(Ordering::SeqCst), 3);
    other.drain().await;
    // After the pause it tries one step; that fails, and it pauses again; then all is well.
    let second = cluster.create("one", json!({})).await;
    crate::support::eventually("a step to see", async || {
        (attempts.load(Ordering::SeqCst) == 4).then_some(())
    })
    .await;
    ill.store(false, Ordering::SeqCst);
    let task = cluster.ended(&second, "Complete").await;
    assert_eq!(crate::cluster::step(&task, "a")["result"], "well again");
    worker.drain().await;
    cluster.audit_is_sound().await;
}
