//! How runs end that somebody kills: nothing is left, and no figure is shown that does not stand.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::program::{bench, descendants, is_alive, stepmark};

/// The line after which tasks are under way.
const UNDER_WAY: &str = "on pgmq: 200 tasks";

fn kill(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

/// Asserts that all of these processes end, which a guardian may take a moment for.
fn assert_all_end(pids: &[u32]) {
    let begun = Instant::now();
    while let Some(pid) = pids.iter().find(|pid| is_alive(**pid)) {
        assert!(begun.elapsed() < Duration::from_secs(20), "process {pid} is still there");
        std::thread::yield_now();
    }
}

#[test]
fn a_killed_worker_is_started_again_and_the_run_shows_no_figure() {
    let run = bench("killed_worker", "").start_until(UNDER_WAY);
    let worker = run.pid_of("worker-rust-1");
    kill(worker, Signal::KILL);
    let finished = run.finish();
    let why = format!("worker-rust-1 (pid {worker}) ended by signal 9");
    finished.assert_invalid(&why);
    assert!(finished.stdout.contains("the harness started it again"), "{}", finished.stdout);
    assert!(!is_alive(worker));
}

#[test]
fn an_orchestrator_that_does_not_come_back_ends_the_run_at_once() {
    // The script's orchestrator makes its tables at every start, so it starts but once.
    let run = bench("given_up", "").start_until(UNDER_WAY);
    let orchestrator = run.pid_of("orchestrator-1");
    kill(orchestrator, Signal::KILL);
    let finished = run.finish();
    finished.assert_invalid(&format!("orchestrator-1 (pid {orchestrator}) ended by signal 9"));
    assert!(finished.stdout.contains("orchestrator-1 was given up"), "{finished:?}");
}

#[test]
fn an_orchestrator_that_is_given_up_during_the_warm_up_fails_its_run_and_no_other() {
    let mut program = bench("dies_warming_up", "dies_warming_up");
    program.command.args(["--scenario", "diamond_rust"]);
    let finished = program.output();
    finished.assert_invalid("an instance was given up");
    assert!(finished.stderr.contains("orchestrator-1 was given up"), "{finished:?}");
    assert_eq!(finished.runs().len(), 2, "{finished:?}");
}

#[test]
fn after_a_run_nothing_is_left() {
    let run = bench("nothing_left", "").start_until(UNDER_WAY);
    let pids = descendants(run.child.id());
    assert!(pids.len() >= 4, "PostgreSQL, two instances, a guardian: {pids:?}");
    let data = data_directory(&pids);
    run.finish();
    assert_all_end(&pids);
    assert!(!data.exists());
}

#[test]
fn ctrl_c_and_sigterm_end_everything_and_the_code_is_2() {
    // Once while tasks are under way, and once while the run is still being set up.
    for (signal, moment) in [(Signal::INT, UNDER_WAY), (Signal::TERM, "warm-up")] {
        let run = bench("interrupted", "").start_until(moment);
        let pids = descendants(run.child.id());
        kill(run.child.id(), signal);
        let finished = run.finish();
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.stderr.contains("interrupted"), "{finished:?}");
        assert_all_end(&pids);
    }
}

#[test]
fn a_killed_harness_leaves_nothing() {
    let mut run = bench("killed_harness", "").start_until(UNDER_WAY);
    let pids = descendants(run.child.id());
    let data = data_directory(&pids);
    run.child.kill().unwrap();
    run.child.wait().unwrap();
    assert_all_end(&pids);
    assert!(!data.exists());
}

#[test]
fn up_stays_until_it_is_told_to_end() {
    let mut program = stepmark("up");
    let logs = program.folder.join("logs");
    program.command.args(["up", "--backend", "process", "--logs"]).arg(&logs);
    program.command.stderr(std::process::Stdio::inherit());
    let mut child = Ended(program.command.spawn().unwrap());
    let child = &mut child.0;
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    while !said.contains("Ctrl-C ends everything") {
        let read = std::io::BufRead::read_line(&mut stdout, &mut said).unwrap();
        assert_ne!(read, 0, "it ended with: {said}");
    }
    assert!(said.contains("curl -s http://"), "{said}");
    let line_of = |name: &str, said: &str| {
        let line = said.lines().rev().find(|line| line.starts_with(name) && line.contains("ready"));
        line.map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    };
    let orchestrator = line_of("orchestrator-1", &said).unwrap();
    assert_eq!((&*orchestrator[4], &*orchestrator[5]), ("restarts", "0"), "{said}");
    let worker = line_of("worker-rust-1", &said).unwrap();
    kill(worker[3].trim_end_matches(')').parse().unwrap(), Signal::KILL);
    let restarted = |said: &str| line_of("worker-rust-1", said).is_some_and(|it| it[5] == "1");
    while !restarted(&said) {
        let read = std::io::BufRead::read_line(&mut stdout, &mut said).unwrap();
        assert_ne!(read, 0, "it ended with: {said}");
    }
    let pids = descendants(child.id());
    kill(child.id(), Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_all_end(&pids);
    assert!(logs.join("orchestrator-1.log").exists());
}

/// Ends with its test, also when that fails.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it may have ended
    }
}

/// The data directory of the PostgreSQL among these processes.
fn data_directory(pids: &[u32]) -> PathBuf {
    let is_postmaster = |pid: &&u32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let link = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
        name.trim() == "postgres" && link.join("PG_VERSION").exists()
    };
    let postmaster = pids.iter().find(is_postmaster).unwrap();
    let data = fs::read_link(format!("/proc/{postmaster}/cwd")).unwrap();
    assert_ne!(data, Path::new("/"));
    data
}
