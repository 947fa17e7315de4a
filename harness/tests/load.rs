//! The clients against an API that plays by a script: what they retry, count and time.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use stepmark_harness::client::Client;
use stepmark_harness::load::{Load, LoadError, Sample};
use stepmark_harness::scenario::Workflow;
use stepmark_harness::workload::Inputs;
use stepmark_workflow::state::TaskState;

/// What the API answers, call by call; the last answer is repeated.
#[derive(Default)]
struct Script {
    posts: Vec<(u16, Value)>,
    gets: Vec<(u16, Value)>,
    delay: Duration,
    keys: Vec<String>,
    places: Vec<Value>,
    under_way: usize,
    under_way_max: usize,
}

type Shared = Arc<Mutex<Script>>;

fn next(answers: &mut Vec<(u16, Value)>) -> Response {
    let (status, body) = match answers.len() {
        1 => answers[0].clone(),
        _ => answers.remove(0),
    };
    let status = StatusCode::from_u16(status).unwrap();
    (status, [("retry-after", "0")], Json(body)).into_response()
}

async fn create(State(script): State<Shared>, Json(body): Json<Value>) -> Response {
    let mut script = script.lock().unwrap();
    script.keys.push(body["idempotency_key"].as_str().unwrap().to_owned());
    script.places.push(body["context"]["place"].clone());
    script.under_way += 1;
    script.under_way_max = script.under_way_max.max(script.under_way);
    next(&mut script.posts)
}

async fn tell(State(script): State<Shared>, Path(_): Path<String>) -> Response {
    let delay = script.lock().unwrap().delay;
    tokio::time::sleep(delay).await;
    let mut script = script.lock().unwrap();
    script.under_way -= 1;
    next(&mut script.gets)
}

async fn play(script: Script) -> (String, Shared) {
    let script = Arc::new(Mutex::new(script));
    let app = Router::new()
        .route("/v1/tasks", post(create))
        .route("/v1/tasks/{id}", get(tell))
        .with_state(script.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, script)
}

async fn drive(client: &Client, tasks: u64, concurrency: usize) -> Vec<Sample> {
    let workflow = Workflow { namespace: "n".into(), template: "t".into(), version: None };
    let inputs = Inputs::list(vec![json!({"place": 0}), json!({"place": 1})]);
    let load = Load { client, workflow: &workflow, inputs: &inputs, run_id: "run", concurrency };
    let samples = RefCell::new(Vec::new());
    load.drive(0..tasks, |sample| samples.borrow_mut().push(sample)).await;
    samples.into_inner()
}

fn task(state: &str) -> Value {
    json!({"task_uuid": "u", "state": state, "steps": []})
}

#[tokio::test]
async fn a_busy_orchestrator_is_asked_again_with_the_same_key() {
    let posts = vec![(503, json!({})), (503, json!({})), (201, task("StepsInProcess"))];
    let gets = vec![(200, task("Complete"))];
    let (url, script) = play(Script { posts, gets, under_way: 8, ..Script::default() }).await;
    let client = Client::new(vec![url]);
    let samples = drive(&client, 1, 1).await;
    assert_eq!(samples[0].outcome.as_ref().unwrap().state, TaskState::Complete);
    assert_eq!(samples[0].retries, 2);
    assert_eq!(client.calls(), 4);
    assert_eq!(script.lock().unwrap().keys, ["run-0"; 3]);
}

#[tokio::test]
async fn a_wait_that_ends_early_is_taken_up_again() {
    let posts = vec![(201, task("StepsInProcess"))];
    let gets = vec![(200, task("EvaluatingResults")), (200, task("Complete"))];
    let (url, _) = play(Script { posts, gets, under_way: 8, ..Script::default() }).await;
    let client = Client::new(vec![url]);
    let samples = drive(&client, 1, 1).await;
    assert_eq!(samples[0].outcome.as_ref().unwrap().state, TaskState::Complete);
    assert_eq!((samples[0].retries, client.calls()), (0, 3));
}

#[tokio::test]
async fn a_refusal_is_final_and_says_why() {
    let posts = vec![(404, json!({"detail": "no template t in namespace n"}))];
    let (url, _) = play(Script { posts, ..Script::default() }).await;
    let client = Client::new(vec![url]);
    let samples = drive(&client, 1, 1).await;
    let Err(LoadError::Call(error)) = &samples[0].outcome else { panic!("{samples:?}") };
    assert!(error.to_string().contains("no template t in namespace n"), "{error}");
    assert_eq!(samples[0].retries, 0);
}

#[tokio::test]
async fn after_a_task_that_came_to_no_end_no_more_are_begun() {
    let posts = vec![(201, task("StepsInProcess")), (422, json!({}))];
    let gets = vec![(200, task("Complete"))];
    let (url, script) = play(Script { posts, gets, under_way: 8, ..Script::default() }).await;
    let samples = drive(&Client::new(vec![url]), 100, 1).await;
    assert_eq!((samples.len(), script.lock().unwrap().keys.len()), (2, 2));
}

#[tokio::test]
async fn an_orchestrator_that_comes_back_is_found_again() {
    let posts = vec![(201, task("StepsInProcess"))];
    let gets = vec![(200, task("Complete"))];
    // A port that nobody listens on until the client has been refused by it.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let client = Client::new(vec![format!("http://{address}")]);
    let script = Arc::new(Mutex::new(Script { posts, gets, ..Script::default() }));
    let app = Router::new()
        .route("/v1/tasks", post(create))
        .route("/v1/tasks/{id}", get(tell))
        .with_state(script);
    let come_back = async {
        while client.calls() < 2 {
            tokio::task::yield_now().await;
        }
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
    };
    let (samples, ()) = tokio::join!(drive(&client, 1, 1), come_back);
    assert!(samples[0].outcome.is_ok(), "{samples:?}");
    assert!(samples[0].retries >= 1);
}

#[tokio::test]
async fn the_clock_covers_the_wait_and_every_client_waits_for_its_own_task() {
    let posts = vec![(201, task("StepsInProcess"))];
    let gets = vec![(200, task("Complete"))];
    let delay = Duration::from_millis(20);
    let (url, script) = play(Script { posts, gets, delay, ..Script::default() }).await;
    let client = Client::new(vec![url]);
    let samples = drive(&client, 40, 8).await;
    assert!(samples.iter().all(|sample| sample.latency >= delay), "{samples:?}");
    let script = script.lock().unwrap();
    assert_eq!(script.under_way_max, 8);
    assert_eq!(script.keys.iter().collect::<BTreeSet<_>>().len(), 40);
}

#[tokio::test]
async fn each_task_is_given_the_input_of_its_number_at_every_try() {
    let posts =
        vec![(201, task("StepsInProcess")), (503, json!({})), (201, task("StepsInProcess"))];
    let gets = vec![(200, task("Complete"))];
    let (url, script) = play(Script { posts, gets, under_way: 8, ..Script::default() }).await;
    drive(&Client::new(vec![url]), 3, 1).await;
    let script = script.lock().unwrap();
    assert_eq!(script.keys, ["run-0", "run-1", "run-1", "run-2"]);
    assert_eq!(script.places, [0, 1, 1, 0]);
}

#[tokio::test]
async fn orchestrators_take_turns() {
    let script = || {
        let (posts, gets) = (vec![(201, task("StepsInProcess"))], vec![(200, task("Complete"))]);
        Script { posts, gets, ..Script::default() }
    };
    let (first_url, first) = play(script()).await;
    let (second_url, second) = play(script()).await;
    let client = Client::new(vec![first_url, second_url]);
    drive(&client, 4, 1).await;
    assert_eq!(first.lock().unwrap().keys, ["run-0", "run-2"]);
    assert_eq!(second.lock().unwrap().keys, ["run-1", "run-3"]);
}
