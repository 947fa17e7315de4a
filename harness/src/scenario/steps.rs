//! The steps that a right answer names, held against those of the template.

use stepmark_workflow::yaml::{Findings, Place, quoted, suggest};
use stepmark_workflow::{StepTemplate, Template};

/// Most missing steps that one error names.
const NAMES_SHOWN_MAX: usize = 10;

/// What the steps are called that a task has by a step of its template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepNames {
    /// There is one, of the same name.
    Own,
    /// There are as many as come about at run time: the name, `_`, and digits. None may be there.
    Numbered,
}

/// What the steps of a task are called that come from this step of its template.
///
/// Every kind of step that templates have now gives its own name; a batch worker, whose instances
/// are made at run time, is [`StepNames::Numbered`], and is to be told apart here.
fn names_of(_: &StepTemplate) -> StepNames {
    StepNames::Own
}

/// Whether a step called `name` can come from the template's step `from`.
pub fn is_made_by(name: &str, from: &str, names: StepNames) -> bool {
    match names {
        StepNames::Own => name == from,
        StepNames::Numbered => {
            let number = name.strip_prefix(from).and_then(|rest| rest.strip_prefix('_'));
            number.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
        }
    }
}

/// Notes the steps that the template does not have, and those of it that are not named. `at` is
/// where the steps' mapping stands.
pub(super) fn compare(
    template: &Template,
    named: &[(&str, Place)],
    at: Place,
    findings: &mut Findings<'_>,
) {
    let (namespace, template_name) = (&template.namespace, &template.name);
    let is_missing = |step: &&StepTemplate| {
        names_of(step) == StepNames::Own && !named.iter().any(|(name, _)| *name == step.name)
    };
    let missing: Vec<&StepTemplate> = template.steps.iter().filter(is_missing).collect();
    for (name, at) in named {
        let made = |step: &StepTemplate| is_made_by(name, &step.name, names_of(step));
        if !template.steps.iter().any(made) {
            // One that is named already was not meant.
            let known = missing.iter().map(|step| &*step.name);
            let name_shown = quoted(name);
            let message =
                format!("the template {namespace}/{template_name} has no step {name_shown}");
            findings.error_with(*at, &message, suggest(name, known));
        }
    }
    if missing.is_empty() {
        return;
    }
    let mut names: Vec<String> =
        missing.iter().take(NAMES_SHOWN_MAX).map(|step| quoted(&step.name)).collect();
    if missing.len() > NAMES_SHOWN_MAX {
        names.push("…".to_owned());
    }
    let (names, of) = (names.join(", "), format!("{namespace}/{template_name}"));
    let message = match missing.len() {
        1 => format!("the step {names} of {of} is missing"),
        _ => format!("the steps {names} of {of} are missing"),
    };
    findings.error_with(at, &message, Some("every step of a task has its right answer".to_owned()));
}
