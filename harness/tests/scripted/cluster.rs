//! A cluster that plays the linear workflow by a script: it speaks the orchestrators' API and
//! writes the tables that the harness reads, but runs nothing. The harness is tested against it,
//! with planted faults that a real engine must not have (`SCRIPTED_FAULT`).
//!
//! Called as `stepmark-worker-rust` it only says that it listens.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

/// The task whose answer is spoiled where the script plants a fault.
const SPOILED_TASK: u64 = 12;

const TABLES: &str = "
    CREATE SCHEMA IF NOT EXISTS stepmark;
    CREATE TABLE stepmark.tasks (task_id bigint PRIMARY KEY, task_uuid uuid, state text);
    CREATE TABLE stepmark.workflow_steps (step_id bigint, name text, state text,
        result jsonb, parents bigint[]);
    CREATE TABLE stepmark.workflow_step_transitions (step_id bigint, sort_key int,
        from_state text, to_state text, at timestamptz DEFAULT clock_timestamp());
    CREATE TABLE stepmark.task_transitions (task_id bigint, sort_key int, from_state text,
        to_state text, at timestamptz DEFAULT clock_timestamp());
    CREATE SCHEMA IF NOT EXISTS pgmq;
    CREATE SEQUENCE pgmq.q_stepmark_dispatch_msg_id_seq;
    CREATE SEQUENCE pgmq.q_stepmark_completions_msg_id_seq;";

const TASK_STATES: [&str; 15] = [
    "Pending",
    "Initializing",
    "EnqueuingSteps",
    "StepsInProcess",
    "EvaluatingResults",
    "EnqueuingSteps",
    "StepsInProcess",
    "EvaluatingResults",
    "EnqueuingSteps",
    "StepsInProcess",
    "EvaluatingResults",
    "EnqueuingSteps",
    "StepsInProcess",
    "EvaluatingResults",
    "Complete",
];
const STEP_STATES: [&str; 5] =
    ["Pending", "Enqueued", "InProgress", "EnqueuedForOrchestration", "Complete"];

/// Writes one finished task, all of it in one statement.
const PLAY: &str = "
    WITH task AS (
        INSERT INTO stepmark.tasks VALUES ($1, $2, 'Complete')
    ), steps AS (
        INSERT INTO stepmark.workflow_steps
        SELECT $1 << 16 | n - 1, 'linear_step_' || n, 'Complete',
            jsonb_build_object('value', ($3::text[])[n]),
            CASE WHEN n = 1 THEN '{}' ELSE ARRAY[$1 << 16 | n - 2] END
        FROM generate_series(1, 4) n
    ), of_steps AS (
        INSERT INTO stepmark.workflow_step_transitions
        SELECT $1 << 16 | s, k, ($4::text[])[k], ($4::text[])[k + 1]
        FROM generate_series(0, 3) s, generate_series(1, 4) k
        WHERE NOT ($6 AND s = 2 AND k = 2)
    ), of_task AS (
        INSERT INTO stepmark.task_transitions
        SELECT $1, k, ($5::text[])[k], ($5::text[])[k + 1] FROM generate_series(1, 14) k
    )
    SELECT nextval('pgmq.q_stepmark_dispatch_msg_id_seq'),
        nextval('pgmq.q_stepmark_completions_msg_id_seq') FROM generate_series(1, $7)";

struct Script {
    fault: String,
    pool: PgPool,
    tasks: AtomicU64,
    created: Mutex<HashMap<String, Uuid>>,
    /// The steps' results by task.
    results: Mutex<HashMap<Uuid, [String; 4]>>,
}

/// One value a step: n², n⁴, n⁸, n¹⁶, for an n below 256.
fn results(context: &Value) -> [String; 4] {
    let number = u128::from(context["even_number"].as_u64().unwrap_or_default().min(255));
    [2, 4, 8, 16].map(|exponent| number.pow(exponent).to_string())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let name = std::env::args().next().unwrap_or_default();
    if std::env::args().any(|argument| argument == "--version") {
        let root = std::env::var("SCRIPTED_ROOT").context("SCRIPTED_ROOT")?;
        let hash = stepmark_revision::source_hash(root.as_ref())?;
        let fault = std::env::var("SCRIPTED_FAULT").unwrap_or_default();
        let hash = if fault == "other_revision" { "0123456789abcdef".to_owned() } else { hash };
        println!("scripted 0.1.0 ({hash})");
        return Ok(());
    }
    if std::env::var("SCRIPTED_FAULT").is_ok_and(|script| script == "no_start") {
        anyhow::bail!("the script says that this does not start");
    }
    if std::env::var("SCRIPTED_FAULT").is_ok_and(|script| script == "never_ready") {
        return std::future::pending().await;
    }
    let app = if name.ends_with("stepmark-worker-rust") {
        Router::new().route("/healthz", get(|| async { "ok" }))
    } else {
        orchestrator().await?
    };
    let address = std::env::var("STEPMARK_LISTEN").context("STEPMARK_LISTEN")?;
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let stop = async move { terminate.recv().await.unwrap_or_default() };
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    Ok(())
}

async fn orchestrator() -> Result<Router> {
    let url = std::env::var("STEPMARK_DATABASE_URL").context("STEPMARK_DATABASE_URL")?;
    // A task that has to wait for the only connection is late, and not lost.
    let patience = Duration::from_secs(600);
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(patience);
    let pool = pool.connect(&url).await?;
    sqlx::raw_sql(TABLES).execute(&pool).await?;
    let fault = std::env::var("SCRIPTED_FAULT").unwrap_or_default();
    let (created, results) = (Mutex::default(), Mutex::default());
    let script = Script { fault, pool, tasks: AtomicU64::new(0), created, results };
    Ok(Router::new()
        .route("/v1/tasks", post(create))
        .route("/v1/tasks/{task_uuid}", get(answer))
        .route("/healthz", get(|| async { "ok" }))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(script)))
}

async fn create(State(script): State<Arc<Script>>, Json(body): Json<Value>) -> Json<Value> {
    let key = body["idempotency_key"].as_str().unwrap_or_default().to_owned();
    let known = script.created.lock().ok().and_then(|created| {
        let any = created.values().next().filter(|_| script.fault == "one_task");
        created.get(&key).or(any).copied()
    });
    let task_uuid = known.unwrap_or_else(Uuid::new_v4);
    if known.is_none() {
        if let Ok(mut created) = script.created.lock() {
            created.insert(key, task_uuid);
        }
        let results = results(&body["context"]);
        if let Ok(mut all) = script.results.lock() {
            all.insert(task_uuid, results.clone());
        }
        if let Err(error) = play(&script, task_uuid, results).await {
            eprintln!("{error:#}");
        }
    }
    Json(json!({"task_uuid": task_uuid, "state": "StepsInProcess"}))
}

async fn play(script: &Script, task_uuid: Uuid, mut results: [String; 4]) -> Result<()> {
    let number = script.tasks.fetch_add(1, Ordering::Relaxed);
    let spoiled = |fault: &str| script.fault == fault && number == SPOILED_TASK;
    if script.fault == "dies_warming_up" {
        std::process::exit(7);
    }
    if spoiled("lost_task") {
        return Ok(());
    }
    if spoiled("wrong_result") {
        results[2] = "1679617".to_owned();
    }
    let extra = i32::from(spoiled("extra_message"));
    if script.fault == "extra_select" {
        sqlx::query("SELECT count(*) FROM stepmark.tasks").execute(&script.pool).await?;
    }
    if script.fault == "slow" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let gap = spoiled("audit_gap");
    let written = |messages| {
        sqlx::query(PLAY)
            .bind(number.cast_signed())
            .bind(task_uuid)
            .bind(results.to_vec())
            .bind(&STEP_STATES[..])
            .bind(&TASK_STATES[..])
            .bind(gap)
            .bind(messages)
    };
    if script.fault == "statement_twice" {
        let mut taken_back = script.pool.begin().await?;
        written(0).execute(&mut *taken_back).await?;
        taken_back.rollback().await?;
    }
    written(4 + extra).execute(&script.pool).await?;
    Ok(())
}

async fn answer(State(script): State<Arc<Script>>, Path(task_uuid): Path<Uuid>) -> Json<Value> {
    let results = script.results.lock().ok().and_then(|all| all.get(&task_uuid).cloned());
    let step = |(place, value): (usize, &String)| {
        let name = format!("linear_step_{}", place + 1);
        json!({"name": name, "state": "Complete", "result": {"value": value}})
    };
    let steps: Vec<Value> = results.iter().flatten().enumerate().map(step).collect();
    Json(json!({"task_uuid": task_uuid, "state": "Complete", "steps": steps}))
}

async fn metrics(State(script): State<Arc<Script>>) -> String {
    let evaluations = 4 * script.tasks.load(Ordering::Relaxed);
    format!("stepmark_dependency_evaluations_total {evaluations}\n")
}
