//! Creating tasks over HTTP.

use std::collections::BTreeSet;

use serde_json::json;

use crate::client::Client;
use crate::support::{Database, Orchestrator};

#[tokio::test]
async fn a_task_is_created_once_answered_again_and_its_key_is_kept() {
    let orchestrator = Orchestrator::start(&Database::migrated(), &[]);
    let client = Client::of(&orchestrator);
    let body = json!({"namespace": "rust_e2e_linear", "template": "mathematical_sequence",
        "context": {"even_number": 6}, "idempotency_key": "k"});
    let created = client.post(&body).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.json()["state"], "StepsInProcess");
    let uuid = created.json()["task_uuid"].as_str().unwrap().to_owned();
    assert_eq!(created.header("location"), Some(&*format!("/v1/tasks/{uuid}")));

    let again = client.post(&body).await;
    assert_eq!((again.status, again.json()), (200, created.json()));
    for (field, value) in [("context", json!({"even_number": 8})), ("version", json!(1))] {
        let mut other = body.clone();
        other[field] = value;
        let answer = client.post(&other).await;
        if field == "version" {
            assert_eq!(answer.status, 200, "version 1 is what the first request meant");
        } else {
            assert!(answer.problem(409).contains(&uuid));
        }
    }
    let task = client.get(&format!("/v1/tasks/{uuid}")).await.json();
    assert_eq!(task["idempotency_key"], "k");
    assert_eq!(task["context"], json!({"even_number": 6}));
    assert_eq!(task["version"], 1);
    assert_eq!(task["finished_at"], json!(null));
    let states = task["steps"].as_array().unwrap().iter().map(|step| &step["state"]);
    assert_eq!(states.collect::<Vec<_>>(), ["Enqueued", "Pending", "Pending", "Pending"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_racing_posts_to_two_orchestrators_make_one_task() {
    let database = Database::migrated();
    let orchestrators = [Orchestrator::start(&database, &[]), Orchestrator::start(&database, &[])];
    let body = json!({"namespace": "rust_e2e_diamond", "template": "diamond_pattern",
        "idempotency_key": "the same"});
    let posts = (0..100).map(|nr| {
        let (client, body) = (Client::of(&orchestrators[nr % 2]), body.clone());
        tokio::spawn(async move { client.post(&body).await })
    });
    let (mut created, mut uuids) = (0, BTreeSet::new());
    for post in posts.collect::<Vec<_>>() {
        let answer = post.await.unwrap();
        assert!([200, 201].contains(&answer.status), "{answer:?}");
        created += usize::from(answer.status == 201);
        uuids.insert(answer.json()["task_uuid"].to_string());
    }
    assert_eq!((created, uuids.len()), (1, 1));
}

#[tokio::test]
async fn the_openapi_document_is_served_as_committed() {
    let orchestrator = Orchestrator::start(&Database::migrated(), &[]);
    let client = Client::of(&orchestrator);
    let served = client.get("/openapi.json").await;
    let committed = include_str!("../../openapi.json");
    assert_eq!(served.json(), serde_json::from_str::<serde_json::Value>(committed).unwrap());
}
