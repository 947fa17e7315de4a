//! The steps that a right answer names, held against those of the template.

use stepmark_workflow::yaml::{Findings, Place, quoted, suggest};
use stepmark_workflow::{StepTemplate, StepType, Template, batch};

/// Most missing steps that one error names.
const NAMES_SHOWN_MAX: usize = 10;

/// Whether a task's step called `name` comes from this step of its template: it has the same name,
/// but for a batch worker's instances, which are made at run time and numbered.
#[must_use]
pub fn is_made_by(name: &str, from: &StepTemplate) -> bool {
    match from.step_type {
        StepType::BatchWorker => batch::is_instance(name, &from.name),
        _ => name == from.name,
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
        step.step_type != StepType::BatchWorker && !named.iter().any(|(name, _)| *name == step.name)
    };
    let missing: Vec<&StepTemplate> = template.steps.iter().filter(is_missing).collect();
    for (name, at) in named {
        let made = |step: &StepTemplate| is_made_by(name, step);
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
