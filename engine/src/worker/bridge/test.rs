//! Handlers of other languages tried out in memory, as [`testing`] does with those in Rust.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use stepmark_workflow::{StepState, TaskState, Template, yaml};
use tokio::runtime::{Builder, Handle};

use super::{Bridge, Wake};
use crate::worker::{Worker, testing};

/// Handlers by namespace and name.
type Handlers<'a> = &'a [(String, String)];

/// A scenario's file, as far as a test needs it.
#[derive(Debug, Deserialize)]
struct Scenario {
    name: String,
    workflow: Workflow,
    input: Option<Value>,
    expected: Option<Expected>,
    cases: Option<Vec<Case>>,
}

#[derive(Debug, Deserialize)]
struct Workflow {
    namespace: String,
    template: String,
}

#[derive(Debug, Deserialize)]
struct Case {
    input: Value,
    expected: Expected,
}

#[derive(Debug, Deserialize)]
struct Expected {
    task_state: TaskState,
    steps: BTreeMap<String, ExpectedStep>,
}

#[derive(Debug, Deserialize)]
struct ExpectedStep {
    state: StepState,
    result: Option<Value>,
}

impl Bridge {
    /// Runs a task of the template in this file through the host's handlers, with this context
    /// (JSON). [`Bridge::verdict`] has the ended task as JSON, or why there is none.
    pub fn run_task(
        handlers: Handlers<'_>,
        template: &Path,
        context: &str,
        wake: Option<Wake>,
    ) -> Arc<Self> {
        let (template, context) = (read_template(template), context.to_owned());
        Self::run_test(handlers, wake, |worker| async move {
            let context = serde_json::from_str(&context).map_err(|error| error.to_string())?;
            let task = testing::run(&worker, &template?, &context).await;
            let task = task.map_err(|error| error.to_string())?;
            serde_json::to_string(&task).map_err(|error| error.to_string())
        })
    }

    /// Runs each input of a scenario's file, whose right answers stand beside it (`input` with
    /// `expected`, or `cases`), with the template from this folder. [`Bridge::verdict`] is an error
    /// that names step, result and right result where an answer is wrong. With a `namespace`, the
    /// template of this namespace is taken instead of the scenario's own: the same workflow in
    /// another language has the same answers.
    pub fn check_scenario(
        handlers: Handlers<'_>,
        scenario: &Path,
        templates: &Path,
        namespace: Option<&str>,
        wake: Option<Wake>,
    ) -> Arc<Self> {
        let read = read_scenario(scenario, templates, namespace);
        Self::run_test(handlers, wake, |worker| async move {
            let (scenario, template) = read?;
            let given = scenario.input.zip(scenario.expected);
            let given = given.map(|(input, expected)| Case { input, expected });
            let cases: Vec<Case> =
                given.into_iter().chain(scenario.cases.into_iter().flatten()).collect();
            if cases.is_empty() {
                return Err(format!("{}: no input has its answer beside it", scenario.name));
            }
            let mut wrong = String::new();
            for case in cases {
                let task = testing::run(&worker, &template, &case.input).await;
                let lines = task.map_or_else(
                    |error| vec![error.to_string()],
                    |task| differences(&case.expected, &task),
                );
                if !lines.is_empty() {
                    wrong += &format!("\ninput {}:\n  {}", case.input, lines.join("\n  "));
                }
            }
            match wrong.is_empty() {
                true => Ok(String::new()),
                false => Err(format!("wrong answers in the scenario {}{wrong}", scenario.name)),
            }
        })
    }

    /// Waits for the end of a test, and returns what it was about.
    ///
    /// # Errors
    /// What is wrong.
    pub fn verdict(&self) -> Result<String, String> {
        self.wait();
        let verdict = self.verdict.lock().expect("no holder panics").take();
        verdict.unwrap_or_else(|| Err("this is no test, or its end was asked for twice".to_owned()))
    }

    fn run_test<F, Fut>(handlers: Handlers<'_>, wake: Option<Wake>, test: F) -> Arc<Self>
    where
        F: FnOnce(Worker) -> Fut + Send + 'static,
        Fut: Future<Output = Result<String, String>>,
    {
        let (bridge, worker) = Self::new(handlers, wake);
        let core = Arc::clone(&bridge);
        std::thread::spawn(move || {
            let verdict = match Builder::new_current_thread().enable_all().build() {
                Err(error) => Err(error.to_string()),
                Ok(runtime) => runtime.block_on(async {
                    let _ = core.core.set(Handle::current()); // set once
                    test(worker).await
                }),
            };
            *core.verdict.lock().expect("no holder panics") = Some(verdict);
            core.end_with(0);
        });
        bridge
    }
}

fn read_template(path: &Path) -> Result<Template, String> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    Template::parse(&name, &text)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn read_scenario(
    path: &Path,
    templates: &Path,
    namespace: Option<&str>,
) -> Result<(Scenario, Template), String> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let scenario: Scenario =
        yaml::parse(&name, &text).map_err(|diagnostic| diagnostic.to_string())?;
    let files = std::fs::read_dir(templates)
        .map_err(|error| format!("{}: {error}", templates.display()))?;
    let files = files.filter_map(|entry| Some(entry.ok()?.path()));
    let mut templates_there = files
        .filter(|file| file.extension().is_some_and(|extension| extension == "yaml"))
        .filter_map(|file| read_template(&file).ok());
    let template = &scenario.workflow.template;
    let namespace = namespace.unwrap_or(&scenario.workflow.namespace);
    let found = templates_there.find(|it| it.namespace == namespace && it.name == *template);
    let missing =
        || format!("{name}: no template {namespace}/{template} in {}", templates.display());
    let found = found.ok_or_else(missing)?;
    Ok((scenario, found))
}

/// What is not as it has to be, a line each.
fn differences(expected: &Expected, task: &testing::EndedTask) -> Vec<String> {
    let mut lines = Vec::new();
    if task.state != expected.task_state {
        lines.push(format!("the task is {} and not {}", task.state, expected.task_state));
    }
    let names: BTreeSet<&String> = expected.steps.keys().chain(task.steps.keys()).collect();
    let text = |result: &Option<Value>| result.as_ref().map_or("nothing".into(), Value::to_string);
    for name in names {
        match (expected.steps.get(name), task.steps.get(name)) {
            (None, _) => lines.push(format!("the step {name} does not belong to the workflow")),
            (_, None) => lines.push(format!("the step {name} is missing")),
            (Some(right), Some(step)) => {
                if step.state != right.state {
                    lines
                        .push(format!("the step {name} is {} and not {}", step.state, right.state));
                }
                if step.result != right.result {
                    let (actual, right) = (text(&step.result), text(&right.result));
                    lines.push(format!("the step {name} has the result {actual} and not {right}"));
                }
                let message = step.error.as_ref().and_then(|error| error["message"].as_str());
                if let Some(message) = message {
                    let nr = step.attempts;
                    lines.push(format!("the step {name} failed at attempt {nr}: {message}"));
                }
            }
        }
    }
    lines
}
