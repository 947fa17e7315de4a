//! A right answer in a scenario's file, with formulas or without.

use serde_json::Value as Json;
use stepmark_workflow::state::{StepState, TaskState};
use stepmark_workflow::yaml::{Fields, Findings, Node, Place, Value};

use super::Expected;
use super::read::Whole;
use super::steps;
use crate::workload::{Computed, ComputedError, ComputedStep, Shape, Text};

/// Most formulas of one scenario: a bound on the time that reading and computing them takes.
const FORMULAS_MAX: usize = 1_000;

/// What `${…}` means in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Texts {
    /// Itself.
    Plain,
    /// A formula.
    Computed,
}

/// An answer without formulas.
pub(super) fn fixed(
    node: &Node,
    whole: &Whole<'_>,
    findings: &mut Findings<'_>,
) -> Option<Expected> {
    read(node, "expected", Texts::Plain, whole, findings)?.answer(&Json::Null).ok()
}

/// An answer with formulas.
pub(super) fn computed(
    node: &Node,
    whole: &Whole<'_>,
    findings: &mut Findings<'_>,
) -> Option<Computed> {
    read(node, "a formula", Texts::Computed, whole, findings)
}

fn read(
    node: &Node,
    what: &'static str,
    texts: Texts,
    whole: &Whole<'_>,
    findings: &mut Findings<'_>,
) -> Option<Computed> {
    let fields = Fields::read(node, what, &["task_state", "steps"], findings)?;
    let task_states: Vec<&str> = TaskState::ALL.iter().map(|state| state.name()).collect();
    let task_state = fields.required("task_state", findings);
    let task_state =
        task_state.and_then(|node| state(node, "task state", &task_states, texts, whole, findings));
    let node = fields.required("steps", findings)?;
    let entries = node.entries("steps", findings)?;
    let named: Vec<(&str, Place)> =
        entries.iter().map(|(key, _)| (key.value.as_str(), key.referenced.into())).collect();
    if let Some(template) = whole.template {
        let at = fields.at("steps").into();
        steps::compare(template, &named, at, findings);
    }
    // All are read, so that each error is found.
    let read: Vec<_> = entries
        .iter()
        .map(|(key, node)| Some((key.value.clone(), step(node, texts, whole, findings)?)))
        .collect();
    let steps = read.into_iter().collect::<Option<_>>()?;
    Some(Computed { file: whole.file.to_owned(), task_state: task_state?, steps })
}

fn step(
    node: &Node,
    texts: Texts,
    whole: &Whole<'_>,
    findings: &mut Findings<'_>,
) -> Option<ComputedStep> {
    let fields = Fields::read(node, "an expected step", &["state", "result"], findings)?;
    let step_states: Vec<&str> = StepState::ALL.iter().map(|state| state.name()).collect();
    let state = fields
        .required("state", findings)
        .and_then(|node| state(node, "step state", &step_states, texts, whole, findings));
    let result = match fields.get("result") {
        None => Some(None),
        Some(node) => shape(node, texts, whole, findings).map(Some),
    };
    Some(ComputedStep { state: state?, result: result? })
}

fn state(
    node: &Node,
    what: &str,
    known: &[&str],
    texts: Texts,
    whole: &Whole<'_>,
    findings: &mut Findings<'_>,
) -> Option<Text> {
    if texts == Texts::Computed
        && let Value::Text(text) = &node.value
        && text.contains("${")
    {
        return formulas(node, text, whole, findings);
    }
    Some(Text::plain(
        node.choice(what, known.iter().map(|name| (*name, *name)), findings)?,
        node.at.into(),
    ))
}

/// A value of any kind, with the formulas in its texts.
fn shape(
    node: &Node,
    texts: Texts,
    whole: &Whole<'_>,
    findings: &mut Findings<'_>,
) -> Option<Shape> {
    match &node.value {
        Value::Text(text) if texts == Texts::Computed && text.contains("${") => {
            let text = formulas(node, text, whole, findings)?;
            Some(match text.as_plain() {
                Some(plain) => Shape::Plain(Json::String(plain)),
                None => Shape::Text(text),
            })
        }
        Value::List(items) if texts == Texts::Computed => {
            let items: Vec<_> =
                items.iter().map(|item| shape(item, texts, whole, findings)).collect();
            items.into_iter().collect::<Option<_>>().map(Shape::List)
        }
        Value::Mapping(_) if texts == Texts::Computed => {
            let entries = node.entries("result", findings)?;
            let read = entries
                .iter()
                .map(|(key, node)| Some((key.value.clone(), shape(node, texts, whole, findings)?)));
            let read: Vec<_> = read.collect();
            read.into_iter().collect::<Option<_>>().map(Shape::Mapping)
        }
        _ => node.json("result", findings).map(Shape::Plain),
    }
}

fn formulas(
    node: &Node,
    text: &str,
    whole: &Whole<'_>,
    findings: &mut Findings<'_>,
) -> Option<Text> {
    let before = whole.formulas.get();
    whole.formulas.set(before + text.matches("${").count());
    if whole.formulas.get() > FORMULAS_MAX {
        if before <= FORMULAS_MAX {
            let message = format!("a scenario has at most {FORMULAS_MAX} formulas");
            findings.error(node.at, &message);
        }
        return None;
    }
    let (text, errors) = Text::read(text, node.at.into(), whole.text);
    whole.texts.borrow_mut().push(text.clone());
    let is_whole = errors.is_empty();
    note(errors, findings);
    is_whole.then_some(text)
}

/// Notes errors of formulas at their places.
pub(super) fn note(errors: Vec<ComputedError>, findings: &mut Findings<'_>) {
    for ComputedError { at, message, hint } in errors {
        findings.error_with(at, &message, hint);
    }
}
