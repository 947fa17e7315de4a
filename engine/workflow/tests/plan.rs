//! Plans and drawings of the project's own templates.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;

use stepmark_workflow::plan::Plan;
use stepmark_workflow::{Template, drawing};

fn template(name: &str) -> Template {
    let path = format!("{}/../../fixtures/workflows/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    Template::parse(&path, &std::fs::read_to_string(&path).unwrap()).unwrap()
}

#[test]
fn the_plan_has_the_counts_of_the_specification() {
    let counts = |name| {
        let plan = Plan::of(&template(name));
        let work = [plan.step_transitions, plan.messages, plan.dependency_evaluations];
        ([plan.steps, plan.edges, plan.stages], work)
    };
    assert_eq!(counts("mathematical_sequence"), ([4, 3, 4], [16, 8, 4]));
    assert_eq!(counts("diamond_pattern"), ([4, 4, 3], [16, 8, 4]));
    assert_eq!(counts("complex_dag"), ([7, 9, 4], [28, 14, 7]));
    assert_eq!(counts("hierarchical_tree"), ([8, 10, 4], [32, 16, 8]));
    let line = Plan::of(&template("mathematical_sequence"));
    assert_eq!((line.task_transitions_min, line.task_transitions_max), (14, 14));
    let tree = Plan::of(&template("hierarchical_tree"));
    assert_eq!((tree.fan_in_max, tree.fan_out_max, tree.task_transitions_min), (4, 2, 14));
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
    for name in ["mathematical_sequence", "diamond_pattern", "complex_dag", "hierarchical_tree"] {
        let template = template(name);
        let step = |number: usize| template.steps[number].name.clone();
        let wanted: BTreeSet<_> = template.edges().map(|(a, b)| (step(a), step(b))).collect();

        let dot = drawing::dot(&template);
        let drawn = edges(&dot, |line| line.trim().strip_suffix(';')?.split_once(" -> "));
        let plain = |name: &String| name.trim_matches('"').to_owned();
        assert_eq!(
            drawn.iter().map(|(a, b)| (plain(a), plain(b))).collect::<BTreeSet<_>>(),
            wanted
        );

        let mermaid = drawing::mermaid(&template);
        let drawn = edges(&mermaid, |line| line.trim().split_once(" --> "));
        let named = |id: &String| step(id[1..].parse().unwrap());
        assert_eq!(
            drawn.iter().map(|(a, b)| (named(a), named(b))).collect::<BTreeSet<_>>(),
            wanted
        );
        for (number, step) in template.steps.iter().enumerate() {
            assert!(mermaid.contains(&format!("    s{number}[\"{}\"]\n", step.name)), "{mermaid}");
        }

        let svg = drawing::svg(&template);
        let drawn = edges(&svg, |line| {
            let (_, edge) = line.split_once("data-edge=\"")?;
            edge.split_once('"')?.0.split_once(' ')
        });
        assert_eq!(drawn, wanted);
        let boxes = template.steps.iter().filter(|step| svg.contains(&format!(">{}<", step.name)));
        assert_eq!(boxes.count(), template.steps.len());
    }
}
