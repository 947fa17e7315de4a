//! The reading lanes: whatever requests wait for a task are answered by one statement.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Row;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{Mutex, mpsc, oneshot};
use tracing::warn;
use uuid::Uuid;

use crate::database::{Lane, flush_log};

/// Requests that may wait for the lanes; more are told to come back.
const WAITING_MAX: usize = 4_096;

/// Most tasks that one statement reads.
const BATCH_MAX: usize = 100;

/// How long a statement may take, with the connection that it may need, before its requests are
/// told to come back.
const READ_MAX: Duration = Duration::from_secs(5);

/// What there is to read of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// There is no such task.
    Nothing,
    /// The task has not come to its end, and only then was it asked for.
    Unfinished,
    /// The task's document, JSON.
    Document(String),
}

/// The database can't answer now; trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Away;

struct Request {
    task_uuid: Uuid,
    finished_only: bool,
    answer: oneshot::Sender<Result<Found, Away>>,
}

/// The way to the lanes.
#[derive(Debug, Clone)]
pub struct Reads {
    requests: mpsc::Sender<Request>,
}

impl Reads {
    /// Starts this many lanes, each with a connection of its own; they end when all `Reads` are
    /// gone.
    pub(super) fn start(options: &PgConnectOptions, lanes: u32) -> Self {
        let (requests, waiting) = mpsc::channel(WAITING_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..lanes {
            tokio::spawn(read(Arc::clone(&waiting), Lane::new(options.clone())));
        }
        Self { requests }
    }

    /// Reads a task; where `finished_only`, its document only when it has come to its end.
    ///
    /// # Errors
    /// The database is away, or too many wait for it.
    pub async fn read(&self, task_uuid: Uuid, finished_only: bool) -> Result<Found, Away> {
        let (answer, answered) = oneshot::channel();
        let request = Request { task_uuid, finished_only, answer };
        self.requests.try_send(request).map_err(|_| Away)?;
        answered.await.unwrap_or(Err(Away))
    }
}

async fn read(waiting: Arc<Mutex<mpsc::Receiver<Request>>>, mut database: Lane) {
    loop {
        let mut batch = Vec::new();
        if waiting.lock().await.recv_many(&mut batch, BATCH_MAX).await == 0 {
            return;
        }
        batch.retain(|request| !request.answer.is_closed());
        if batch.is_empty() {
            continue;
        }
        let statement = tokio::time::timeout(READ_MAX, select(&mut database, &batch));
        let found = match statement.await {
            Ok(Ok(found)) => found.into_iter().map(Ok).collect(),
            failed => {
                match failed {
                    Ok(Err(error)) => warn!(%error, "tasks can't be read"),
                    _ => warn!("tasks can't be read in time"),
                }
                database.reset();
                vec![Err(Away); batch.len()]
            }
        };
        for (request, found) in batch.into_iter().zip(found) {
            let _ = request.answer.send(found); // the request may be gone
        }
    }
}

async fn select(database: &mut Lane, batch: &[Request]) -> Result<Vec<Found>, sqlx::Error> {
    let rows = sqlx::query(include_str!("../../sql/read_tasks.sql"))
        .bind(batch.iter().map(|one| one.task_uuid).collect::<Vec<_>>())
        .bind(batch.iter().map(|one| one.finished_only).collect::<Vec<_>>())
        .fetch_all(database.connection().await?)
        .await?;
    let mut durable = true;
    for row in &rows {
        durable &=
            row.try_get::<Option<&str>, _>("document")?.is_none() || row.try_get("durable")?;
    }
    if !durable {
        flush_log(database.connection().await?).await?;
    }
    rows.iter()
        .map(|row| match (row.try_get("is_there")?, row.try_get("document")?) {
            (false, _) => Ok(Found::Nothing),
            (true, None) => Ok(Found::Unfinished),
            (true, Some(document)) => Ok(Found::Document(document)),
        })
        .collect()
}
