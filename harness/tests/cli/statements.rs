//! SQL by its texts: a statement more, or one more call of it, breaks the budget.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::program::{Finished, bench};

/// A run of what `script` plays, held against these declared statements.
fn run_against(name: &str, script: &str, declared: &Value) -> Finished {
    let program = bench(name, script);
    let file = program.folder.join("scenarios/statements.json");
    fs::write(file, declared.to_string()).unwrap();
    program.output()
}

/// Declares what a run has called, as often as it has.
fn declared_from(right: &Finished) -> Value {
    let run = right.run();
    let text = fs::read_to_string(right.folder.join("report/report.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    let version = report["environment"]["postgres"]["version"].as_str().unwrap();
    let major: u32 = version.split('.').next().unwrap().parse().unwrap();
    let one = |statement: &Value| {
        let calls = statement["calls_a_message"].as_f64().unwrap();
        json!({"text": statement["text"], "calls_a_message_max": {"pgmq": calls}})
    };
    let statements = run["statements"].as_array().unwrap();
    json!({ "postgresql": major, "statements": statements.iter().map(one).collect::<Vec<_>>() })
}

fn broken(finished: &Finished) -> Vec<String> {
    let run = finished.run();
    let budget = run["budget"].as_array().unwrap();
    let is_of_sql = |line: &&Value| line["name"].as_str().unwrap().starts_with("sql_");
    let broken = budget.iter().filter(is_of_sql).filter(|line| line["kept"] == false);
    broken.map(|line| format!("{}: {}", line["name"].as_str().unwrap(), line["measured"])).collect()
}

#[test]
fn a_statement_more_and_one_that_is_run_twice_break_the_budget() {
    let right = bench("statements_read", "").output();
    let declared = declared_from(&right);
    assert_eq!(declared["statements"].as_array().unwrap().len(), 1, "{declared}");
    let [same, more, twice] = std::thread::scope(|scope| {
        let runs = [
            ("statements_kept", ""),
            ("statements_more", "extra_select"),
            ("statements_twice", "statement_twice"),
        ];
        let declared = &declared;
        let runs =
            runs.map(|(name, fault)| scope.spawn(move || run_against(name, fault, declared)));
        runs.map(|run| run.join().unwrap())
    });
    assert_eq!(broken(&same), [""; 0], "{same:?}");

    assert_eq!(more.code, Some(1), "{more:?}");
    assert!(broken(&more)[0].contains("1 not declared, as: SELECT"), "{:?}", broken(&more));
    assert!(more.stdout.contains("budget broken: sql_texts"), "{}", more.stdout);

    assert_eq!(twice.code, Some(1), "{twice:?}");
    let broken = broken(&twice);
    assert!(broken.iter().any(|line| line.starts_with("sql_calls_a_message")), "{broken:?}");
}

#[test]
fn a_list_that_cannot_be_read_is_an_error_that_names_it() {
    let finished = run_against("statements_bad", "", &json!({"statement": []}));
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.stderr.contains("scenarios/statements.json"), "{}", finished.stderr);
    assert!(!Path::new(&finished.folder).join("report").exists());
}
