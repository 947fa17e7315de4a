//! Whoever reads as fast as it can sees no task that has ended before its steps, and no way back.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};
use stepmark_engine::config::Broker;
use stepmark_workflow::{StepState, TaskState};

use crate::client::Client;
use crate::cluster::{Cluster, obedient, on_both_brokers};

on_both_brokers!(no_reader_sees_an_end_before_its_time_or_a_way_back);

pub const GROWING: &str = "
namespace: n
name: growing
steps:
  - {name: divide, type: batchable, handler: divide}
  - {name: part, type: batch_worker, handler: work, depends_on: [divide]}
  - {name: merge, type: deferred_convergence, handler: collect, depends_on: [part]}
  - {name: which, type: decision, handler: choose, depends_on: [merge], branches: [more, end]}
  - {name: more, type: batchable, handler: divide, depends_on: [which]}
  - {name: again, type: batch_worker, handler: work, depends_on: [more]}
  - {name: join, type: deferred_convergence, handler: collect, depends_on: [again, end]}
  - {name: end, handler: work, depends_on: [which]}
";

const TASKS: usize = 20;
const PARTS: usize = 12;

/// All steps of a task of these that has come to its end: the template's without the two batch
/// workers, and their instances.
const STEPS: usize = 6 + 2 * PARTS;

fn rank(state: &str) -> usize {
    let state: StepState = state.parse().unwrap();
    if state.is_terminal() { usize::MAX } else { state as usize }
}

/// What has been seen of a task.
#[derive(Default)]
struct Seen {
    state: String,
    steps: HashMap<String, usize>,
    transitions: usize,
}

impl Seen {
    fn look(&mut self, task: &Value) {
        let steps = task["steps"].as_array().unwrap();
        let state: TaskState = task["state"].as_str().unwrap().parse().unwrap();
        assert!(self.state != "Complete" || state == TaskState::Complete, "it went back: {task}");
        assert_eq!(state.is_terminal(), !task["finished_at"].is_null(), "{task}");
        if state.is_terminal() {
            assert_eq!(steps.len(), STEPS, "steps are still to be made: {task}");
        }
        for step in steps {
            let rank = rank(step["state"].as_str().unwrap());
            assert!(!state.is_terminal() || rank == usize::MAX, "it has ended early: {task}");
            let before = self.steps.insert(step["name"].as_str().unwrap().to_owned(), rank);
            assert!(before.is_none_or(|before| before <= rank), "a step went back: {task}");
        }
        assert!(self.steps.len() == steps.len(), "a step is gone: {task}");
        self.state = state.to_string();
    }

    fn look_back(&mut self, audit: &Value) {
        let transitions = audit["transitions"].as_array().unwrap();
        assert!(transitions.len() >= self.transitions, "an audit row is gone: {audit}");
        self.transitions = transitions.len();
        let mut keys: HashMap<&Value, Vec<i64>> = HashMap::new();
        for it in transitions {
            keys.entry(&it["step"]).or_default().push(it["sort_key"].as_i64().unwrap());
        }
        for (step, mut keys) in keys {
            keys.sort_unstable();
            assert!(keys.iter().zip(1..).all(|(key, nr)| *key == nr), "{step}: {keys:?}");
        }
    }
}

/// Reads the tasks over and over until each has been seen at its end. Gives how often one was seen
/// under way.
async fn read(client: Client, tasks: Vec<String>) -> usize {
    let mut seen: HashMap<&String, Seen> = HashMap::new();
    let mut under_way = 0;
    while seen.values().filter(|seen| seen.state == "Complete").count() < tasks.len() {
        for task in &tasks {
            let seen = seen.entry(task).or_default();
            seen.look_back(&client.get(&format!("/v1/tasks/{task}/transitions")).await.json());
            seen.look(&client.get(&format!("/v1/tasks/{task}")).await.json());
            let is_begun = seen.steps.values().any(|rank| *rank == usize::MAX);
            under_way += usize::from(is_begun && seen.state != "Complete");
        }
    }
    under_way
}

/// Looks at all tasks by one statement, over and over.
async fn look(mut connection: PgConnection, ended: Arc<AtomicBool>) -> usize {
    let early = format!(
        "SELECT count(*) FROM tasks t WHERE t.finished_at IS NOT NULL AND ({STEPS} <> (
            SELECT count(*) FROM workflow_steps s WHERE s.step_id >> 16 = t.task_id)
        OR EXISTS (SELECT FROM workflow_steps s WHERE s.step_id >> 16 = t.task_id
            AND s.state NOT IN ('Complete', 'Skipped')))"
    );
    let mut rounds = 0;
    while !ended.load(Ordering::Relaxed) {
        let early = sqlx::query_scalar::<_, i64>(AssertSqlSafe(early.as_str()));
        assert_eq!(early.fetch_one(&mut connection).await.unwrap(), 0, "it has ended early");
        rounds += 1;
    }
    rounds
}

async fn no_reader_sees_an_end_before_its_time_or_a_way_back(broker: Broker) {
    let cluster = Cluster::start(broker, &[GROWING], &[]);
    let another = cluster.another();
    let ended = Arc::new(AtomicBool::new(false));
    let looking = tokio::spawn(look(cluster.connect().await, Arc::clone(&ended)));
    let mut tasks = Vec::new();
    for _ in 0..TASKS {
        let context = json!({"divide": PARTS, "more": PARTS, "which": ["more"]});
        tasks.push(cluster.create("growing", context).await);
    }
    let readers = [cluster.client.clone(), Client::of(&another)]
        .map(|client| tokio::spawn(read(client, tasks.clone())));
    let _worker = cluster.worker(obedient(), &["--concurrency", "2"]);
    for reader in readers {
        let under_way = reader.await.unwrap();
        assert!(under_way >= 5, "too slow a reader to see anything: {under_way}");
    }
    ended.store(true, Ordering::Relaxed);
    assert!(looking.await.unwrap() > 2, "too slow a reader to see anything");
    cluster.audit_is_sound().await;
}
