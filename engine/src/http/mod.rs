//! The HTTP API: routes, and the OpenAPI document that is made from them.

mod auth;
mod body;
mod ends;
mod namespaces;
pub mod problem;
mod shapes;
pub mod status;
pub mod tasks;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::Json;
use axum::routing::{get, post};
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

use self::auth::RequiredToken;
use self::problem::Problem;
use self::status::Health;
use self::tasks::Api;

/// The OpenAPI document.
#[derive(OpenApi)]
#[openapi(
    info(title = "stepmark orchestrator", description = "Start tasks of a workflow, wait for \
        them, read their audit. Errors are problem documents (RFC 9457)."),
    paths(tasks::create_task, ends::list_tasks, tasks::get_task, tasks::get_transitions,
        tasks::get_graph, ends::cancel_task, ends::redrive_task, ends::prune_tasks,
        namespaces::list_namespaces, namespaces::pause_namespace, namespaces::resume_namespace,
        status::healthz, status::readyz, status::metrics),
    modifiers(&BearerToken),
    tags((name = "tasks", description = "Tasks"),
        (name = "namespaces", description = "Namespaces"),
        (name = "status", description = "This process"))
)]
struct Document;

struct BearerToken;

impl utoipa::Modify for BearerToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

/// The OpenAPI document as JSON, indented.
#[must_use]
pub fn openapi() -> String {
    Document::openapi().to_pretty_json().expect("the document is made of serialisable parts")
}

/// All routes of an orchestrator.
pub fn routes(api: Api, health: Health, token: Option<&str>, body_bytes_max: usize) -> Router {
    let tasks = Router::new()
        .route("/v1/tasks", post(tasks::create_task).get(ends::list_tasks))
        .route("/v1/tasks/prune", post(ends::prune_tasks))
        .route("/v1/tasks/{task_uuid}", get(tasks::get_task))
        .route("/v1/tasks/{task_uuid}/transitions", get(tasks::get_transitions))
        .route("/v1/tasks/{task_uuid}/graph", get(tasks::get_graph))
        .route("/v1/tasks/{task_uuid}/cancel", post(ends::cancel_task))
        .route("/v1/tasks/{task_uuid}/redrive", post(ends::redrive_task))
        .route("/v1/namespaces", get(namespaces::list_namespaces))
        .route("/v1/namespaces/{namespace}/pause", post(namespaces::pause_namespace))
        .route("/v1/namespaces/{namespace}/resume", post(namespaces::resume_namespace))
        .layer(from_fn_with_state(body_bytes_max, body::limit))
        .layer(DefaultBodyLimit::disable()) // ours is in front
        .layer(from_fn_with_state(RequiredToken::new(token), auth::require))
        .with_state(api);
    Router::new()
        .merge(tasks)
        .merge(status::routes(health))
        .route("/openapi.json", get(async || Json(Document::openapi())))
        .fallback(async || Problem::not_found("see /openapi.json for the paths there are".into()))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_document_is_the_one_that_the_code_makes() {
        let committed = include_str!("../../openapi.json");
        assert!(
            committed.trim_end() == super::openapi(),
            "write it anew: stepmark-orchestrator --openapi > engine/openapi.json"
        );
    }
}
