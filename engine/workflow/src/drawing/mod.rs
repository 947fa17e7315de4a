//! A template as a picture: the same steps and edges as Mermaid, DOT or SVG text.

mod svg;

use std::fmt::Write;

use crate::Template;

pub use svg::svg;

/// The graph as a [Mermaid](https://mermaid.js.org/syntax/flowchart.html) flowchart.
#[must_use]
pub fn mermaid(template: &Template) -> String {
    let mut text = String::from("flowchart TD\n");
    for (step_no, step) in template.steps.iter().enumerate() {
        // Numbers as ids: a step may be called `end`, which is a word of Mermaid's.
        let _ = writeln!(text, "    s{step_no}[\"{}\"]", step.name); // a String takes everything
    }
    for (parent_no, child_no) in template.edges() {
        let _ = writeln!(text, "    s{parent_no} --> s{child_no}");
    }
    text
}

/// The graph in [DOT](https://graphviz.org/doc/info/lang.html), the language of Graphviz.
#[must_use]
pub fn dot(template: &Template) -> String {
    let mut text = format!("digraph {} {{\n", quoted(&template.name));
    text.push_str("    node [shape=box, style=rounded, fontname=\"sans-serif\"];\n");
    for step in &template.steps {
        let _ = writeln!(text, "    {};", quoted(&step.name));
    }
    for (parent_no, child_no) in template.edges() {
        let (parent, child) = (&template.steps[parent_no].name, &template.steps[child_no].name);
        let _ = writeln!(text, "    {} -> {};", quoted(parent), quoted(child));
    }
    text.push_str("}\n");
    text
}

/// Names are of a to z, 0 to 9 and _, so that quotes are all that DOT's own words need.
fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}
