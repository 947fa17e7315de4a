//! The SQL functions against the pure model: the same random life, the same rows.

mod twins;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use stepmark_workflow::Template;
use stepmark_workflow::state::{StepState, TaskState};

use crate::engine::Engine;
use crate::shapes;
use crate::support::{Database, seeds};
use twins::Twins;

/// A decision within a branch, a batch within another, and convergences over both.
const NESTED: &str = "
namespace: n
name: nested
steps:
  - {name: outer, type: decision, handler: h, branches: [inner, plain, analyze]}
  - {name: inner, type: decision, handler: h, depends_on: [outer], branches: [left, right]}
  - {name: left, handler: h, depends_on: [inner]}
  - {name: right, handler: h, depends_on: [inner]}
  - {name: plain, handler: h, depends_on: [outer]}
  - {name: analyze, type: batchable, handler: h, depends_on: [outer]}
  - {name: work, type: batch_worker, handler: h, depends_on: [analyze]}
  - {name: sides, type: deferred_convergence, handler: h, depends_on: [left, right]}
  - {name: merge, type: deferred_convergence, handler: h, depends_on: [work, plain]}
  - {name: end, type: deferred_convergence, handler: h, depends_on: [sides, merge]}
";

type Ends = BTreeMap<TaskState, u32>;
type StepEnds = BTreeMap<(&'static str, StepState), u32>;

/// What must come up for the test to say something, and has not yet.
fn not_seen((ends, steps): &(Ends, StepEnds)) -> Vec<String> {
    use StepState::{Cancelled, Complete, Error, Skipped};
    let tasks = [TaskState::Complete, TaskState::Error, TaskState::Cancelled];
    let few = tasks.into_iter().filter(|state| ends.get(state).is_none_or(|count| *count < 5));
    let wanted = [
        ("standard", Skipped),
        ("decision", Complete),
        ("batchable", Complete),
        ("batch_worker", Complete),
        ("batch_worker", Error),
        ("batch_worker", Cancelled),
        ("deferred_convergence", Complete),
        ("deferred_convergence", Skipped),
    ];
    let none = wanted.iter().filter(|wanted| !steps.contains_key(wanted));
    let none = none.map(|(step_type, state)| format!("{step_type} {state}"));
    few.map(|state| format!("five tasks {state}")).chain(none).collect()
}

/// At least 90 tasks, and as many more as it takes to see what must be seen; at two databases at
/// once, as one test alone would keep the others waiting.
#[tokio::test]
async fn whatever_happens_the_rows_are_those_of_the_model() {
    let seeds = RefCell::new(seeds(900).enumerate());
    let seen = RefCell::new((Ends::new(), StepEnds::new()));
    let lane = async || {
        let database = Database::migrated();
        loop {
            let Some((nr, seed)) = seeds.borrow_mut().next() else { break };
            if nr >= 90 && not_seen(&seen.borrow()).is_empty() {
                break;
            }
            println!("seed {seed}");
            let (states, twins) = lives(&database, nr, seed).await;
            let (ends, steps) = &mut *seen.borrow_mut();
            states.into_iter().for_each(|state| *ends.entry(state).or_insert(0) += 1);
            for step in twins.model.steps() {
                *steps.entry((step.step_type.name(), step.state)).or_insert(0) += 1;
            }
        }
    };
    tokio::join!(lane(), lane());
    let seen = seen.into_inner();
    println!("{seen:?}");
    assert_eq!(not_seen(&seen), Vec::<String>::new(), "{seen:?}");
}

/// The life of one task, and the states that it had.
async fn lives(database: &Database, nr: usize, seed: u64) -> (BTreeSet<TaskState>, Twins) {
    let mut random = StdRng::seed_from_u64(seed);
    let template = match nr % 3 {
        0 => Template::parse("nested.yaml", NESTED).unwrap(),
        _ => shapes::template(10, &mut |n| random.random_range(0..n)),
    };
    let delayed = random.random_bool(0.1);
    let engine = Engine::connect(database).await;
    let mut twins = Twins::create(engine, template, delayed).await;
    let mut states = BTreeSet::new();
    for _ in 0..200 {
        twins.happens(&mut random).await;
        states.insert(twins.model.state());
        if twins.model.state().is_final() {
            break;
        }
    }
    twins.engine.cancel(twins.task_uuid).await.unwrap();
    (states, twins)
}
