//! OpenTelemetry traces of a run: the receiver that the engine's processes send them to, over
//! OTLP/HTTP in JSON, and the one trace of them that a report keeps.

mod document;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// The engine's setting that tells its processes where traces go.
pub const ENDPOINT: &str = "STEPMARK_OTLP_ENDPOINT";

/// Most that is kept of what came, in bytes; the oldest goes first.
const KEPT_BYTES_MAX: usize = 32 << 20;
/// Largest request, in bytes: the engine sends 512 spans at once, of less than a kilobyte each.
const REQUEST_BYTES_MAX: usize = 16 << 20;

/// A receiver on a port of its own, for as long as it lives.
#[derive(Debug)]
pub struct Receiver {
    url: String,
    kept: Kept,
    _serving: AbortOnDropHandle<()>,
}

type Kept = Arc<Mutex<Requests>>;

/// Requests as they came.
#[derive(Debug, Default)]
struct Requests {
    bodies: VecDeque<(i64, Bytes)>,
    bytes: usize,
    /// When the last one came that is not kept any more, in microseconds of Unix time: of tasks
    /// that began later, nothing is missing.
    whole_from_us: i64,
}

impl Receiver {
    /// Starts it.
    ///
    /// # Errors
    /// There is no port on loopback.
    pub async fn start() -> io::Result<Receiver> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let kept = Kept::default();
        let routes = Router::new()
            .route("/v1/traces", post(take))
            .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
            .with_state(kept.clone());
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::warn!(%error, "traces are not received any more");
            }
        });
        Ok(Receiver { url, kept, _serving: AbortOnDropHandle::new(serving) })
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The trace of one of these tasks, which are given with their begin and end at the client in
    /// microseconds of Unix time: of those whose spans are all kept, the one at the median. It is
    /// OTLP's JSON, with a span of the client's as its root. None when no span came of it.
    pub fn trace(&self, tasks: &BTreeMap<String, (i64, i64)>) -> Option<Value> {
        let kept = lock(&self.kept);
        let (task_uuid, clocks) = document::at_median(tasks, kept.whole_from_us)?;
        document::trace(task_uuid, clocks, kept.bodies.iter().map(|(_, body)| &body[..]))
    }
}

async fn take(State(kept): State<Kept>, body: Bytes) -> Json<Value> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    lock(&kept).keep(i64::try_from(now.as_micros()).unwrap_or(i64::MAX), body);
    Json(json!({}))
}

fn lock(kept: &Kept) -> MutexGuard<'_, Requests> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Requests {
    fn keep(&mut self, now_us: i64, body: Bytes) {
        self.bytes += body.len();
        self.bodies.push_back((now_us, body));
        while self.bytes > KEPT_BYTES_MAX
            && let Some((came_us, oldest)) = self.bodies.pop_front()
        {
            self.bytes -= oldest.len();
            self.whole_from_us = came_us;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_requests_go_when_there_are_too_many() {
        let mut requests = Requests::default();
        let third = Bytes::from(vec![b' '; KEPT_BYTES_MAX / 3]);
        (1..=3).for_each(|now_us| requests.keep(now_us, third.clone()));
        assert_eq!((requests.bodies.len(), requests.whole_from_us), (3, 0));
        (4..=5).for_each(|now_us| requests.keep(now_us, third.clone()));
        assert_eq!((requests.bodies.len(), requests.whole_from_us), (3, 2));
    }
}
