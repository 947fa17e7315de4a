//! Request bodies: read whole, up to a limit.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;

use super::problem::Problem;

/// How much of a body that is too large is read nevertheless, in multiples of the limit: a client
/// that is still sending would meet a reset connection instead of the answer.
const READ_MAX: usize = 16;

/// Lets a request pass whose body is within the limit, in bytes.
pub async fn limit(State(bytes_max): State<usize>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match read(body, bytes_max).await {
        Ok(bytes) => next.run(Request::from_parts(head, bytes.into())).await,
        Err(problem) => problem.into_response(),
    }
}

async fn read(body: Body, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let (mut bytes, mut seen) = (Vec::new(), 0);
    let mut chunks = body.into_data_stream();
    while seen <= bytes_max.saturating_mul(READ_MAX)
        && let Some(chunk) = chunks.next().await
    {
        let unread = |error| Problem::malformed(format!("the body can't be read: {error}"));
        let chunk = chunk.map_err(unread)?;
        seen += chunk.len();
        if seen <= bytes_max {
            bytes.extend_from_slice(&chunk);
        }
    }
    if seen <= bytes_max {
        return Ok(bytes);
    }
    Err(Problem::too_large(format!(
        "the body is larger than the {bytes_max} bytes that this orchestrator takes \
         (STEPMARK_BODY_BYTES_MAX)"
    )))
}
