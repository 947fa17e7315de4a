use std::fs;
use std::path::{Path, PathBuf};

use stepmark_harness::scenario::{
    Bound, Oracle, Scenario, ScenarioError, is_made_by, load_all, select,
};
use stepmark_workflow::plan::{Choices, Plan};
use stepmark_workflow::state::StepState;
use stepmark_workflow::{StepType, Template};

use crate::played::linear;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn file() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/tier1/linear_rust.yaml");
    fs::read_to_string(path).unwrap()
}

fn complaint(text: &str) -> String {
    ScenarioError::Malformed(Scenario::parse("linear.yaml", text).unwrap_err()).to_string()
}

#[test]
fn the_scenarios_of_the_project_are_read_and_their_results_agree_with_the_exact_ones() {
    let all = load_all(root(), &root().join("scenarios")).unwrap();
    let names: Vec<&str> = all.iter().map(|scenario| scenario.name.as_str()).collect();
    let known = ["linear_rust", "diamond_rust", "complex_dag_rust", "conditional_rust"];
    assert_eq!(names[..4], known);
    let tree_and_cluster =
        ["hierarchical_tree_rust", "cluster_concurrent_2x", "cluster_single_linear"];
    assert_eq!(names[4..7], tree_and_cluster);
    let ffi = ["linear", "diamond"]
        .map(|shape| ["python", "ruby", "typescript"].map(|l| format!("ffi_{shape}_{l}")));
    assert_eq!(names[7..13], ffi.concat());
    assert_eq!(names[13], "batch_csv_1000");
    // By another road than the handlers take; 6^64 is (6^16)^4, which no machine integer holds.
    let (small, large) =
        (6_u128.pow(16).to_string(), "63340286662973277706162286946811886609896461828096");
    let last = [
        ("linear_rust", "linear_step_4", &*small),
        ("diamond_rust", "diamond_end", &*small),
        ("complex_dag_rust", "dag_finalize", large),
        ("hierarchical_tree_rust", "tree_final_convergence", large),
    ];
    for (name, step, exact) in last {
        let scenario = all.iter().find(|scenario| scenario.name == name).unwrap();
        let Oracle::Table(table) = &scenario.oracle else { panic!("{name}") };
        let result = table[0].steps[step].result.as_ref().unwrap();
        assert_eq!(result["value"], exact, "{name}");
    }
}

/// So what `stepmark workflow plan` says of a workflow is what its run has to show.
#[test]
fn a_scenario_s_budget_is_its_workflow_s_plan() {
    let templates: Vec<Template> = fs::read_dir(root().join("fixtures/workflows"))
        .unwrap()
        .map(|entry| Template::parse("t", &fs::read_to_string(entry.unwrap().path()).unwrap()))
        .map(Result::unwrap)
        .collect();
    let all = load_all(root(), &root().join("scenarios")).unwrap();
    // Those of one's own, in tier 6, have the budget that their author gives them.
    let of_benchmark = all.iter().filter(|scenario| scenario.tier <= 5);
    for scenario in of_benchmark {
        let Scenario { name, workflow, oracle, budget, sequential_stages, .. } = scenario;
        let Oracle::Table(table) = oracle else { panic!("{name}") };
        let states = &table[0].steps;
        let template = templates
            .iter()
            .find(|t| (&t.namespace, &t.name) == (&workflow.namespace, &workflow.template));
        let template = template.unwrap();
        let mut choices = Choices::default();
        for step in &template.steps {
            let runs = |name: &&String| states[*name].state == StepState::Complete;
            if step.step_type == StepType::Decision {
                let chosen = step.branches.iter().filter(runs).cloned().collect();
                choices.branches.insert(step.name.clone(), chosen);
            }
            if let Some(batchable) = &step.depends_on.first()
                && step.step_type == StepType::BatchWorker
            {
                let instances = states.keys().filter(|name| is_made_by(name, step)).count();
                choices.batches.insert((*batchable).clone(), instances);
            }
        }
        let plan = Plan::of(template, &choices).unwrap();
        let tasks = f64::from(scenario.tasks_a_sample);
        let exactly =
            |count| Some(Bound { exactly: Some(tasks * count as f64), min: None, max: None });
        assert_eq!(budget.step_transitions, exactly(plan.step_transitions), "{name}");
        assert_eq!(budget.messages, exactly(plan.messages), "{name}");
        assert_eq!(budget.dependency_evaluations, exactly(plan.dependency_evaluations), "{name}");
        assert_eq!(*sequential_stages as usize, plan.stages, "{name}");
        let task = budget.task_transitions.unwrap();
        assert_eq!(
            task.exactly.or(task.min),
            Some(tasks * plan.task_transitions_min as f64),
            "{name}"
        );
        // The plan's is an upper bound.
        let most = task.exactly.or(task.max).unwrap();
        assert!(most <= tasks * plan.task_transitions_max as f64, "{name}");
    }
}

#[test]
fn an_unknown_key_is_refused_at_its_position() {
    let text = file().replace("sequential_stages:", "sequental_stages:");
    let line = 1 + text.lines().position(|line| line.starts_with("sequental")).unwrap();
    let complaint = complaint(&text);
    assert!(complaint.contains(&format!("\nlinear.yaml:{line}:1: ")), "{complaint}");
    assert!(complaint.contains("sequental_stages"), "{complaint}");
}

#[test]
fn an_unknown_key_deep_inside_is_refused_at_its_position() {
    let text = file().replace("{exactly: 16}", "{exacly: 16}");
    let line = 1 + text.lines().position(|line| line.contains("exacly")).unwrap();
    let complaint = complaint(&text);
    assert!(complaint.contains(&format!("\nlinear.yaml:{line}:")), "{complaint}");
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
    let error = load_all(root(), &folder).unwrap_err().to_string();
    assert!(error.contains("a.yaml") && error.contains("b.yaml"), "{error}");
}

#[test]
fn a_batch_worker_s_instances_are_its_own_name_and_a_number() {
    let text =
        fs::read_to_string(root().join("fixtures/workflows/batch_processing_products_csv.yaml"))
            .unwrap();
    let template = Template::parse("csv.yaml", &text).unwrap();
    let step = |name| template.steps.iter().find(|step| step.name == name).unwrap();
    let numbered = |name| is_made_by(name, step("process_csv_batch"));
    assert!(numbered("process_csv_batch_001") && numbered("process_csv_batch_1234"));
    for stranger in [
        "process_csv_batch",
        "process_csv_batch_",
        "process_csv_batch_1a",
        "process_csv_batch001",
        "process_csv_001",
        "x_process_csv_batch_001",
    ] {
        assert!(!numbered(stranger), "{stranger}");
    }
    assert!(is_made_by("analyze_csv", step("analyze_csv")));
    assert!(!is_made_by("analyze_csv_001", step("analyze_csv")));
}

/// A scenario of the linear workflow with this instead of its input and answers.
fn with(forms: &str) -> Result<Scenario, String> {
    let text = file();
    let (head, rest) = text.split_once("input: {even_number: 6}\n").unwrap();
    let (_, rest) = rest.split_once("budget:").unwrap();
    let text = format!("{head}sequential_stages: 4\n{forms}\nbudget:{rest}");
    Scenario::parse("s.yaml", &text).map_err(|all| ScenarioError::Malformed(all).to_string())
}

const ANSWER: &str = "{task_state: Complete, steps: {a: {state: Complete, result: \"${n}\"}}}";

#[test]
fn each_form_of_input_is_read_with_its_answers() {
    let one = with(&format!("input: {{n: 1}}\nexpected: {ANSWER}")).unwrap();
    let Oracle::Table(table) = one.oracle else { panic!("{:?}", one.oracle) };
    // In a plain answer it is no formula.
    assert_eq!(table[0].steps["a"].result, Some("${n}".into()));

    let cases = format!("cases:\n  - {{input: 1, expected: {ANSWER}}}\n").repeat(2);
    let cases = cases.replacen("\ncases:\n", "\n", 1);
    let cases = with(&cases).unwrap();
    assert_eq!((cases.inputs.count(), cases.inputs.of(3).into_owned()), (Some(2), 1.into()));

    let listed = with(&format!("inputs: [{{n: 1}}, {{n: x}}]\noracle: {{formula: {ANSWER}}}"));
    assert!(matches!(listed.unwrap().oracle, Oracle::Formula(_)));

    let fields =
        "generator: {seed: 18446744073709551615, fields: {n: {integer: {min: 1, max: 1}}}}";
    let told = with(&format!("{fields}\noracle: {{program: {{command: [cat, -n]}}}}")).unwrap();
    assert!(told.inputs.are_generated());
    assert_eq!(told.inputs.of(7)["n"], 1);
    let Oracle::Program(program) = told.oracle else { panic!("{:?}", told.oracle) };
    assert_eq!((program.command.join(" ").as_str(), program.timeout.as_secs()), ("cat -n", 60));
}

#[test]
fn a_name_that_only_some_inputs_have_is_found_by_the_input_that_lacks_it() {
    let forms = format!("inputs: [{{n: 1}}, {{m: 1}}]\noracle: {{formula: {ANSWER}}}");
    let complaint = with(&forms).unwrap_err();
    assert!(complaint.contains("the input has no `n` (input 1, counted from 0)"), "{complaint}");
}

#[test]
fn a_scenario_of_a_million_formulas_is_refused_before_they_are_read() {
    let step = |n| format!("s{n}: {{state: \"${{'Complete'}}\"}}, ");
    let steps: String = (0..20_000).map(step).collect();
    let forms =
        format!("inputs: [1]\noracle: {{formula: {{task_state: Complete, steps: {{{steps}}}}}}}");
    let complaint = with(&forms).unwrap_err();
    assert!(complaint.starts_with("1 error\n"), "{complaint}");
    assert!(complaint.contains("a scenario has at most 1000 formulas"), "{complaint}");
}

#[test]
fn decimals_are_read_exactly_or_not_at_all() {
    let read = |bounds: &str| {
        let field = format!("{{decimal: {{{bounds}, places: 2}}}}");
        let oracle = "oracle: {program: {command: [cat]}}";
        with(&format!("generator: {{seed: 1, fields: {{n: {field}}}}}\n{oracle}"))
    };
    for bounds in ["min: 0.1, max: 0.1", "min: '0.10', max: \"0.1\"", "min: 0.10, max: 0.1"] {
        assert_eq!(read(bounds).unwrap().inputs.of(0)["n"], "0.10", "{bounds}");
    }
    assert_eq!(read("min: -3, max: -3").unwrap().inputs.of(0)["n"], "-3.00");
    for bounds in [
        "min: 0.001, max: 1",
        "min: '1e3', max: 1",
        "min: 1., max: '1.'",
        "min: '', max: 1",
        "min: '.5', max: 1",
        "min: 12345678901234.567, max: 1",
        "min: 0, max: 10000000000000001",
    ] {
        assert!(read(bounds).is_err(), "{bounds}");
    }
}
