//! A scenario's workflow, which has to be there, and the processes that it runs on.

use std::collections::BTreeMap;

use stepmark_workflow::Template;
use stepmark_workflow::yaml::{Fields, Findings, Key, Node, Value, quoted, suggest};

use super::Workflow;
use crate::language::Language;
use crate::topology::{INSTANCES_MAX, Topology};

/// The workflow, and its template where the templates are known.
pub(super) fn workflow<'t>(
    node: &Node,
    templates: Option<&'t [Template]>,
    findings: &mut Findings<'_>,
) -> Option<(Workflow, Option<&'t Template>)> {
    let fields = Fields::read(node, "workflow", &["namespace", "template", "version"], findings)?;
    let namespace = fields.required("namespace", findings);
    let namespace = namespace.and_then(|node| Some((node.text("namespace", findings)?, node.at)));
    let name = fields.required("template", findings);
    let name = name.and_then(|node| Some((node.text("template", findings)?, node.at)));
    let version = fields.get("version");
    let version = version.map(|node| (node.integer("version", 1, i32::MAX, findings), node.at));
    let ((namespace, namespace_at), (name, name_at)) = (namespace?, name?);
    let workflow = Workflow {
        namespace: namespace.to_owned(),
        template: name.to_owned(),
        version: version.and_then(|(version, _)| version),
    };
    let Some(templates) = templates else {
        return Some((workflow, None));
    };

    let own: Vec<&Template> = templates.iter().filter(|t| t.namespace == namespace).collect();
    if own.is_empty() {
        let message = format!("no template has the namespace {}", quoted(namespace));
        let known = || templates.iter().map(|template| &*template.namespace);
        let by_name = templates.iter().find(|template| template.name == name);
        let by_name = by_name.map(|t| format!("{} is in the namespace {}", t.name, t.namespace));
        findings.error_with(namespace_at, &message, suggest(namespace, known()).or(by_name));
        return Some((workflow, None));
    }
    let named: Vec<&Template> = own.iter().copied().filter(|t| t.name == name).collect();
    if named.is_empty() {
        let (name, namespace) = (quoted(name), quoted(namespace));
        let message = format!("no template {name} in the namespace {namespace}");
        let known = own.iter().map(|template| &*template.name);
        let all = || {
            let names: Vec<&str> = own.iter().map(|template| &*template.name).collect();
            Some(format!("there are: {}", names.join(", ")))
        };
        findings.error_with(name_at, &message, suggest(&workflow.template, known).or_else(all));
        return Some((workflow, None));
    }
    let template = match version {
        None => named.iter().copied().max_by_key(|template| template.version),
        Some((None, _)) => None,
        Some((Some(version), at)) => {
            let found = named.iter().copied().find(|template| template.version == version);
            if found.is_none() {
                let message = format!("{namespace}/{name} has no version {version}");
                let mut versions: Vec<i32> = named.iter().map(|t| t.version).collect();
                versions.sort_unstable();
                let versions: Vec<String> = versions.iter().map(i32::to_string).collect();
                let hint = format!("there are: {}", versions.join(", "));
                findings.error_with(at, &message, Some(hint));
            }
            found
        }
    };
    Some((workflow, template))
}

pub(super) fn topology(node: &Node, findings: &mut Findings<'_>) -> Option<Topology> {
    let fields = Fields::read(node, "topology", &["orchestrators", "workers"], findings)?;
    let orchestrators = fields.required("orchestrators", findings);
    let orchestrators =
        orchestrators.and_then(|node| node.integer("orchestrators", 1, INSTANCES_MAX, findings));
    let workers = fields.required("workers", findings).and_then(|node| workers(node, findings));
    Some(Topology { orchestrators: orchestrators?, workers: workers? })
}

fn workers(node: &Node, findings: &mut Findings<'_>) -> Option<BTreeMap<Language, u32>> {
    let known: Vec<&str> = Language::ALL.iter().map(|language| language.name()).collect();
    let fields = Fields::read(node, "workers", &known, findings)?;
    let mut workers = BTreeMap::new();
    let mut whole = true;
    for language in Language::ALL {
        let Some(node) = fields.get(language.name()) else {
            continue;
        };
        match node.integer(language.name(), 0, INSTANCES_MAX, findings) {
            Some(0) => {}
            Some(count) => drop(workers.insert(*language, count)),
            None => whole = false,
        }
    }
    // A worker of a language that does not exist is one all the same.
    let strange = |key: &Key| !known.contains(&key.value.as_str());
    let has_strange =
        matches!(&node.value, Value::Mapping(all) if all.iter().any(|(key, _)| strange(key)));
    if workers.is_empty() && whole && !has_strange {
        let hint = format!("such as {{{}: 1}}", known.first().copied().unwrap_or_default());
        findings.error_with(node.at, "a topology needs at least one worker", Some(hint));
    }
    whole.then_some(workers)
}
