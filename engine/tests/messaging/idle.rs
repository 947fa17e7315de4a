//! A cluster without work asks the database nothing between its sweeps.

use std::time::Duration;

use serde_json::json;
use sqlx::{Connection, PgConnection};
use stepmark_engine::worker::{Step, StepError, Worker};

use crate::support::{
    Database, Orchestrator, RunningWorker, eventually, number, postgres, rabbitmq, template,
    template_folder, unique,
};

/// Longer than this test runs.
const SWEEP_MS: &str = "600000";
/// Idle time that is looked at.
const WATCHED: Duration = Duration::from_secs(3);

/// Statements so far in this database, of all sessions of the engine's role.
async fn statements(watcher: &mut PgConnection, database: &Database) -> i64 {
    let name = database.url.rsplit('/').next().unwrap();
    let sql = format!(
        "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements s \
         JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = '{name}'"
    );
    number(watcher, &sql).await
}

async fn an_idle_cluster_is_silent(flags: &[&str]) {
    let database = Database::migrated();
    let folder = template_folder(&[&template("n", "t", &[("a", &[])])]);
    let mut all = vec!["--sweep-ms", SWEEP_MS];
    all.extend(flags);
    let worker = Worker::new().handler("n", "a", async |_: Step| Ok::<_, StepError>(json!(1)));
    let _worker = RunningWorker::start(worker, &database, &all);
    all.extend(["--templates", folder.to_str().unwrap()]);
    let orchestrator = Orchestrator::start(&database, &all);

    let client = reqwest::Client::new();
    let posted = client.post(format!("{}/v1/tasks", orchestrator.url));
    let posted = posted.json(&json!({"namespace": "n", "template": "t"})).send();
    let made: serde_json::Value = posted.await.unwrap().json().await.unwrap();
    let task = format!("{}/v1/tasks/{}", orchestrator.url, made["task_uuid"].as_str().unwrap());
    let ended = client.get(format!("{task}?wait=60")).send().await.unwrap();
    let ended: serde_json::Value = ended.json().await.unwrap();
    assert_eq!(ended["state"], "Complete");

    let mut watcher = PgConnection::connect(&postgres().superuser_url("postgres")).await.unwrap();
    let mut last = -1;
    eventually("the last confirmation is dealt with", async || {
        let before = std::mem::replace(&mut last, statements(&mut watcher, &database).await);
        tokio::time::sleep(Duration::from_millis(200)).await;
        (before == last).then_some(())
    })
    .await;
    assert!(last > 10, "the watcher sees nothing: {last}");
    // This is what is measured, and no wait for anything.
    tokio::time::sleep(WATCHED).await;
    let silent = statements(&mut watcher, &database).await - last;
    assert_eq!(silent, 0, "statements in {WATCHED:?} without work");
}

#[tokio::test]
async fn pgmq() {
    an_idle_cluster_is_silent(&[]).await;
}

#[tokio::test]
async fn rabbitmq_too() {
    let (url, prefix) = (rabbitmq().amqp_url(), format!("{}.", unique("idle")));
    let flags = ["--broker", "rabbitmq", "--rabbitmq-url", &url, "--queue-prefix", &prefix];
    an_idle_cluster_is_silent(&flags).await;
}
