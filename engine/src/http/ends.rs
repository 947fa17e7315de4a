//! `/v1/tasks/…`: cancel, redrive, list and prune.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use sqlx::Row;
use stepmark_workflow::TaskState;
use uuid::Uuid;

use super::problem::Problem;
use super::shapes::{Cancel, CreatedTask, Prune, Pruned, TaskList, Which};
use super::tasks::{Api, no_task, read_body, task_id};
use crate::database::flush_log;
use crate::messaging::Outgoing;

/// Longest reason, in characters.
const REASON_CHARS_MAX: usize = 1_000;

/// Most tasks in one list.
const LIST_MAX: i32 = 1_000;

/// Tasks in a list, unless told.
const LIST_DEFAULT: i32 = 50;

/// Most tasks that one request to prune looks at.
const PRUNE_MAX: i32 = 10_000;

/// Those that it looks at, unless told.
const PRUNE_DEFAULT: i32 = 1_000;

/// Cancel a task: nothing of it is dispatched any more, and handlers that run are told.
#[utoipa::path(post, path = "/v1/tasks/{task_uuid}/cancel", tag = "tasks",
    request_body = Option<Cancel>, security(("token" = [])),
    params(("task_uuid" = Uuid, Path, description = "The task's id")), responses(
    (status = 200, description = "It is Cancelled, now or already", body = CreatedTask),
    (status = 404, description = "No such task", body = Problem),
    (status = 409, description = "It is Complete", body = Problem),
    (status = 422, description = "Not an id, or not a reason", body = Problem),
    (status = 503, description = "The database is away", body = Problem)))]
pub async fn cancel_task(
    State(api): State<Api>,
    path: Result<Path<Uuid>, PathRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let task_uuid = task_id(path)?;
    let is_empty = body.as_ref().is_ok_and(Bytes::is_empty);
    let cancel: Cancel = if is_empty { Cancel::default() } else { read_body(&headers, body)? };
    let reason = cancel.reason.unwrap_or_else(|| "cancelled".to_owned());
    if !(1..=REASON_CHARS_MAX).contains(&reason.chars().count()) {
        let detail = format!("reason must have 1 to {REASON_CHARS_MAX} characters");
        return Err(Problem::invalid(detail));
    }
    let cancelled: bool = sqlx::query_scalar(include_str!("../../sql/cancel_task.sql"))
        .bind(task_uuid)
        .bind(reason)
        .fetch_one(&api.pool)
        .await
        .map_err(|error| Problem::of_database(&error))?;
    if cancelled {
        api.waiters.wake([task_uuid]);
    }
    match state(&api, task_uuid).await?.as_str() {
        "Cancelled" => Ok(in_state(task_uuid, "Cancelled")),
        other => Err(Problem::wrong_state(format!(
            "task {task_uuid} is {other}: it has come to its end and can't be cancelled"
        ))),
    }
}

/// Redrive a failed task: its failed steps are tried again, and what hangs on them.
#[utoipa::path(post, path = "/v1/tasks/{task_uuid}/redrive", tag = "tasks",
    security(("token" = [])),
    params(("task_uuid" = Uuid, Path, description = "The task's id")), responses(
    (status = 200, description = "It runs again", body = CreatedTask),
    (status = 404, description = "No such task", body = Problem),
    (status = 409, description = "It is not in Error", body = Problem),
    (status = 422, description = "Not an id", body = Problem),
    (status = 503, description = "The database is away", body = Problem)))]
pub async fn redrive_task(
    State(api): State<Api>,
    path: Result<Path<Uuid>, PathRejection>,
) -> Result<Response, Problem> {
    let task_uuid = task_id(path)?;
    let row = sqlx::query(include_str!("../../sql/redrive_task.sql"))
        .bind(api.messaging.broker().name())
        .bind(task_uuid)
        .fetch_one(&api.pool)
        .await
        .map_err(|error| Problem::of_database(&error))?;
    let redriven = row.try_get("redriven").map_err(|error| Problem::of_database(&error))?;
    if redriven {
        let outgoing = Outgoing::from_row(&row).map_err(|error| Problem::of_database(&error))?;
        api.messaging.publish(outgoing).await;
        return Ok(in_state(task_uuid, "StepsInProcess"));
    }
    let state = state(&api, task_uuid).await?;
    Err(Problem::wrong_state(format!(
        "task {task_uuid} is {state}: only a task in Error can be redriven"
    )))
}

/// List tasks, the newest first; `state=Error` lists the failed ones.
#[utoipa::path(get, path = "/v1/tasks", tag = "tasks", security(("token" = [])), params(Which),
    responses((status = 200, description = "Tasks", body = TaskList),
    (status = 422, description = "No such state, or a limit out of range", body = Problem),
    (status = 503, description = "The database is away", body = Problem)))]
pub async fn list_tasks(
    State(api): State<Api>,
    query: Result<Query<Which>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(which) = query.map_err(|error| Problem::invalid(error.body_text()))?;
    if let Some(state) = &which.state {
        known_state(state)?;
    }
    let limit = within("limit", which.limit, LIST_DEFAULT, LIST_MAX)?;
    let mut connection = api.pool.acquire().await.map_err(|error| Problem::of_database(&error))?;
    let rows = sqlx::query_as::<_, (i64, bool, String)>(include_str!("../../sql/list_tasks.sql"))
        .bind(which.state)
        .bind(which.namespace)
        .bind(which.template)
        .bind(which.after.unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .fetch_all(&mut *connection)
        .await
        .map_err(|error| Problem::of_database(&error))?;
    if !rows.iter().all(|(_, durable, _)| *durable) {
        flush_log(&mut connection).await.map_err(|error| Problem::of_database(&error))?;
    }
    let is_full = rows.len() == usize::try_from(limit).unwrap_or(usize::MAX);
    let next = rows.last().filter(|_| is_full).map(|(task_id, ..)| *task_id);
    let next = next.map_or_else(|| "null".to_owned(), |task_id| task_id.to_string());
    let tasks: Vec<String> = rows.into_iter().map(|(.., document)| document).collect();
    let document = format!(r#"{{"tasks": [{}], "next": {next}}}"#, tasks.join(","));
    debug_assert!(serde_json::from_str::<TaskList>(&document).is_ok(), "{document}");
    Ok(([(header::CONTENT_TYPE, "application/json")], document).into_response())
}

/// Delete old finished tasks, a bounded number at once: call it again with `after` until `next` is
/// null. Their idempotency keys go with them.
#[utoipa::path(post, path = "/v1/tasks/prune", tag = "tasks", request_body = Prune,
    security(("token" = [])), responses(
    (status = 200, description = "What was deleted", body = Pruned),
    (status = 422, description = "Fields missing, unknown or out of range", body = Problem),
    (status = 503, description = "The database is away", body = Problem)))]
pub async fn prune_tasks(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Pruned>, Problem> {
    let prune: Prune = read_body(&headers, body)?;
    let complete_and_cancelled = || vec!["Complete".to_owned(), "Cancelled".to_owned()];
    let states = prune.states.unwrap_or_else(complete_and_cancelled);
    for state in &states {
        if !known_state(state)?.is_terminal() {
            let detail = format!("a task that is {state} has not ended and can't be pruned");
            return Err(Problem::invalid(detail));
        }
    }
    if prune.older_than_ms < 0 {
        return Err(Problem::invalid("older_than_ms must be 0 or more".to_owned()));
    }
    let limit = within("limit", prune.limit, PRUNE_DEFAULT, PRUNE_MAX)?;
    let (pruned, next) = sqlx::query_as(include_str!("../../sql/prune_tasks.sql"))
        .bind(prune.older_than_ms)
        .bind(states)
        .bind(prune.after.unwrap_or(0))
        .bind(limit)
        .fetch_one(&api.pool)
        .await
        .map_err(|error| Problem::of_database(&error))?;
    Ok(Json(Pruned { pruned, next }))
}

fn known_state(state: &str) -> Result<TaskState, Problem> {
    state.parse().map_err(|_| {
        let known: Vec<&str> = TaskState::ALL.iter().map(|state| state.name()).collect();
        Problem::invalid(format!("state {state:?} is none of {}", known.join(", ")))
    })
}

fn within(field: &str, given: Option<i32>, default: i32, max: i32) -> Result<i32, Problem> {
    let number = given.unwrap_or(default);
    match (1..=max).contains(&number) {
        true => Ok(number),
        false => Err(Problem::invalid(format!("{field} must be 1 to {max}"))),
    }
}

async fn state(api: &Api, task_uuid: Uuid) -> Result<String, Problem> {
    let state: Option<String> = sqlx::query_scalar(include_str!("../../sql/task_state.sql"))
        .bind(task_uuid)
        .fetch_optional(&api.pool)
        .await
        .map_err(|error| Problem::of_database(&error))?;
    state.ok_or_else(|| no_task(task_uuid))
}

fn in_state(task_uuid: Uuid, state: &str) -> Response {
    Json(CreatedTask { task_uuid, state: state.to_owned() }).into_response()
}
