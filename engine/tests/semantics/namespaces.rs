//! Namespaces that pause, with a backlog, beside others that go on.

use serde_json::json;
use stepmark_engine::config::Broker;
use stepmark_engine::worker::{Step, StepError, Worker};

use crate::client::Client;
use crate::cluster::{Cluster, obedient, on_both_brokers, post};
use crate::support::{eventually, execute, number, signal};

on_both_brokers!(
    a_paused_namespace_waits_with_its_backlog_while_others_go_on,
    a_resume_that_nobody_ended_is_ended_by_another_orchestrator,
);

const ONE: &str = "{namespace: n, name: one, steps: [{name: a, handler: work},
    {name: b, handler: work, depends_on: [a]}]}";

const CLAIMED: &str = "SELECT count(*) FROM workflow_step_transitions x \
    JOIN workflow_steps s USING (step_id) WHERE x.to_state = 'InProgress' AND s.namespace = 'n'";

fn worker() -> Worker {
    obedient().handler("m", "work", async |_: Step| Ok::<_, StepError>(json!(1)))
}

async fn create(client: &Client, namespace: &str, count: usize) -> Vec<String> {
    let mut tasks = Vec::new();
    for _ in 0..count {
        tasks.push(client.create(&json!({"namespace": namespace, "template": "one"})).await);
    }
    tasks
}

async fn paused(client: &Client, namespace: &str) -> bool {
    let all = client.get("/v1/namespaces").await.json();
    let found = all.as_array().unwrap().iter().find(|it| it["namespace"] == namespace);
    !found.unwrap()["paused_at"].is_null()
}

async fn a_paused_namespace_waits_with_its_backlog_while_others_go_on(broker: Broker) {
    let elsewhere = ONE.replace("namespace: n", "namespace: m");
    let mut cluster = Cluster::start(broker, &[ONE, &elsewhere], &[]);
    let answer = post(&cluster.client, "/v1/namespaces/n/pause", None).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let again = post(&cluster.client, "/v1/namespaces/n/pause", None).await;
    assert_eq!(again.json()["paused_at"], answer.json()["paused_at"], "paused since the first");
    let mut backlog = create(&cluster.client, "n", 150).await;
    let _worker = cluster.worker(worker(), &["--concurrency", "4"]);
    for task in create(&cluster.client, "m", 40).await {
        cluster.ended(&task, "Complete").await;
    }
    cluster.kill();
    let client = &cluster.client;
    assert!(paused(client, "n").await && !paused(client, "m").await);
    backlog.extend(create(client, "n", 20).await);
    for task in create(client, "m", 5).await {
        assert_eq!(client.ended(&task).await["state"], "Complete");
    }
    let mut connection = cluster.connect().await;
    assert_eq!(number(&mut connection, CLAIMED).await, 0, "claimed while it was paused");
    let cancelled = backlog.pop().unwrap();
    let path = format!("/v1/tasks/{cancelled}/cancel");
    assert_eq!(post(client, &path, None).await.status, 200);

    assert_eq!(post(client, "/v1/namespaces/n/resume", None).await.status, 200);
    assert!(!paused(client, "n").await);
    for task in &backlog {
        assert_eq!(client.ended(task).await["state"], "Complete");
    }
    assert_eq!(number(&mut connection, CLAIMED).await, 2 * backlog.len() as i64);
    // Resuming what is not paused changes nothing.
    assert_eq!(post(client, "/v1/namespaces/n/resume", None).await.status, 200);
    cluster.audit_is_sound().await;
}

async fn a_resume_that_nobody_ended_is_ended_by_another_orchestrator(broker: Broker) {
    let cluster = Cluster::start(broker, &[ONE], &[]);
    let _worker = cluster.worker(worker(), &[]);
    assert_eq!(post(&cluster.client, "/v1/namespaces/n/pause", None).await.status, 200);
    let tasks = create(&cluster.client, "n", 30).await;
    let mut connection = cluster.connect().await;
    // Taken in vain on PGMQ, and with the worker on RabbitMQ, or about to be.
    eventually("the messages have gone", async || {
        let left = match broker {
            Broker::Pgmq => "SELECT count(*) FROM pgmq.q_stepmark_dispatch",
            Broker::Rabbitmq => "SELECT count(*) FROM message_outbox",
        };
        (number(&mut connection, left).await == 0).then_some(())
    })
    .await;
    signal(cluster.orchestrator.program.pid(), "KILL");
    assert_eq!(number(&mut connection, CLAIMED).await, 0, "claimed while it was paused");
    // The first of the two transactions, after which the orchestrator has died. A message that is
    // delivered only now is acted on.
    let begun = include_str!("../../sql/namespace_resume.sql").replace("$1", "'n'");
    execute(&mut connection, &begun).await;
    let another = cluster.another();
    let client = Client::of(&another);
    for task in &tasks {
        assert_eq!(client.ended(task).await["state"], "Complete");
    }
    assert!(!paused(&client, "n").await);
    let left = "SELECT count(*) FROM paused_namespaces";
    assert_eq!(number(&mut connection, left).await, 0);
    cluster.audit_is_sound().await;
}
