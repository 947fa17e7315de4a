//! What a report is held against from one day to the next.

use serde_json::{Value, json};
use stepmark_harness::baseline::{
    Baseline, BaselineError, Line, Tolerance, Verdict, exit_code, judge, moves, render,
};
use stepmark_harness::grid::Look;
use stepmark_harness::report::Report;

use crate::sample;

const RUN: &str = "linear_rust-pgmq";

fn read(report: &Value) -> Report {
    Report::parse(&report.to_string()).unwrap()
}

fn baseline() -> Baseline {
    Baseline::of(&read(&sample::small())).unwrap()
}

/// The small report held against itself, with something changed in its first run.
fn judged(change: impl Fn(&mut Value)) -> Vec<Line> {
    let mut report = sample::small();
    change(&mut report["runs"][0]);
    judge(&baseline(), &read(&report), Tolerance::default())
}

fn verdict(lines: &[Line], figure: &str) -> Verdict {
    lines.iter().find(|line| line.run == RUN && line.figure == figure).unwrap().verdict
}

fn times(run: &mut Value, place: &str, ratio: f64) {
    let figure = run.pointer_mut(place).unwrap();
    *figure = json!(figure.as_f64().unwrap() * ratio);
}

#[test]
fn a_report_keeps_to_its_own_baseline_and_moves_nothing() {
    let lines = judged(|_| {});
    assert_eq!(exit_code(&lines), 0);
    assert!(lines.iter().all(|line| matches!(line.verdict, Verdict::Kept | Verdict::Told)));
    assert_eq!(moves(Look::Terminal, &lines), "nothing has moved\n");
    assert_eq!(render(Look::Terminal, &lines, false), "14 figures are as the baseline has them\n");
}

#[test]
fn what_changed_reads_well() {
    let lines = judged(|run| {
        times(run, "/own_floor/p50_ratio", 1.4);
        times(run, "/latency_ms/p50", 1.4);
        run["work"]["messages"] = json!(9.0);
        run["work_each"]["messages"] = json!({"min": 9.0, "p50": 9.0, "max": 9.0});
        run["work_each"]["sql_statements"]["p50"] = json!(13.0);
        run["floor"]["drifted"] = json!(true);
    });
    assert_eq!(exit_code(&lines), 1);
    insta::assert_snapshot!("judged.txt", render(Look::Terminal, &lines, false));
    insta::assert_snapshot!("judged.md", render(Look::Markdown, &lines, true));
    insta::assert_snapshot!("moved.txt", moves(Look::Terminal, &lines));
}

#[test]
fn a_floor_that_drifted_allows_as_much_more() {
    for (drift, expected) in [(1.2, Verdict::Broken), (1.3, Verdict::Broken), (2.0, Verdict::Kept)]
    {
        let lines = judged(|run| {
            times(run, "/own_floor/p50_ratio", 1.4);
            run["floor"]["drift_ratio"] = json!(drift);
            run["floor"]["drifted"] = json!(drift > 1.25);
        });
        assert_eq!(verdict(&lines, "P50 × own floor"), expected, "{drift}");
    }
}

type Change<'a> = &'a dyn Fn(&mut Value);

/// The small report whose first run was measured twice, each with something changed in it.
fn measured_again(changes: [Change<'_>; 2]) -> Vec<Line> {
    let mut report = sample::small();
    let runs = report["runs"].as_array_mut().unwrap();
    runs.push(runs[0].clone());
    let last = runs.len() - 1;
    changes[0](&mut runs[0]);
    changes[1](&mut runs[last]);
    judge(&baseline(), &read(&report), Tolerance::default())
}

#[test]
fn a_latency_is_broken_in_each_measurement_and_a_count_in_any() {
    const P50: &str = "P50 × own floor";
    let slow = |run: &mut Value| times(run, "/own_floor/p50_ratio", 1.4);
    let more = |run: &mut Value| {
        run["work"]["messages"] = json!(9.0);
        run["work_each"]["messages"] = json!({"min": 9.0, "p50": 9.0, "max": 9.0});
    };
    let invalid = |run: &mut Value| run["status"] = json!("invalid");
    let same = |_: &mut Value| {};
    let cases: [([Change<'_>; 2], &str, Verdict); 6] = [
        ([&slow, &same], P50, Verdict::Kept),
        ([&same, &slow], P50, Verdict::Kept),
        ([&slow, &slow], P50, Verdict::Broken),
        ([&more, &same], "messages", Verdict::Broken),
        ([&same, &more], "messages", Verdict::Broken),
        ([&same, &same], "messages", Verdict::Kept),
    ];
    for (no, (changes, figure, expected)) in cases.into_iter().enumerate() {
        let lines = measured_again(changes);
        assert_eq!(verdict(&lines, figure), expected, "case {no}");
        assert_eq!(exit_code(&lines), u8::from(expected == Verdict::Broken), "case {no}");
        assert!(lines.iter().all(|line| line.verdict != Verdict::New), "case {no}");
    }
    let once = measured_again([&slow, &same]);
    let line = once.iter().find(|line| line.run == RUN && line.figure == P50).unwrap();
    assert!(line.remark.as_ref().unwrap().starts_with("measured again: "), "{line:?}");
    assert_eq!(exit_code(&measured_again([&slow, &invalid])), 2);
}

#[test]
fn sql_calls_that_fewer_messages_make_fewer_have_some_room() {
    let of = |calls: f64| {
        let mut report = sample::small();
        report["runs"][0]["work_each"]["sql_statements"] =
            json!({"min": 20.0, "p50": calls, "max": 40.0});
        read(&report)
    };
    let baseline = Baseline::of(&of(24.0)).unwrap();
    for (calls, expected) in [(26.0, Verdict::Kept), (27.0, Verdict::Broken)] {
        let lines = judge(&baseline, &of(calls), Tolerance::default());
        assert_eq!(verdict(&lines, "sql_statements"), expected, "{calls}");
    }
}

#[test]
fn counts_are_exact_but_for_sql_which_may_be_lower() {
    for (name, count, expected) in [
        ("step_transitions", 17.0, Verdict::Broken),
        ("step_transitions", 15.0, Verdict::Broken),
        ("step_transitions", 16.0, Verdict::Kept),
        ("sql_statements", 15.0, Verdict::Broken),
        ("sql_statements", 13.0, Verdict::Lower),
    ] {
        let lines = judged(|run| {
            run["work"][name] = json!(count);
            run["work_each"][name] = json!({"min": count, "p50": count, "max": count});
        });
        assert_eq!(verdict(&lines, name), expected, "{name} {count}");
    }
    let lines = judged(|run| run["work"]["messages"] = Value::Null);
    assert_eq!((verdict(&lines, "messages"), exit_code(&lines)), (Verdict::Missing, 2));
}

#[test]
fn a_count_that_differs_from_task_to_task_has_some_room() {
    let of = |mean: f64| {
        let mut report = sample::small();
        let run = &mut report["runs"][0];
        run["work"]["messages"] = json!(mean);
        run["work_each"]["messages"] = json!({"min": 8.0, "p50": 10.0, "max": 12.0});
        read(&report)
    };
    let baseline = Baseline::of(&of(10.0)).unwrap();
    for (mean, expected) in [(10.9, Verdict::Kept), (11.1, Verdict::Broken), (9.0, Verdict::Lower)]
    {
        let lines = judge(&baseline, &of(mean), Tolerance::default());
        assert_eq!(verdict(&lines, "messages"), expected, "{mean}");
    }
}

#[test]
fn multiples_of_the_floor_have_a_tolerance_and_milliseconds_judge_nothing() {
    let floor = |ratio| judged(|run| times(run, "/own_floor/p50_ratio", ratio));
    for (ratio, expected) in [(1.24, Verdict::Kept), (1.26, Verdict::Broken), (0.7, Verdict::Lower)]
    {
        assert_eq!(verdict(&floor(ratio), "P50 × own floor"), expected, "{ratio}");
    }
    let tail = |ratio| judged(|run| times(run, "/own_floor/p95_ratio", ratio));
    assert_eq!(verdict(&tail(1.49), "P95 × own floor"), Verdict::Kept);
    assert_eq!(verdict(&tail(1.51), "P95 × own floor"), Verdict::Broken);
    let slow = judged(|run| times(run, "/latency_ms/p50", 9.0));
    assert_eq!((verdict(&slow, "P50 ms"), exit_code(&slow)), (Verdict::Told, 0));
    let strict = Tolerance { p50_ratio_max: 1.1, ..Tolerance::default() };
    let mut report = sample::small();
    times(&mut report["runs"][0], "/own_floor/p50_ratio", 1.2);
    let lines = judge(&baseline(), &read(&report), strict);
    assert_eq!(verdict(&lines, "P50 × own floor"), Verdict::Broken);
    // Without a floor there is nothing to judge by.
    let lines = judged(|run| run["own_floor"] = Value::Null);
    assert_eq!((verdict(&lines, "P50 × own floor"), exit_code(&lines)), (Verdict::Missing, 2));
}

#[test]
fn runs_that_wait_for_cores_have_more_room() {
    let slower = |name: &str, ratio: f64| {
        let mut report = sample::whole();
        let runs = report["runs"].as_array_mut().unwrap();
        // Those that stand.
        runs.retain(|run| run["problems"].as_array().unwrap().is_empty());
        let before = Baseline::of(&read(&report)).unwrap();
        for run in report["runs"].as_array_mut().unwrap() {
            times(run, "/own_floor/p50_ratio", ratio);
        }
        let lines = judge(&before, &read(&report), Tolerance::default());
        let is_its = |line: &&Line| line.run == name && line.figure == "P50 × own floor";
        lines.iter().find(is_its).unwrap().verdict
    };
    assert_eq!(slower("linear_rust-pgmq", 1.5), Verdict::Broken);
    assert_eq!(slower("linear_rust-pgmq-64", 1.5), Verdict::Kept);
    assert_eq!(slower("linear_rust-pgmq-64", 1.7), Verdict::Broken);
    assert_eq!(slower("linear_rust-pgmq-64-2x4", 1.5), Verdict::Kept);
}

#[test]
fn milliseconds_of_another_place_are_not_even_shown() {
    let mut report = sample::small();
    report["machine"]["cpu"] = json!("Another CPU");
    let lines = judge(&baseline(), &read(&report), Tolerance::default());
    assert!(!lines.iter().any(|line| line.figure.contains("ms")), "{lines:?}");
    assert_eq!(verdict(&lines, "P50 × own floor"), Verdict::Kept);
    // RabbitMQ is nothing to a run on PGMQ.
    let mut report = sample::small();
    report["environment"]["rabbitmq"] = Value::Null;
    let lines = judge(&baseline(), &read(&report), Tolerance::default());
    assert_eq!(verdict(&lines, "P50 ms"), Verdict::Told);
}

#[test]
fn a_run_that_only_one_of_them_has_is_told() {
    let mut report = sample::small();
    report["runs"].as_array_mut().unwrap().remove(0);
    let fewer = read(&report);
    let lines = judge(&baseline(), &fewer, Tolerance::default());
    assert_eq!((verdict(&lines, "run"), exit_code(&lines)), (Verdict::Missing, 2));
    let lines = judge(&baseline().only(|tier, _| tier.tier == 4), &fewer, Tolerance::default());
    assert_eq!(exit_code(&lines), 0, "{lines:?}");
    let before = Baseline::of(&fewer).unwrap();
    let lines = judge(&before, &read(&sample::small()), Tolerance::default());
    assert_eq!((verdict(&lines, "P50 × own floor"), exit_code(&lines)), (Verdict::New, 0));
    assert!(moves(Look::Terminal, &lines).contains(RUN));
    let none = baseline().only(|_, run| run.run == RUN).only(|tier, _| tier.tier == 4);
    assert_eq!(none, Baseline::default());
    let lines = judged(|run| {
        run["status"] = json!("invalid");
        run["problems"] = json!(["a wrong answer"]);
    });
    assert_eq!((verdict(&lines, "run"), exit_code(&lines)), (Verdict::Missing, 2));
}

#[test]
fn a_baseline_is_made_of_runs_that_stand_and_read_as_it_was_written() {
    let refused = Baseline::of(&read(&sample::whole())).unwrap_err().to_string();
    assert!(refused.contains("complex_dag_rust-pgmq-2 of the report is invalid"), "{refused}");
    let refused = Baseline::of(&read(&sample::empty()));
    assert!(matches!(refused, Err(BaselineError::NoRuns)));
    let folder = std::env::temp_dir().join(format!("stepmark-baseline-{}", std::process::id()));
    assert!(matches!(Baseline::read(&folder), Err(BaselineError::Empty(_))));
    baseline().write(&folder).unwrap();
    assert_eq!(Baseline::read(&folder).unwrap(), baseline());
    let one = Baseline::read(&folder.join("tier-4.json")).unwrap();
    assert_eq!(one, baseline().only(|tier, _| tier.tier == 4));
    let text = std::fs::read_to_string(folder.join("tier-1.json")).unwrap();
    insta::assert_snapshot!("baseline.json", text);
    let other = text.replace("\"schema_version\": 1", "\"schema_version\": 2");
    std::fs::write(folder.join("tier-1.json"), other).unwrap();
    let refused = Baseline::read(&folder);
    assert!(matches!(refused, Err(BaselineError::Version { version: 2, .. })), "{refused:?}");
    std::fs::remove_dir_all(&folder).unwrap();
}
