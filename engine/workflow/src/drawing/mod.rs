//! A template as a picture: the same steps and edges as Mermaid, DOT or SVG text.

mod svg;

use std::fmt::Write;

use crate::{StepTemplate, StepType, Template};

pub use svg::svg;

/// The graph as a [Mermaid](https://mermaid.js.org/syntax/flowchart.html) flowchart.
#[must_use]
pub fn mermaid(template: &Template) -> String {
    let mut text = String::from("flowchart TD\n");
    for (step_no, step) in template.steps.iter().enumerate() {
        let (open, close) = match step.step_type {
            StepType::Standard => ("[", "]"),
            StepType::Decision => ("{", "}"),
            StepType::DeferredConvergence => ("([", "])"),
            StepType::Batchable => ("[/", "\\]"),
            StepType::BatchWorker => ("[[", "]]"),
        };
        // Numbers as ids: a step may be called `end`, which is a word of Mermaid's.
        // A String takes everything that is written to it, here and below.
        let _ = writeln!(text, "    s{step_no}{open}\"{}\"{close}", label(step));
    }
    for (parent_no, child_no) in template.edges() {
        let arrow = if is_branch(template, parent_no, child_no) { "-.->" } else { "-->" };
        let _ = writeln!(text, "    s{parent_no} {arrow} s{child_no}");
    }
    text
}

/// The graph in [DOT](https://graphviz.org/doc/info/lang.html), the language of Graphviz.
#[must_use]
pub fn dot(template: &Template) -> String {
    let mut text = format!("digraph {} {{\n", quoted(&template.name));
    text.push_str("    node [shape=box, style=rounded, fontname=\"sans-serif\"];\n");
    for step in &template.steps {
        let shape = match step.step_type {
            StepType::Standard => String::new(),
            StepType::Decision => " [shape=diamond, style=\"\"]".to_owned(),
            StepType::DeferredConvergence => " [shape=ellipse, style=\"\"]".to_owned(),
            StepType::Batchable => " [shape=trapezium, style=\"\"]".to_owned(),
            StepType::BatchWorker => {
                format!(" [shape=box, peripheries=2, style=\"\", label={}]", quoted(&label(step)))
            }
        };
        let _ = writeln!(text, "    {}{shape};", quoted(&step.name));
    }
    for (parent_no, child_no) in template.edges() {
        let (parent, child) = (&template.steps[parent_no].name, &template.steps[child_no].name);
        let style = if is_branch(template, parent_no, child_no) { " [style=dashed]" } else { "" };
        let _ = writeln!(text, "    {} -> {}{style};", quoted(parent), quoted(child));
    }
    text.push_str("}\n");
    text
}

/// Whether it is chosen at run time if the child runs.
fn is_branch(template: &Template, parent_no: usize, child_no: usize) -> bool {
    template.steps[parent_no].branches.contains(&template.steps[child_no].name)
}

/// What a step is called in a drawing: a batch worker stands for any number.
fn label(step: &StepTemplate) -> String {
    match step.step_type {
        StepType::BatchWorker => format!("{} × n", step.name),
        _ => step.name.clone(),
    }
}

/// Names are of a to z, 0 to 9 and _, so that quotes are all that DOT's own words need.
fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}
