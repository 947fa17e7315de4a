//! What a step costs does not depend on how much history lies behind it.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use stepmark_engine::messaging::StepId;
use stepmark_workflow::Template;
use uuid::Uuid;

use crate::engine::{Claim, Engine, Request, Stored, step};
use crate::support::{Database, execute, number, template, write_history};

const HISTORY: i64 = 10_000;
const LINE: &[(&str, &[&str])] = &[("a", &[]), ("b", &["a"]), ("c", &["b"])];

/// Tables of the engine and of its queues, with what has been read from each; but for the one that
/// has a row a paused namespace, and is always small.
const READ: &str = "SELECT relname::text, seq_scan, \
        heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read AS blocks \
    FROM pg_stat_user_tables JOIN pg_statio_user_tables USING (relid, schemaname, relname) \
    WHERE schemaname = 'stepmark' AND relname NOT IN ('_sqlx_migrations', 'paused_namespaces') \
        OR relname LIKE 'q\\_stepmark%' ORDER BY 1";

/// Sequential scans and blocks touched, by table.
async fn read_so_far(watcher: &mut PgConnection) -> Vec<(String, i64, i64)> {
    let rows = sqlx::query(READ).fetch_all(watcher).await.unwrap();
    let columns = |row: &PgRow| {
        let blocks: Option<i64> = row.get("blocks");
        (row.get("relname"), row.get("seq_scan"), blocks.unwrap_or(0))
    };
    rows.iter().map(columns).collect()
}

/// A task from its creation to its end on either transport, by every statement that a step's way
/// or a client's look takes.
async fn tasks_on_both(engine: &mut Engine, request: &Request) {
    engine.broker = "pgmq";
    one_task(engine, request).await;
    engine.broker = "rabbitmq";
    one_task(engine, request).await;
}

async fn one_task(engine: &mut Engine, request: &Request) {
    let key = Some(Uuid::now_v7().to_string());
    let request = Request { key, ..request.clone() };
    let created = engine.create(&[request]).await.unwrap();
    let task_uuid = created[0].task_uuid;
    let task_id = engine.task_id(task_uuid).await;
    for step_no in 0..3 {
        let next = [step(task_id, step_no)];
        let claims = claim(engine, &next).await;
        engine.release(&claims).await.unwrap();
        let claims = claim(engine, &next).await;
        let outcomes = [Stored::complete(&claims[0])];
        assert_eq!(engine.complete(&outcomes).await.unwrap(), [true]);
        let processed = match engine.broker {
            "pgmq" => engine.take_and_process().await,
            _ => engine.process(&next).await.unwrap(),
        };
        assert_eq!(processed, 1);
        engine.recover().await.unwrap();
    }
    assert_eq!(engine.task_state(task_id).await, "Complete");
    let audit = sqlx::query(include_str!("../../sql/read_transitions.sql")).bind(task_uuid);
    audit.fetch_one(&mut engine.connection).await.unwrap();
    let task = sqlx::query(include_str!("../../sql/read_tasks.sql"))
        .bind(vec![task_uuid, task_uuid])
        .bind(vec![true, false]);
    assert_eq!(task.fetch_all(&mut engine.connection).await.unwrap().len(), 2);
    let counted = sqlx::query(include_str!("../../sql/count_unfinished.sql")).bind(100_i64);
    counted.fetch_one(&mut engine.connection).await.unwrap();
    let ready = sqlx::query("SELECT * FROM get_next_ready_tasks(10)");
    ready.fetch_all(&mut engine.connection).await.unwrap();
    let resent = sqlx::query(include_str!("../../sql/outbox_resend.sql")).bind(0_i64).bind(100_i32);
    let resent = resent.fetch_one(&mut engine.connection).await.unwrap();
    let removed = sqlx::query(include_str!("../../sql/outbox_remove.sql"));
    let message_ids: Option<Vec<Uuid>> = resent.get("message_ids");
    removed.bind(message_ids).execute(&mut engine.connection).await.unwrap();
}

async fn claim(engine: &mut Engine, next: &[StepId]) -> Vec<Claim> {
    let claims = match engine.broker {
        "pgmq" => engine.take_and_claim().await,
        _ => engine.claim(next).await.unwrap(),
    };
    assert_eq!(claims.len(), 1);
    claims
}

/// What one more task on each transport reads, by table: sequential scans and blocks.
async fn cost_of_a_task(
    engine: &mut Engine,
    request: &Request,
    watcher: &mut PgConnection,
) -> Vec<(String, i64, i64)> {
    execute(&mut engine.connection, "SELECT pg_stat_force_next_flush()").await;
    execute(&mut engine.connection, "SELECT 1").await;
    let before = read_so_far(watcher).await;
    tasks_on_both(engine, request).await;
    execute(&mut engine.connection, "SELECT pg_stat_force_next_flush()").await;
    execute(&mut engine.connection, "SELECT 1").await;
    let after = read_so_far(watcher).await;
    let grown = before.into_iter().zip(after);
    grown.map(|(from, to)| (from.0, to.1 - from.1, to.2 - from.2)).collect()
}

/// Blocks of all tables.
fn total(cost: &[(String, i64, i64)]) -> i64 {
    cost.iter().map(|table| table.2).sum()
}

#[tokio::test]
async fn ten_thousand_finished_tasks_cost_the_next_one_nothing() {
    let database = Database::migrated();
    let mut watcher = database.superuser().await;
    let mut engine = Engine::connect(&database).await;
    let parsed = Template::parse("test.yaml", &template("n", "t", LINE)).unwrap();
    let template_id = engine.register(&parsed).await;
    let request = Request::of(&parsed, template_id);
    // Plans are made once, here, when there is nothing.
    for _ in 0..10 {
        tasks_on_both(&mut engine, &request).await;
    }
    let on_nothing = cost_of_a_task(&mut engine, &request, &mut watcher).await;

    let mut superuser = database.superuser().await;
    write_history(&mut superuser, template_id, HISTORY).await;
    execute(&mut superuser, "VACUUM ANALYZE").await;
    assert!(number(&mut superuser, "SELECT count(*) FROM tasks").await > HISTORY);
    tasks_on_both(&mut engine, &request).await;
    let on_history = cost_of_a_task(&mut engine, &request, &mut watcher).await;

    // A new session makes its plans now.
    let mut engine = Engine::connect(&database).await;
    tasks_on_both(&mut engine, &request).await;
    let planned_anew = cost_of_a_task(&mut engine, &request, &mut watcher).await;
    println!("{on_nothing:?}\n{on_history:?}\n{planned_anew:?}");
    for cost in [&on_nothing, &on_history, &planned_anew] {
        let scanned: Vec<_> = cost.iter().filter(|table| table.1 > 0).collect();
        assert!(scanned.is_empty(), "sequential scans: {scanned:?}");
    }
    for cost in [&on_history, &planned_anew] {
        assert!(total(cost) < 2 * total(&on_nothing), "{} blocks", total(cost));
    }
}

#[tokio::test]
async fn plans_that_were_made_for_a_handful_of_tasks_cost_thousands_nothing() {
    let database = Database::migrated();
    let mut watcher = database.superuser().await;
    let mut engine = Engine::connect(&database).await;
    let parsed = Template::parse("test.yaml", &template("n", "t", LINE)).unwrap();
    let template_id = engine.register(&parsed).await;
    let request = Request::of(&parsed, template_id);
    for _ in 0..8 {
        tasks_on_both(&mut engine, &request).await;
    }
    // Autovacuum may come at any moment, and a session's plans are made by what it found.
    let mut superuser = database.superuser().await;
    execute(&mut superuser, "VACUUM ANALYZE").await;
    let mut engine = Engine::connect(&database).await;
    tasks_on_both(&mut engine, &request).await;
    let on_few = cost_of_a_task(&mut engine, &request, &mut watcher).await;

    write_history(&mut superuser, template_id, HISTORY).await;
    tasks_on_both(&mut engine, &request).await;
    let on_many = cost_of_a_task(&mut engine, &request, &mut watcher).await;
    println!("{on_few:?}\n{on_many:?}");
    assert!(total(&on_many) < 2 * total(&on_few), "{} blocks", total(&on_many));
}

#[tokio::test]
async fn what_a_batch_costs_does_not_grow_with_how_many_are_made_at_once() {
    const BATCHED: &str = "{namespace: n, name: t, steps: [
        {name: divide, type: batchable, handler: h, batches_max: 5000},
        {name: part, type: batch_worker, handler: h, depends_on: [divide]},
        {name: merge, type: deferred_convergence, handler: h, depends_on: [part]}]}";
    let database = Database::migrated();
    let mut watcher = database.superuser().await;
    let mut engine = Engine::connect(&database).await;
    let parsed = Template::parse("test.yaml", BATCHED).unwrap();
    let request = Request::of(&parsed, engine.register(&parsed).await);
    let mut blocks_a_batch = Vec::new();
    for batches in [500_i64, 5_000] {
        let created = engine.create(std::slice::from_ref(&request)).await.unwrap();
        let task_id = engine.task_id(created[0].task_uuid).await;
        let batchable = [step(task_id, 0)];
        let claims = engine.claim(&batchable).await.unwrap();
        let inputs: Vec<i64> = (0..batches).collect();
        let made = Stored::expanding(&claims[0], "FanOut", &serde_json::json!(inputs));
        engine.complete(&[made]).await.unwrap();
        let before = settled(&mut engine, &mut watcher).await;
        assert_eq!(engine.process(&batchable).await.unwrap(), 1);
        let after = settled(&mut engine, &mut watcher).await;
        blocks_a_batch.push((after - before) / batches);
    }
    let [few, many] = blocks_a_batch[..] else { panic!("{blocks_a_batch:?}") };
    assert!(many < 2 * few, "{blocks_a_batch:?} blocks a batch");
}

/// Blocks touched so far, in all tables.
async fn settled(engine: &mut Engine, watcher: &mut PgConnection) -> i64 {
    execute(&mut engine.connection, "SELECT pg_stat_force_next_flush()").await;
    execute(&mut engine.connection, "SELECT 1").await;
    read_so_far(watcher).await.iter().map(|table| table.2).sum()
}
