//! The token, and the backlog.

use serde_json::json;
use stepmark_engine::worker::{Step, StepError, Worker};

use crate::client::Client;
use crate::support::{
    Database, Orchestrator, RunningWorker, eventually, template, template_folder,
};

#[tokio::test]
async fn with_a_token_only_its_bearers_are_served() {
    let orchestrator = Orchestrator::start(&Database::migrated(), &["--token", "open sesame"]);
    let client = Client::of(&orchestrator);
    let nobody = format!("{}/v1/tasks/00000000-0000-0000-0000-000000000000", client.url);
    let paths = [nobody.clone(), format!("{nobody}/transitions")];
    for header in [None, Some("Bearer open"), Some("Basic open sesame"), Some("Bearer ")] {
        let requests = paths.iter().map(|path| client.http.get(path));
        for request in requests.chain([client.http.post(format!("{}/v1/tasks", client.url))]) {
            let request = match header {
                Some(value) => request.header("authorization", value),
                None => request,
            };
            let answer = Client::send(request).await;
            assert!(answer.problem(401).contains("Bearer"));
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    let right = client.http.get(&nobody).header("authorization", "Bearer open sesame");
    Client::send(right).await.problem(404);
    // What tells of the process alone is open to those who watch it.
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
        assert_eq!(client.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_the_backlog_new_tasks_are_put_off_until_it_has_gone_down() {
    let database = Database::migrated();
    let folder = template_folder(&[&template("n", "t", &[("a", &[])])]);
    let flags = ["--backlog-max", "5", "--templates", folder.to_str().unwrap()];
    let orchestrator = Orchestrator::start(&database, &flags);
    let client = Client::of(&orchestrator);
    let body = json!({"namespace": "n", "template": "t"});
    let mut tasks = Vec::new();
    for _ in 0..5 {
        tasks.push(client.create(&body).await);
    }
    let refused = client.post(&body).await;
    assert!(refused.problem(503).contains("backlog"), "{}", refused.text);
    let seconds: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));

    let worker = Worker::new().handler("n", "a", async |_: Step| Ok::<_, StepError>(json!(1)));
    let _worker = RunningWorker::start(worker, &database, &[]);
    for task in tasks {
        assert_eq!(client.ended(&task).await["state"], "Complete");
    }
    eventually("there is room again", async || {
        (client.post(&body).await.status == 201).then_some(())
    })
    .await;
}
