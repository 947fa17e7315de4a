//! From YAML to a template, gathering every error on the way.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{
    BATCHES_MAX, BATCHES_MAX_DEFAULT, DESCRIPTION_BYTES_MAX, EDGES_MAX, FailureStrategy, STEPS_MAX,
    StepTemplate, StepType, TIMEOUT_MS_DEFAULT, TIMEOUT_MS_MAX, Template, graph, is_name, rules,
};
use crate::retry::{ATTEMPTS_MAX, BACKOFF_MS_MAX, RetryPolicy};
use crate::yaml::{self, Diagnostic, Fields, Findings, Location, Node, quoted, suggest};

/// Most names of a cycle that its error spells out.
const CYCLE_NAMES_MAX: usize = 12;

/// A name and where it stands.
pub(super) type Name<'n> = (&'n str, Location);

/// A step as it was read. What could not be read is missing, and noted.
#[derive(Default)]
pub(super) struct Draft<'n> {
    pub name: Option<Name<'n>>,
    handler: Option<Name<'n>>,
    pub step_type: Option<StepType>,
    pub depends_on: Vec<Name<'n>>,
    pub branches: Option<(Vec<Name<'n>>, Location)>,
    pub batches_max: Option<(u32, Location)>,
    pub on_failure: Option<(FailureStrategy, Location)>,
    timeout_ms: Option<u64>,
    retry: RetryPolicy,
}

pub(super) fn template(
    source_name: &str,
    text: &str,
    handlers: Option<&BTreeSet<(String, String)>>,
) -> Result<Template, Vec<Diagnostic>> {
    let root = yaml::parse_node(source_name, text).map_err(|diagnostic| vec![diagnostic])?;
    let mut findings = Findings::new(source_name, text);
    let template = read(&root, handlers, &mut findings);
    findings.into_result()?;
    Ok(template.expect("a template that lacks something has a finding that says so"))
}

fn read(
    root: &Node,
    handlers: Option<&BTreeSet<(String, String)>>,
    findings: &mut Findings<'_>,
) -> Option<Template> {
    let known = ["namespace", "name", "version", "description", "deadline_ms", "steps"];
    let fields = Fields::read(root, "a template", &known, findings)?;
    let namespace = required_name(&fields, "namespace", findings);
    let name = required_name(&fields, "name", findings);
    let version = match fields.get("version") {
        Some(node) => node.integer("version", 1, i32::MAX, findings),
        None => Some(1),
    };
    let description = match fields.get("description") {
        Some(node) => description(node, findings),
        None => Some(""),
    };
    let deadline_ms = match fields.get("deadline_ms") {
        Some(node) => Some(node.integer("deadline_ms", 1, TIMEOUT_MS_MAX, findings)?),
        None => None,
    };
    let steps_at = fields.get("steps").map_or(root.at, |node| node.at);
    let drafts = drafts(fields.required("steps", findings)?, findings)?;
    if let (Some((namespace, _)), Some(handlers)) = (namespace, handlers) {
        report_missing_handlers(namespace, &drafts, handlers, findings);
    }
    rules::check(&drafts, steps_at, findings);
    let steps = resolve(&drafts, findings)?;
    Some(Template {
        namespace: namespace?.0.to_owned(),
        name: name?.0.to_owned(),
        version: version?,
        description: description?.to_owned(),
        deadline_ms,
        steps,
    })
}

fn description<'n>(node: &'n Node, findings: &mut Findings<'_>) -> Option<&'n str> {
    let text = node.text("description", findings)?;
    if text.len() > DESCRIPTION_BYTES_MAX || text.contains('\0') {
        let message = format!("description must be under {DESCRIPTION_BYTES_MAX} bytes, no NUL");
        findings.error(node.at, &message);
    }
    Some(text)
}

fn required_name<'n>(
    fields: &Fields<'n>,
    field: &'static str,
    findings: &mut Findings<'_>,
) -> Option<Name<'n>> {
    name(fields.required(field, findings)?, field, findings)
}

fn name<'n>(node: &'n Node, what: &str, findings: &mut Findings<'_>) -> Option<Name<'n>> {
    let text = node.text(what, findings)?;
    if !is_name(text) {
        let message = format!("{what} {} is no name", quoted(text));
        let hint = "a name is a to z, then up to 62 of a to z, 0 to 9 and _";
        findings.error_with(node.at, &message, Some(hint.to_owned()));
        return None;
    }
    Some((text, node.at))
}

fn drafts<'n>(steps: &'n Node, findings: &mut Findings<'_>) -> Option<Vec<Draft<'n>>> {
    let items = steps.list("steps", findings)?;
    if items.is_empty() {
        findings.error(steps.at, "a template needs at least one step");
    }
    if items.len() > STEPS_MAX {
        let message = format!("{} steps are more than the {STEPS_MAX} allowed", items.len());
        findings.error(steps.at, &message);
        return None;
    }
    let mut drafts: Vec<_> = items.iter().map(|item| draft(item, findings)).collect();
    // Their numbers are not those of a new task's steps.
    drafts.sort_by_key(|draft| draft.step_type == Some(StepType::BatchWorker));
    let edges: usize = drafts.iter().map(|draft| draft.depends_on.len()).sum();
    if edges > EDGES_MAX {
        let message = format!("{edges} dependencies are more than the {EDGES_MAX} allowed");
        findings.error(steps.at, &message);
        return None;
    }
    Some(drafts)
}

fn draft<'n>(node: &'n Node, findings: &mut Findings<'_>) -> Draft<'n> {
    let known = [
        "name",
        "type",
        "handler",
        "depends_on",
        "branches",
        "batches_max",
        "on_failure",
        "timeout_ms",
        "retry",
    ];
    let Some(fields) = Fields::read(node, "a step", &known, findings) else {
        return Draft::default();
    };
    let depends_on = fields.get("depends_on");
    let branches = fields.get("branches");
    let types = StepType::ALL.iter().map(|step_type| (step_type.name(), *step_type));
    let strategies = FailureStrategy::ALL.iter().map(|strategy| (strategy.name(), *strategy));
    let (batches_max, on_failure) = (fields.get("batches_max"), fields.get("on_failure"));
    Draft {
        name: required_name(&fields, "name", findings),
        handler: required_name(&fields, "handler", findings),
        step_type: match fields.get("type") {
            Some(node) => node.choice("type", types, findings),
            None => Some(StepType::Standard),
        },
        depends_on: depends_on.map_or_else(Vec::new, |node| names(node, "depends_on", findings)),
        branches: branches.map(|node| (names(node, "branches", findings), node.at)),
        batches_max: batches_max.and_then(|node| {
            Some((node.integer("batches_max", 1, BATCHES_MAX, findings)?, node.at))
        }),
        on_failure: on_failure
            .and_then(|node| Some((node.choice("on_failure", strategies, findings)?, node.at))),
        timeout_ms: fields
            .get("timeout_ms")
            .and_then(|node| node.integer("timeout_ms", 1, TIMEOUT_MS_MAX, findings)),
        retry: fields.get("retry").map_or_else(RetryPolicy::default, |node| retry(node, findings)),
    }
}

/// The names of other steps that stand in a list.
fn names<'n>(node: &'n Node, field: &str, findings: &mut Findings<'_>) -> Vec<Name<'n>> {
    let items = node.list(field, findings).unwrap_or_default();
    let name = |item: &'n Node| Some((item.text("the name of a step", findings)?, item.at));
    items.iter().filter_map(name).collect()
}

fn retry(node: &Node, findings: &mut Findings<'_>) -> RetryPolicy {
    let known = ["max_attempts", "backoff_initial_ms", "backoff_max_ms"];
    let mut policy = RetryPolicy::default();
    let Some(fields) = Fields::read(node, "retry", &known, findings) else {
        return policy;
    };
    if let Some(attempts) = fields
        .get("max_attempts")
        .and_then(|node| node.integer("max_attempts", 1, ATTEMPTS_MAX, findings))
    {
        policy.max_attempts = attempts;
    }
    let mut backoff =
        |name| fields.get(name).and_then(|node| node.integer(name, 0, BACKOFF_MS_MAX, findings));
    let initial_ms = backoff("backoff_initial_ms");
    let max_ms = backoff("backoff_max_ms");
    policy.backoff_initial_ms = initial_ms.unwrap_or(policy.backoff_initial_ms);
    policy.backoff_max_ms = max_ms.unwrap_or(policy.backoff_max_ms);
    if policy.backoff_initial_ms > policy.backoff_max_ms {
        let message = format!(
            "backoff_initial_ms ({}) is more than backoff_max_ms ({})",
            policy.backoff_initial_ms, policy.backoff_max_ms
        );
        findings.error(node.at, &message);
    }
    policy
}

fn report_missing_handlers(
    namespace: &str,
    drafts: &[Draft<'_>],
    handlers: &BTreeSet<(String, String)>,
    findings: &mut Findings<'_>,
) {
    let own = || handlers.iter().filter(|(of, _)| of == namespace).map(|(_, name)| &**name);
    for (handler, at) in drafts.iter().filter_map(|draft| draft.handler) {
        if !own().any(|known| known == handler) {
            let message = format!(
                "no worker has a handler {} in namespace {}",
                quoted(handler),
                quoted(namespace)
            );
            findings.error_with(at, &message, suggest(handler, own()));
        }
    }
}

/// Turns names into numbers and checks the graph that they make.
fn resolve(drafts: &[Draft<'_>], findings: &mut Findings<'_>) -> Option<Vec<StepTemplate>> {
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    for (number, (name, at)) in
        drafts.iter().enumerate().filter_map(|(number, draft)| Some((number, draft.name?)))
    {
        if let Some(first) = numbers.get(name) {
            let line = drafts[*first].name.map_or(0, |(_, at)| at.line());
            let message = format!("a step {} stands at line {line} already", quoted(name));
            findings.error(at, &message);
        } else {
            numbers.insert(name, number);
        }
    }
    let unreadable = drafts.iter().any(|draft| draft.name.is_none());
    let known: Vec<&str> = drafts.iter().filter_map(|draft| Some(draft.name?.0)).collect();
    let known = (!unreadable).then_some(&known[..]);
    let parents: Vec<Vec<(usize, Location)>> =
        drafts.iter().map(|draft| parents(draft, &numbers, known, findings)).collect();
    report_cycles(drafts, &parents, findings);
    let resolved = drafts.iter().zip(&parents).map(|(draft, parents)| {
        Some(StepTemplate {
            name: draft.name?.0.to_owned(),
            handler: draft.handler?.0.to_owned(),
            step_type: draft.step_type?,
            depends_on: owned(&draft.depends_on),
            branches: draft.branches.as_ref().map_or_else(Vec::new, |(names, _)| owned(names)),
            batches_max: draft.batches_max.map_or(BATCHES_MAX_DEFAULT, |(max, _)| max),
            on_failure: draft.on_failure.map_or_else(FailureStrategy::default, |(it, _)| it),
            timeout_ms: draft.timeout_ms.unwrap_or(TIMEOUT_MS_DEFAULT),
            retry: draft.retry,
            parents: parents.iter().map(|(number, _)| *number).collect(),
        })
    });
    resolved.collect()
}

fn owned(names: &[Name<'_>]) -> Vec<String> {
    names.iter().map(|(name, _)| (*name).to_owned()).collect()
}

/// The steps that `draft` waits for. Without `known`, the names of all steps, a name that stands
/// for no step is let pass: it may well mean one whose own name could not be read.
fn parents(
    draft: &Draft<'_>,
    numbers: &HashMap<&str, usize>,
    known: Option<&[&str]>,
    findings: &mut Findings<'_>,
) -> Vec<(usize, Location)> {
    let mut earlier = HashSet::new();
    let mut parents = Vec::with_capacity(draft.depends_on.len());
    for &(name, at) in &draft.depends_on {
        if !earlier.insert(name) {
            findings.error(at, &format!("the dependency {} is given twice", quoted(name)));
        } else if draft.name.is_some_and(|(own, _)| own == name) {
            findings.error(at, &format!("the step {} depends on itself", quoted(name)));
        } else if let Some(&number) = numbers.get(name) {
            parents.push((number, at));
        } else if let Some(known) = known
            && !findings.is_full()
        {
            let hint = suggest(name, known.iter().copied());
            findings.error_with(at, &format!("there is no step {}", quoted(name)), hint);
        }
    }
    parents
}

fn report_cycles(
    drafts: &[Draft<'_>],
    parents: &[Vec<(usize, Location)>],
    findings: &mut Findings<'_>,
) {
    let numbers: Vec<Vec<usize>> =
        parents.iter().map(|of| of.iter().map(|(number, _)| *number).collect()).collect();
    let numbers: Vec<&[usize]> = numbers.iter().map(Vec::as_slice).collect();
    for graph::Cycle { steps, parent_place } in graph::cycles(&numbers) {
        let name = |&step: &usize| drafts[step].name.map_or("?", |(name, _)| name);
        let mut names: Vec<&str> = steps.iter().map(name).collect();
        if names.len() > CYCLE_NAMES_MAX {
            names.splice(CYCLE_NAMES_MAX / 2..names.len() - CYCLE_NAMES_MAX / 2, ["…"]);
        }
        names.extend(steps.first().map(name));
        let waits = steps.get(1).or(steps.first()).copied().unwrap_or_default();
        let at = parents[waits][parent_place].1;
        findings.error(at, &format!("a cycle: {}", names.join(" → ")));
    }
}
