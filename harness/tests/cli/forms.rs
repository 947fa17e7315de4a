//! Runs of scenarios with several inputs, at several concurrencies.

use std::fs;

use serde_json::Value;
use stepmark_harness::scenario::Scenario;

use crate::program::{Finished, Program, stepmark};
use crate::scenario::FORMS;

/// `stepmark bench` of these scenarios on PGMQ with a cluster that does it right.
pub fn bench(name: &str, scenarios: &str) -> Program {
    let mut program = stepmark(name);
    let report = program.folder.join("report");
    program
        .command
        .args(["bench", "--scenarios", scenarios, "--broker", "pgmq", "--backend", "process"])
        .args(["--samples", "40", "--warmup", "5", "--report"])
        .arg(report);
    program
}

/// A folder with one of the scenarios, changed.
fn changed(program: &Program, scenario: &str, from: &str, to: &str) -> String {
    let folder = program.folder.join("scenarios");
    fs::create_dir_all(&folder).unwrap();
    let text = fs::read_to_string(format!("{FORMS}/{scenario}.yaml")).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(folder.join("changed.yaml"), text.replacen(from, to, 1)).unwrap();
    folder.display().to_string()
}

fn run_of<'r>(runs: &'r [Value], scenario: &str) -> &'r Value {
    runs.iter().find(|run| run["scenario"] == scenario).unwrap()
}

pub fn assert_right(finished: &Finished) {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for run in finished.runs() {
        assert_eq!((&run["status"], &run["correct"]), (&"good".into(), &true.into()), "{run}");
    }
}

#[test]
fn each_task_is_judged_by_the_answer_to_its_own_input_in_every_form() {
    let finished = bench("forms", FORMS).output();
    assert_right(&finished);
    let runs = finished.runs();
    assert_eq!(runs.len(), 4);
    assert_eq!(run_of(&runs, "generated")["items"]["unit"], "numbers");
    let per_s = run_of(&runs, "generated")["items"]["per_s"].as_f64().unwrap();
    let tasks = run_of(&runs, "generated")["throughput_per_s"].as_f64().unwrap();
    assert!((per_s / tasks - 4.0).abs() < 1e-9, "{per_s} {tasks}");
    assert!(finished.stdout.contains("items/s"), "{}", finished.stdout);
    assert!(run_of(&runs, "told")["items"].is_null());
    // What the program was asked and said: warm-up and measured tasks.
    let logs = finished.folder.join("report/logs/told-pgmq");
    for file in ["oracle-inputs.jsonl", "oracle-answers.jsonl"] {
        assert_eq!(fs::read_to_string(logs.join(file)).unwrap().lines().count(), 45, "{file}");
    }
}

#[test]
fn one_wrong_case_of_several_is_found_and_shown_with_its_input() {
    let program = stepmark("wrong_case");
    let folder = changed(&program, "cases", "16777216", "16777217");
    let finished = bench("wrong_case_run", &folder).output();
    assert_eq!(finished.code, Some(2), "{finished:?}");
    let problems = finished.run()["problems"].to_string();
    let why = r#"(input {\"even_number\":8}): the step linear_step_3 has the result"#;
    assert!(problems.contains(why), "{problems}");
    // Twice each, as the client was told and as the database holds it: every third of 45 tasks, and
    // of the 4 that are accounted one by one the first, whose number is 2^40, and the last.
    assert!(problems.contains("34 wrong answers in all"), "{problems}");
    assert!(!problems.contains(r#"\"even_number\":6"#), "{problems}");
}

#[test]
fn a_result_that_is_right_for_another_input_is_wrong() {
    let mut program = bench("swapped", FORMS);
    program.command.args(["--scenario", "listed"]).env("SCRIPTED_FAULT", "wrong_result");
    let finished = program.output();
    assert_eq!(finished.code, Some(2), "{finished:?}");
    // The thirteenth task is given the first of three inputs.
    let problems = finished.run()["problems"].to_string();
    let why = r#"(input {\"even_number\":2}): the step linear_step_3 has the result"#;
    assert!(problems.contains(why), "{problems}");
}

#[test]
fn an_oracle_that_fails_ends_its_run_before_it_begins_and_no_other() {
    let program = stepmark("failing_oracle");
    let script = program.folder.join("fails.sh");
    fs::write(&script, "echo 'I am no oracle' >&2; exit 4").unwrap();
    let script = script.display().to_string();
    let folder = changed(&program, "told", "harness/tests/cli/scenarios/powers.sh", &script);
    fs::copy(format!("{FORMS}/listed.yaml"), format!("{folder}/listed.yaml")).unwrap();
    let finished = bench("failing_oracle_run", &folder).output();
    assert_eq!(finished.code, Some(2), "{finished:?}");
    let runs = finished.runs();
    assert_eq!(run_of(&runs, "told")["status"], "invalid");
    let problems = run_of(&runs, "told")["problems"].to_string();
    assert!(problems.contains("ended with exit code 4"), "{problems}");
    assert!(finished.stdout.contains("I am no oracle"), "{}", finished.stdout);
    assert_eq!(run_of(&runs, "listed")["correct"], true);
}

#[test]
fn a_formula_that_fails_for_an_input_of_the_run_makes_it_invalid_at_its_place() {
    let program = stepmark("failing_formula");
    let text = fs::read_to_string(format!("{FORMS}/generated.yaml")).unwrap();
    let scenario = Scenario::parse("generated.yaml", &text).unwrap();
    // None of the inputs that are tried when the scenario is read.
    let note = scenario.inputs.of(120)["note"].as_str().unwrap().to_owned();
    let failing = format!("${{text(note == '{note}' ? 1 / 0 : even_number ^ 2)}}");
    let folder = changed(&program, "generated", "${text(even_number ^ 2)}", &failing);
    let mut program = bench("failing_formula_run", &folder);
    program.command.args(["--samples", "130"]);
    let finished = program.output();
    assert_eq!(finished.code, Some(2), "{finished:?}");
    let run = finished.run();
    let problems = run["problems"].as_array().unwrap();
    let text = fs::read_to_string(format!("{folder}/changed.yaml")).unwrap();
    let (line, text) = (1..).zip(text.lines()).find(|(_, line)| line.contains("1 / 0")).unwrap();
    let why = format!("changed.yaml:{line}:{}: `/` by zero", text.find("/ 0").unwrap() + 1);
    assert_eq!(problems.len(), 2, "as it was told and as it is held: {run}");
    assert!(problems.iter().all(|told| told.as_str().unwrap().ends_with(&why)), "{why}: {run}");
}

#[test]
fn every_concurrency_is_a_run_with_its_own_files() {
    let mut program = bench("concurrencies", FORMS);
    program.command.args(["--scenario", "generated"]);
    program.command.args(["--concurrency", "1", "--concurrency", "8", "--concurrency", "1"]);
    let finished = program.output();
    assert_right(&finished);
    let runs = finished.runs();
    let concurrencies: Vec<&Value> = runs.iter().map(|run| &run["concurrency"]).collect();
    assert_eq!(concurrencies, [1, 8]);
    let report = finished.folder.join("report");
    for (run, name) in runs.iter().zip(["generated-pgmq", "generated-pgmq-8"]) {
        assert_eq!(run["hlog"], format!("{name}.hlog"));
        assert!(report.join(format!("{name}.hlog")).exists());
        assert!(report.join(format!("logs/{name}/orchestrator-1.log")).exists());
    }
    assert!(finished.stderr.contains("generated on pgmq, 8 at once: 40 tasks"), "{finished:?}");
}
