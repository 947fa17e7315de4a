//! `/v1/namespaces`: which there are, pause and resume.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};

use super::problem::Problem;
use super::shapes::Namespace;
use super::tasks::Api;

/// List the namespaces of this orchestrator's templates, and since when one is paused.
#[utoipa::path(get, path = "/v1/namespaces", tag = "namespaces", security(("token" = [])),
    responses((status = 200, description = "Namespaces", body = Vec<Namespace>),
    (status = 503, description = "The database is away", body = Problem)))]
pub async fn list_namespaces(State(api): State<Api>) -> Result<Json<Vec<Namespace>>, Problem> {
    let paused: Vec<(String, String)> =
        sqlx::query_as(include_str!("../../sql/namespaces_read.sql"))
            .fetch_all(&api.pool)
            .await
            .map_err(|error| Problem::of_database(&error))?;
    let namespaces = api.templates.namespaces().into_iter().map(|namespace| {
        let of_it = paused.iter().find(|(paused, _)| *paused == namespace);
        Namespace { paused_at: of_it.map(|(_, at)| at.clone()), namespace }
    });
    Ok(Json(namespaces.collect()))
}

/// Pause a namespace: from then on none of its steps is claimed. Tasks are still taken, and what
/// runs goes on to its end.
#[utoipa::path(post, path = "/v1/namespaces/{namespace}/pause", tag = "namespaces",
    security(("token" = [])), params(("namespace" = String, Path, description = "Its name")),
    responses((status = 200, description = "It is paused", body = Namespace),
    (status = 404, description = "No template of this namespace is loaded", body = Problem),
    (status = 422, description = "Not UTF-8", body = Problem),
    (status = 503, description = "The database is away", body = Problem)))]
pub async fn pause_namespace(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Namespace>, Problem> {
    let namespace = known(&api, path)?;
    sqlx::query(include_str!("../../sql/namespace_pause.sql"))
        .bind(&namespace)
        .execute(&api.pool)
        .await
        .map_err(|error| Problem::of_database(&error))?;
    read(api, namespace).await
}

/// Resume a namespace: its steps are claimed again.
#[utoipa::path(post, path = "/v1/namespaces/{namespace}/resume", tag = "namespaces",
    security(("token" = [])), params(("namespace" = String, Path, description = "Its name")),
    responses((status = 200, description = "It is not paused", body = Namespace),
    (status = 404, description = "No template of this namespace is loaded", body = Problem),
    (status = 422, description = "Not UTF-8", body = Problem),
    (status = 503, description = "The database is away", body = Problem)))]
pub async fn resume_namespace(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Namespace>, Problem> {
    let namespace = known(&api, path)?;
    let failed = |error: sqlx::Error| Problem::of_database(&error);
    // Two transactions, in this order; see resume_namespaces. Should this process end between them,
    // any orchestrator's next sweep makes the second.
    sqlx::query(include_str!("../../sql/namespace_resume.sql"))
        .bind(&namespace)
        .execute(&api.pool)
        .await
        .map_err(failed)?;
    sqlx::query(include_str!("../../sql/namespaces_resume.sql"))
        .bind(api.messaging.broker().name())
        .execute(&api.pool)
        .await
        .map_err(failed)?;
    api.messaging.tend().await; // RabbitMQ's messages are in the outbox
    read(api, namespace).await
}

/// The namespace of the path, if there is such a one.
fn known(api: &Api, path: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    let Path(namespace) = path.map_err(|error| Problem::invalid(error.body_text()))?;
    if api.templates.namespaces().contains(&namespace) {
        return Ok(namespace);
    }
    Err(Problem::not_found(format!(
        "no template of a namespace {namespace:?} is loaded; there is: {}",
        api.templates.namespaces().join(", ")
    )))
}

async fn read(api: Api, namespace: String) -> Result<Json<Namespace>, Problem> {
    let Json(all) = list_namespaces(State(api)).await?;
    let found = all.into_iter().find(|one| one.namespace == namespace);
    Ok(Json(found.unwrap_or(Namespace { namespace, paused_at: None })))
}
