//! `/v1/tasks`: create, read and wait, audit.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use sqlx::postgres::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::problem::Problem;
use super::shapes::{CreateTask, CreatedTask, Graph, Task, Transitions, Wait};
use crate::database::flush_log;
use crate::json;
use crate::messaging::{MessagingService, PRIORITY_MAX};
use crate::orchestrator::create::{CreateError, CreateLane, NewTask};
use crate::orchestrator::read::{Away, Found, Reads};
use crate::orchestrator::recover::Alarm;
use crate::orchestrator::templates::Templates;
use crate::waiters::Waiters;

/// Longest wait of a request, in seconds.
pub const WAIT_S_MAX: f64 = 300.0;

/// Longest idempotency key, in characters.
pub const KEY_CHARS_MAX: usize = 255;

/// Longest delay and longest deadline of a task, in ms: a year.
const TIME_MS_MAX: i64 = 31_536_000_000;

/// What the task routes work with.
#[derive(Clone)]
pub struct Api {
    /// Creates tasks.
    pub create: CreateLane,
    /// The templates that tasks may be made of.
    pub templates: Arc<Templates>,
    /// Who waits for a task's end.
    pub waiters: Arc<Waiters>,
    /// Reads tasks.
    pub reads: Reads,
    /// Reads audits and graphs, and does what is asked for rarely.
    pub pool: PgPool,
    /// The transport.
    pub messaging: Arc<dyn MessagingService>,
    /// Wakes the recovering lane.
    pub alarm: Arc<Alarm>,
    /// Waits end with the process.
    pub shutdown: CancellationToken,
}

/// Create a task.
#[utoipa::path(post, path = "/v1/tasks", tag = "tasks", request_body = CreateTask,
    security(("token" = [])), responses(
    (status = 201, description = "Created, durably", body = CreatedTask),
    (status = 200, description = "The idempotency key's task is there already", body = CreatedTask),
    (status = 400, description = "Not JSON, or nested too deeply", body = Problem),
    (status = 404, description = "No such template", body = Problem),
    (status = 409, description = "The key stands for another request", body = Problem),
    (status = 413, description = "Too large", body = Problem),
    (status = 415, description = "Not declared as JSON", body = Problem),
    (status = 422, description = "Fields missing, unknown or of the wrong type", body = Problem),
    (status = 503, description = "The backlog is full, or the database is away", body = Problem)))]
pub async fn create_task(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let request: CreateTask = read_body(&headers, body)?;
    check_times(&request)?;
    let key = request.idempotency_key;
    if key.as_ref().is_some_and(|key| !(1..=KEY_CHARS_MAX).contains(&key.chars().count())) {
        let detail = format!("idempotency_key must have 1 to {KEY_CHARS_MAX} characters");
        return Err(Problem::invalid(detail));
    }
    let context = request.context.map_or_else(|| "{}".to_owned(), |raw| raw.get().to_owned());
    if !context.starts_with('{') {
        return Err(Problem::invalid("context must be a JSON object".to_owned()));
    }
    let found = api.templates.find(&request.namespace, &request.template, request.version);
    let template_id = found.map_err(Problem::not_found)?;
    let created = api.create.create(NewTask {
        task_uuid: Uuid::now_v7(),
        template_id,
        namespace: request.namespace,
        context,
        idempotency_key: key,
        version_asked: request.version,
        priority: request.priority,
        delay_ms: request.delay_ms,
        deadline_ms: request.deadline_ms,
    });
    let created = created.await.map_err(|error| match error {
        CreateError::Unavailable(detail, retry_after_s) => {
            Problem::unavailable(detail, retry_after_s)
        }
        CreateError::Refused(why) => {
            Problem::invalid(format!("context can't be stored by PostgreSQL: {why}"))
        }
        CreateError::KeyTaken(holder) => Problem::conflict(format!(
            "idempotency_key stands for task {holder}, which was asked for with another template, \
             version, context, priority, delay or deadline; use another key"
        )),
    })?;
    let status = if created.new { StatusCode::CREATED } else { StatusCode::OK };
    let location = format!("/v1/tasks/{}", created.task_uuid);
    let body = CreatedTask { task_uuid: created.task_uuid, state: created.state };
    Ok((status, [(header::LOCATION, location)], Json(body)).into_response())
}

fn check_times(request: &CreateTask) -> Result<(), Problem> {
    if !(0..=PRIORITY_MAX).contains(&request.priority) {
        return Err(Problem::invalid(format!("priority must be 0 to {PRIORITY_MAX}")));
    }
    for (field, ms) in [("delay_ms", request.delay_ms), ("deadline_ms", request.deadline_ms)] {
        if ms.is_some_and(|ms| !(1..=TIME_MS_MAX).contains(&ms)) {
            return Err(Problem::invalid(format!("{field} must be 1 to {TIME_MS_MAX}")));
        }
    }
    Ok(())
}

/// A body of this shape.
pub(super) fn read_body<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<T, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(|value| value.starts_with("application/json")) {
        return Err(Problem::not_json());
    }
    let body = body.map_err(|rejection| Problem::malformed(rejection.body_text()))?;
    let text = std::str::from_utf8(&body)
        .map_err(|error| Problem::malformed(format!("the body is not UTF-8: {error}")))?;
    let request = serde_json::from_str(text).map_err(|error| {
        let detail = error.to_string();
        if error.is_data() { Problem::invalid(detail) } else { Problem::malformed(detail) }
    })?;
    // Known to be well-formed now; what is left is what PostgreSQL can't hold.
    json::check(text).map_err(|error| Problem::malformed(error.to_string()))?;
    Ok(request)
}

/// Read a task, or wait for its end.
#[utoipa::path(get, path = "/v1/tasks/{task_uuid}", tag = "tasks", security(("token" = [])),
    params(("task_uuid" = Uuid, Path, description = "The task's id"), Wait), responses(
    (status = 200, description = "The task; when waited for, at its end or as it is when the \
        wait is over", body = Task),
    (status = 404, description = "No such task", body = Problem),
    (status = 422, description = "Not an id, or not a wait", body = Problem),
    (status = 503, description = "The database is away", body = Problem)))]
pub async fn get_task(
    State(api): State<Api>,
    path: Result<Path<Uuid>, PathRejection>,
    query: Result<Query<Wait>, QueryRejection>,
) -> Result<Response, Problem> {
    let task_uuid = task_id(path)?;
    let Query(Wait { wait }) = query.map_err(|error| Problem::invalid(error.body_text()))?;
    if !(0.0..=WAIT_S_MAX).contains(&wait) {
        return Err(Problem::invalid(format!("wait must be 0 to {WAIT_S_MAX} seconds")));
    }
    if wait > 0.0 {
        let ended = when_finished(&api, task_uuid);
        let patience = Duration::from_secs_f64(wait);
        tokio::select! {
            ended = tokio::time::timeout(patience, ended) => {
                if let Ok(document) = ended {
                    return document.map(answer::<Task>);
                }
            }
            () = api.shutdown.cancelled() => {}
        }
    }
    match api.reads.read(task_uuid, false).await {
        Ok(Found::Document(document)) => Ok(answer::<Task>(document)),
        Ok(_) => Err(no_task(task_uuid)),
        Err(Away) => Err(Problem::away()),
    }
}

/// The task's document once it has come to its end; woken, not polling.
async fn when_finished(api: &Api, task_uuid: Uuid) -> Result<String, Problem> {
    loop {
        // Registered before the look, so that no end falls between the two.
        let mut waiting = api.waiters.register(task_uuid);
        if waiting.is_unfinished() {
            waiting.woken().await;
            continue;
        }
        match api.reads.read(task_uuid, true).await {
            Ok(Found::Nothing) => return Err(no_task(task_uuid)),
            Ok(Found::Document(document)) => return Ok(document),
            Ok(Found::Unfinished) => waiting.woken().await,
            Err(Away) => return Err(Problem::away()),
        }
    }
}

/// Read the audit of a task and its steps.
#[utoipa::path(get, path = "/v1/tasks/{task_uuid}/transitions", tag = "tasks",
    security(("token" = [])),
    params(("task_uuid" = Uuid, Path, description = "The task's id")), responses(
    (status = 200, description = "Every state change so far, in order", body = Transitions),
    (status = 404, description = "No such task", body = Problem),
    (status = 422, description = "Not an id", body = Problem),
    (status = 503, description = "The database is away", body = Problem)))]
pub async fn get_transitions(
    State(api): State<Api>,
    path: Result<Path<Uuid>, PathRejection>,
) -> Result<Response, Problem> {
    let task_uuid = task_id(path)?;
    let sql = include_str!("../../sql/read_transitions.sql");
    let audit = read_document(&api.pool, sql, task_uuid).await;
    let audit = audit.map_err(|error| Problem::of_database(&error))?;
    audit.map(answer::<Transitions>).ok_or_else(|| no_task(task_uuid))
}

/// A document about a task. What a crash could still take back is made durable before it is told.
async fn read_document(
    pool: &PgPool,
    sql: &'static str,
    task_uuid: Uuid,
) -> Result<Option<String>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let found: Option<(bool, String)> =
        sqlx::query_as(sql).bind(task_uuid).fetch_optional(&mut *connection).await?;
    if let Some((false, _)) = found {
        flush_log(&mut connection).await?;
    }
    Ok(found.map(|(_, document)| document))
}

/// Read the steps of a task and what they wait for.
#[utoipa::path(get, path = "/v1/tasks/{task_uuid}/graph", tag = "tasks", security(("token" = [])),
    params(("task_uuid" = Uuid, Path, description = "The task's id")), responses(
    (status = 200, description = "The graph as it is now", body = Graph),
    (status = 404, description = "No such task", body = Problem),
    (status = 422, description = "Not an id", body = Problem),
    (status = 503, description = "The database is away", body = Problem)))]
pub async fn get_graph(
    State(api): State<Api>,
    path: Result<Path<Uuid>, PathRejection>,
) -> Result<Response, Problem> {
    let task_uuid = task_id(path)?;
    let graph = read_document(&api.pool, include_str!("../../sql/read_graph.sql"), task_uuid)
        .await
        .map_err(|error| Problem::of_database(&error))?;
    graph.map(answer::<Graph>).ok_or_else(|| no_task(task_uuid))
}

pub(super) fn task_id(path: Result<Path<Uuid>, PathRejection>) -> Result<Uuid, Problem> {
    path.map(|Path(id)| id)
        .map_err(|_| Problem::invalid("the task's id in the path must be a UUID".to_owned()))
}

pub(super) fn no_task(task_uuid: Uuid) -> Problem {
    Problem::not_found(format!("there is no task {task_uuid}"))
}

/// An answer with a document that the database has made, which is of this shape.
fn answer<Shape: DeserializeOwned>(document: String) -> Response {
    debug_assert!(
        serde_json::from_str::<Shape>(&document).is_ok(),
        "not as the OpenAPI document has it: {document}"
    );
    ([(header::CONTENT_TYPE, "application/json")], document).into_response()
}
