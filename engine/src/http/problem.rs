//! Errors of the API, as problem documents (RFC 9457). They name the thing and the remedy, and
//! nothing of the inside: no SQL, no stack.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::database::is_data_error;

/// A problem document.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Kind of problem, stable: `about:blank#KIND`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Short summary of the kind.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request, and what to do.
    pub detail: String,
    /// Seconds after which trying again can help; also in the header `Retry-After`.
    #[serde(skip)]
    pub retry_after_s: Option<u32>,
}

/// Longest detail, in characters: what a client has sent is not sent back whole.
const DETAIL_CHARS_MAX: usize = 4_000;

impl Problem {
    fn new(status: StatusCode, kind: &str, title: &'static str, mut detail: String) -> Self {
        let kind = format!("about:blank#{kind}");
        if let Some((end, _)) = detail.char_indices().nth(DETAIL_CHARS_MAX) {
            detail.truncate(end);
            detail.push('…');
        }
        Self { kind, title, status: status.as_u16(), detail, retry_after_s: None }
    }

    /// 400: the body is not JSON that can be read.
    #[must_use]
    pub fn malformed(detail: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", "The request can't be read", detail)
    }

    /// 401: the bearer token is missing or wrong.
    #[must_use]
    pub fn unauthorized() -> Self {
        let detail = "send the header Authorization: Bearer TOKEN".to_owned();
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "A bearer token is needed", detail)
    }

    /// 404: no such thing.
    #[must_use]
    pub fn not_found(detail: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", detail)
    }

    /// 405: the path is there, but not for this method.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        let detail = "see /openapi.json for the methods of this path".to_owned();
        let title = "The method is not allowed here";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", title, detail)
    }

    /// 409: the idempotency key stands for another request.
    #[must_use]
    pub fn conflict(detail: String) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "The key is taken by another request", detail)
    }

    /// 409: the task is in a state from which this doesn't lead on.
    #[must_use]
    pub fn wrong_state(detail: String) -> Self {
        let title = "The task is in another state";
        Self::new(StatusCode::CONFLICT, "wrong-state", title, detail)
    }

    /// 413: the body is too large.
    #[must_use]
    pub fn too_large(detail: String) -> Self {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Self::new(status, "too-large", "The request is too large", detail)
    }

    /// 415: the body is not declared to be JSON.
    #[must_use]
    pub fn not_json() -> Self {
        let detail = "send the header Content-Type: application/json".to_owned();
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(status, "not-json", "The request is not JSON", detail)
    }

    /// 422: JSON, but not what is asked for.
    #[must_use]
    pub fn invalid(detail: String) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::new(status, "invalid", "The request is not valid", detail)
    }

    /// 503: not now.
    #[must_use]
    pub fn unavailable(detail: &str, retry_after_s: u32) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let problem = Self::new(status, "unavailable", "Try again later", detail.to_owned());
        Self { retry_after_s: Some(retry_after_s), ..problem }
    }

    /// 503: the database has failed; the log tells how. 422, where it is a value of the request
    /// that it can't hold.
    #[must_use]
    pub fn of_database(error: &sqlx::Error) -> Self {
        tracing::warn!(%error, "a request can't be answered");
        if let Some(refused) = error.as_database_error().filter(|_| is_data_error(error)) {
            return Self::invalid(format!("PostgreSQL can't hold a value: {}", refused.message()));
        }
        Self::away()
    }

    /// 503: the database is away.
    #[must_use]
    pub fn away() -> Self {
        Self::unavailable("the database can't answer now; try again", 1)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).expect("made from a status code");
        let retry_after = self.retry_after_s;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, problem);
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
