use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use stepmark_harness::floor::FloorSummary;
use stepmark_harness::plan::Plan;
use stepmark_harness::recorder::Recorder;
use stepmark_harness::subject::Subject;
use stepmark_harness::verdict::{Status, judge};
use stepmark_harness::work::Spread;

use crate::played::{PLAN, linear, observations, round};

#[test]
fn a_right_run_in_budget_is_good() {
    let report = judge(&Subject::of(&linear(), PLAN), &observations(1_000));
    assert_eq!((report.status, report.correct), (Status::Good, true), "{:?}", report.problems);
    assert_eq!(report.latency_ms.p50, Some(5.499));
    assert_eq!(report.latency_commits.p50, Some(5.499 / 0.25));
}

#[test]
fn one_wrong_answer_takes_a_run_all_of_its_figures() {
    let mut seen = observations(1_000);
    seen.wrong.push("task 7: the database has lost the task".to_owned());
    let report = judge(&Subject::of(&linear(), PLAN), &seen);
    assert_eq!((report.status, report.correct), (Status::Invalid, false));
    assert_eq!(report.problems, ["task 7: the database has lost the task"]);
    let json = serde_json::to_value(&report).unwrap();
    for figures in ["latency_ms", "latency_commits", "work", "cpu_ms_by_process"] {
        let all = json[figures].as_object().unwrap();
        assert!(all.values().all(serde_json::Value::is_null), "{figures}: {all:?}");
    }
    assert!(json["throughput_per_s"].is_null() && json["floor"]["commit_ms"].is_null());
}

#[test]
fn a_fault_and_an_unfinished_task_do_the_same() {
    for spoil in [0, 1] {
        let mut seen = observations(10);
        match spoil {
            0 => seen.faults.push("worker-rust-1 ended by signal 9".to_owned()),
            _ => seen.unfinished.push("task 3: not finished after 60 s".to_owned()),
        }
        let report = judge(&Subject::of(&linear(), PLAN), &seen);
        assert_eq!((report.status, report.latency_ms.p50), (Status::Invalid, None));
    }
}

#[test]
fn many_wrong_answers_are_counted_and_not_all_spelled_out() {
    let mut seen = observations(10);
    seen.wrong = (0..1_000).map(|task| format!("task {task}: nobody asked for it")).collect();
    let report = judge(&Subject::of(&linear(), PLAN), &seen);
    assert_eq!(report.problems.len(), 6);
    assert_eq!(report.problems[5], "… 1000 wrong answers in all");
}

#[test]
fn a_run_without_samples_shows_nothing() {
    assert_eq!(judge(&Subject::of(&linear(), PLAN), &observations(0)).status, Status::Invalid);
}

#[test]
fn one_task_with_a_message_too_many_breaks_the_budget() {
    let mut seen = observations(1_000);
    seen.accounts.each.insert("messages".to_owned(), Spread { min: 8.0, p50: 8.0, max: 9.0 });
    let report = judge(&Subject::of(&linear(), PLAN), &seen);
    assert_eq!(report.status, Status::OverBudget);
    let problem = "budget broken: messages is 8 to 9 where 8 is allowed";
    assert_eq!(report.problems, [problem]);
}

#[test]
fn under_load_the_mean_is_judged_and_the_latency_is_not() {
    let mut seen = observations(1_000);
    seen.accounts.each.clear();
    seen.accounts.mean.messages = Some(8.001);
    seen.floor = FloorSummary::of(vec![round(0.01)]);
    let under_load = Plan { concurrency: 64, ..PLAN };
    let report = judge(&Subject::of(&linear(), under_load), &seen);
    assert_eq!(report.problems, ["budget broken: messages is 8.001 where 8 is allowed"]);
}

#[test]
fn a_latency_of_too_many_commits_breaks_the_budget() {
    let mut seen = observations(1_000);
    seen.floor = FloorSummary::of(vec![round(0.0625), round(0.06), round(0.0625)]);
    let report = judge(&Subject::of(&linear(), PLAN), &seen);
    assert_eq!(
        report.problems,
        ["budget broken: p50_latency_commits is 87.984 where ≤ 65 is allowed"]
    );
    assert_eq!(report.status, Status::OverBudget);
}

#[test]
fn with_traces_no_latency_is_judged_and_that_is_told() {
    let mut seen = observations(1_000);
    seen.floor = FloorSummary::of(vec![round(0.01); 3]);
    let plan = Plan { traces: true, ..PLAN };
    let report = judge(&Subject::of(&linear(), plan), &seen);
    assert_eq!(report.status, Status::Good, "{:?}", report.problems);
    let told = "no cost of traces: it takes one task at a time on the scenario's own cluster";
    assert_eq!(report.notes, ["traces were written, which takes time", told]);
    let beside = linear().beside_itself_without_traces();
    let report = judge(&Subject::of(&beside, plan), &seen);
    assert!(report.notes.iter().any(|note| note.starts_with("no cost of traces: it takes 20")));
}

#[test]
fn a_latency_above_the_aim_is_marked_and_not_condemned() {
    let mut seen = observations(1_000);
    seen.floor = FloorSummary::of(vec![round(0.16), round(0.15), round(0.16)]);
    let report = judge(&Subject::of(&linear(), PLAN), &seen);
    assert_eq!((report.status, report.problems.len()), (Status::Good, 0));
    assert_eq!(
        report.notes.last().unwrap(),
        "the aim is missed: P50 is 34.369 × the durable commit, the scenario aims at 28"
    );
    seen.floor = FloorSummary::of(vec![round(0.25)]);
    assert!(
        !judge(&Subject::of(&linear(), PLAN), &seen).notes.iter().any(|note| note.contains("aim"))
    );
}

#[test]
fn what_was_not_measured_makes_a_run_incomplete_and_is_said() {
    let mut seen = observations(1_000);
    seen.accounts.mean.messages = None;
    seen.accounts.each.remove("messages");
    seen.gaps.push("SQL statements were not counted".to_owned());
    let report = judge(&Subject::of(&linear(), PLAN), &seen);
    assert_eq!((report.status, report.correct), (Status::Incomplete, true));
    assert_eq!(
        report.problems,
        ["SQL statements were not counted", "budget not judged: messages was not measured"]
    );
}

#[test]
fn percentiles_are_given_where_the_samples_carry_them() {
    let carried = |samples| {
        let latency = judge(&Subject::of(&linear(), PLAN), &observations(samples)).latency_ms;
        (latency.p95.is_some(), latency.p99.is_some())
    };
    assert_eq!(carried(199), (false, false));
    assert_eq!(carried(200), (true, false));
    assert_eq!(carried(999), (true, false));
    assert_eq!(carried(1_000), (true, true));
}

#[test]
fn a_floor_that_drifts_is_marked_and_one_that_wobbles_is_not() {
    assert!(!FloorSummary::of(vec![round(0.24), round(0.30), round(0.25)]).drifted);
    let drifted = FloorSummary::of(vec![round(0.24), round(0.31), round(0.25)]);
    assert!(drifted.drifted);
    assert_eq!(drifted.median.commit_ms, Some(0.25));
    let mut seen = observations(1_000);
    seen.floor = drifted;
    let report = judge(&Subject::of(&linear(), PLAN), &seen);
    assert!(report.notes[0].contains("drifted"), "{:?}", report.notes);
}

#[test]
fn a_histogram_comes_back_from_its_log() {
    let mut recorder = Recorder::new(SystemTime::now());
    for micros in [1_000, 2_000, 70_000_000] {
        recorder.record(Duration::ZERO, Duration::from_micros(micros));
    }
    let mut log = Vec::new();
    recorder.write_hlog("linear_rust", Duration::from_secs(3), &mut log).unwrap();
    let entries: Vec<_> = IntervalLogIterator::new(&log).map(Result::unwrap).collect();
    let histogram = entries.iter().find_map(|entry| match entry {
        LogEntry::Interval(histogram) => Some(histogram),
        _ => None,
    });
    let histogram = histogram.unwrap();
    assert_eq!(histogram.tag().unwrap().as_str(), "linear_rust");
    assert!((histogram.max() - 70_000.0).abs() < 70.0, "{}", histogram.max());
}
