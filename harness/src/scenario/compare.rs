//! What a scenario's latency is set against.

use stepmark_workflow::yaml::{Fields, Findings, Node, quoted};

use super::{Compare, CompareOn, DifferenceAim};
use crate::language::Language;
use crate::topology::Topology;

/// Most tasks that are started together.
const TASKS_A_SAMPLE_MAX: u32 = 64;
/// Highest difference that can be aimed at, in percent and in milliseconds.
const AIM_MAX: f64 = 1e6;

pub(super) fn compare(node: &Node, findings: &mut Findings<'_>) -> Option<Compare> {
    let fields = Fields::read(node, "compare", &["with", "on", "called", "aim"], findings)?;
    let with = fields.required("with", findings);
    let with = with.and_then(|node| Some(node.text("with", findings)?.to_owned()));
    let places = [("same", CompareOn::Same), ("own", CompareOn::Own)];
    let on = fields.required("on", findings);
    let on = on.and_then(|node| node.choice("on", places.into_iter(), findings));
    let called = fields.required("called", findings);
    let called = called.and_then(|node| Some(node.text("called", findings)?.to_owned()));
    let aim = fields.get("aim").map(|node| aim(node, findings));
    Some(Compare { with: with?, other: None, on: on?, called: called?, aim: aim.flatten() })
}

fn aim(node: &Node, findings: &mut Findings<'_>) -> Option<DifferenceAim> {
    let fields = Fields::read(node, "aim", &["percent", "ms_a_stage"], findings)?;
    let mut number = |name| {
        let node = fields.required(name, findings)?;
        node.number(name, 0.0, AIM_MAX, findings)
    };
    let (percent, ms_a_stage) = (number("percent"), number("ms_a_stage"));
    Some(DifferenceAim { percent: percent?, ms_a_stage: ms_a_stage? })
}

pub(super) fn tasks_a_sample(node: &Node, findings: &mut Findings<'_>) -> Option<u32> {
    node.integer("tasks_a_sample", 1, TASKS_A_SAMPLE_MAX, findings)
}

/// The language of the handlers: the one named, or the only one of the workers.
pub(super) fn language(
    node: Option<&Node>,
    topology: &Topology,
    at: &Node,
    findings: &mut Findings<'_>,
) -> Option<Language> {
    let known = Language::ALL.iter().map(|language| (language.name(), *language));
    let Some(node) = node else {
        let mut languages = topology.languages();
        if let (only, None) = (languages.next(), languages.next()) {
            return only; // that there is none has been said
        }
        let message = "there are workers in several languages: which one has the handlers?";
        findings.error_with(at.at, message, Some("such as language: python".to_owned()));
        return None;
    };
    let language = node.choice("language", known, findings)?;
    if !topology.workers.contains_key(&language) {
        let message = format!("the topology has no worker in {}", quoted(language.name()));
        findings.error(node.at, &message);
        return None;
    }
    Some(language)
}
