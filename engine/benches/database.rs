//! `cargo bench`: what the database's functions cost, and that it does not grow.
//!
//! - The discovery functions of the specification with 50 active tasks a call, among 1,000, 10,000
//!   and 100,000 tasks in all: flat within 20 %, and under 1 ms.
//! - Enqueueing, convergence and the making of batches over 10, 100 and 1,000 edges: linear.
//!
//! The sizes take turns, so that what the machine does meanwhile falls on all of them; figures are
//! medians. Ends with 1 when a bound is broken. A word on the command line chooses by name.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "../tests/sql/engine.rs"]
#[allow(dead_code, reason = "made for the tests")]
mod engine;
#[path = "../tests/sql/records.rs"]
#[allow(dead_code, reason = "made for the tests")]
mod records;
#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use engine::{Engine, Request, Stored, step};
use serde_json::json;
use sqlx::AssertSqlSafe;
use stepmark_engine::database;
use stepmark_engine::messaging::StepId;
use stepmark_workflow::Template;
use support::{Database, execute, template, write_history};
use uuid::Uuid;

const ACTIVE: usize = 50;
const TASKS: [i64; 3] = [1_000, 10_000, 100_000];
const DISCOVERY_ROUNDS: usize = 200;
/// How much the largest may take beyond the smallest.
const GROWTH_MAX: f64 = 1.2;
const DISCOVERY_MAX: Duration = Duration::from_millis(1);

const EDGES: [u16; 3] = [10, 100, 1_000];
const EDGE_ROUNDS: usize = 15;
/// How much an edge of 1,000 may take beyond one of 100; of a quadratic cost it would be ten.
const EDGE_GROWTH_MAX: f64 = 2.0;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|w| !w.starts_with('-')).collect();
    if std::env::args().any(|word| word == "--list") {
        println!("discovery: benchmark\nedges: benchmark");
        return ExitCode::SUCCESS;
    }
    let is_asked_for = |name: &str| words.is_empty() || words.iter().any(|w| name.contains(&**w));
    let mut holds = true;
    if is_asked_for("discovery") {
        holds &= discovery().await;
    }
    if is_asked_for("edges") {
        holds &= edges().await;
    }
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A database with the engine's schema, as it is in use: without the tests' checks at each write.
async fn prepared() -> Database {
    let database = Database::empty();
    let options = database::options(&database.url, "bench").unwrap();
    database::prepare(&options, Duration::ZERO).await.unwrap();
    database
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

const DIAMOND: &[(&str, &[&str])] = &[("a", &[]), ("b", &["a"]), ("c", &["a"]), ("d", &["b", "c"])];

/// An engine with `tasks` tasks, of which the last 50 are active, each with two steps that are
/// ready and not enqueued yet.
async fn among(tasks: i64) -> (Engine, Vec<Uuid>) {
    let database = prepared().await;
    let mut engine = Engine::connect(&database).await;
    let parsed = Template::parse("bench.yaml", &template("n", "diamond", DIAMOND)).unwrap();
    let template_id = engine.register(&parsed).await;
    let mut superuser = database.superuser().await;
    write_history(&mut superuser, template_id, tasks - ACTIVE as i64).await;
    let request = Request { key: None, ..Request::of(&parsed, template_id) };
    let made = engine.create(&vec![request; ACTIVE]).await.unwrap();
    let active = made.iter().map(|task| task.task_uuid).collect();
    // The engine enqueues at once what is ready; here it is left to be discovered.
    let sql = "UPDATE workflow_steps SET state = 'Complete', outcome = 'Complete' \
               WHERE name = 'a' AND state = 'Enqueued'";
    execute(&mut engine.connection, sql).await;
    execute(&mut superuser, "VACUUM ANALYZE").await;
    (engine, active)
}

async fn discovery() -> bool {
    let calls = [
        ("get_next_ready_tasks", "SELECT count(*) FROM get_next_ready_tasks($2) WHERE $1 <> '{}'"),
        (
            "get_step_readiness_status_batch",
            "SELECT count(*) FILTER (WHERE ready_for_execution) / 2 \
             FROM get_step_readiness_status_batch($1) WHERE $2 > 0",
        ),
    ];
    let mut sizes = Vec::new();
    for tasks in TASKS {
        sizes.push(among(tasks).await);
    }
    let mut holds = true;
    for (name, sql) in calls {
        let mut times = vec![Vec::new(); TASKS.len()];
        for _ in 0..DISCOVERY_ROUNDS {
            for ((engine, active), times) in sizes.iter_mut().zip(&mut times) {
                let begun = Instant::now();
                let found: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
                    .bind(&*active)
                    .bind(i32::try_from(ACTIVE).unwrap())
                    .fetch_one(&mut engine.connection)
                    .await
                    .unwrap();
                times.push(begun.elapsed());
                assert_eq!(found, ACTIVE as i64, "{name}");
            }
        }
        let medians: Vec<Duration> = times.into_iter().map(median).collect();
        println!("{name}, {ACTIVE} active tasks a call");
        for (tasks, median) in TASKS.iter().zip(&medians) {
            println!("  among {tasks:>7} tasks  {:.3} ms", ms(*median));
        }
        let growth = ms(medians[2]) / ms(medians[0]);
        let is_good = growth <= GROWTH_MAX && medians.iter().all(|time| *time < DISCOVERY_MAX);
        holds &= is_good;
        println!(
            "  from the smallest to the largest × {growth:.2} (at most {GROWTH_MAX}, each under \
             {DISCOVERY_MAX:?}): {}",
            verdict(is_good)
        );
    }
    holds
}

fn verdict(is_good: bool) -> &'static str {
    if is_good { "holds" } else { "BROKEN" }
}

/// A root, `width` steps that wait for it, and one that waits for them.
fn fan(width: u16) -> String {
    let names: Vec<String> = (0..width).map(|nr| format!("s{nr}")).collect();
    let mut steps: Vec<(&str, &[&str])> = vec![("root", &[])];
    steps.extend(names.iter().map(|name| (&**name, &["root"] as &[&str])));
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    steps.push(("join", &all));
    template("n", &format!("fan_{width}"), &steps)
}

const BATCH: &str = "namespace: n\nname: batch\nsteps:\n\
    - {name: root, type: batchable, handler: h}\n\
    - {name: worker, type: batch_worker, handler: h, depends_on: [root]}\n\
    - {name: join, type: deferred_convergence, handler: h, depends_on: [worker]}\n";

/// How long it takes to enqueue `width` steps and to let one wait for them; or, with batches, to
/// make them and to let one wait for them.
async fn fan_out_and_in(engine: &mut Engine, parsed: &Template, width: u16) -> [Duration; 2] {
    let template_id = engine.register(parsed).await;
    let request = Request { key: None, ..Request::of(parsed, template_id) };
    let task_uuid = engine.create(&[request]).await.unwrap()[0].task_uuid;
    let task_id = engine.task_id(task_uuid).await;
    let is_batch = parsed.name == "batch";
    let first = if is_batch { 2 } else { 1 };

    let root = engine.claim(&[step(task_id, 0)]).await.unwrap();
    let batches = json!(vec![0; width.into()]);
    let outcome = match is_batch {
        true => Stored::expanding(&root[0], "FanOut", &batches),
        false => Stored::complete(&root[0]),
    };
    engine.complete(&[outcome]).await.unwrap();
    let begun = Instant::now();
    engine.process(&[step(task_id, 0)]).await.unwrap();
    let out = begun.elapsed();

    let all: Vec<StepId> = (first..first + width).map(|no| step(task_id, no)).collect();
    let claims = engine.claim(&all).await.unwrap();
    assert_eq!(claims.len(), usize::from(width));
    let outcomes: Vec<Stored> = claims.iter().map(Stored::complete).collect();
    engine.complete(&outcomes).await.unwrap();
    let begun = Instant::now();
    assert_eq!(engine.process(&all).await.unwrap(), i32::from(width));
    [out, begun.elapsed()]
}

async fn edges() -> bool {
    let mut engine = Engine::connect(&prepared().await).await;
    let batch = Template::parse("batch.yaml", BATCH).unwrap();
    let names = ["enqueueing", "convergence", "making of batches", "convergence of batches"];
    let mut times = vec![vec![Vec::new(); EDGES.len()]; names.len()];
    for _ in 0..EDGE_ROUNDS {
        for (place, width) in EDGES.into_iter().enumerate() {
            let parsed = Template::parse("fan.yaml", &fan(width)).unwrap();
            let plain = fan_out_and_in(&mut engine, &parsed, width).await;
            let batches = fan_out_and_in(&mut engine, &batch, width).await;
            for (kind, time) in plain.into_iter().chain(batches).enumerate() {
                times[kind][place].push(time);
            }
        }
    }
    let mut holds = true;
    for (name, by_width) in names.iter().zip(times) {
        let an_edge: Vec<f64> = by_width
            .into_iter()
            .zip(EDGES)
            .map(|(times, width)| ms(median(times)) * 1_000.0 / f64::from(width))
            .collect();
        let mut line = format!("{name}, µs an edge");
        for (width, time) in EDGES.iter().zip(&an_edge) {
            write!(line, "  {width}: {time:.1}").unwrap();
        }
        let is_good = an_edge[2] <= an_edge[1] * EDGE_GROWTH_MAX;
        holds &= is_good;
        println!("{line}  linear: {}", verdict(is_good));
    }
    holds
}
