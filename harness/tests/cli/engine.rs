//! The same with the real engine: right answers on both brokers, and a worker that is killed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::sync::Once;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::forms;
use crate::program::{Program, bench, build, stepmark};
use crate::scenario::FORMS;

/// `stepmark bench` with the engine of this tree, built as the tests are.
fn bench_engine(name: &str) -> Program {
    with_engine(bench(name, ""))
}

/// The program, with the engine of this tree.
pub fn with_engine(mut program: Program) -> Program {
    static BUILT: Once = Once::new();
    let stepmark = Path::new(env!("CARGO_BIN_EXE_stepmark"));
    build(&BUILT, &["--workspace", "--bins"]);
    program.command.env("STEPMARK_BIN_DIR", stepmark.parent().unwrap());
    program
}

/// `stepmark up` with these templates, and `up`'s log folder in its own.
fn up(name: &str, templates: &str) -> Program {
    let mut program = with_engine(stepmark(name));
    let logs = program.folder.join("logs");
    program.command.args(["up", "--backend", "process", "--templates", templates]);
    program.command.arg("--logs").arg(logs);
    program
}

#[test]
fn up_serves_templates_of_ones_own_and_tells_how_a_worker_joins() {
    let finished = up("up_nowhere", "/nowhere/at/all").output();
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stderr.contains("--templates /nowhere/at/all: No such file"), "{finished:?}");

    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/examples");
    let mut program = up("up_examples", examples);
    let mut child = program.command.stderr(Stdio::inherit()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    while !said.contains("Ctrl-C ends everything") {
        assert_ne!(stdout.read_line(&mut said).unwrap(), 0, "it ended with: {said}");
    }
    assert!(said.contains("export STEPMARK_DATABASE_URL='postgres://"), "{said}");
    let address = said.split_once("http://").unwrap().1.split_whitespace().next().unwrap();
    let task = r#"{"namespace": "examples", "template": "greeting", "context": {"name": "Ada"}}"#;
    let mut http = TcpStream::connect(address).unwrap();
    write!(
        http,
        "POST /v1/tasks HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{task}",
        task.len()
    )
    .unwrap();
    let mut answer = String::new();
    http.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn all_shapes_are_right_on_both_brokers_with_the_exact_counts() {
    let mut program = bench_engine("engine");
    for name in ["linear_rust", "diamond_rust", "complex_dag_rust", "hierarchical_tree_rust"] {
        program.command.args(["--scenario", name]);
    }
    program.command.args(["--broker", "both", "--samples", "60"]);
    let finished = program.output();
    // The latency's budget is for the optimised build.
    assert!(matches!(finished.code, Some(0 | 1)), "{finished:?}");
    let runs = finished.runs();
    assert_eq!(runs.len(), 8);
    for run in runs {
        assert_eq!(run["correct"], true, "{run}");
        let kept = |line: &&Value| line["kept"] == true || line["name"] == "p50_latency_commits";
        let budget = run["budget"].as_array().unwrap();
        assert_eq!(budget.iter().filter(kept).count(), budget.len(), "{run}");
        let steps = run["work"]["step_transitions"].as_f64().unwrap() / 4.0;
        assert_eq!(run["work"]["messages"], 2.0 * steps, "{run}");
        assert!(run["work"]["sql_statements"].as_f64().unwrap() > 5.0, "{run}");
        assert!(run["cpu_ms_by_process"]["postgres"].as_f64().unwrap() > 0.0, "{run}");
    }
}

#[test]
fn inputs_from_a_seed_are_answered_by_the_engine_as_formulas_say_one_by_one_and_under_load() {
    let mut program = with_engine(forms::bench("engine_generated", FORMS));
    program.command.args(["--scenario", "generated", "--samples", "300"]);
    program.command.args(["--concurrency", "1", "--concurrency", "16"]);
    let finished = program.output();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for run in finished.runs() {
        assert_eq!((&run["correct"], &run["samples"]), (&true.into(), &300.into()), "{run}");
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
