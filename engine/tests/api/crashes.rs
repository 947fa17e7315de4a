//! Under load each part crashes in turn; every task that was promised completes, and each result
//! is applied once.

use std::time::Duration;

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use stepmark_engine::worker::{Step, StepError, Worker};
use stepmark_servers::RabbitMq;

use crate::client::Client;
use crate::support::{
    Database, Orchestrator, RunningWorker, UnflushedLog, audit_is_sound, eventually, number,
    own_broker, own_postgres, signal, unique,
};

const TASKS: usize = 60;

/// What must not be found in the end.
const FAULTS: &[(&str, &str)] = &[
    ("tasks that did not complete", "SELECT count(*) FROM tasks WHERE state <> 'Complete'"),
    (
        "steps whose result was not applied just once",
        "SELECT count(*) FROM workflow_steps s WHERE 1 <> (
            SELECT count(*) FROM workflow_step_transitions x
            WHERE x.step_id = s.step_id AND x.to_state = 'Complete')",
    ),
];

fn worker() -> Worker {
    Worker::new().handler("rust_e2e_linear", "square", async |_: Step| {
        tokio::time::sleep(Duration::from_millis(20)).await; // it works
        Ok::<_, StepError>(json!({"value": "1"}))
    })
}

/// Waits until this many steps are Complete and others are with the worker.
async fn under_way(database: &Database, complete: i64) {
    eventually("the load is under way", async || {
        let mut connection = PgConnection::connect_with(&database.options()).await.ok()?;
        let sql = "SELECT count(*) FILTER (WHERE state = 'Complete'), \
            count(*) FILTER (WHERE state = 'InProgress') FROM workflow_steps";
        let counts: (i64, i64) =
            sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&mut connection).await.ok()?;
        (counts.0 >= complete && counts.1 > 0).then_some(())
    })
    .await;
}

/// Posts tasks, each until it is taken; those it was told of.
async fn post(client: &Client, count: usize) -> Vec<String> {
    let mut tasks = Vec::new();
    while tasks.len() < count {
        let body = json!({"namespace": "rust_e2e_linear", "template": "mathematical_sequence"});
        let answer = eventually("a task is taken", async || {
            let answer = client.post(&body).await;
            (answer.status == 201).then_some(answer)
        })
        .await;
        tasks.push(answer.json()["task_uuid"].as_str().unwrap().to_owned());
    }
    tasks
}

async fn everything_crashes(mut broker: Option<RabbitMq>) {
    let mut server = own_postgres();
    let database = Database::of(&server);
    let prefix = format!("{}.", unique("crash"));
    let url = broker.as_ref().map(RabbitMq::amqp_url).unwrap_or_default();
    let mut flags = vec!["--sweep-ms", "200", "--queue-prefix", &prefix];
    if broker.is_some() {
        flags.extend(["--broker", "rabbitmq", "--rabbitmq-url", &url]);
    }
    let mut for_workers = flags.clone();
    for_workers.extend(["--concurrency", "4", "--lease-ms", "2000"]);

    let orchestrator = Orchestrator::start(&database, &flags);
    let first_worker = RunningWorker::start(worker(), &database, &for_workers);
    let mut tasks = post(&Client::of(&orchestrator), TASKS / 2).await;

    under_way(&database, 10).await;
    server.stop_immediate().unwrap();
    server.start_again().unwrap();
    tasks.extend(post(&Client::of(&orchestrator), TASKS / 2).await);

    under_way(&database, 40).await;
    signal(orchestrator.program.pid(), "KILL");
    drop(orchestrator);
    let orchestrator = Orchestrator::start(&database, &flags);

    under_way(&database, 80).await;
    drop(first_worker);
    let _second_worker = RunningWorker::start(worker(), &database, &for_workers);

    if let Some(broker) = &mut broker {
        under_way(&database, 120).await;
        broker.kill().unwrap();
        broker.start_again().unwrap();
    }
    let client = Client::of(&orchestrator);
    for task in &tasks {
        assert_eq!(client.ended(task).await["state"], "Complete");
    }
    let mut connection = database.connect().await;
    assert!(number(&mut connection, "SELECT count(*) FROM tasks").await >= TASKS as i64);
    eventually("tasks whose answer was lost complete too", async || {
        (number(&mut connection, FAULTS[0].1).await == 0).then_some(())
    })
    .await;
    for (fault, sql) in FAULTS {
        assert_eq!(number(&mut connection, sql).await, 0, "{fault}");
    }
    audit_is_sound(&mut connection).await;
    let log = std::fs::read_to_string(server.log_path()).unwrap();
    assert!(!log.contains("deadlock detected"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_done_twice_on_pgmq() {
    everything_crashes(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_done_twice_on_rabbitmq() {
    everything_crashes(Some(own_broker())).await;
}

/// A worker's claim, and the outcome that it stores and has not flushed.
async fn outcome_in_memory(connection: &mut PgConnection) {
    let claimed = sqlx::query(include_str!("../../sql/claim_taken.sql"))
        .bind(vec!["rust_e2e_linear"])
        .bind(1_i32)
        .bind("tester")
        .bind(30_000_i64);
    let claimed = claimed.fetch_one(&mut *connection).await.unwrap();
    let stored = sqlx::query(include_str!("../../sql/complete_steps.sql"))
        .bind("pgmq")
        .bind(vec![claimed.get::<i64, _>("step_id")])
        .bind(vec![claimed.get::<uuid::Uuid, _>("claim_token")])
        .bind(vec!["Complete"])
        .bind(vec![r#"{"value": "36"}"#])
        .bind(vec![None::<String>])
        .bind(vec![None::<String>])
        .bind(vec![None::<i64>]);
    let stored = stored.fetch_one(connection).await.unwrap();
    assert_eq!((stored.get("accepted"), stored.get("durable")), (vec![true], false));
}

async fn is_on_disk_before_it_is_told(path: &str) {
    let server = own_postgres();
    let database = Database::of(&server);
    let orchestrator = Orchestrator::start(&database, &[]);
    let client = Client::of(&orchestrator);
    let task = post(&client, 1).await.remove(0);
    let mut connection = database.connect().await;
    let held = UnflushedLog::hold(database).await;
    outcome_in_memory(&mut connection).await;
    let stored = "SELECT count(*) FROM workflow_steps WHERE result IS NOT NULL";
    let told = client.get(&path.replace("TASK", &task)).await;
    assert!(told.text.contains("InProgress") || told.text.contains("36"), "{}", told.text);
    let mut connection = held.crash(&mut connection).await;
    assert_eq!(number(&mut connection, stored).await, 1, "the reader was told of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_is_on_disk_before_a_reader_of_the_task_is_told() {
    is_on_disk_before_it_is_told("/v1/tasks/TASK").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_is_on_disk_before_a_reader_of_the_audit_is_told() {
    is_on_disk_before_it_is_told("/v1/tasks/TASK/transitions").await;
}
