//! Runs against the scripted cluster: what is counted, and what a planted fault does.

use std::fs;

use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

use crate::program::bench;

#[test]
fn a_right_run_is_accounted_exactly_and_written_in_every_format() {
    let finished = bench("right", "").output();
    let run = finished.run();
    // The latency's budget is the machine's affair here; all counts are the script's.
    assert!(matches!(finished.code, Some(0 | 1)), "{finished:?}");
    assert_eq!(run["correct"], true, "{finished:?}");
    for (count, exact) in [
        ("step_transitions", 16.0),
        ("task_transitions", 14.0),
        ("messages", 8.0),
        ("dependency_evaluations", 4.0),
        ("sql_statements", 1.0),
        ("http_calls", 2.0),
    ] {
        assert_eq!(run["work"][count], exact, "{count}: {run}");
    }
    // One commit and one flush a task; autovacuum and checkpoints may add a few to a whole run.
    for count in ["commits", "wal_flushes"] {
        let mean = run["work"][count].as_f64().unwrap();
        assert!((1.0..1.1).contains(&mean), "{count}: {mean}");
    }
    assert!(run["latency_ms"]["p95"].is_f64() && run["latency_ms"]["p99"].is_null(), "{run}");
    assert!(run["floor"]["rounds"].as_array().unwrap().len() == 3, "{run}");
    let folder = finished.folder.join("report");
    let log = fs::read(folder.join(run["hlog"].as_str().unwrap())).unwrap();
    let entries = IntervalLogIterator::new(&log).map(Result::unwrap);
    assert_eq!(entries.filter(|entry| matches!(entry, LogEntry::Interval(_))).count(), 1);
    assert!(fs::read_to_string(folder.join("report.md")).unwrap().contains("linear"));
    assert!(folder.join("logs/linear_rust-pgmq/worker-rust-1.log").exists());
}

#[test]
fn one_wrong_result_in_the_database_makes_the_run_invalid() {
    let finished = bench("wrong_result", "wrong_result").output();
    finished.assert_invalid(r#"the step linear_step_3 has the result"#);
}

#[test]
fn a_gap_in_one_audit_makes_the_run_invalid() {
    let finished = bench("audit_gap", "audit_gap").output();
    finished.assert_invalid("audit of linear_step_3: sort key 3 where 2 has to be");
}

#[test]
fn a_task_that_the_database_has_lost_makes_the_run_invalid() {
    let finished = bench("lost_task", "lost_task").output();
    finished.assert_invalid("the database has lost the task");
}

#[test]
fn one_task_that_answers_every_request_makes_the_run_invalid() {
    let finished = bench("one_task", "one_task").output();
    finished.assert_invalid("the task answers more than one request");
}

#[test]
fn messages_too_many_in_one_task_breaks_the_budget() {
    let finished = bench("extra_message", "extra_message").output();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    // Not one of the tasks that were looked at one by one: the mean over all tells.
    let problem = "budget broken: messages is 8 to 8.0";
    assert!(finished.stdout.contains(problem), "{finished:?}");
}
