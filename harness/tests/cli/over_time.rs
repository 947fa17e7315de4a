//! From one report to the next: compared, held against a baseline, added to a history.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::program::{Finished, stepmark};
use crate::sample;

/// Writes a report into a folder of its own and says which.
fn written(folder: &Path, name: &str, report: &Value) -> String {
    let folder = folder.join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("report.json"), report.to_string()).unwrap();
    folder.to_str().unwrap().to_owned()
}

/// Runs the program with arguments that name files in `folder`.
fn run(name: &str, folder: &Path, arguments: &[&str]) -> Finished {
    let mut program = stepmark(name);
    program.command.current_dir(folder).args(arguments);
    program.output()
}

fn slower(ratio: f64) -> Value {
    let mut report = sample::small();
    for run in report["runs"].as_array_mut().unwrap() {
        for place in ["/latency_ms/p50", "/own_floor/p50_ratio"] {
            let figure = run.pointer_mut(place).unwrap();
            *figure = json!(figure.as_f64().unwrap() * ratio);
        }
    }
    report
}

#[test]
fn reports_of_different_environments_are_compared_only_when_told_to() {
    let folder = stepmark("compare_files").folder;
    let here = written(&folder, "here", &sample::small());
    let old = written(&folder, "old", &sample::old());
    let mut there = slower(1.5);
    there["machine"]["cpu"] = json!("Another CPU");
    let there = written(&folder, "there", &there);
    let compare = |arguments: &[&str]| {
        let arguments: Vec<&str> = ["compare"].iter().chain(arguments).copied().collect();
        run("compare", &folder, &arguments)
    };

    let same = compare(&[&here, &format!("{old}/report.json")]);
    assert_eq!(same.code, Some(0), "{same:?}");
    assert!(same.stdout.contains("linear_rust-pgmq") && !same.stdout.contains('≠'));

    let refused = compare(&[&here, &there]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{refused:?}");
    assert!(refused.stderr.contains("cpu: A CPU | Another CPU"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--anyway"), "{}", refused.stderr);

    let told = compare(&["--anyway", "--markdown", &here, &there]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.stdout.contains("cpu: A CPU | Another CPU"), "{}", told.stdout);
    let row = told.stdout.lines().find(|line| line.contains("| P50 ms")).unwrap();
    assert_eq!(row.matches('≠').count(), 2, "{row}");

    let none = compare(&[&here, "nowhere"]);
    assert_eq!(none.code, Some(2), "{none:?}");
    assert!(none.stderr.contains("nowhere: no report is there; `stepmark bench` writes one"));
}

#[test]
fn a_baseline_is_rewritten_and_what_moved_is_told() {
    let folder = stepmark("baseline_files").folder;
    let first = written(&folder, "first", &sample::small());
    let mut linear = slower(1.1);
    linear["runs"].as_array_mut().unwrap().truncate(1);
    linear["runs"][0]["work_each"]["sql_statements"]["p50"] = json!(13.0);
    let second = written(&folder, "second", &linear);
    let update = |report: &str| {
        run("baseline", &folder, &["baseline", "update", report, "--to", "baseline"])
    };
    let tier = |tier: u8| fs::read_to_string(folder.join(format!("baseline/tier-{tier}.json")));

    let made = update(&first);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.stdout.contains("the baseline doesn't have this run"), "{}", made.stdout);
    let (one, four) = (tier(1).unwrap(), tier(4).unwrap());
    assert!(update(&first).stdout.starts_with("nothing has moved\n"));

    let moved = update(&second);
    assert_eq!(moved.code, Some(0), "{moved:?}");
    let has_row = |begin: &str, end: &str| {
        moved.stdout.lines().any(|line| line.contains(begin) && line.contains(end))
    };
    assert!(has_row("linear_rust-pgmq ┆ P50 × own floor", "1.10"), "{}", moved.stdout);
    assert!(has_row("linear_rust-pgmq ┆ sql_statements", "14   ┆ 13"), "{}", moved.stdout);
    assert_ne!(tier(1).unwrap(), one);
    assert_eq!(tier(4).unwrap(), four, "a tier that was not measured stays");

    for (name, spoiled) in [("spoiled", sample::whole()), ("empty", sample::empty())] {
        let one = tier(1).unwrap();
        let refused = update(&written(&folder, name, &spoiled));
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert_eq!(tier(1).unwrap(), one);
    }
}

#[test]
fn a_history_tells_a_step_by_its_exit_code() {
    let folder = stepmark("history_files").folder;
    let history = |arguments: &[&str]| {
        let arguments: Vec<&str> = ["history"].iter().chain(arguments).copied().collect();
        run("history", &folder, &arguments)
    };
    let file = ["--file", "kept/history.jsonl"];
    let add = |report: &str| history(&["add", report, file[0], file[1]]);
    let none = history(&file);
    assert_eq!(none.code, Some(2), "{none:?}");

    let steady = [1.0, 1.04, 0.97, 1.01, 0.95, 1.03, 0.99, 1.05, 0.98, 1.02];
    for (day, ratio) in steady.iter().chain(&[1.26, 1.24, 1.25]).enumerate() {
        if day == steady.len() {
            let steady = history(&file);
            assert_eq!(steady.code, Some(0), "{steady:?}");
            assert!(steady.stdout.starts_with("0 of 10 series"), "{}", steady.stdout);
        }
        let mut report = slower(*ratio);
        report["created_at"] = json!(format!("2026-11-{:02}T12:00:00Z", day + 1));
        report["git"]["revision"] = json!(format!("{day:x}abcdef0123456789"));
        let report = written(&folder, "day", &report);
        let added = add(&report);
        assert_eq!(added.code, Some(0), "{added:?}");
        let again = add(&report);
        assert_eq!(again.code, Some(0), "{again:?}");
        assert!(again.stdout.contains("already"), "{}", again.stdout);
    }
    let worse = history(&file);
    assert_eq!(worse.code, Some(1), "{worse:?}");
    let row = worse.stdout.lines().find(|line| line.contains("linear_rust-pgmq")).unwrap();
    assert!(row.contains("aabcdef012") && row.contains("2026-11-11"), "{row}");
    assert_eq!(history(&[&file[..], &["--recent", "2"]].concat()).code, Some(0));
    assert!(history(&[&file[..], &["--all"]].concat()).stdout.contains("steady"));
    assert_eq!(add(&written(&folder, "nothing", &sample::empty())).code, Some(2));
}
