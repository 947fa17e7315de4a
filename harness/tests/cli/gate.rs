//! The gate: the base and the head in turns, both played by a script.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::program::{Finished, Program, bench};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn git(arguments: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(ROOT).args(arguments).output().unwrap();
    assert!(output.status.success(), "these tests need a checkout of git's: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Where the gate lays the revision out.
fn tree() -> PathBuf {
    fs::canonicalize(ROOT).unwrap().join("target/gate").join(git(&["rev-parse", "HEAD"]))
}

/// `stepmark gate --base HEAD` of linear on PGMQ, with a head that plays `head`; the base's
/// programs, in the folder `base`, play `base`.
fn gate(name: &str, base: &str, head: &str) -> Program {
    let mut program = bench(name, head);
    let folder = program.folder.join("base");
    fs::create_dir_all(&folder).unwrap();
    let tree = tree();
    for engine in ["stepmark-orchestrator", "stepmark-worker-rust"] {
        let (script, played) = (folder.join(engine), program.folder.join("bin").join(engine));
        let (tree, played) = (tree.display(), played.display());
        let text =
            format!("#!/bin/sh\nSCRIPTED_ROOT={tree} SCRIPTED_FAULT={base} exec {played} \"$@\"\n");
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new(program.command.get_program());
    let variables = program.command.get_envs();
    command.envs(variables.filter_map(|(name, value)| Some((name, value?))));
    command
        .args(["gate", "--scenario", "linear_rust", "--broker", "pgmq", "--backend", "process"])
        .args(["--base", "HEAD", "--tasks", "20", "--blocks", "40", "--scenarios"])
        .arg(program.folder.join("scenarios"))
        .arg("--report")
        .arg(program.folder.join("report"))
        .env("STEPMARK_BASE_BIN_DIR", folder)
        .env_remove("RUST_BACKTRACE")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    program.command = command;
    program
}

fn read(finished: &Finished, name: &str) -> String {
    fs::read_to_string(finished.folder.join("report").join(name)).unwrap()
}

#[test]
fn a_head_that_is_slower_in_both_runs_fails_and_is_told_in_all_forms() {
    let finished = gate("gate_slower", "none", "slow").output();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stdout.contains("slower than the base: linear_rust on pgmq takes "));
    assert!(read(&finished, "gate.md").starts_with("## ❌ slower than the base: linear_rust on"));
    let gate: Value = serde_json::from_str(&read(&finished, "gate.json")).unwrap();
    for run in ["first", "second"] {
        assert_eq!(gate[run].as_array().unwrap().len(), 1, "{gate}");
        assert_eq!(gate[run][0]["pairs"].as_array().unwrap().len(), 4);
        // What makes one suspected; on a slow machine the planted delay is a smaller share.
        assert!(gate[run][0]["shift"]["ratio"].as_f64().unwrap() > 1.03, "{gate}");
    }
    // The budgets' own report is beside it.
    assert_eq!(finished.run()["samples"], 20);
}

#[test]
fn a_head_that_is_faster_passes() {
    let finished = gate("gate_faster", "slow", "none").output();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.ends_with("no slower than the base\n"), "{}", finished.stdout);
    assert!(read(&finished, "gate.md").starts_with("## ✅ no slower than the base"));
}

#[test]
fn a_wrong_answer_of_the_base_decides_nothing() {
    let finished = gate("gate_wrong", "wrong_result", "none").output();
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.stderr.contains("the gate has not decided: linear_rust on pgmq: base: task"));
    assert!(read(&finished, "gate.md").starts_with("## ❌ not decided: "));
}

#[test]
fn a_worker_that_is_killed_decides_nothing() {
    let run = gate("gate_killed", "none", "none").start_until("head worker-rust-1");
    let worker = run.pid_of("base worker-rust-1");
    kill_process(Pid::from_raw(worker.cast_signed()).unwrap(), Signal::KILL).unwrap();
    let finished = run.finish();
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.stderr.contains("the gate has not decided: "), "{finished:?}");
    assert!(finished.stderr.contains("base: worker-rust-1 (pid "), "{finished:?}");
    assert!(finished.stderr.contains("ended by signal 9"), "{finished:?}");
}

#[test]
fn a_broken_budget_fails_before_any_latency_is_taken() {
    let mut program = gate("gate_budget", "none", "extra_message");
    program.command.env("STEPMARK_BASE_BIN_DIR", "/nowhere/at/all");
    let finished = program.output();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("budgets are broken: linear_rust-pgmq"), "{finished:?}");
    assert!(!Path::new(&finished.folder).join("report/gate.json").exists());
}

#[test]
fn a_revision_that_is_not_there_and_programs_of_another_one_are_told() {
    let mut program = gate("gate_unknown", "none", "none");
    program.command.args(["--base", "no_such_branch"]);
    let finished = program.output();
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.stderr.contains("there is no revision no_such_branch here"), "{finished:?}");

    let mut program = gate("gate_no_rows", "none", "none");
    let arguments = ["gate", "--tier", "4", "--base", "HEAD", "--backend", "process"];
    let variables: Vec<_> = program.command.get_envs().collect();
    let mut command = Command::new(program.command.get_program());
    command.args(arguments).envs(variables.iter().filter_map(|(name, to)| Some((name, (*to)?))));
    program.command = command;
    let output = program.command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("none of these scenarios is held against the base"), "{said}");

    let finished = gate("gate_other", "other_revision", "none").output();
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stderr.contains("was built from other sources"), "{finished:?}");
}

/// `stepmark gate` of a scenario on PGMQ against the baseline in `baseline`.
fn gate_by(name: &str, scenario: &str, baseline: &Path) -> Finished {
    let mut program = gate(name, "none", "none");
    let (command, folder) = (program.command, &program.folder);
    program.command = Command::new(command.get_program());
    program
        .command
        .args(["gate", "--scenario", scenario, "--broker", "pgmq", "--backend", "process"])
        // The script's latencies are no engine's, and many tests run at once.
        .args(["--p50-tolerance", "50", "--p95-tolerance", "50", "--scenarios"])
        .arg(folder.join("scenarios"))
        .arg("--report")
        .arg(folder.join("report"))
        .arg("--baseline")
        .arg(baseline)
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env_remove("STEPMARK_BASE_BIN_DIR")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    program.output()
}

#[test]
fn a_report_is_as_its_baseline_allows_it_until_a_count_is_another_one() {
    let made = bench("gate_baseline_made", "").output();
    let baseline = made.folder.join("baseline");
    let mut update = Command::new(env!("CARGO_BIN_EXE_stepmark"));
    update.args(["baseline", "update"]).arg(made.folder.join("report")).arg("--to").arg(&baseline);
    assert!(update.status().unwrap().success());

    let kept = gate_by("gate_baseline_kept", "linear_rust", &baseline);
    assert_eq!((kept.code, kept.runs().len()), (Some(0), 1), "{kept:?}");
    assert!(read(&kept, "gate.md").starts_with("## ✅ in budget, and as the baseline allows it"));

    let file = baseline.join("tier-1.json");
    let mut tier: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(tier["runs"][0]["counts"]["messages"]["a_task"], 8.0, "{tier}");
    tier["runs"][0]["counts"]["messages"]["a_task"] = 7.0.into();
    fs::write(&file, tier.to_string()).unwrap();
    let broken = gate_by("gate_baseline_broken", "linear_rust", &baseline);
    assert_eq!((broken.code, broken.runs().len()), (Some(1), 2), "{broken:?}");
    let text = read(&broken, "gate.md");
    assert!(text.contains("measured again: 8"), "{text}");
    assert!(text.starts_with("## ❌ over budget, or not as the baseline allows it"), "{text}");
    assert!(text.contains("| linear_rust-pgmq"), "{text}");

    let other = gate_by("gate_baseline_other", "diamond_rust", &baseline);
    assert_eq!(other.code, Some(2), "{other:?}");
    assert!(other.stderr.contains("the baseline has none of these runs"), "{other:?}");
    let nowhere = gate_by("gate_baseline_nowhere", "linear_rust", Path::new("/nowhere/at/all"));
    assert_eq!(nowhere.code, Some(2), "{nowhere:?}");
}
