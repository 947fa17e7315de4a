//! What the task routes take and answer.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A task to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTask {
    /// Namespace of the template.
    pub(super) namespace: String,
    /// Name of the template.
    pub(super) template: String,
    /// Version of the template; the highest when left out.
    pub(super) version: Option<i32>,
    /// What the handlers are given; a JSON object, `{}` when left out.
    #[schema(value_type = Option<Object>)]
    pub(super) context: Option<Box<RawValue>>,
    /// Requests of one namespace with the same key make one task.
    #[schema(max_length = 255, min_length = 1)]
    pub(super) idempotency_key: Option<String>,
    /// The steps of a task with a higher priority are dispatched first; 0 to 9, 0 when left out.
    #[schema(minimum = 0, maximum = 9)]
    #[serde(default)]
    pub(super) priority: i16,
    /// How long the task is put off, in ms: it is Pending until then.
    #[schema(minimum = 1)]
    pub(super) delay_ms: Option<i64>,
    /// How long the task may take in all, in ms from now; then it is Cancelled. As its template
    /// says when left out.
    #[schema(minimum = 1)]
    pub(super) deadline_ms: Option<i64>,
}

/// A task that has been created, now or by an earlier request with the same key.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedTask {
    /// The task's id.
    pub(super) task_uuid: Uuid,
    /// Its state: StepsInProcess, or Pending where it is put off.
    pub(super) state: String,
}

/// How long to wait for a task's end.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wait {
    /// Seconds to wait until the task is Complete, Error or Cancelled; 0 to 300.
    #[serde(default)]
    pub(super) wait: f64,
}

/// A task.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    task_uuid: Uuid,
    namespace: String,
    template: String,
    version: i32,
    /// Pending, Initializing, EnqueuingSteps, StepsInProcess, EvaluatingResults, WaitingForRetry,
    /// Complete, Error or Cancelled.
    state: String,
    #[schema(value_type = Object)]
    context: Box<RawValue>,
    idempotency_key: Option<String>,
    priority: i16,
    /// RFC 3339.
    created_at: String,
    /// When it was or will be started, where it was put off; RFC 3339.
    start_at: Option<String>,
    /// When it is cancelled if it has not ended, where there is such a time; RFC 3339.
    deadline_at: Option<String>,
    /// RFC 3339.
    finished_at: Option<String>,
    /// Why it was cancelled.
    reason: Option<String>,
    steps: Vec<TaskStep>,
}

/// A step of a task.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskStep {
    /// Unique, but for batch workers that were cancelled with their batch and made anew.
    name: String,
    /// standard, decision, deferred_convergence, batchable or batch_worker.
    r#type: String,
    /// Pending, Enqueued, InProgress, EnqueuedForOrchestration, WaitingForRetry, Complete, Error,
    /// Skipped or Cancelled.
    state: String,
    /// Attempts begun, without those whose lease expired.
    attempts: i32,
    /// Leases that expired before an outcome was stored.
    lease_expiries: i32,
    /// What the handler returned, any JSON value; null until then.
    #[schema(value_type = serde_json::Value, required)]
    result: Option<Box<RawValue>>,
    /// Why the last attempt failed; null when it didn't.
    #[schema(value_type = Option<Object>, required)]
    error: Option<Box<RawValue>>,
}

/// The audit of a task.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Transitions {
    task_uuid: Uuid,
    /// In the order in which they were written.
    transitions: Vec<Transition>,
}

/// One state change.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    /// `task` or `step`.
    kind: String,
    /// Name of the step; null for the task itself.
    step: Option<String>,
    /// Number of the change for this task or step, from 1 without gaps.
    sort_key: i32,
    from: String,
    to: String,
    /// The step's attempt.
    attempt: Option<i32>,
    /// Why, when it is not the ordinary course.
    reason: Option<String>,
    /// RFC 3339.
    at: String,
}

/// The steps of a task and what they wait for, those included that were made at run time.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Graph {
    task_uuid: Uuid,
    namespace: String,
    template: String,
    state: String,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339.
    finished_at: Option<String>,
    /// In the order of their numbers.
    steps: Vec<GraphStep>,
}

/// A step, with what it waits for.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GraphStep {
    /// The step's number in its task.
    step_no: i32,
    name: String,
    r#type: String,
    state: String,
    attempts: i32,
    /// When it was claimed last; RFC 3339.
    started_at: Option<String>,
    /// When it came to the state that it is in; RFC 3339. Null while it has always been Pending.
    since: Option<String>,
    /// Numbers of the steps that it waits for.
    parents: Vec<i32>,
}

/// Why a task is to be cancelled.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// In the audit, and in the task; `cancelled` when left out.
    #[schema(max_length = 1000)]
    pub(super) reason: Option<String>,
}

/// Which tasks to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Only those in this state; `Error` lists the failed ones.
    pub(super) state: Option<String>,
    /// Only those of this namespace.
    pub(super) namespace: Option<String>,
    /// Only those of templates of this name.
    pub(super) template: Option<String>,
    /// At most so many; 1 to 1000, 50 when left out.
    pub(super) limit: Option<i32>,
    /// Those after the last one of an earlier answer: its `next`.
    pub(super) after: Option<i64>,
}

/// Tasks, the newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskList {
    pub(super) tasks: Vec<ListedTask>,
    /// Where the list goes on; null at its end.
    pub(super) next: Option<i64>,
}

/// A task in a list.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListedTask {
    task_uuid: Uuid,
    namespace: String,
    template: String,
    version: i32,
    state: String,
    priority: i16,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339.
    finished_at: Option<String>,
    /// Why it was cancelled.
    reason: Option<String>,
    /// The steps that have failed, at most ten.
    failures: Vec<Failure>,
}

/// A step in Error.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    step: String,
    attempts: i32,
    #[schema(value_type = Option<Object>, required)]
    error: Option<Box<RawValue>>,
}

/// Which finished tasks to delete.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Prune {
    /// Those that ended longer ago than this, in ms.
    #[schema(minimum = 0)]
    pub(super) older_than_ms: i64,
    /// Those in these states: Complete, Cancelled, Error; the first two when left out.
    pub(super) states: Option<Vec<String>>,
    /// How many tasks are looked at by this request; 1 to 10000, 1000 when left out.
    #[schema(minimum = 1, maximum = 10000)]
    pub(super) limit: Option<i32>,
    /// Where to begin: the `next` of an earlier answer, or the oldest task.
    pub(super) after: Option<i64>,
}

/// What was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub struct Pruned {
    /// Number of tasks.
    pub(super) pruned: i32,
    /// Where to go on; null when all tasks have been looked at.
    pub(super) next: Option<i64>,
}

/// A namespace.
#[derive(Debug, Serialize, ToSchema)]
pub struct Namespace {
    pub(super) namespace: String,
    /// Since when none of its steps is claimed; RFC 3339. Null when it is not paused.
    pub(super) paused_at: Option<String>,
}
