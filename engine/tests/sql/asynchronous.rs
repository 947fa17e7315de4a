//! The commits that nobody waits for, lost in a crash of PostgreSQL: what they did is gone, and the
//! message that they took, or the worker that they answered, brings it again.

use sqlx::PgConnection;

use stepmark_engine::database::flush_log;

use crate::engine::{Engine, Stored, step};
use crate::support::{Database, UnflushedLog, number, own_postgres, template};

async fn crash(held: UnflushedLog, mut engine: Engine) -> Engine {
    let connection: PgConnection = held.crash(&mut engine.connection).await;
    Engine { connection, broker: "pgmq" }
}

const DISPATCHES: &str = "SELECT count(*) FROM pgmq.q_stepmark_dispatch";
const COMPLETIONS: &str = "SELECT count(*) FROM pgmq.q_stepmark_completions";

#[tokio::test]
async fn what_asynchronous_commits_lose_is_brought_back_by_their_messages() {
    let server = own_postgres();
    let database = Database::of(&server);
    stepmark_engine::database::prepare(&database.options(), std::time::Duration::ZERO)
        .await
        .unwrap();
    let mut engine = Engine::connect(&database).await;
    engine.broker = "pgmq";
    let line = template("n", "t", &[("a", &[]), ("b", &["a"])]);

    let held = UnflushedLog::hold(database.clone()).await;
    let task_id = engine.start(&line).await; // durable: what an answer 201 rests on
    let lost = engine.take_and_claim().await;
    assert_eq!(lost.len(), 1);
    let mut engine = crash(held, engine).await;
    assert_eq!(engine.step_states(task_id).await, ["Enqueued", "Pending"]);
    assert_eq!(number(&mut engine.connection, DISPATCHES).await, 1);
    // Attempt 1 is given twice; only the second claim's token is good.
    let again = engine.take_and_claim().await;
    assert_eq!((again.len(), again[0].attempt), (1, 1));
    let late = engine.complete(&[Stored::complete(&lost[0])]).await.unwrap();
    assert_eq!(late, [false]);

    // An outcome is the worker's, which keeps it, until the log is flushed.
    let outcome = [Stored::complete(&again[0])];
    flush_log(&mut engine.connection).await.unwrap();
    let held = UnflushedLog::hold(database.clone()).await;
    assert_eq!(engine.complete(&outcome).await.unwrap(), [true]);
    assert_eq!(engine.take_and_process().await, 1);
    let mut engine = crash(held, engine).await;
    assert_eq!(engine.step_states(task_id).await, ["InProgress", "Pending"]);
    let held = UnflushedLog::hold(database.clone()).await;
    assert_eq!(engine.complete(&outcome).await.unwrap(), [true], "nobody else has stored it");
    flush_log(&mut engine.connection).await.unwrap();
    assert_eq!(engine.take_and_process().await, 1);
    assert_eq!(engine.step_states(task_id).await, ["Complete", "Enqueued"]);
    let mut engine = crash(held, engine).await;
    let states = engine.step_states(task_id).await;
    assert_eq!(states, ["EnqueuedForOrchestration", "Pending"]);
    assert_eq!(number(&mut engine.connection, COMPLETIONS).await, 1);
    assert_eq!(number(&mut engine.connection, DISPATCHES).await, 0);
    assert_eq!(engine.take_and_process().await, 1);

    let held = UnflushedLog::hold(database).await;
    let last = engine.take_and_claim().await;
    assert_eq!(last[0].step, step(task_id, 1));
    engine.complete(&[Stored::complete(&last[0])]).await.unwrap();
    assert_eq!(engine.take_and_process().await, 1);
    let mut engine = crash(held, engine).await;
    // Durable again: a client may have been told.
    assert_eq!(engine.task_state(task_id).await, "Complete");
    let audit = "SELECT count(*) FROM workflow_step_transitions";
    assert_eq!(number(&mut engine.connection, audit).await, 8);
}

#[tokio::test]
async fn what_a_handler_is_given_is_on_disk_before_it_begins() {
    let server = own_postgres();
    let database = Database::of(&server);
    stepmark_engine::database::prepare(&database.options(), std::time::Duration::ZERO)
        .await
        .unwrap();
    let mut engine = Engine::connect(&database).await;
    engine.broker = "pgmq";
    let fork = template("n", "t", &[("a", &[]), ("b", &["a"]), ("c", &["a"])]);
    let task_id = engine.start(&fork).await;

    let held = UnflushedLog::hold(database.clone()).await;
    let root = engine.take_and_claim().await;
    engine.complete(&[Stored::complete(&root[0])]).await.unwrap(); // and not flushed
    assert_eq!(engine.take_and_process().await, 1);
    assert_eq!(engine.take_and_claim().await.len(), 2);
    let mut engine = crash(held, engine).await;
    let states = engine.step_states(task_id).await;
    assert_eq!(states, ["Complete", "InProgress", "InProgress"], "the claims have flushed it");
}
