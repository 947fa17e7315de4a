//! OpenTelemetry traces: one a task, across processes, and nothing of it in the tasks' way.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::routing::post;
use serde_json::{Value, json};
use stepmark_engine::config::Broker;
use stepmark_engine::worker::{Step, StepError, Worker};

use crate::cluster::{Cluster, on_both_brokers};

on_both_brokers!(
    a_task_is_one_trace_across_its_processes,
    a_receiver_that_is_away_or_silent_harms_no_task,
);

const LINEAR: &str = "{namespace: n, name: linear, steps: [{name: a, handler: work},
    {name: b, handler: work, depends_on: [a]}, {name: c, handler: work, depends_on: [b]},
    {name: d, handler: work, depends_on: [c],
        retry: {max_attempts: 2, backoff_initial_ms: 1, backoff_max_ms: 1}}]}";

/// Every step is well, but for the first attempt at d.
fn worker() -> Worker {
    Worker::new().handler("n", "work", async |step: Step| {
        match (step.name.as_str(), step.attempt) {
            ("d", 1) => Err(StepError::retry("not yet")),
            _ => Ok(json!(step.name)),
        }
    })
}

/// A receiver of OTLP/HTTP in JSON, with the spans that came, each with its service.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Vec<(String, Value)>>>);

impl Receiver {
    /// Starts one; returns its base URL too.
    async fn start() -> (Self, String) {
        let receiver = Self::default();
        let spans = receiver.clone();
        let take = async move |Json(body): Json<Value>| {
            for resource in body["resourceSpans"].as_array().unwrap() {
                let attributes = resource["resource"]["attributes"].as_array().unwrap();
                let service = attributes.iter().find(|it| it["key"] == "service.name").unwrap();
                let service = service["value"]["stringValue"].as_str().unwrap();
                let scopes = resource["scopeSpans"].as_array().unwrap().iter();
                let came = scopes.flat_map(|scope| scope["spans"].as_array().unwrap().clone());
                spans.0.lock().unwrap().extend(came.map(|span| (service.to_owned(), span)));
            }
            Json(json!({}))
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let routes = axum::Router::new().route("/v1/traces", post(take));
        tokio::spawn(axum::serve(listener, routes).into_future());
        (receiver, url)
    }
}

fn text<'v>(span: &'v Value, field: &str) -> &'v str {
    span[field].as_str().unwrap()
}

fn ns(span: &Value, field: &str) -> u64 {
    text(span, field).parse().unwrap()
}

async fn a_task_is_one_trace_across_its_processes(broker: Broker) {
    let (receiver, url) = Receiver::start().await;
    let traced = ["--otlp-endpoint", url.as_str()];
    let cluster = Cluster::start(broker, &[LINEAR], &traced);
    let worker = cluster.worker(worker(), &traced);
    let task_uuid = cluster.create("linear", json!({})).await;
    cluster.ended(&task_uuid, "Complete").await;
    // What is left is sent when they drain.
    worker.drain().await;
    let (status, log) = cluster.orchestrator.terminate();
    assert!(status.success(), "{log}");

    let spans = receiver.0.lock().unwrap().clone();
    let trace_id = task_uuid.replace('-', "");
    assert!(spans.iter().all(|(_, span)| text(span, "traceId") == trace_id), "{spans:?}");
    let ids: BTreeSet<&str> = spans.iter().map(|(_, span)| text(span, "spanId")).collect();
    assert_eq!(ids.len(), spans.len(), "{spans:?}");
    let root = &trace_id[16..];
    let mut below: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for (service, span) in &spans {
        let parent = text(span, "parentSpanId");
        assert!(parent == root || ids.contains(parent), "{span}");
        assert!(ns(span, "startTimeUnixNano") <= ns(span, "endTimeUnixNano"), "{span}");
        below.entry(parent).or_default().push((text(span, "name"), service));
    }
    let (orchestrator, worker) = ("stepmark-orchestrator", "stepmark-worker");
    let mut first = below.remove(root).unwrap();
    first.sort_unstable();
    let steps = ["create", "step a", "step b", "step c", "step d", "step d"];
    assert_eq!(first, steps.map(|name| (name, orchestrator)));
    let parts = [
        ("claim", worker),
        ("complete", worker),
        ("handler", worker),
        ("process", orchestrator),
        ("queue", orchestrator),
    ];
    assert_eq!(below.len(), 5, "{below:?}");
    for mut part in below.into_values() {
        part.sort_unstable();
        assert_eq!(part, parts);
    }
    // The one that failed says so, in its step and in its handler; code 2 is an error.
    let failed = spans.iter().filter(|(_, span)| span["status"]["code"] == 2);
    let failed: BTreeMap<&str, &Value> =
        failed.map(|(_, span)| (text(span, "name"), &span["status"]["message"])).collect();
    let why = json!("not yet");
    assert_eq!(failed, BTreeMap::from([("handler", &why), ("step d", &why)]));
    let queues: Vec<&Value> =
        spans.iter().map(|(_, span)| span).filter(|span| span["name"] == "queue").collect();
    for queue in queues {
        assert_eq!(queue["kind"], 5, "a consumer's: {queue}");
        let system = json!({"key": "messaging.system", "value": {"stringValue": broker.name()}});
        assert!(queue["attributes"].as_array().unwrap().contains(&system), "{queue}");
    }
}

async fn a_receiver_that_is_away_or_silent_harms_no_task(broker: Broker) {
    // Nobody calls accept: the connection stands, and no answer comes.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [silent.local_addr().unwrap(), away] {
        let url = format!("http://{address}");
        let traced = ["--otlp-endpoint", url.as_str()];
        let cluster = Cluster::start(broker, &[LINEAR], &traced);
        let worker = cluster.worker(worker(), &traced);
        let task_uuid = cluster.create("linear", json!({})).await;
        cluster.ended(&task_uuid, "Complete").await;
        cluster.audit_is_sound().await;
        worker.drain().await;
        let (status, log) = cluster.orchestrator.terminate();
        assert!(status.success(), "{log}");
        assert!(log.contains("BatchSpanProcessor"), "the loss is told: {log}");
    }
}
