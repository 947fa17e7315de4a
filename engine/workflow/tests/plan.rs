//! Plans and drawings of the project's own templates.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;

use stepmark_workflow::plan::{Choices, Plan};
use stepmark_workflow::{StepType, Template, drawing};

fn template(name: &str) -> Template {
    let path = format!("{}/../../fixtures/workflows/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    Template::parse(&path, &std::fs::read_to_string(&path).unwrap()).unwrap()
}

fn plan(name: &str) -> Plan {
    Plan::of(&template(name), &Choices::default()).unwrap()
}

#[test]
fn the_plan_has_the_counts_of_the_specification() {
    let counts = |plan: Plan| {
        let work = [plan.step_transitions, plan.messages, plan.dependency_evaluations];
        ([plan.steps, plan.edges, plan.stages], work)
    };
    assert_eq!(counts(plan("mathematical_sequence")), ([4, 3, 4], [16, 8, 4]));
    assert_eq!(counts(plan("diamond_pattern")), ([4, 4, 3], [16, 8, 4]));
    assert_eq!(counts(plan("complex_dag")), ([7, 9, 4], [28, 14, 7]));
    assert_eq!(counts(plan("hierarchical_tree")), ([8, 10, 4], [32, 16, 8]));
    assert_eq!(counts(plan("conditional_approval_rust")), ([6, 7, 4], [18, 8, 4]));
    let choices = Choices { batches: [("analyze_csv".into(), 5)].into(), ..Choices::default() };
    let batch = Plan::of(&template("batch_processing_products_csv"), &choices).unwrap();
    assert_eq!(counts(batch), ([7, 10, 3], [28, 14, 7]));
    let line = plan("mathematical_sequence");
    assert_eq!((line.task_transitions_min, line.task_transitions_max), (14, 14));
    let tree = plan("hierarchical_tree");
    assert_eq!((tree.fan_in_max, tree.fan_out_max, tree.task_transitions_min), (4, 2, 14));
}

#[test]
fn a_plan_follows_the_choices_that_it_is_given_and_tells_those_that_it_made() {
    let approval = template("conditional_approval_rust");
    let choose = |branches: &[&str]| {
        let branches = branches.iter().map(|branch| (*branch).to_owned()).collect();
        let branches = [("routing_decision".to_owned(), branches)].into();
        Plan::of(&approval, &Choices { branches, ..Choices::default() })
    };
    let made = plan("conditional_approval_rust").choices.branches;
    assert_eq!(made["routing_decision"], ["auto_approve"]);
    let two = choose(&["manager_approval", "finance_review"]).unwrap();
    assert_eq!((two.steps_skipped, two.messages, two.stages), (1, 10, 4));
    // Without any branch there is nothing to converge.
    let none = choose(&[]).unwrap();
    assert_eq!((none.steps_skipped, none.messages, none.stages), (4, 4, 2));
    let error = choose(&["auto"]).unwrap_err().to_string();
    assert!(error.starts_with("auto is no branch of routing_decision"), "{error}");
    let nowhere = Choices { batches: [("analyze".into(), 5)].into(), ..Choices::default() };
    let error = Plan::of(&template("batch_processing_products_csv"), &nowhere).unwrap_err();
    assert_eq!(error.to_string(), "analyze is no step of type batchable; there is: analyze_csv");
    let many = Choices { batches: [("analyze_csv".into(), 1_001)].into(), ..Choices::default() };
    let error = Plan::of(&template("batch_processing_products_csv"), &many).unwrap_err();
    assert_eq!(error.to_string(), "analyze_csv makes 1000 batches at most, not 1001");
}

/// The edges of a drawing, read back from its text.
fn edges<'t>(
    text: &'t str,
    edge: impl Fn(&'t str) -> Option<(&'t str, &'t str)>,
) -> BTreeSet<(String, String)> {
    text.lines().filter_map(edge).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

#[test]
fn every_drawing_has_the_template_s_steps_and_edges_and_no_others() {
    for name in [
        "mathematical_sequence",
        "diamond_pattern",
        "complex_dag",
        "hierarchical_tree",
        "conditional_approval_rust",
        "batch_processing_products_csv",
    ] {
        let template = template(name);
        let step = |number: usize| template.steps[number].name.clone();
        let wanted: BTreeSet<_> = template.edges().map(|(a, b)| (step(a), step(b))).collect();

        let dot = drawing::dot(&template);
        let drawn = edges(&dot, |line| line.trim().strip_suffix(';')?.split_once(" -> "));
        let plain = |name: &String| name.split('"').nth(1).unwrap().to_owned();
        assert_eq!(
            drawn.iter().map(|(a, b)| (plain(a), plain(b))).collect::<BTreeSet<_>>(),
            wanted
        );

        let mermaid = drawing::mermaid(&template);
        let drawn = edges(&mermaid, |line| {
            line.trim().split_once(" --> ").or_else(|| line.trim().split_once(" -.-> "))
        });
        let named = |id: &String| step(id[1..].parse().unwrap());
        assert_eq!(
            drawn.iter().map(|(a, b)| (named(a), named(b))).collect::<BTreeSet<_>>(),
            wanted
        );
        for (number, step) in template.steps.iter().enumerate() {
            let shape = match step.step_type {
                StepType::Standard => format!("[\"{}\"]", step.name),
                StepType::Decision => format!("{{\"{}\"}}", step.name),
                StepType::DeferredConvergence => format!("([\"{}\"])", step.name),
                StepType::Batchable => format!("[/\"{}\"\\]", step.name),
                StepType::BatchWorker => format!("[[\"{} × n\"]]", step.name),
            };
            assert!(mermaid.contains(&format!("    s{number}{shape}\n")), "{mermaid}");
        }

        let svg = drawing::svg(&template);
        let drawn = edges(&svg, |line| {
            let (_, edge) = line.split_once("data-edge=\"")?;
            edge.split_once('"')?.0.split_once(' ')
        });
        assert_eq!(drawn, wanted);
        let boxes = template.steps.iter().filter(|step| {
            svg.contains(&format!(">{}<", step.name)) || svg.contains(&format!(">{} ×", step.name))
        });
        assert_eq!(boxes.count(), template.steps.len());
    }
}
