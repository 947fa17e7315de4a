//! What runs in memory ends as it does in an engine.

use serde_json::{Value, json};
use stepmark_engine::worker::testing;

use crate::client::Client;
use crate::kinds::{KINDS, NAMESPACE, kind, kind_text, kinds_worker};
use crate::support::{Database, Orchestrator, RunningWorker, template_folder};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_task_ends_in_memory_as_it_does_in_an_engine() {
    let texts: Vec<String> = KINDS.iter().map(|(name, steps, _)| kind_text(name, steps)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let database = Database::migrated();
    let folder = template_folder(&texts);
    let orchestrator = Orchestrator::start(&database, &["--templates", folder.to_str().unwrap()]);
    let client = Client::of(&orchestrator);
    let _worker = RunningWorker::start(kinds_worker(), &database, &[]);
    for (name, ..) in KINDS {
        let (template, context) = kind(name);
        let task = json!({"namespace": NAMESPACE, "template": name, "context": context});
        let uuid = client.create(&task).await;
        let ended = client.ended(&uuid).await;
        let by_engine = ended["steps"].as_array().unwrap().iter().map(|step| {
            let of = |field: &str| step[field].clone();
            json!([of("name"), of("state"), of("attempts"), of("result"), of("error")])
        });
        let mut by_engine: Vec<Value> = by_engine.collect();
        by_engine.sort_by_key(|step| step[0].to_string());
        let task = testing::run(&kinds_worker(), &template, &context).await.unwrap();
        let in_memory = task.steps.iter().map(|(name, step)| {
            json!([name, step.state.to_string(), step.attempts, step.result, step.error])
        });
        let mut in_memory: Vec<Value> = in_memory.collect();
        in_memory.sort_by_key(|step| step[0].to_string());
        assert_eq!(ended["state"], task.state.to_string(), "{name}");
        assert_eq!(json!(by_engine), json!(in_memory), "{name}");
    }
}
