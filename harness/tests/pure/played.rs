//! A linear task as a right engine plays it, for tests to spoil.

use serde_json::json;
use stepmark_harness::broker::Broker;
use stepmark_harness::floor::{Floor, FloorSummary};
use stepmark_harness::oracle::{Answer, StepRecord, TaskRecord, Transition};
use stepmark_harness::plan::Plan;
use stepmark_harness::recorder::Recorder;
use stepmark_harness::scenario::{Expected, Oracle, Scenario};
use stepmark_harness::topology::{On, Without};
use stepmark_harness::verdict::Observations;
use stepmark_harness::work::{Accounts, Spread, Work};
use stepmark_workflow::state::{StepState, TaskState};

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

pub const PLAN: Plan = Plan {
    on: On::Own,
    without: Without::NONE,
    broker: Broker::Pgmq,
    concurrency: 1,
    arrivals: None,
    counts_nested: false,
    counts_only: false,
    traces: false,
    warmup: 10,
    samples: 200,
};

pub fn linear() -> Scenario {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/tier1/linear_rust.yaml");
    Scenario::parse(file, &std::fs::read_to_string(file).unwrap()).unwrap()
}

/// The right answer to the linear scenario's one input.
pub fn expected() -> Expected {
    match linear().oracle {
        Oracle::Table(table) => table[0].clone(),
        other => panic!("{other:?}"),
    }
}

pub fn record() -> TaskRecord {
    use TaskState::{
        Complete, EnqueuingSteps, EvaluatingResults, Initializing, Pending, StepsInProcess,
    };
    let mut states = vec![Pending, Initializing];
    states.extend([EnqueuingSteps, StepsInProcess, EvaluatingResults].repeat(4));
    states.push(Complete);
    let steps = ["36", "1296", "1679616", "2821109907456"].iter().zip(1..).map(|(value, n)| {
        let states = [
            StepState::Pending,
            StepState::Enqueued,
            StepState::InProgress,
            StepState::EnqueuedForOrchestration,
            StepState::Complete,
        ];
        StepRecord {
            name: format!("linear_step_{n}"),
            state: StepState::Complete,
            result: Some(json!({ "value": value })),
            parents: vec![],
            transitions: history(&states),
        }
    });
    let task_uuid = "00000000-0000-4000-8000-000000000001".to_owned();
    let steps = steps.collect();
    TaskRecord { task_uuid, state: Complete, transitions: history(&states), steps }
}

pub fn answer() -> Answer {
    let record = record();
    let tell = |step: &StepRecord| {
        let (name, state) = (&step.name, step.state);
        json!({"name": name, "state": state, "attempts": 1, "result": step.result})
    };
    let steps: Vec<_> = record.steps.iter().map(tell).collect();
    let answer = json!({"task_uuid": record.task_uuid, "state": "Complete", "steps": steps});
    serde_json::from_value(answer).unwrap()
}

pub fn history<State: Copy>(states: &[State]) -> Vec<Transition<State>> {
    let pairs = states.windows(2).zip(1..);
    let row = |(pair, sort_key): (&[State], i32)| {
        let at_us = 1_000 * i64::from(sort_key);
        Transition { sort_key, from: pair[0], to: pair[1], at_us }
    };
    pairs.map(row).collect()
}

/// A run of `samples` tasks of 5.000 ms, 5.001 ms, … with everything measured.
pub fn observations(samples: u64) -> Observations {
    let mut recorder = Recorder::new(SystemTime::UNIX_EPOCH);
    for sample in 0..samples {
        let at = Duration::from_millis(6) * u32::try_from(sample).unwrap();
        recorder.record(at, Duration::from_micros(5_000 + sample));
    }
    let mean = Work {
        step_transitions: Some(16.0),
        task_transitions: Some(14.0),
        messages: Some(8.0),
        dependency_evaluations: Some(4.0),
        sql_statements: Some(14.5),
        commits: Some(21.25),
        wal_flushes: Some(6.0),
        wal_bytes: Some(14_336.0),
        cpu_ms: Some(7.5),
        file_reads: Some(0.0),
        file_read_bytes: Some(0.0),
        http_calls: Some(2.0),
    };
    let each = BTreeMap::from([
        ("step_transitions".to_owned(), Spread { min: 16.0, p50: 16.0, max: 16.0 }),
        ("task_transitions".to_owned(), Spread { min: 14.0, p50: 14.0, max: 14.0 }),
        ("messages".to_owned(), Spread { min: 8.0, p50: 8.0, max: 8.0 }),
        ("sql_statements".to_owned(), Spread { min: 14.0, p50: 14.0, max: 17.0 }),
    ]);
    let cpu_ms_by_process = BTreeMap::from([
        ("orchestrator-1".to_owned(), Some(4.5)),
        ("postgres".to_owned(), Some(3.0)),
    ]);
    Observations {
        recorder,
        busy: Duration::from_millis(5 * samples),
        accounts: Accounts { mean, each, statements: vec![], cpu_ms_by_process },
        floor: FloorSummary::of(vec![round(0.25), round(0.24), round(0.26)]),
        ..Observations::default()
    }
}

pub fn round(commit_ms: f64) -> Floor {
    Floor {
        commit_ms: Some(commit_ms),
        sql_round_trip_ms: Some(0.08),
        broker_hop_ms: Some(0.12),
        http_ms: Some(0.15),
    }
}
