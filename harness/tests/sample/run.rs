//! Runs of played tasks, as a report has them.

use serde_json::{Value, json};

use super::shapes::Shape;
use super::task::{Draw, Pace, Task, at, breakdown, play, rounded, sorted};

/// Which run, and how fast its parts are.
pub struct Setup<'s> {
    pub scenario: &'s str,
    pub tier: u8,
    pub broker: &'s str,
    pub on: &'s str,
    pub concurrency: u64,
    pub shape: &'s Shape,
    pub pace: Pace,
    pub samples: usize,
    /// The lowest and the highest P50 that was published.
    pub published: Option<(f64, f64)>,
}

pub const COMMIT_MS: f64 = 0.198;

/// A good run, with everything that a run can have of itself.
pub fn run(setup: &Setup<'_>) -> Value {
    let seed = setup.scenario.bytes().chain(setup.broker.bytes()).chain(setup.on.bytes());
    let seed = seed.fold(setup.concurrency, |seed, byte| seed.wrapping_mul(31) + u64::from(byte));
    let mut draw = Draw::new(seed);
    let tasks: Vec<Task> =
        (0..setup.samples).map(|_| play(setup.shape, setup.pace, &mut draw)).collect();
    let latencies = sorted(tasks.iter().map(|task| task.latency).collect());
    let percentile = |quantile, samples_min: usize| {
        (setup.samples >= samples_min).then(|| rounded(at(&latencies, quantile)))
    };
    let (p50, p95, p99) = (percentile(0.5, 1), percentile(0.95, 200), percentile(0.99, 1_000));
    let longest = latencies.last().copied().map(rounded);
    let mean = latencies.iter().sum::<f64>() / setup.samples as f64;
    let commits = |ms: Option<f64>| ms.map(|ms| ms / COMMIT_MS);
    let stages = f64::from(setup.shape.stages);
    let own_floor = rounded((2.0 + stages) * COMMIT_MS + stages * 0.12 + 0.7);
    let of_floor = |ms: Option<f64>| ms.map(|ms| ms / own_floor);
    json!({
        "scenario": setup.scenario, "tier": setup.tier, "broker": setup.broker,
        "mode": "closed loop", "rate": null, "concurrency": setup.concurrency,
        "samples": setup.samples, "warmup": 100, "on": setup.on,
        "topology": topology(setup), "tasks_a_sample": 1,
        "status": "good", "correct": true, "problems": [], "notes": [],
        "latency_ms": {"p50": p50, "p95": p95, "p99": p99, "max": longest},
        "latency_commits": {"p50": commits(p50), "p95": commits(p95), "p99": commits(p99),
                            "max": commits(longest)},
        "stage_ms": p50.map(|p50| p50 / stages),
        "throughput_per_s": 1e3 * setup.concurrency as f64 / mean,
        "items": null,
        "work": work(setup.shape), "work_each": work_each(setup.shape),
        "cpu_ms_by_process": {"orchestrator-1": 0.62, "postgres": 4.75, "worker-rust-1": 0.58},
        "budget": budget(setup, commits(p50)),
        "floor": floor(),
        "difference": null, "step_time": null,
        "reference": setup.published.map(|(low, high)| json!({
            "label": "published, other hardware", "p50_ms_min": low, "p50_ms_max": high,
            "database_operations": 76, "task_transitions": 6})),
        "hlog": format!("{}-{}.hlog", setup.scenario, setup.broker),
        "distribution": distribution(&tasks, &latencies),
        "breakdown": breakdown(setup.shape, &tasks),
        "own_floor": {"commits": 2 + stages as u32, "hops": 2 * stages as u32, "sql_round_trips": 7,
                      "http_round_trips": 2, "ms": own_floor, "p50_ratio": of_floor(p50),
                      "p95_ratio": of_floor(p95)},
    })
}

fn topology(setup: &Setup<'_>) -> Value {
    match setup.on {
        "ten" => json!({"orchestrator": 2, "worker-rust": 2, "worker-ruby": 2,
                        "worker-python": 2, "worker-typescript": 2}),
        "2x4" => json!({"orchestrator": 2, "worker-rust": 4}),
        _ => json!({"orchestrator": 1, "worker-rust": 1}),
    }
}

fn work(shape: &Shape) -> Value {
    let steps = shape.steps.len() as f64;
    json!({"step_transitions": 4.0 * steps, "task_transitions": 14.0, "messages": 2.0 * steps,
           "dependency_evaluations": steps, "sql_statements": 14.5, "commits": 21.25,
           "wal_flushes": 6.02, "wal_bytes": 15_555.5, "cpu_ms": 5.95, "file_reads": 0.0,
           "file_read_bytes": 0.0, "http_calls": 2.0})
}

fn work_each(shape: &Shape) -> Value {
    let same = |count: f64| json!({"min": count, "p50": count, "max": count});
    let steps = shape.steps.len() as f64;
    json!({"step_transitions": same(4.0 * steps), "messages": same(2.0 * steps),
           "sql_statements": {"min": 14.0, "p50": 14.0, "max": 17.0}})
}

fn budget(setup: &Setup<'_>, commits: Option<f64>) -> Value {
    let steps = setup.shape.steps.len();
    let commits = commits.map_or(Value::Null, |it| json!(format!("{it:.3}")));
    json!([
        {"name": "step_transitions", "allowed": (4 * steps).to_string(),
         "measured": (4 * steps).to_string(), "kept": true},
        {"name": "messages", "allowed": (2 * steps).to_string(),
         "measured": (2 * steps).to_string(), "kept": true},
        {"name": "sql_statements", "allowed": "≤ 24", "measured": "14", "kept": true},
        {"name": "p50_latency_commits", "allowed": "≤ 57", "measured": commits, "kept": true},
    ])
}

fn floor() -> Value {
    let round = |commit_ms: f64| {
        json!({"commit_ms": commit_ms, "sql_round_trip_ms": 0.051, "broker_hop_ms": 0.118,
               "http_ms": 0.091})
    };
    json!({"commit_ms": COMMIT_MS, "sql_round_trip_ms": 0.051, "broker_hop_ms": 0.118,
           "http_ms": 0.091, "drift_ratio": 1.08, "drifted": false,
           "rounds": [round(0.191), round(COMMIT_MS), round(0.206)]})
}

fn distribution(tasks: &[Task], latencies: &[f64]) -> Value {
    let count = latencies.len() as f64;
    let interval = |quantile: f64, samples_min: f64| {
        let spread = 1.96 * (count * quantile * (1.0 - quantile)).sqrt() / count;
        (count >= samples_min).then(|| {
            json!({"low": rounded(at(latencies, quantile - spread)),
                   "high": rounded(at(latencies, quantile + spread))})
        })
    };
    let mut quantiles = vec![0.0, 0.25, 0.5, 0.625, 0.75, 0.8125, 0.875];
    while quantiles.last().is_some_and(|last| (1.0 - last) * count > 2.0) {
        let left = 1.0 - quantiles[quantiles.len() - 1];
        quantiles.extend([1.0 - left * 0.75, 1.0 - left * 0.5]);
    }
    quantiles.push(1.0);
    let percentiles = quantiles.iter().map(|q| (*q, rounded(at(latencies, *q))));
    let mut seconds = 0.0;
    let timeline = tasks.iter().take(1_000).map(|task| {
        let point = (rounded(seconds), rounded(task.latency));
        seconds += (task.latency + 0.05) / 1e3;
        point
    });
    json!({
        "interval_ms": {"p50": interval(0.5, 1.0), "p95": interval(0.95, 200.0),
                        "p99": interval(0.99, 1_000.0)},
        "percentiles": percentiles.collect::<Vec<_>>(),
        "timeline": timeline.collect::<Vec<_>>(),
        "drift": {"first_tenth_ratio": 1.01, "second_half_ratio": 0.99, "starts_cold": false,
                  "goes_on": false},
        "comb": null, "hidden_stall": null,
    })
}
