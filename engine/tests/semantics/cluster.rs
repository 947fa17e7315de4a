//! An orchestrator with templates of the test's own, and what must hold of its database.
#![allow(dead_code, unused_imports, unused_macros, reason = "each test program uses a part")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::PgConnection;
use stepmark_engine::config::Broker;
use stepmark_engine::worker::{Outcome, Step, StepError, Worker};

use crate::client::{Answer, Client};
use crate::support::{
    Database, Orchestrator, RunningWorker, audit_is_sound, rabbitmq, signal, template_folder,
    unique,
};

/// Makes each behaviour a test for either broker.
macro_rules! on_both_brokers {
    ($($behaviour:ident),+ $(,)?) => {
        mod pgmq {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                super::$behaviour(stepmark_engine::config::Broker::Pgmq).await;
            })+
        }
        mod rabbitmq {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                super::$behaviour(stepmark_engine::config::Broker::Rabbitmq).await;
            })+
        }
    };
}
pub(crate) use on_both_brokers;

/// An orchestrator on a database of its own.
pub struct Cluster {
    pub database: Database,
    pub client: Client,
    pub orchestrator: Orchestrator,
    transport: Vec<String>,
    flags: Vec<String>,
}

impl Cluster {
    /// With these templates, and flags of the orchestrator, on servers that other tests use too.
    pub fn start(broker: Broker, templates: &[&str], flags: &[&str]) -> Self {
        let url = (broker == Broker::Rabbitmq).then(|| rabbitmq().amqp_url());
        Self::on(Database::migrated(), url, templates, flags)
    }

    /// On these servers; on PGMQ without a broker's address.
    pub fn on(
        database: Database,
        broker: Option<String>,
        templates: &[&str],
        flags: &[&str],
    ) -> Self {
        let folder = template_folder(templates);
        let mut transport = vec!["--sweep-ms".to_owned(), "100".to_owned()];
        if let Some(url) = broker {
            let prefix = format!("{}.", unique("test"));
            let with = ["--broker", "rabbitmq", "--queue-prefix", &prefix, "--rabbitmq-url", &url];
            transport.extend(with.map(str::to_owned));
        }
        let mut all: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        all.extend(["--templates".to_owned(), folder.to_str().unwrap().to_owned()]);
        let orchestrator = start(&database, &transport, &all);
        let client = Client::of(&orchestrator);
        Self { database, client, orchestrator, transport, flags: all }
    }

    /// Kills the orchestrator and starts one in its place.
    pub fn kill(&mut self) {
        signal(self.orchestrator.program.pid(), "KILL");
        self.orchestrator = self.another();
        self.client = Client::of(&self.orchestrator);
    }

    /// Another orchestrator beside the first.
    pub fn another(&self) -> Orchestrator {
        start(&self.database, &self.transport, &self.flags)
    }

    /// A worker with these flags.
    pub fn worker(&self, worker: Worker, flags: &[&str]) -> RunningWorker {
        let mut all: Vec<&str> = self.transport.iter().map(String::as_str).collect();
        if flags.contains(&"--sweep-ms") {
            all.drain(..2);
        }
        all.extend(flags);
        RunningWorker::start(worker, &self.database, &all)
    }

    /// The flags with which a worker's program joins.
    pub fn worker_flags(&self) -> Vec<String> {
        let database = ["--database-url".to_owned(), self.database.url.clone()];
        database.into_iter().chain(self.transport.clone()).collect()
    }

    /// A new task of namespace `n`.
    pub async fn create(&self, template: &str, context: Value) -> String {
        let body = json!({"namespace": "n", "template": template, "context": context});
        self.client.create(&body).await
    }

    /// A task at its end, which must be in this state.
    pub async fn ended(&self, task_uuid: &str, state: &str) -> Value {
        let task = self.client.ended(task_uuid).await;
        let unlike: Vec<&Value> =
            task["steps"].as_array().unwrap().iter().filter(|it| !it["error"].is_null()).collect();
        assert_eq!(task["state"], state, "{task_uuid}: {unlike:?}");
        task
    }

    pub async fn connect(&self) -> PgConnection {
        self.database.connect().await
    }

    /// Looks at every audit in the database.
    pub async fn audit_is_sound(&self) {
        audit_is_sound(&mut self.connect().await).await;
    }
}

fn start(database: &Database, transport: &[String], flags: &[String]) -> Orchestrator {
    let mut all: Vec<&str> = transport.iter().map(String::as_str).collect();
    if flags.iter().any(|flag| flag == "--sweep-ms") {
        all.drain(..2);
    }
    all.extend(flags.iter().map(String::as_str));
    Orchestrator::start(database, &all)
}

/// Posts to a path under a client's URL, with a body where there is one.
pub async fn post(client: &Client, path: &str, body: Option<Value>) -> Answer {
    let request = client.http.post(format!("{}{path}", client.url));
    Client::send(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

/// The states of a task's steps, by name.
pub fn states(task: &Value) -> BTreeMap<&str, &str> {
    let steps = task["steps"].as_array().unwrap().iter();
    steps.map(|it| (it["name"].as_str().unwrap(), it["state"].as_str().unwrap())).collect()
}

/// A task's step of this name.
pub fn step<'a>(task: &'a Value, name: &str) -> &'a Value {
    let found = task["steps"].as_array().unwrap().iter().find(|it| it["name"] == name);
    found.unwrap_or_else(|| panic!("no step {name}: {task}"))
}

/// Handlers of namespace `n` that the task's context tells what to do. `work` gives its input, or
/// 1; `choose` chooses what the context has under the step's name; `divide` makes as many batches;
/// `collect` counts and adds up what it is given.
pub fn obedient() -> Worker {
    Worker::new()
        .handler("n", "work", async |step: Step| {
            Ok::<_, StepError>(json!(step.input::<Option<i64>>()?.unwrap_or(1)))
        })
        .handler("n", "choose", async |step: Step| {
            let context: BTreeMap<String, Value> = step.context()?;
            let chosen: Vec<String> = serde_json::from_value(context[&step.name].clone())?;
            Ok::<_, StepError>(Outcome::branch(1, chosen))
        })
        .handler("n", "divide", async |step: Step| {
            let context: BTreeMap<String, Value> = step.context()?;
            let count = context[&step.name].as_i64().unwrap();
            Ok::<_, StepError>(Outcome::fan_out(count, 1..=count))
        })
        .handler("n", "collect", async |step: Step| {
            let results: BTreeMap<String, i64> = step.parent_results()?;
            let sum: i64 = results.values().sum();
            Ok::<_, StepError>(json!({"count": results.len(), "sum": sum}))
        })
}
