//! The creating lane: whatever requests wait are made tasks by one statement and one commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::Row;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;
use uuid::Uuid;

use super::metrics::OrchestratorMetrics;
use super::recover::Alarm;
use crate::database::{Lane, is_data_error};
use crate::failpoint::failpoint;
use crate::messaging::{MessagingService, Outgoing};
use crate::traces::Traces;
use crate::waiters::Waiters;

/// Requests that may wait for the lane; more are told to come back.
const WAITING_MAX: usize = 4_096;

/// How old a count of unfinished tasks may be.
const COUNT_AGE_MAX: Duration = Duration::from_secs(1);

/// A task to be created.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// Its id, new.
    pub task_uuid: Uuid,
    /// Its template.
    pub template_id: i32,
    /// The template's namespace.
    pub namespace: String,
    /// JSON.
    pub context: String,
    /// The request's key.
    pub idempotency_key: Option<String>,
    /// The version that the request named.
    pub version_asked: Option<i32>,
    /// 0 to 9; the steps of a task with a higher one are dispatched first.
    pub priority: i16,
    /// How long it is put off.
    pub delay_ms: Option<i64>,
    /// How long it may take, from now on; as its template says when `None`.
    pub deadline_ms: Option<i64>,
}

/// A task that is there.
#[derive(Debug)]
pub struct Created {
    /// Its id.
    pub task_uuid: Uuid,
    /// Its state.
    pub state: String,
    /// Whether this request made it.
    pub new: bool,
}

/// Why there is no new task.
#[derive(Debug)]
pub enum CreateError {
    /// Not now; the text says why, the number after how many seconds to try again.
    Unavailable(&'static str, u32),
    /// The database refuses the context.
    Refused(String),
    /// The key stands for another request, made as this task.
    KeyTaken(Uuid),
}

type Answer = Result<Created, CreateError>;
type Request = (NewTask, oneshot::Sender<Answer>);

/// The way to the lane.
#[derive(Debug, Clone)]
pub struct CreateLane {
    requests: mpsc::Sender<Request>,
}

impl CreateLane {
    /// Creates a task, durably when it returns.
    ///
    /// # Errors
    /// See [`CreateError`].
    pub async fn create(&self, task: NewTask) -> Answer {
        let (answer, answered) = oneshot::channel();
        match self.requests.try_send((task, answer)) {
            Ok(()) => answered.await.unwrap_or(Err(AWAY)),
            Err(mpsc::error::TrySendError::Full(_)) => Err(FULL),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(ENDING),
        }
    }
}

const AWAY: CreateError = CreateError::Unavailable("the database can't answer now; try again", 1);
const FULL: CreateError =
    CreateError::Unavailable("the backlog of unfinished tasks is full; try again later", 1);
const ENDING: CreateError =
    CreateError::Unavailable("this orchestrator is ending; try again, or another one", 1);

/// The lane's own things.
pub(super) struct Creating {
    pub(super) messaging: Arc<dyn MessagingService>,
    pub(super) database: Lane,
    pub(super) batch_max: usize,
    pub(super) backlog: Backlog,
    pub(super) waiters: Arc<Waiters>,
    pub(super) alarm: Arc<Alarm>,
    pub(super) metrics: OrchestratorMetrics,
    pub(super) traces: Traces,
}

impl Creating {
    /// Starts the lane; it ends when all its [`CreateLane`]s are gone and nothing is left.
    pub(super) fn start(mut self) -> (CreateLane, tokio::task::JoinHandle<()>) {
        let (requests, mut waiting) = mpsc::channel(WAITING_MAX);
        let lane = tokio::spawn(async move {
            let mut batch: Vec<Request> = Vec::new();
            while waiting.recv_many(&mut batch, self.batch_max).await > 0 {
                self.create(&mut batch).await;
            }
        });
        (CreateLane { requests }, lane)
    }

    async fn create(&mut self, batch: &mut Vec<Request>) {
        let admitted = self.backlog.admit(batch.len(), &mut self.database).await;
        for (_, refused) in batch.drain(admitted.min(batch.len())..) {
            let _ = refused.send(Err(FULL)); // the request may be gone
        }
        if batch.is_empty() {
            return;
        }
        let (tasks, answers): (Vec<NewTask>, Vec<_>) = batch.drain(..).unzip();
        self.waiters.expect(tasks.iter().map(|task| task.task_uuid));
        let made = self.insert(&tasks).await;
        let in_vain = tasks.iter().zip(&made).filter(|(_, made)| !matches!(made, Ok(it) if it.new));
        self.waiters.wake(in_vain.map(|(task, _)| task.task_uuid));
        for (answer, created) in answers.into_iter().zip(made) {
            let _ = answer.send(created); // the request may be gone
        }
    }

    /// One statement for all; one each when a context among them is refused.
    async fn insert(&mut self, tasks: &[NewTask]) -> Vec<Answer> {
        match self.insert_batch(tasks).await {
            Ok(answers) => answers,
            Err(refused) if is_data_error(&refused) && tasks.len() == 1 => {
                let why = refused.as_database_error().map_or("", |error| error.message());
                vec![Err(CreateError::Refused(why.to_owned()))]
            }
            Err(refused) if is_data_error(&refused) => {
                let mut answers = Vec::new();
                for task in tasks {
                    answers.extend(Box::pin(self.insert(std::slice::from_ref(task))).await);
                }
                answers
            }
            Err(error) => {
                warn!(%error, tasks = tasks.len(), "tasks can't be created");
                self.database.reset();
                tasks.iter().map(|_| Err(AWAY)).collect()
            }
        }
    }

    async fn insert_batch(&mut self, tasks: &[NewTask]) -> Result<Vec<Answer>, sqlx::Error> {
        let begun = Instant::now();
        let row = sqlx::query(include_str!("../../sql/create_tasks.sql"))
            .bind(self.messaging.broker().name())
            .bind(tasks.iter().map(|task| task.task_uuid).collect::<Vec<_>>())
            .bind(tasks.iter().map(|task| task.template_id).collect::<Vec<_>>())
            .bind(tasks.iter().map(|task| task.namespace.as_str()).collect::<Vec<_>>())
            .bind(tasks.iter().map(|task| task.context.as_str()).collect::<Vec<_>>())
            .bind(tasks.iter().map(|task| task.idempotency_key.as_deref()).collect::<Vec<_>>())
            .bind(tasks.iter().map(|task| task.version_asked).collect::<Vec<_>>())
            .bind(tasks.iter().map(|task| task.priority).collect::<Vec<_>>())
            .bind(tasks.iter().map(|task| task.delay_ms).collect::<Vec<_>>())
            .bind(tasks.iter().map(|task| task.deadline_ms).collect::<Vec<_>>())
            .fetch_one(self.database.connection().await?)
            .await?;
        failpoint("orchestrator_after_create_commit");
        self.messaging.publish(Outgoing::from_row(&row)?).await;
        let task_uuids: Vec<Uuid> = row.try_get("task_uuids")?;
        let states: Vec<String> = row.try_get("states")?;
        let created: Vec<bool> = row.try_get("created")?;
        let same: Vec<bool> = row.try_get("same_request")?;
        let new = created.iter().filter(|new| **new).count();
        let made = task_uuids.iter().zip(&created).filter(|(_, new)| **new);
        self.traces.created(made.map(|(task_uuid, _)| *task_uuid), begun);
        for ms in tasks.iter().flat_map(|task| [task.delay_ms, task.deadline_ms]).flatten() {
            self.alarm.within(Duration::from_millis(ms.unsigned_abs()));
        }
        self.metrics.created(new);
        self.backlog.created(new);
        let answers = task_uuids.into_iter().zip(states).zip(created.into_iter().zip(same));
        Ok(answers
            .map(|((task_uuid, state), (new, same))| match (new, same) {
                (false, false) => Err(CreateError::KeyTaken(task_uuid)),
                _ => Ok(Created { task_uuid, state, new }),
            })
            .collect())
    }
}

/// How many more tasks may be created: the unfinished ones are counted at most once a second, and
/// what this orchestrator has created since is added.
#[derive(Debug)]
pub(super) struct Backlog {
    max: i64,
    counted: i64,
    since: i64,
    at: Option<Instant>,
}

impl Backlog {
    pub(super) fn new(max: u32) -> Self {
        Self { max: max.into(), counted: 0, since: 0, at: None }
    }

    /// How many of `wanted` may be created now.
    async fn admit(&mut self, wanted: usize, database: &mut Lane) -> usize {
        if self.at.is_none_or(|at| at.elapsed() > COUNT_AGE_MAX)
            && let Ok(connection) = database.connection().await
        {
            let counted = sqlx::query_scalar(include_str!("../../sql/count_unfinished.sql"))
                .bind(self.max)
                .fetch_one(connection)
                .await;
            match counted {
                Ok(counted) => {
                    (self.counted, self.since, self.at) = (counted, 0, Some(Instant::now()));
                }
                Err(error) => {
                    warn!(%error, "unfinished tasks can't be counted");
                    database.reset();
                }
            }
        }
        let room = self.max - self.counted - self.since;
        usize::try_from(room).unwrap_or(0).min(wanted)
    }

    fn created(&mut self, new: usize) {
        self.since += i64::try_from(new).expect("a batch is small");
    }
}
