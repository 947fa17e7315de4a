//! Creating tasks: one key, one task.

use std::collections::BTreeSet;

use stepmark_workflow::Template;

use crate::engine::{Created, Engine, Request};
use crate::support::{Database, number, template};

async fn registered(engine: &mut Engine, namespace: &str, name: &str) -> Request {
    let text = template(namespace, name, &[("a", &[]), ("b", &["a"])]);
    let template = Template::parse("test.yaml", &text).unwrap();
    Request::of(&template, engine.register(&template).await)
}

fn keyed(request: &Request, key: &str) -> Request {
    let key = Some(key.to_owned());
    Request { key, ..request.clone() }
}

async fn create(engine: &mut Engine, requests: &[Request]) -> Vec<Created> {
    engine.create(requests).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_racing_calls_with_one_key_make_one_task() {
    let database = Database::migrated();
    let mut engine = Engine::connect(&database).await;
    let request = keyed(&registered(&mut engine, "n", "t").await, "the key");
    let racers = (0..10).map(|_| {
        let (database, request) = (database.clone(), request.clone());
        tokio::spawn(async move {
            let mut engine = Engine::connect(&database).await;
            let mut answers = Vec::new();
            for _ in 0..10 {
                answers.extend(create(&mut engine, std::slice::from_ref(&request)).await);
            }
            answers
        })
    });
    let mut answers = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        answers.extend(racer.await.unwrap());
    }
    assert_eq!(answers.len(), 100);
    assert_eq!(answers.iter().filter(|answer| answer.new).count(), 1);
    assert!(answers.iter().all(|answer| answer.same_request));
    let uuids: BTreeSet<_> = answers.iter().map(|answer| answer.task_uuid).collect();
    assert_eq!(uuids.len(), 1);
    let count = async |engine: &mut Engine, of: &str| {
        number(&mut engine.connection, &format!("SELECT count(*) FROM {of}")).await
    };
    assert_eq!(count(&mut engine, "tasks").await, 1);
    assert_eq!(count(&mut engine, "workflow_steps").await, 2);
    assert_eq!(count(&mut engine, "message_outbox").await, 1);
}

#[tokio::test]
async fn one_key_twice_in_one_call_makes_one_task() {
    let mut engine = Engine::connect(&Database::migrated()).await;
    let request = keyed(&registered(&mut engine, "n", "t").await, "k");
    let answers = create(&mut engine, &[request.clone(), request]).await;
    assert_eq!(answers[0].task_uuid, answers[1].task_uuid);
    assert_eq!(answers.iter().filter(|answer| answer.new).count(), 1);
}

#[tokio::test]
async fn a_key_stands_for_its_request_and_no_other() {
    let mut engine = Engine::connect(&Database::migrated()).await;
    let request = keyed(&registered(&mut engine, "n", "t").await, "k");
    let held = create(&mut engine, std::slice::from_ref(&request)).await;
    let other_template = keyed(&registered(&mut engine, "n", "other").await, "k");
    let others = [
        (request.clone(), true),
        (Request { version_asked: Some(1), ..request.clone() }, true),
        (Request { version_asked: Some(2), ..request.clone() }, false),
        (Request { context: r#"{"n": 1}"#.to_owned(), ..request.clone() }, false),
        (other_template, false),
    ];
    for (request, is_same) in others {
        let answer = create(&mut engine, std::slice::from_ref(&request)).await[0].clone();
        assert!(!answer.new, "{request:?}");
        assert_eq!(answer.task_uuid, held[0].task_uuid, "{request:?}");
        assert_eq!(answer.same_request, is_same, "{request:?}");
    }
}

#[tokio::test]
async fn a_key_belongs_to_its_namespace() {
    let mut engine = Engine::connect(&Database::migrated()).await;
    let first = keyed(&registered(&mut engine, "n", "t").await, "k");
    let second = keyed(&registered(&mut engine, "m", "t").await, "k");
    assert!(create(&mut engine, &[first, second]).await.iter().all(|answer| answer.new));
}

#[tokio::test]
async fn many_tasks_of_several_templates_are_answered_in_the_order_of_the_call() {
    let mut engine = Engine::connect(&Database::migrated()).await;
    let templates =
        [registered(&mut engine, "n", "t").await, registered(&mut engine, "m", "u").await];
    let requests: Vec<Request> = (0..50)
        .map(|nr| Request { context: format!(r#"{{"nr": {nr}}}"#), ..templates[nr % 2].clone() })
        .collect();
    let answers = create(&mut engine, &requests).await;
    for (nr, answer) in answers.iter().enumerate() {
        let (namespace, context): (String, i32) = sqlx::query_as(
            "SELECT namespace, (context ->> 'nr')::int FROM tasks WHERE task_uuid = $1",
        )
        .bind(answer.task_uuid)
        .fetch_one(&mut engine.connection)
        .await
        .unwrap();
        assert_eq!(usize::try_from(context).unwrap(), nr);
        assert_eq!(namespace, templates[nr % 2].namespace);
    }
}
