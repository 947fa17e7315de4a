//! Each part crashes in turn while tasks grow, decide, are cancelled and redriven; every task comes
//! to its end, and none has a result twice.

use serde_json::json;
use sqlx::{Connection, PgConnection};
use stepmark_engine::worker::{Step, StepError, Worker};
use stepmark_servers::RabbitMq;

use crate::client::{Answer, Client};
use crate::cluster::{Cluster, obedient, post, step};
use crate::reader::GROWING;
use crate::support::{Database, eventually, number, own_broker, own_postgres};

const FAILING: &str = "{namespace: n, name: failing, steps: [{name: a, handler: work},
    {name: b, handler: fail_first, depends_on: [a]}, {name: c, handler: work, depends_on: [b]}]}";

const PUT_OFF: &str = "{namespace: n, name: late, steps: [{name: a, handler: work}]}";

const GROWING_TASKS: usize = 12;
const PARTS: usize = 8;

/// Fails until its task is redriven.
fn worker() -> Worker {
    obedient().handler("n", "fail_first", async |step: Step| {
        if step.checkpoint::<bool>()? == Some(true) {
            return Ok(json!(1));
        }
        while step.save_checkpoint(&true).await.is_err() && !step.is_interrupted() {}
        Err(StepError::permanent("not the first time"))
    })
}

/// Sends a request until it is answered, whoever is away.
async fn until_answered(mut send: impl AsyncFnMut() -> Option<Answer>) -> Answer {
    eventually("an answer", async || send().await.filter(|answer| answer.status < 500)).await
}

async fn create(client: &Client, body: &serde_json::Value) -> String {
    let answer = until_answered(async || Some(client.post(body).await)).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()["task_uuid"].as_str().unwrap().to_owned()
}

/// Waits until this many steps are Complete.
async fn complete(database: &Database, count: i64) {
    reached(database, "SELECT count(*) FROM workflow_steps WHERE state = 'Complete'", count).await;
}

/// Waits until a statement counts as many, whoever is away.
async fn reached(database: &Database, sql: &'static str, count: i64) {
    eventually("the load is under way", async || {
        let mut connection = PgConnection::connect_with(&database.options()).await.ok()?;
        let found = sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut connection).await.ok()?;
        (found >= count).then_some(())
    })
    .await;
}

async fn everything_crashes(mut broker: Option<RabbitMq>) {
    let mut server = own_postgres();
    let url = broker.as_ref().map(RabbitMq::amqp_url);
    let templates = [GROWING, FAILING, PUT_OFF];
    let mut cluster = Cluster::on(Database::of(&server), url, &templates, &[]);
    let of_worker = ["--concurrency", "2", "--lease-ms", "1500"];
    let mut growing = Vec::new();
    let grows = json!({"namespace": "n", "template": "growing",
        "context": {"divide": PARTS, "more": PARTS, "which": ["more"]}});
    for _ in 0..GROWING_TASKS {
        growing.push(create(&cluster.client, &grows).await);
    }
    let failing = cluster.create("failing", json!({})).await;
    let late = json!({"namespace": "n", "template": "late", "delay_ms": 1500});
    let late = create(&cluster.client, &late).await;
    let worker_that_dies = cluster.worker(worker(), &of_worker);

    complete(&cluster.database, 10).await;
    server.stop_immediate().unwrap();
    server.start_again().unwrap();
    complete(&cluster.database, 40).await;
    cluster.kill();
    let cancelled = growing.pop().unwrap();
    let path = format!("/v1/tasks/{cancelled}/cancel");
    let cancel = until_answered(async || Some(post(&cluster.client, &path, None).await)).await;
    server.stop_immediate().unwrap();
    server.start_again().unwrap();
    drop(worker_that_dies);
    let second = [&of_worker[..], &["--instance", "second"]].concat();
    let _worker = cluster.worker(worker(), &second);
    let at_work = "SELECT count(*) FROM workflow_steps WHERE claimed_by = 'second'";
    reached(&cluster.database, at_work, 1).await;
    if let Some(broker) = &mut broker {
        complete(&cluster.database, 80).await;
        broker.kill().unwrap();
        broker.start_again().unwrap();
    }
    // What was told of the cancel is so, whatever has crashed since.
    let is_cancelled = cancel.status == 200;
    let expected = if is_cancelled { "Cancelled" } else { "Complete" };
    let ended = until_ended(&cluster.client, &cancelled).await;
    assert_eq!(ended["state"], expected, "{}", cancel.text);

    let ended = until_ended(&cluster.client, &failing).await;
    if ended["state"] == "Error" {
        let path = format!("/v1/tasks/{failing}/redrive");
        assert_eq!(post(&cluster.client, &path, None).await.status, 200);
    } else {
        // A crash came between its checkpoint and its failure; the next attempt went on from there.
        assert_ne!(step(&ended, "b")["lease_expiries"], 0, "{ended}");
    }
    cluster.kill();
    assert_eq!(until_ended(&cluster.client, &failing).await["state"], "Complete");
    assert_eq!(until_ended(&cluster.client, &late).await["state"], "Complete");
    for task in &growing {
        let task = until_ended(&cluster.client, task).await;
        assert_eq!(task["state"], "Complete", "{task}");
        let sum = PARTS * (PARTS + 1) / 2;
        for join in ["merge", "join"] {
            assert_eq!(step(&task, join)["result"]["sum"], sum, "{task}");
        }
    }
    let mut connection = cluster.connect().await;
    let twice = "SELECT count(*) FROM (SELECT x.step_id FROM workflow_step_transitions x \
        WHERE x.to_state = 'Complete' GROUP BY 1 HAVING count(*) > 1) AS x";
    assert_eq!(number(&mut connection, twice).await, 0, "a result was applied twice");
    cluster.audit_is_sound().await;
    let log = std::fs::read_to_string(server.log_path()).unwrap();
    assert!(!log.contains("deadlock detected"), "{log}");
}

async fn until_ended(client: &Client, task: &str) -> serde_json::Value {
    eventually("the task has ended", async || {
        let answer = client.get(&format!("/v1/tasks/{task}?wait=5")).await;
        (answer.status == 200).then(|| answer.json()).filter(|task| !task["finished_at"].is_null())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn growing_tasks_come_to_their_end_on_pgmq() {
    everything_crashes(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn growing_tasks_come_to_their_end_on_rabbitmq() {
    everything_crashes(Some(own_broker())).await;
}
