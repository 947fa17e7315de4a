//! Handlers at work: how they are told to stop, keep their lease, and leave their place to others.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use stepmark_engine::config::Broker;
use stepmark_engine::worker::{HeartbeatError, Step, StepError, Worker};
use tokio::sync::Semaphore;

use crate::client::Client;
use crate::cluster::{Cluster, on_both_brokers, post, step};
use crate::support::{PATIENCE, eventually, execute, number};

on_both_brokers!(
    a_running_handler_is_told_of_a_cancel,
    a_running_handler_is_told_of_its_time_out,
    a_handler_is_told_of_a_cancel_that_no_call_tells_of_though_others_beat,
    a_killed_workers_checkpoint_is_where_the_next_attempt_begins,
);

const ONE: &str = "{namespace: n, name: one, steps: [{name: a, handler: work}]}";

/// No look for what nobody has told of falls into a test's time.
const NEVER: &[&str] = &["--sweep-ms", "600000"];

/// A handler that runs until it is told to stop, and tells how it was.
fn obeying(begun: &Arc<Semaphore>, told: &Arc<Semaphore>) -> Worker {
    let (begun, told) = (Arc::clone(begun), Arc::clone(told));
    Worker::new().handler("n", "work", move |step: Step| {
        let (begun, told) = (Arc::clone(&begun), Arc::clone(&told));
        async move {
            assert!(!step.is_interrupted());
            begun.add_permits(1);
            step.interrupted().await;
            assert!(step.is_interrupted());
            assert_eq!(step.heartbeat().await, Err(HeartbeatError::ClaimEnded));
            assert_eq!(step.save_checkpoint(&7).await, Err(HeartbeatError::ClaimEnded));
            told.add_permits(1);
            Ok::<_, StepError>(json!("too late"))
        }
    })
}

fn semaphores() -> (Arc<Semaphore>, Arc<Semaphore>) {
    (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)))
}

async fn taken(semaphore: &Semaphore, permits: u32) {
    let taken = tokio::time::timeout(PATIENCE, semaphore.acquire_many(permits)).await;
    taken.expect("in time").unwrap().forget();
}

async fn a_running_handler_is_told_of_a_cancel(broker: Broker) {
    let cluster = Cluster::start(broker, &[ONE], &[]);
    let another = cluster.another();
    let other = Client::of(&another);
    let (begun, told) = semaphores();
    let workers = [(), ()].map(|()| {
        let flags = [NEVER, &["--concurrency", "2"]].concat();
        cluster.worker(obeying(&begun, &told), &flags)
    });
    let mut tasks = Vec::new();
    for _ in 0..4 {
        tasks.push(cluster.create("one", json!({})).await);
    }
    taken(&begun, 4).await; // two with each worker
    let cancelled_at = Instant::now();
    for (nr, task) in tasks.iter().enumerate() {
        let client = if nr % 2 == 0 { &cluster.client } else { &other };
        let path = format!("/v1/tasks/{task}/cancel");
        let answer = post(client, &path, Some(json!({"reason": "not needed"}))).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    taken(&told, 4).await;
    assert!(cancelled_at.elapsed() < PATIENCE / 4, "{:?}", cancelled_at.elapsed());
    for task in &tasks {
        let task = cluster.ended(task, "Cancelled").await;
        assert_eq!(
            (&task["reason"], &task["steps"][0]["result"]),
            (&json!("not needed"), &json!(null))
        );
    }
    for worker in workers {
        worker.drain().await; // the late results are fenced by then
    }
    let late = "SELECT count(*) FROM workflow_steps WHERE result IS NOT NULL \
        OR checkpoint IS NOT NULL OR state <> 'Cancelled'";
    assert_eq!(number(&mut cluster.connect().await, late).await, 0);
    cluster.audit_is_sound().await;
}

async fn a_running_handler_is_told_of_its_time_out(broker: Broker) {
    let hasty = "{namespace: n, name: hasty, steps: [{name: a, handler: work, timeout_ms: 150,
        retry: {max_attempts: 2, backoff_initial_ms: 1, backoff_max_ms: 1}}]}";
    let cluster = Cluster::start(broker, &[hasty], &[]);
    let (begun, told) = semaphores();
    let _worker = cluster.worker(obeying(&begun, &told), NEVER);
    let task = cluster.create("hasty", json!({})).await;
    taken(&told, 2).await;
    let task = cluster.ended(&task, "Error").await;
    let step = step(&task, "a");
    assert_eq!((&step["attempts"], &step["lease_expiries"]), (&json!(2), &json!(0)));
    assert_eq!(step["error"]["kind"], "timeout");
    assert!(step["error"]["message"].as_str().unwrap().contains("150 ms"), "{step}");
    cluster.audit_is_sound().await;
}

async fn a_handler_is_told_of_a_cancel_that_no_call_tells_of_though_others_beat(broker: Broker) {
    let cluster = Cluster::start(broker, &[ONE], &[]);
    let silent = "CREATE OR REPLACE FUNCTION notify_interrupted(p_claim_tokens uuid[]) \
        RETURNS void LANGUAGE sql AS ''";
    execute(&mut cluster.connect().await, silent).await;
    let (begun, told) = semaphores();
    let (has_begun, was_told) = (Arc::clone(&begun), Arc::clone(&told));
    let worker = Worker::new().handler("n", "work", move |step: Step| {
        let (begun, told) = (Arc::clone(&has_begun), Arc::clone(&was_told));
        async move {
            begun.add_permits(1);
            if step.context::<serde_json::Value>()?["beats"] == true {
                while step.heartbeat().await.is_ok() {}
            }
            step.interrupted().await;
            told.add_permits(1);
            Ok::<_, StepError>(json!(1))
        }
    });
    let _worker = cluster.worker(worker, &["--sweep-ms", "200", "--concurrency", "2"]);
    let beating = cluster.create("one", json!({"beats": true})).await;
    let waiting = cluster.create("one", json!({"beats": false})).await;
    taken(&begun, 2).await;
    for task in [&waiting, &beating] {
        post(&cluster.client, &format!("/v1/tasks/{task}/cancel"), None).await;
        taken(&told, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_beats_outlives_its_lease_and_one_that_does_not_loses_it() {
    let cluster = Cluster::start(Broker::Pgmq, &[ONE], &["--sweep-ms", "20"]);
    let worker = Worker::new().handler("n", "work", async |step: Step| {
        let beats: bool = step.context::<serde_json::Value>()?["beats"] == true;
        let (begun, mut lost) = (Instant::now(), 0);
        while begun.elapsed() < Duration::from_millis(700) {
            tokio::time::sleep(Duration::from_millis(20)).await; // it works
            if beats {
                step.heartbeat().await?;
            }
        }
        lost += i32::from(step.is_interrupted());
        Ok::<_, StepError>(json!(lost))
    });
    let _worker = cluster.worker(worker, &["--lease-ms", "250"]);
    let beating = cluster.create("one", json!({"beats": true})).await;
    let silent = cluster.create("one", json!({"beats": false})).await;
    let task = cluster.ended(&beating, "Complete").await;
    let of_it = step(&task, "a");
    assert_eq!((&of_it["lease_expiries"], &of_it["result"]), (&json!(0), &json!(0)), "{of_it}");
    let task = cluster.ended(&silent, "Error").await;
    let of_it = step(&task, "a");
    assert_eq!(
        (&of_it["lease_expiries"], &of_it["error"]["kind"]),
        (&json!(5), &json!("lease_expired"))
    );
    cluster.audit_is_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_heartbeat_reaches_past_the_time_out() {
    let hasty = "{namespace: n, name: hasty, steps: [{name: a, handler: work, timeout_ms: 400,
        retry: {max_attempts: 1}}]}";
    let cluster = Cluster::start(Broker::Pgmq, &[hasty], &["--sweep-ms", "20"]);
    let beats = Arc::new(Mutex::new(Vec::new()));
    let beaten = Arc::clone(&beats);
    let worker = Worker::new().handler("n", "work", move |step: Step| {
        let beats = Arc::clone(&beaten);
        async move {
            loop {
                tokio::time::sleep(Duration::from_millis(10)).await; // it works
                let beat = step.heartbeat().await;
                beats.lock().unwrap().push(beat.clone());
                beat?;
            }
            #[allow(unreachable_code)]
            Ok::<_, StepError>(json!(1))
        }
    });
    let _worker = cluster.worker(worker, &["--lease-ms", "100000"]);
    let task = cluster.create("hasty", json!({})).await;
    let task = cluster.ended(&task, "Error").await;
    assert_eq!(step(&task, "a")["error"]["kind"], "timeout");
    eventually("the handler is told", async || {
        (beats.lock().unwrap().last() == Some(&Err(HeartbeatError::ClaimEnded))).then_some(())
    })
    .await;
    assert!(beats.lock().unwrap().iter().filter(|beat| beat.is_ok()).count() > 2);
    cluster.audit_is_sound().await;
}

async fn a_killed_workers_checkpoint_is_where_the_next_attempt_begins(broker: Broker) {
    let cluster = Cluster::start(broker, &[ONE], &["--sweep-ms", "50"]);
    let (begun, _) = semaphores();
    let starts = Arc::new(Mutex::new(Vec::new()));
    let counting = || {
        let (begun, starts) = (Arc::clone(&begun), Arc::clone(&starts));
        Worker::new().handler("n", "work", move |step: Step| {
            let (begun, starts) = (Arc::clone(&begun), Arc::clone(&starts));
            async move {
                let from = step.checkpoint::<u32>()?.unwrap_or(0);
                starts.lock().unwrap().push(from);
                for done in from + 1..=10 {
                    step.save_checkpoint(&done).await?;
                    if done % 4 == 0 {
                        begun.add_permits(1);
                        std::future::pending::<()>().await;
                    }
                }
                Ok::<_, StepError>(json!(10 - from))
            }
        })
    };
    let lease = ["--lease-ms", "300"];
    let first = cluster.worker(counting(), &lease);
    let task = cluster.create("one", json!({})).await;
    taken(&begun, 1).await;
    drop(first); // as a crash: nothing is given back
    let second = cluster.worker(counting(), &lease);
    taken(&begun, 1).await;
    drop(second);
    let _third = cluster.worker(counting(), &lease);
    let task = cluster.ended(&task, "Complete").await;
    let step = step(&task, "a");
    assert_eq!(*starts.lock().unwrap(), [0, 4, 8]);
    assert_eq!((&step["result"], &step["lease_expiries"]), (&json!(2), &json!(2)));
    assert_eq!(step["attempts"], 1);
    cluster.audit_is_sound().await;
}
