//! Statements over overlapping steps, from several connections, in any order.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::Connection;
use stepmark_engine::messaging::StepId;

use crate::engine::{Claim, Engine, Stored, step};
use crate::random;
use crate::support::{Database, number, seeds, template};

const CONNECTIONS: u64 = 6;
const WHILE: Duration = Duration::from_secs(4);

/// One connection: whatever it can do to whatever step it picks.
async fn interfere(database: Database, steps: Vec<StepId>, seed: u64) -> Result<u32, sqlx::Error> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut engine = Engine::connect(&database).await;
    let mut claims: Vec<Claim> = Vec::new();
    let (begun, mut done) = (Instant::now(), 0);
    while begun.elapsed() < WHILE {
        let some = random::some(&mut random, &steps, 40);
        match random.random_range(0..10) {
            // Leases of no length are expired when they begin.
            0..3 => {
                let lease_ms = if random.random_bool(0.05) { 0 } else { 60_000 };
                claims.extend(engine.claim_for(lease_ms, &some).await?);
            }
            3..6 => {
                let mut outcomes = random::some(&mut random, &claims, 40);
                outcomes.sort_unstable_by_key(|claim| claim.step); // as the lane does
                let outcome = ["Complete", "Retry"][usize::from(random.random_bool(0.05))];
                let outcomes: Vec<Stored> =
                    outcomes.iter().map(|claim| Stored::new(claim, outcome)).collect();
                engine.complete(&outcomes).await?;
            }
            6..8 => {
                engine.process(&some).await?;
            }
            8 => {
                let mut some = random::some(&mut random, &claims, 10);
                some.sort_unstable_by_key(|claim| claim.step); // as a worker does
                match random.random_bool(0.5) {
                    true => drop(engine.release(&some).await?),
                    false => drop(engine.heartbeat(&some, Some("1")).await?),
                }
            }
            9 if random.random_bool(0.1) => {
                let one = steps[random.random_range(0..steps.len())];
                let task_uuid = engine.task_uuid(one.task_id()).await;
                engine.cancel(task_uuid).await?;
            }
            _ => {
                engine.recover().await?;
            }
        }
        let forget = claims.len().saturating_sub(200);
        claims.drain(..forget);
        done += 1;
    }
    engine.connection.close().await?;
    Ok(done)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn overlapping_statements_of_all_kinds_never_deadlock() {
    let database = Database::migrated();
    let mut engine = Engine::connect(&database).await;
    // Two layers in which everything hangs on everything, then one step.
    let names: Vec<String> = (0..17).map(|no| format!("s{no}")).collect();
    let layer = |of: std::ops::Range<usize>| names[of].iter().map(String::as_str);
    let (first, second): (Vec<&str>, Vec<&str>) = (layer(0..8).collect(), layer(8..16).collect());
    let mut shape: Vec<(&str, &[&str])> = first.iter().map(|name| (*name, &[][..])).collect();
    shape.extend(second.iter().map(|name| (*name, &first[..])));
    shape.push((&names[16], &second));
    let text = template("n", "t", &shape);
    let mut steps = Vec::new();
    for _ in 0..60 {
        let task_id = engine.start(&text).await;
        steps.extend((0..17).map(|no| step(task_id, no)));
    }
    engine.connection.close().await.unwrap();

    let racers = seeds(CONNECTIONS)
        .map(|seed| tokio::spawn(interfere(database.clone(), steps.clone(), seed)));
    let mut done = 0;
    for racer in racers.collect::<Vec<_>>() {
        match racer.await.unwrap() {
            Ok(statements) => done += statements,
            Err(error) => panic!("a statement failed: {error}"),
        }
    }
    assert_eq!(database.deadlocks().await, 0);
    let mut connection = database.connect().await;
    let moved = "SELECT count(*) FROM workflow_step_transitions WHERE to_state = 'Complete'";
    let moved = number(&mut connection, moved).await;
    println!("{done} statements, {moved} steps Complete");
    assert!(done > 200 && moved > 100, "{done} statements ran, {moved} steps are Complete");
}
