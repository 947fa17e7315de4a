//! Open loops: what a system that stands still does to latencies, and a ladder's end.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::program::{bench, stepmark};

#[test]
fn a_stop_of_two_seconds_shows_in_p99_and_drops_nothing() {
    let mut program = bench("stopped", "");
    program.command.args(["--rate", "50", "--arrivals", "fixed", "--samples", "3000"]);
    let run = program.start_until("on pgmq, 50/s: 3000 tasks");
    let orchestrator = Pid::from_raw(run.pid_of("orchestrator-1").cast_signed()).unwrap();
    sleep(Duration::from_secs(10));
    kill_process(orchestrator, Signal::STOP).unwrap();
    sleep(Duration::from_secs(2));
    kill_process(orchestrator, Signal::CONT).unwrap();
    let finished = run.finish();
    let run = finished.run();
    assert_eq!((&run["correct"], &run["samples"]), (&true.into(), &3_000.into()), "{finished:?}");
    assert_eq!(run["mode"], "open loop, fixed");
    // 100 of 3,000 tasks were due in the 2 s; the last 30 of them waited longest.
    let p99 = run["latency_ms"]["p99"].as_f64().unwrap();
    assert!((1_000.0..2_500.0).contains(&p99), "{p99}");
    assert!(run["latency_ms"]["p50"].as_f64().unwrap() < 200.0, "{run}");
    let rate = &run["rate"];
    let offered = rate["offered_per_s"].as_f64().unwrap();
    assert!((offered / 50.0 - 1.0).abs() < 0.02, "{rate}");
    assert!(rate["achieved_per_s"].as_f64().unwrap() > 45.0, "{rate}");
}

#[test]
fn a_ladder_finds_the_knee_and_stops_by_itself() {
    let mut program = stepmark("ladder");
    let report = program.folder.join("report");
    program.command.args(["ladder", "--from", "50", "--growth", "2.5", "--seconds", "1"]);
    program.command.args(["--backend", "process", "--report"]).arg(&report);
    let finished = program.output();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let text = fs::read_to_string(report.join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    let ladder = &report["ladders"][0];
    let rungs = ladder["rungs"].as_array().unwrap();
    assert_eq!(rungs[0]["asked_per_s"], 50.0);
    let keeps_up = |rung: &&Value| {
        let [asked, achieved] = ["asked_per_s", "achieved_per_s"].map(|name| rung[name].as_f64());
        rung["is_short"] == false && achieved >= asked.map(|asked| 0.95 * asked)
    };
    assert_eq!(rungs.iter().rev().take(2).filter(keeps_up).count(), 0, "{ladder}");
    let able: Vec<_> = rungs.iter().filter(keeps_up).map(|rung| &rung["asked_per_s"]).collect();
    match &ladder["knee_per_s"] {
        // Beside much other work no rate is offered in time, and none can be the knee.
        Value::Null => assert!(able.is_empty(), "{ladder}"),
        knee => assert!(able.contains(&knee), "{ladder}"),
    }
    assert!(ladder["why_stopped"].as_str().unwrap().contains("achieved"), "{ladder}");
}
