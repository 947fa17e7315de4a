//! The same with the real engine: right answers on both brokers, and a worker that is killed.

use std::path::Path;
use std::sync::Once;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::program::{Program, bench, build};

/// `stepmark bench` with the engine of this tree, built as the tests are.
fn bench_engine(name: &str) -> Program {
    static BUILT: Once = Once::new();
    let program = Path::new(env!("CARGO_BIN_EXE_stepmark"));
    build(&BUILT, &["-p", "stepmark-engine", "-p", "stepmark-handlers-rust"]);
    let mut bench = bench(name, "");
    bench.command.env("STEPMARK_BIN_DIR", program.parent().unwrap());
    bench
}

#[test]
fn both_shapes_are_right_on_both_brokers_with_the_exact_counts() {
    let mut program = bench_engine("engine");
    program.command.args(["--scenario", "linear_rust", "--scenario", "diamond_rust"]);
    program.command.args(["--broker", "both", "--samples", "100"]);
    let finished = program.output();
    // The latency's budget is for the optimised build.
    assert!(matches!(finished.code, Some(0 | 1)), "{finished:?}");
    let runs = finished.runs();
    assert_eq!(runs.len(), 4);
    for run in runs {
        assert_eq!(run["correct"], true, "{run}");
        let kept = |line: &&Value| line["kept"] == true || line["name"] == "p50_latency_commits";
        let budget = run["budget"].as_array().unwrap();
        assert_eq!(budget.iter().filter(kept).count(), budget.len(), "{run}");
        assert_eq!(run["work"]["messages"], 8.0, "{run}");
        assert!(run["work"]["sql_statements"].as_f64().unwrap() > 5.0, "{run}");
        assert!(run["cpu_ms_by_process"]["postgres"].as_f64().unwrap() > 0.0, "{run}");
    }
}

#[test]
fn a_killed_worker_costs_the_figures_but_no_task() {
    let mut program = bench_engine("engine_killed");
    program.command.args(["--samples", "500"]);
    let run = program.start_until("on pgmq: 500 tasks");
    let worker = run.pid_of("worker-rust-1");
    kill_process(Pid::from_raw(worker.cast_signed()).unwrap(), Signal::KILL).unwrap();
    let finished = run.finish();
    finished.assert_invalid(&format!("worker-rust-1 (pid {worker}) ended by signal 9"));
    // The fault is the only problem: every task completed, and was right.
    let run = finished.runs().remove(0);
    assert_eq!(run["problems"].as_array().unwrap().len(), 1, "{run}");
    assert_eq!(run["samples"], 500);
}
