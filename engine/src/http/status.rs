//! `/healthz`, `/readyz` and `/metrics`, of orchestrators and workers alike.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus::{Registry, TextEncoder};
use sqlx::postgres::PgPool;

use crate::messaging::MessagingService;

/// How long readiness waits for the database.
const PROBE_MAX: Duration = Duration::from_secs(2);

/// What the status of a process is read from.
#[derive(Clone)]
pub struct Health {
    /// The database.
    pub pool: PgPool,
    /// The transport.
    pub messaging: Arc<dyn MessagingService>,
    /// The counters.
    pub registry: Registry,
}

/// The three routes.
pub fn routes(health: Health) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(health)
}

/// The process lives.
#[utoipa::path(get, path = "/healthz", tag = "status",
    responses((status = 200, description = "The process lives", body = String)))]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// The process can work: it reaches the database and the broker.
#[utoipa::path(get, path = "/readyz", tag = "status", responses(
    (status = 200, description = "Database and broker are reached", body = String),
    (status = 503, description = "One of them is not; the text says which", body = String)))]
pub async fn readyz(State(health): State<Health>) -> (StatusCode, &'static str) {
    let probe = sqlx::query("SELECT 1").execute(&health.pool);
    if !matches!(tokio::time::timeout(PROBE_MAX, probe).await, Ok(Ok(_))) {
        return (StatusCode::SERVICE_UNAVAILABLE, "the database is not reached\n");
    }
    if !health.messaging.is_ready().await {
        return (StatusCode::SERVICE_UNAVAILABLE, "the broker is not reached\n");
    }
    (StatusCode::OK, "ready\n")
}

/// Counters in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "status",
    responses((status = 200, description = "Prometheus text format 0.0.4", body = String)))]
pub async fn metrics(State(health): State<Health>) -> impl IntoResponse {
    match TextEncoder::new().encode_to_string(&health.registry.gather()) {
        Ok(text) => (StatusCode::OK, [("content-type", prometheus::TEXT_FORMAT)], text),
        Err(error) => {
            tracing::error!(%error, "metrics can't be written");
            let text = "metrics can't be written; see the log\n".to_owned();
            (StatusCode::INTERNAL_SERVER_ERROR, [("content-type", "text/plain")], text)
        }
    }
}
