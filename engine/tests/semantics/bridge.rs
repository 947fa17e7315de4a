//! The bridge to handlers in other languages, with a host of the test's own on the other side.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stepmark_engine::config::Broker;
use stepmark_engine::worker::HeartbeatError;
use stepmark_engine::worker::bridge::{Bridge, EXIT_OVERRUN, OVERRUN_GRACE};

use crate::cluster::{Cluster, post, step};
use crate::support::PATIENCE;

const FOREIGN: &str = "{namespace: n, name: foreign, steps: [
    {name: a, handler: far}, {name: b, handler: far, depends_on: [a]}]}";
const ONCE: &str = "{namespace: n, name: once, steps: [
    {name: a, handler: far, timeout_ms: 200, retry: {max_attempts: 1}}]}";

/// A host with one thread, which runs this for each step and is told of interruptions.
fn host(
    cluster: &Cluster,
    flags: &[&str],
    handler: impl Fn(&Bridge, &Value) -> Option<Value> + Send + 'static,
) -> Arc<Bridge> {
    let mut arguments = vec!["host", "--database-url", &cluster.database.url, "--sweep-ms", "100"];
    arguments.extend(flags);
    let arguments = arguments.into_iter().map(str::to_owned).collect();
    let bridge = Bridge::start(&[("n".to_owned(), "far".to_owned())], arguments, None).unwrap();
    let host = Arc::clone(&bridge);
    std::thread::spawn(move || {
        while let Some(taken) = host.take() {
            assert_eq!(taken.waiting, 0);
            let event: Value = serde_json::from_str(&taken.event).unwrap();
            if event["kind"] != "step" {
                continue;
            }
            if let Some(answer) = handler(&host, &event) {
                let ms = Duration::from_millis(1);
                host.answer(event["call"].as_u64().unwrap(), &answer.to_string(), ms, ms);
            }
        }
    });
    bridge
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_crosses_with_all_it_has_and_comes_back() {
    let cluster = Cluster::start(Broker::Pgmq, &[FOREIGN], &[]);
    let bridge = host(&cluster, &[], |bridge, event| {
        let call = event["call"].as_u64().unwrap();
        assert_eq!(bridge.heartbeat(call, None), Ok(()));
        let nul = bridge.heartbeat(call, Some(r#""\u0000""#));
        assert!(matches!(nul, Err(HeartbeatError::Checkpoint(_))), "{nul:?}");
        assert!(!bridge.is_interrupted(call) && bridge.is_interrupted(call + 1));
        assert_eq!(bridge.heartbeat(call + 1, None), Err(HeartbeatError::ClaimEnded));
        assert_eq!(event["idempotency_token"], {
            let (task, step) = (event["task_uuid"].as_str(), event["step"].as_str());
            format!("{}/{}", task.unwrap(), step.unwrap())
        });
        let result = json!({"context": event["context"], "parents": event["parent_results"]});
        Some(match (event["step"].as_str(), event["attempt"].as_i64()) {
            (Some("a"), _) => json!({"complete": {"result": result}}),
            (_, Some(1)) => {
                bridge.heartbeat(call, Some(r#"{"done":1}"#)).unwrap();
                let failure = json!({"message": "no\u{0} luck", "exception": "Unlucky"});
                json!({"retry": {"failure": failure, "after_ms": 1}})
            }
            _ => json!({"complete": {"result": [event["checkpoint"], result]}}),
        })
    });
    let task = cluster.create("foreign", json!({"é": "ü\n"})).await;
    let task = cluster.ended(&task, "Complete").await;
    let a = json!({"context": {"é": "ü\n"}, "parents": {}});
    assert_eq!(step(&task, "a")["result"], a);
    let b = json!([{"done": 1}, {"context": {"é": "ü\n"}, "parents": {"a": a}}]);
    assert_eq!(step(&task, "b")["result"], b);
    bridge.stop();
    assert_eq!(bridge.wait(), 0);
    cluster.audit_is_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_answer_and_what_failed_stand_in_the_step_s_error() {
    let once = "{namespace: n, name: once, steps: [
        {name: a, handler: far, retry: {max_attempts: 1}}]}";
    let cluster = Cluster::start(Broker::Pgmq, &[once], &[]);
    let bridge = host(&cluster, &[], |_, event| Some(event["context"]["answer"].clone()));
    let stack = format!("{}\nat end", "é".repeat(20_000));
    let failure = json!({"message": "no luck", "exception": "Unlucky", "stack": stack});
    let cases = [
        (json!("complete"), "the handler's answer is not one"),
        (json!({"complete": {}}), "the handler's answer is not one"),
        (json!({"branch": {"result": 1, "branches": []}}), "the step's type is standard"),
        (json!({"retry": {"failure": failure}}), "no luck"),
        (json!({"fail": {"failure": {"message": "never"}}}), "never"),
    ];
    for (answer, message) in cases {
        let task = cluster.create("once", json!({"answer": answer})).await;
        let task = cluster.ended(&task, "Error").await;
        let error = &step(&task, "a")["error"];
        assert!(error["message"].as_str().unwrap().contains(message), "{error}");
        if message == "no luck" {
            assert_eq!(
                (&error["kind"], &error["exception"]),
                (&json!("handler"), &json!("Unlucky"))
            );
            let stack = error["stack"].as_str().unwrap();
            assert!(stack.starts_with('é') && stack.ends_with("at end"), "{}", stack.len());
            assert!(stack.len() < 17_000 && stack.contains(" bytes …]"), "{}", stack.len());
        }
    }
    bridge.stop();
    assert_eq!(bridge.wait(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_does_not_end_costs_its_process_and_no_other_step() {
    let cluster = Cluster::start(Broker::Pgmq, &[ONCE, FOREIGN], &[]);
    let bridge = host(&cluster, &[], |_, event| {
        let stuck = event["context"]["stuck"] == true;
        (!stuck).then(|| json!({"complete": {"result": 1}}))
    });
    let begun = Instant::now();
    let stuck = cluster.create("once", json!({"stuck": true})).await;
    let exit_code = tokio::task::spawn_blocking(move || bridge.wait());
    assert_eq!(tokio::time::timeout(PATIENCE, exit_code).await.unwrap().unwrap(), EXIT_OVERRUN);
    assert!(begun.elapsed() >= OVERRUN_GRACE, "{:?}", begun.elapsed());
    let ended = cluster.ended(&stuck, "Error").await;
    assert_eq!(step(&ended, "a")["error"]["kind"], "timeout");
    // Whatever comes next is another process's.
    let bridge = host(&cluster, &[], |_, _| Some(json!({"complete": {"result": 1}})));
    let next = cluster.create("foreign", json!({})).await;
    cluster.ended(&next, "Complete").await;
    bridge.stop();
    assert_eq!(bridge.wait(), 0);
    cluster.audit_is_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_whose_task_is_cancelled_may_take_its_time() {
    let long = "{namespace: n, name: long, steps: [{name: a, handler: far}]}";
    let cluster = Cluster::start(Broker::Pgmq, &[long], &[]);
    let (told, was_told) = std::sync::mpsc::channel();
    let bridge = host(&cluster, &[], move |bridge, event| {
        let call = event["call"].as_u64().unwrap();
        if event["context"]["slow"] == true {
            told.send(false).unwrap(); // it has begun
            while !bridge.is_interrupted(call) {
                std::thread::sleep(Duration::from_millis(5));
            }
            std::thread::sleep(OVERRUN_GRACE + Duration::from_millis(500));
            told.send(true).unwrap();
        }
        Some(json!({"complete": {"result": 1}}))
    });
    let slow = cluster.create("long", json!({"slow": true})).await;
    assert!(!was_told.recv_timeout(PATIENCE).unwrap());
    let cancel = post(&cluster.client, &format!("/v1/tasks/{slow}/cancel"), None).await;
    assert_eq!(cancel.status, 200, "{}", cancel.text);
    assert!(was_told.recv_timeout(PATIENCE).unwrap());
    let next = cluster.create("long", json!({})).await;
    cluster.ended(&next, "Complete").await; // by the same process
    bridge.stop();
    assert_eq!(bridge.wait(), 0);
}
