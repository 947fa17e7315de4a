//! Handlers tried out in memory: a whole task from its creation to its end without database,
//! broker or clock.
//!
//! What decides is the [model] that the engine's SQL is held against, so
//! decisions, batches, retries and failures go as they go in an engine; steps run one after the
//! other, and a retry comes at once, whatever its backoff. What takes time does not happen here:
//! no lease expires, no step times out, nothing is cancelled from outside.
//!
//! ```
//! use serde_json::json;
//! use stepmark_engine::worker::{Step, StepError, Worker, testing};
//! use stepmark_workflow::{TaskState, Template};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let template = "{namespace: examples, name: greeting, steps: [{name: greet, handler: greet}]}";
//! let template = Template::parse("greeting", template).unwrap();
//! let worker = Worker::new().handler("examples", "greet", async |step: Step| {
//!     let context: serde_json::Value = step.context()?;
//!     Ok::<_, StepError>(json!({"text": format!("Hello, {}!", context["name"])}))
//! });
//! let task = testing::run(&worker, &template, &json!({"name": 7})).await.unwrap();
//! assert_eq!(task.state, TaskState::Complete);
//! assert_eq!(task.steps["greet"].result, Some(json!({"text": "Hello, 7!"})));
//! # });
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use stepmark_workflow::model::{self, Model, Token};
use stepmark_workflow::retry::Failure;
use stepmark_workflow::{StepState, StepType, TaskState, Template, batch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::flight::storable;
use super::outcome::Outcome;
use super::step::{Desk, DeskEngine, DeskMemory, Step};
use super::{Handlers, Worker};
use crate::config::RESULT_BYTES_MAX;
use crate::json::{self, JsonError};
use crate::messaging::StepId;

/// A task at its end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndedTask {
    /// The state that it has ended in.
    pub state: TaskState,
    /// Every step by its name, the instances of batch workers included.
    pub steps: BTreeMap<String, EndedStep>,
}

/// A step of a task at its end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndedStep {
    /// The state that it has ended in.
    pub state: StepState,
    /// What its handler has made, if it is Complete.
    pub result: Option<Value>,
    /// The error document of its last attempt, if that has failed.
    pub error: Option<Value>,
    /// The attempts made.
    pub attempts: u32,
}

/// Why no task can be made of a context, as the API says it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// It is another JSON value than an object.
    #[error("context must be a JSON object")]
    NoObject,
    /// It can't be stored.
    #[error("context can't be stored by PostgreSQL: {0}")]
    Unstorable(#[from] JsonError),
}

/// Runs a task of this template through the worker's handlers, to its end.
///
/// # Errors
/// The context is none that a task can have.
pub async fn run(
    worker: &Worker,
    template: &Template,
    context: &Value,
) -> Result<EndedTask, ContextError> {
    if !context.is_object() {
        return Err(ContextError::NoObject);
    }
    let context = context.to_string();
    json::check(&context)?;
    let (model, created) = Model::create(template);
    let blank = |no: usize| Kept { name: template.steps[no].name.clone(), ..Kept::default() };
    let mut task = Task {
        handlers: &worker.handlers,
        template,
        task_uuid: Uuid::now_v7(),
        context,
        kept: (0..model.steps().len()).map(blank).collect(),
        model,
    };
    let mut dispatches = VecDeque::from(created.dispatches);
    let mut claims = 0;
    while let Some(step_no) = dispatches.pop_front() {
        claims += 1;
        dispatches.extend(task.attempt(step_no, Token(claims)).await);
    }
    let steps = task.kept.into_iter().zip(task.model.steps()).map(|(kept, step)| {
        let result = kept.result.map(|result| {
            serde_json::from_str(result.get()).expect("what can't be read has not been kept")
        });
        let (state, attempts) = (step.state, step.attempts);
        (kept.name, EndedStep { state, result, error: kept.error, attempts })
    });
    Ok(EndedTask { state: task.model.state(), steps: steps.collect() })
}

/// A task under way.
struct Task<'a> {
    handlers: &'a Handlers,
    template: &'a Template,
    task_uuid: Uuid,
    context: String,
    model: Model,
    /// By the steps' numbers.
    kept: Vec<Kept>,
}

/// What a database holds of a step and the model does not.
#[derive(Debug, Default)]
struct Kept {
    name: String,
    input: Option<Box<RawValue>>,
    result: Option<Box<RawValue>>,
    error: Option<Value>,
    checkpoint: Option<String>,
}

impl Task<'_> {
    /// Claims a step, runs its handler and evaluates what it has made. Gives the steps that are
    /// dispatched for it.
    async fn attempt(&mut self, step_no: usize, token: Token) -> Vec<usize> {
        if self.model.claim(step_no, token).is_empty() {
            return Vec::new(); // cancelled with its batch
        }
        let memory = Arc::new(DeskMemory {
            failures: self.parent_failures(step_no),
            ..DeskMemory::default()
        });
        let step = self.claimed(step_no, &memory);
        let step_type = step.step_type;
        let outcome = self.handlers.run(step).await;
        if let Some(saved) = memory.checkpoint.lock().expect("no holder panics").take() {
            self.kept[step_no].checkpoint = Some(saved);
        }
        let outcome = storable(outcome, step_type, RESULT_BYTES_MAX);
        let outcome = match self.refusal(step_no, &outcome) {
            Some(message) => Outcome::Fail { failure: message.into() },
            None => outcome,
        };
        let (outcome, batches) = self.keep(step_no, outcome);
        self.model.store_outcome(step_no, token, outcome);
        let mut dispatches = self.model.process(&[step_no]).dispatches;
        self.name_instances(batches);
        // No backoff: a step that isn't waiting for its retry is none that this changes.
        dispatches.extend(self.model.retry_due(&[step_no]).dispatches);
        dispatches
    }

    /// What the handler is given.
    fn claimed(&self, step_no: usize, memory: &Arc<DeskMemory>) -> Step {
        let (step, kept) = (&self.model.steps()[step_no], &self.kept[step_no]);
        let template = &self.template.steps[step.template_no];
        let results: BTreeMap<&str, Option<&RawValue>> =
            self.parents(step_no).map(|parent| (&*parent.name, parent.result.as_deref())).collect();
        let signed = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        Step {
            task_uuid: self.task_uuid,
            namespace: self.template.namespace.clone(),
            name: kept.name.clone(),
            step_type: step.step_type,
            handler: template.handler.clone(),
            attempt: signed(step.attempts),
            max_attempts: signed(step.max_attempts),
            timeout: Duration::from_millis(template.timeout_ms),
            context: self.context.clone(),
            parent_results: serde_json::to_string(&results).expect("JSON texts are JSON"),
            input: kept.input.as_ref().map(|input| input.get().to_owned()),
            checkpoint: kept.checkpoint.clone(),
            parents_failed: i32::try_from(step.parents_failed).unwrap_or(i32::MAX),
            desk: Desk {
                step_id: StepId::new(0, 0), // there is nobody to tell it
                claim_token: Uuid::nil(),
                told: CancellationToken::new(),
                engine: DeskEngine::Memory(Arc::clone(memory)),
            },
        }
    }

    fn parents(&self, step_no: usize) -> impl Iterator<Item = &Kept> {
        self.model.steps()[step_no].parents.iter().map(|&parent_no| &self.kept[parent_no])
    }

    fn parent_failures(&self, step_no: usize) -> BTreeMap<String, Value> {
        let parents = self.model.steps()[step_no].parents.iter();
        let failed = parents.filter(|no| self.model.steps()[**no].state == StepState::Error);
        let told = failed.map(|&no| (self.kept[no].name.clone(), self.kept[no].error.clone()));
        told.map(|(name, error)| (name, error.unwrap_or_default())).collect()
    }

    /// What the template doesn't let the step choose or make, in the words of `complete_steps`.
    fn refusal(&self, step_no: usize, outcome: &Outcome) -> Option<String> {
        let template = &self.template.steps[self.model.steps()[step_no].template_no];
        match outcome {
            Outcome::Branch { branches, .. } => {
                let strange = |branch: &&String| !template.branches.contains(branch);
                let strange: BTreeSet<&str> =
                    branches.iter().filter(strange).map(String::as_str).collect();
                let known = self.template.steps.iter().map(|step| &step.name);
                let known = known.filter(|name| template.branches.contains(name));
                (!strange.is_empty()).then(|| {
                    format!(
                        "{} chose {}, which is none of its branches: they are {}",
                        template.name,
                        strange.into_iter().collect::<Vec<_>>().join(", "),
                        known.cloned().collect::<Vec<_>>().join(", ")
                    )
                })
            }
            Outcome::FanOut { batches, .. } => (batches.len() > template.batches_max as usize)
                .then(|| {
                    format!(
                        "{} made {} batches, its template allows {} (batches_max)",
                        template.name,
                        batches.len(),
                        template.batches_max
                    )
                }),
            _ => None,
        }
    }

    /// Keeps what the handler has made: the model's part of it, and the batches.
    fn keep(&mut self, step_no: usize, outcome: Outcome) -> (model::Outcome, Vec<Box<RawValue>>) {
        let (result, failed, expanded) = match outcome {
            Outcome::Complete(result) => (Some(result), None, (model::Outcome::Complete, vec![])),
            Outcome::Branch { result, branches } => {
                let chosen = branches.iter().filter_map(|name| self.template.step_no(name));
                let chosen = model::Outcome::Branch(chosen.collect());
                (Some(result), None, (chosen, vec![]))
            }
            Outcome::FanOut { result, batches } => {
                (Some(result), None, (model::Outcome::FanOut(batches.len()), batches))
            }
            Outcome::Retry { failure, .. } => {
                let failed = model::Outcome::Failed(Failure::Retryable);
                (None, Some(failure), (failed, vec![]))
            }
            Outcome::Fail { failure } => {
                let failed = model::Outcome::Failed(Failure::Permanent);
                (None, Some(failure), (failed, vec![]))
            }
        };
        let read = result.as_ref().map(|result| serde_json::from_str::<Value>(result.get()));
        if let Some(Err(error)) = read {
            let message = format!("the outcome can't be stored: {error}");
            return self.keep(step_no, Outcome::Fail { failure: message.into() });
        }
        let kept = &mut self.kept[step_no];
        kept.result = result;
        kept.error = failed.map(|failure| failure.document());
        expanded
    }

    /// The steps that an evaluation has made, with their batches.
    fn name_instances(&mut self, batches: Vec<Box<RawValue>>) {
        let made = &self.model.steps()[self.kept.len()..];
        for (nr, (step, input)) in made.iter().zip(batches).enumerate() {
            debug_assert_eq!(step.step_type, StepType::BatchWorker);
            let worker = &self.template.steps[step.template_no].name;
            let name = batch::instance_name(worker, nr + 1);
            self.kept.push(Kept { name, input: Some(input), ..Kept::default() });
        }
    }
}
