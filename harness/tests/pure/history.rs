//! Figures from report to report, and where their level changed.

use serde_json::{Value, json};
use stepmark_harness::grid::Look;
use stepmark_harness::history::{
    Figure, HistoryError, Record, Series, append, has_worsened, read, render, series,
};
use stepmark_harness::report::Report;

use crate::sample;

const RUN: &str = "linear_rust-pgmq";

/// One report a day in which everything takes `ratio` times as long as on the day of that place.
fn records(ratios: &[f64]) -> Vec<Record> {
    let of = |(day, ratio): (usize, &f64)| {
        let mut report = sample::small();
        report["created_at"] = json!(format!("2026-11-{:02}T12:00:00Z", day + 1));
        report["git"]["revision"] = json!(format!("{day:040}"));
        report["git"]["dirty"] = json!(day == 1);
        for run in report["runs"].as_array_mut().unwrap() {
            for place in ["/latency_ms/p50", "/own_floor/p50_ratio"] {
                let figure = run.pointer_mut(place).unwrap();
                *figure = json!(figure.as_f64().unwrap() * ratio);
            }
        }
        Record::of(&parse(&report))
    };
    ratios.iter().enumerate().map(of).collect()
}

fn parse(report: &Value) -> Report {
    Report::parse(&report.to_string()).unwrap()
}

/// Ten steady days with a noise of a few percent, and some more.
fn days(more: &[f64]) -> Vec<f64> {
    let steady = [1.0, 1.04, 0.97, 1.01, 0.95, 1.03, 0.99, 1.05, 0.98, 1.02];
    steady.iter().chain(more).copied().collect()
}

fn of(all: &[Series], figure: Figure) -> &Series {
    all.iter().find(|series| series.run == RUN && series.figure == figure).unwrap()
}

#[test]
fn a_step_is_told_within_three_reports_with_the_revision_that_made_it() {
    let two = series(&records(&days(&[1.26, 1.2])));
    assert!(!has_worsened(&two, 10), "{two:?}");
    let three = series(&records(&days(&[1.26, 1.2, 1.25])));
    assert!(has_worsened(&three, 10));
    let [change] = &of(&three, Figure::P50OwnFloor).changes[..] else { panic!("{three:?}") };
    assert_eq!((change.created_at.as_str(), change.reports_since), ("2026-11-11T12:00:00Z", 3));
    assert_eq!(change.revision.as_deref(), Some(format!("{:040}", 10).as_str()));
    assert!((change.ratio() - 1.235).abs() < 0.03, "{change:?}");
    assert_eq!(of(&three, Figure::P95OwnFloor).changes, []);
    insta::assert_snapshot!("history.txt", render(Look::Terminal, &three, false));
    insta::assert_snapshot!("history.md", render(Look::Markdown, &three, true));
}

#[test]
fn what_got_better_again_or_long_ago_is_no_alarm() {
    let faster = series(&records(&days(&[0.8, 0.79, 0.81])));
    assert!(!of(&faster, Figure::P50OwnFloor).changes.is_empty() && !has_worsened(&faster, 10));
    let again = [1.3, 1.31, 1.29, 1.3, 1.0, 0.99, 1.01, 1.0];
    assert!(has_worsened(&series(&records(&days(&again[..4]))), 10));
    let again = series(&records(&days(&again)));
    assert_eq!(of(&again, Figure::P50OwnFloor).changes.len(), 2);
    assert!(!has_worsened(&again, 10));
    let long_ago = series(&records(&days(&[1.3; 11])));
    assert!(has_worsened(&long_ago, 11) && !has_worsened(&long_ago, 10));
}

#[test]
fn milliseconds_are_a_series_in_each_place_and_multiples_across() {
    let mut all = records(&days(&[1.0, 1.0, 1.0]));
    let elsewhere = |record: &mut Record| {
        for point in record.runs.values_mut() {
            point.fingerprint = "elsewhere".to_owned();
            point.p50_ms = point.p50_ms.map(|ms| 3.0 * ms);
        }
    };
    all[10..].iter_mut().for_each(elsewhere);
    let all = series(&all);
    let ms = all.iter().filter(|series| series.run == RUN && series.figure == Figure::P50Ms);
    let reports: Vec<usize> = ms.map(|series| series.reports).collect();
    assert_eq!(reports, [10, 3]);
    assert_eq!(of(&all, Figure::P50OwnFloor).reports, 13);
    assert!(all.iter().all(|series| series.changes.is_empty()), "{all:?}");
    // In one place a change of milliseconds is shown, and no exit code follows from it.
    let mut all = records(&days(&[1.0, 1.0, 1.0]));
    for record in &mut all[10..] {
        for point in record.runs.values_mut() {
            point.p50_ms = point.p50_ms.map(|ms| 3.0 * ms);
        }
    }
    let all = series(&all);
    assert_eq!(of(&all, Figure::P50Ms).changes.len(), 1);
    assert!(!has_worsened(&all, 10));
}

#[test]
fn one_more_statement_a_task_is_a_step_of_its_own() {
    let mut all = records(&days(&[1.0, 1.0, 1.0]));
    for record in &mut all[10..] {
        record.runs.get_mut(RUN).unwrap().sql_statements = Some(15.0);
    }
    let all = series(&all);
    let [change] = &of(&all, Figure::SqlStatements).changes[..] else { panic!("{all:?}") };
    assert!((change.before - 14.0).abs() < 1e-9 && (change.after - 15.0).abs() < 1e-9);
    assert!(has_worsened(&all, 10));
}

#[test]
fn only_runs_that_stand_are_kept_and_a_file_is_read_as_it_was_written() {
    let whole = Record::of(&parse(&sample::whole()));
    assert_eq!(whole.runs.len(), sample::whole()["runs"].as_array().unwrap().len() - 2);
    let folder = std::env::temp_dir().join(format!("stepmark-history-{}", std::process::id()));
    let path = folder.join("history.jsonl");
    assert_eq!(read(&path).unwrap(), []);
    let days = records(&[1.0, 1.1, 1.2]);
    // The order is that of the reports, whenever they were added.
    for day in [&days[2], &days[0], &days[1]] {
        append(&path, day).unwrap();
    }
    assert_eq!(read(&path).unwrap(), days);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 3);
    std::fs::write(&path, text + "{}\n").unwrap();
    let refused = read(&path).unwrap_err();
    assert!(matches!(refused, HistoryError::Malformed { line: 4, .. }), "{refused}");
    std::fs::remove_dir_all(&folder).unwrap();
}
