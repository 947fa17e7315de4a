use std::fs;
use std::path::PathBuf;

use stepmark_harness::scenario::{Scenario, ScenarioError, load_all, select};

use crate::played::linear;

fn file() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/tier1/linear_rust.yaml");
    fs::read_to_string(path).unwrap()
}

fn complaint(text: &str) -> String {
    Scenario::parse("linear.yaml", text).unwrap_err().to_string()
}

#[test]
fn the_scenarios_of_the_project_are_read_and_their_results_agree_with_the_exact_ones() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");
    let all = load_all(folder.as_ref()).unwrap();
    let names: Vec<&str> = all.iter().map(|scenario| scenario.name.as_str()).collect();
    let numbers = ["linear_rust", "diamond_rust", "complex_dag_rust", "hierarchical_tree_rust"];
    assert_eq!(names[..4], numbers);
    // By another road than the handlers take; 6^64 is (6^16)^4, which no machine integer holds.
    let (small, large) =
        (6_u128.pow(16).to_string(), "63340286662973277706162286946811886609896461828096");
    let last = [
        ("linear_step_4", &*small),
        ("diamond_end", &*small),
        ("dag_finalize", large),
        ("tree_final_convergence", large),
    ];
    for (scenario, (step, exact)) in all.iter().zip(last) {
        let result = scenario.expected.steps[step].result.as_ref().unwrap();
        assert_eq!(result["value"], exact, "{}", scenario.name);
    }
}

#[test]
fn an_unknown_key_is_refused_at_its_position() {
    let text = file().replace("sequential_stages:", "sequental_stages:");
    let line = 1 + text.lines().position(|line| line.starts_with("sequental")).unwrap();
    let complaint = complaint(&text);
    assert!(complaint.starts_with(&format!("linear.yaml:{line}:1: ")), "{complaint}");
    assert!(complaint.contains("sequental_stages"), "{complaint}");
}

#[test]
fn an_unknown_key_deep_inside_is_refused_at_its_position() {
    let text = file().replace("{exactly: 16}", "{exacly: 16}");
    let line = 1 + text.lines().position(|line| line.contains("exacly")).unwrap();
    let complaint = complaint(&text);
    assert!(complaint.starts_with(&format!("linear.yaml:{line}:")), "{complaint}");
}

#[test]
fn a_state_or_language_that_does_not_exist_is_refused() {
    let state = complaint(&file().replace("task_state: Complete", "task_state: Completed"));
    assert!(state.contains("Completed"), "{state}");
    let language = complaint(&file().replace("{rust: 1}", "{cobol: 1}"));
    assert!(language.contains("cobol"), "{language}");
}

#[test]
fn a_name_that_no_scenario_has_is_answered_with_those_that_exist() {
    let error = select(vec![linear()], None, &["linear_rest".to_owned()]).unwrap_err();
    assert_eq!(error.to_string(), "no scenario named linear_rest; there are: linear_rust");
    assert!(matches!(select(vec![linear()], Some(9), &[]), Err(ScenarioError::EmptyTier(9))));
}

#[test]
fn a_name_used_twice_is_refused_with_both_files() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("twice");
    fs::create_dir_all(folder.join("tier1")).unwrap();
    for name in ["a.yaml", "b.yaml"] {
        fs::write(folder.join("tier1").join(name), file()).unwrap();
    }
    let error = load_all(&folder).unwrap_err().to_string();
    assert!(error.contains("a.yaml") && error.contains("b.yaml"), "{error}");
}
