//! An orchestrator lives through an outage of its servers.

use serde_json::{Value, json};
use stepmark_engine::worker::{Step, StepError, Worker};

use crate::client::Client;
use crate::support::{
    Database, Orchestrator, Program, RunningWorker, eventually, own_broker, own_postgres, rabbitmq,
    unique,
};

fn linear() -> Value {
    json!({"namespace": "rust_e2e_linear", "template": "mathematical_sequence"})
}

fn worker() -> Worker {
    Worker::new().handler("rust_e2e_linear", "square", async |_: Step| {
        Ok::<_, StepError>(json!({"value": "1"}))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_postgresql_is_away_clients_are_told_so_and_then_all_goes_on() {
    let mut server = own_postgres();
    let database = Database::of(&server);
    let orchestrator = Orchestrator::start(&database, &["--sweep-ms", "500"]);
    let client = Client::of(&orchestrator);
    let before = client.create(&linear()).await;

    server.stop_immediate().unwrap();
    let refused = client.post(&linear()).await;
    refused.problem(503);
    assert!(refused.header("retry-after").is_some());
    client.get(&format!("/v1/tasks/{before}")).await.problem(503);
    assert_eq!(client.get("/readyz").await.status, 503);
    assert_eq!(client.get("/healthz").await.status, 200);
    server.start_again().unwrap();

    eventually("it is ready again", async || {
        (client.get("/readyz").await.status == 200).then_some(())
    })
    .await;
    let after = client.create(&linear()).await;
    let _worker = RunningWorker::start(worker(), &database, &["--sweep-ms", "500"]);
    for task in [before, after] {
        assert_eq!(client.ended(&task).await["state"], "Complete");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_whose_orchestrator_died_before_it_could_publish_is_not_lost() {
    let database = Database::migrated();
    let (url, prefix) = (rabbitmq().amqp_url(), format!("{}.", unique("api")));
    let flags = [
        "--broker",
        "rabbitmq",
        "--rabbitmq-url",
        &url,
        "--queue-prefix",
        &prefix,
        "--sweep-ms",
        "500",
    ];
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/workflows");
    let mut all = vec!["--database-url", &database.url, "--listen", "127.0.0.1:0"];
    all.extend(["--templates", fixtures]);
    all.extend(flags);
    let failpoint = [("STEPMARK_FAILPOINT", "orchestrator_after_create_commit")];
    let dying = Orchestrator::ready(Program::start(&all, &failpoint));
    let client = Client::of(&dying);
    let body = json!({"namespace": "rust_e2e_linear", "template": "mathematical_sequence",
        "idempotency_key": "k"});
    let posted = client.http.post(format!("{}/v1/tasks", client.url)).json(&body).send().await;
    assert!(posted.is_err(), "it answered before it died");
    assert!(!dying.program.ended().0.success());

    let orchestrator = Orchestrator::start(&database, &flags);
    let _worker = RunningWorker::start(worker(), &database, &flags);
    let client = Client::of(&orchestrator);
    let again = client.post(&body).await;
    assert_eq!(again.status, 200, "the task is there");
    let task = again.json()["task_uuid"].as_str().unwrap().to_owned();
    assert_eq!(client.ended(&task).await["state"], "Complete");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_rabbitmq_is_away_orchestrator_and_worker_still_drain_when_told() {
    let database = Database::migrated();
    let mut broker = own_broker();
    let url = broker.amqp_url();
    let flags = ["--broker", "rabbitmq", "--rabbitmq-url", &url];
    let orchestrator = Orchestrator::start(&database, &flags);
    let client = Client::of(&orchestrator);
    let worker = RunningWorker::start(worker(), &database, &flags);
    let task = client.create(&linear()).await;
    assert_eq!(client.ended(&task).await["state"], "Complete");

    broker.stop().unwrap();
    eventually("the orchestrator has noticed", async || {
        (client.get("/readyz").await.status == 503).then_some(())
    })
    .await;
    worker.drain().await;
    let (status, log) = orchestrator.terminate();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("drained"), "{log}");
}
