//! From YAML to a scenario, gathering every error on the way.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use stepmark_workflow::template::is_name;
use stepmark_workflow::yaml::{self, Diagnostic, Fields, Findings, Node, quoted};
use stepmark_workflow::{StepType, Template};

use super::{Items, Scenario, bounds, cases, compare, workflow};
use crate::workload::Text;

/// Highest tier that there can be.
const TIER_MAX: u8 = 99;
/// Most sequential stages: the most steps that a template has.
const STAGES_MAX: u32 = 10_000;
/// Most items that a task can have.
const ITEMS_MAX: u64 = 1_000_000_000_000;

const FIELDS: [&str; 17] = [
    "name",
    "tier",
    "workflow",
    "topology",
    "language",
    "tasks_a_sample",
    "compare",
    "input",
    "expected",
    "cases",
    "inputs",
    "generator",
    "oracle",
    "sequential_stages",
    "items",
    "budget",
    "published",
];

/// What a scenario's file is held against, besides itself.
pub struct Surroundings<'a> {
    /// The templates that there are; nothing when that is not known.
    pub templates: Option<&'a [Template]>,
    /// The tier whose folder the file lies in, if it lies in one.
    pub tier: Option<u8>,
    /// The names of scenarios that were read already, each with its file.
    pub names: &'a mut BTreeMap<String, String>,
    /// Whether this is a program that can be run, or a file that can be read, as seen from the
    /// project's root.
    pub is_there: &'a dyn Fn(&str) -> bool,
}

/// What the parts of a scenario need to know of the whole.
pub(super) struct Whole<'a> {
    pub file: &'a str,
    pub text: &'a str,
    pub template: Option<&'a Template>,
    pub is_there: &'a dyn Fn(&str) -> bool,
    /// Formulas met so far.
    pub formulas: Cell<usize>,
    /// The texts with formulas, as far as they could be read.
    pub texts: RefCell<Vec<Text>>,
}

impl Scenario {
    /// Reads a scenario from YAML text by itself; `source_name` stands in error messages.
    ///
    /// # Errors
    /// Everything that is wrong with it, each error at its position, in the order of the file. Bad
    /// YAML syntax comes alone.
    pub fn parse(source_name: &str, text: &str) -> Result<Scenario, Vec<Diagnostic>> {
        let mut around = Surroundings {
            templates: None,
            tier: None,
            names: &mut BTreeMap::new(),
            is_there: &|_| true,
        };
        Scenario::parse_among(source_name, text, &mut around)
    }

    /// Reads a scenario and holds it against what is around it.
    ///
    /// # Errors
    /// As [`Scenario::parse`], and what does not fit its surroundings.
    pub fn parse_among(
        source_name: &str,
        text: &str,
        around: &mut Surroundings<'_>,
    ) -> Result<Scenario, Vec<Diagnostic>> {
        let root = yaml::parse_node(source_name, text).map_err(|diagnostic| vec![diagnostic])?;
        let mut findings = Findings::new(source_name, text);
        let scenario = read(&root, source_name, text, around, &mut findings);
        findings.into_result()?;
        Ok(scenario.expect("a scenario that lacks something has a finding that says so"))
    }
}

fn read(
    root: &Node,
    file: &str,
    text: &str,
    around: &mut Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<Scenario> {
    let fields = Fields::read(root, "a scenario", &FIELDS, findings)?;
    let name =
        fields.required("name", findings).and_then(|node| name(node, file, around, findings));
    let tier = fields.required("tier", findings).and_then(|node| {
        let tier = node.integer("tier", 1, TIER_MAX, findings)?;
        if let Some(folder) = around.tier.filter(|folder| *folder != tier) {
            let message = format!("tier is {tier}, but the file lies in the folder tier{folder}");
            findings.error(node.at, &message);
        }
        Some(tier)
    });
    let workflow = fields.required("workflow", findings);
    let workflow = workflow.and_then(|node| workflow::workflow(node, around.templates, findings));
    let (workflow, template) = workflow.unzip();
    let topology = fields.required("topology", findings);
    let topology = topology.and_then(|node| workflow::topology(node, findings));
    let language = topology
        .as_ref()
        .and_then(|topology| compare::language(fields.get("language"), topology, root, findings));
    let tasks_a_sample =
        fields.get("tasks_a_sample").map(|node| compare::tasks_a_sample(node, findings));
    let compare = fields.get("compare").map(|node| compare::compare(node, findings));
    let whole = Whole {
        file,
        text,
        template: template.flatten(),
        is_there: around.is_there,
        formulas: Cell::new(0),
        texts: RefCell::default(),
    };
    let asked = cases::read(&fields, &whole, findings);
    let stages = fields.required("sequential_stages", findings);
    let stages = stages.and_then(|node| node.integer("sequential_stages", 1, STAGES_MAX, findings));
    let items = fields.get("items").map(|node| items(node, findings));
    let budget = fields.get("budget").map(|node| bounds::budget(node, findings));
    let published = fields.get("published").map(|node| bounds::published(node, findings));
    let (inputs, oracle) = asked?;
    Some(Scenario {
        name: name?,
        tier: tier?,
        workflow: workflow?,
        topology: topology?,
        language: language?,
        tasks_a_sample: tasks_a_sample.flatten().unwrap_or(1),
        compare: compare.flatten(),
        inputs,
        oracle,
        sequential_stages: stages?,
        expansions: whole.template.map(expansions),
        items: items.flatten(),
        budget: budget.flatten().unwrap_or_default(),
        declared: None,
        published: published.flatten(),
    })
}

fn expansions(template: &Template) -> u32 {
    let expand = [StepType::Decision, StepType::Batchable];
    let count = template.steps.iter().filter(|step| expand.contains(&step.step_type)).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn name(
    node: &Node,
    file: &str,
    around: &mut Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<String> {
    let name = node.text("name", findings)?;
    if !is_name(name) {
        // Files of the report are called by it.
        let message = format!("name {} is no name", quoted(name));
        let hint = "a name is a to z, then up to 62 of a to z, 0 to 9 and _";
        findings.error_with(node.at, &message, Some(hint.to_owned()));
        return None;
    }
    if let Some(first) = around.names.get(name) {
        findings.error(node.at, &format!("the scenario {} is in {first} already", quoted(name)));
    } else {
        around.names.insert(name.to_owned(), file.to_owned());
    }
    Some(name.to_owned())
}

fn items(node: &Node, findings: &mut Findings<'_>) -> Option<Items> {
    let fields = Fields::read(node, "items", &["unit", "a_task"], findings)?;
    let unit = fields.required("unit", findings).and_then(|node| {
        let unit = node.text("unit", findings)?;
        if unit.trim().is_empty() || unit.len() > 40 {
            findings.error(node.at, "unit must be a word or two: rows");
        }
        Some(unit.to_owned())
    });
    let a_task = fields.required("a_task", findings);
    let a_task = a_task.and_then(|node| node.integer("a_task", 1, ITEMS_MAX, findings));
    Some(Items { unit: unit?, a_task: a_task? })
}
