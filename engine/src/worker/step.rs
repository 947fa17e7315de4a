//! What a handler is given.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::postgres::PgPool;
use stepmark_workflow::{StepType, batch};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::heartbeat::{Heartbeat, HeartbeatError};
use crate::json;
use crate::messaging::StepId;

/// One attempt at a step.
#[derive(Debug)]
pub struct Step {
    /// The task that the step belongs to.
    pub task_uuid: Uuid,
    /// Namespace of the task's template.
    pub namespace: String,
    /// Name of the step in its task.
    pub name: String,
    /// What the step is to its task.
    pub step_type: StepType,
    /// Name of the handler that the template asks for.
    pub handler: String,
    /// Which attempt this is, from 1. An attempt whose lease expired counts once, when repeated.
    pub attempt: i32,
    /// Attempts that the template allows.
    pub max_attempts: i32,
    /// How long this attempt may take, heartbeats or not.
    pub timeout: Duration,
    pub(super) context: String,
    pub(super) parent_results: String,
    pub(super) input: Option<String>,
    pub(super) checkpoint: Option<String>,
    pub(super) parents_failed: i32,
    pub(super) desk: Desk,
}

/// What connects a handler at work with the engine.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) step_id: StepId,
    pub(super) claim_token: Uuid,
    /// Cancelled when the claim has ended.
    pub(super) told: CancellationToken,
    pub(super) engine: DeskEngine,
}

/// The ways of a handler to the engine.
#[derive(Debug, Clone)]
pub(super) enum DeskEngine {
    /// An engine's database.
    Database {
        /// To the lane that stores them.
        heartbeats: mpsc::Sender<Heartbeat>,
        /// For what is read.
        pool: PgPool,
    },
    /// No engine, as in a test.
    Memory(Arc<DeskMemory>),
}

/// What a database would hold of one attempt.
#[derive(Debug, Default)]
pub(super) struct DeskMemory {
    /// The errors of the failed parents, by their names.
    pub(super) failures: BTreeMap<String, Value>,
    /// The checkpoint that this attempt has saved, if any.
    pub(super) checkpoint: Mutex<Option<String>>,
}

impl Step {
    /// The same for every attempt at this step, and for no other step: give it to systems outside
    /// as their idempotency key, because a handler may run more than once.
    #[must_use]
    pub fn idempotency_token(&self) -> String {
        format!("{}/{}", self.task_uuid, self.name)
    }

    /// The task's context, as it was posted.
    ///
    /// # Errors
    /// The context is not of this type.
    pub fn context<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.context)
    }

    /// The results of the steps that this one waited for, by their names. Those that were skipped
    /// or have failed have none.
    ///
    /// # Errors
    /// A result is not of this type.
    pub fn parent_results<T: DeserializeOwned>(
        &self,
    ) -> Result<BTreeMap<String, T>, serde_json::Error> {
        let results: BTreeMap<String, Option<Box<serde_json::value::RawValue>>> =
            serde_json::from_str(&self.parent_results)?;
        let given = results.into_iter().filter_map(|(name, result)| Some((name, result?)));
        given.map(|(name, result)| Ok((name, serde_json::from_str(result.get())?))).collect()
    }

    /// The results of a batch worker's instances, in the order of their batches. None of those that
    /// have failed.
    ///
    /// # Errors
    /// A result is not of this type.
    pub fn batch_results<T: DeserializeOwned>(
        &self,
        worker: &str,
    ) -> Result<Vec<T>, serde_json::Error> {
        let mut results: Vec<_> = self
            .parent_results::<Box<serde_json::value::RawValue>>()?
            .into_iter()
            .filter(|(name, _)| batch::is_instance(name, worker))
            .collect();
        results.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
        results.into_iter().map(|(_, result)| serde_json::from_str(result.get())).collect()
    }

    /// A batch worker's batch, as the batchable step made it.
    ///
    /// # Errors
    /// There is none, or it is not of this type.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.input.as_deref().unwrap_or("null"))
    }

    /// How far an earlier attempt at this step has come, if it said.
    ///
    /// # Errors
    /// The checkpoint is not of this type.
    pub fn checkpoint<T: DeserializeOwned>(&self) -> Result<Option<T>, serde_json::Error> {
        self.checkpoint.as_deref().map(serde_json::from_str).transpose()
    }

    /// The errors of those parents that have failed and that this step goes on without, by their
    /// names: instances of a batch worker whose template says `continue_on_failure`.
    ///
    /// # Errors
    /// The database is away.
    pub async fn parent_failures(&self) -> Result<BTreeMap<String, Value>, HeartbeatError> {
        if self.parents_failed == 0 {
            return Ok(BTreeMap::new());
        }
        let pool = match &self.desk.engine {
            DeskEngine::Database { pool, .. } => pool,
            DeskEngine::Memory(memory) => return Ok(memory.failures.clone()),
        };
        let failures: Option<String> =
            sqlx::query_scalar(include_str!("../../sql/parent_failures.sql"))
                .bind(self.desk.step_id)
                .fetch_one(pool)
                .await
                .map_err(|error| {
                    tracing::warn!(%error, "failures can't be read");
                    HeartbeatError::Away
                })?;
        Ok(serde_json::from_str(failures.as_deref().unwrap_or("{}")).unwrap_or_default())
    }

    /// Tells that this handler is still at work: its lease begins anew, though no further than the
    /// step's time-out. Nobody does so on its behalf: a handler that takes longer than the lease
    /// (`--lease-ms`) and does not call this loses its step.
    ///
    /// # Errors
    /// [`HeartbeatError::ClaimEnded`]: stop; what this handler returns is not stored.
    pub async fn heartbeat(&self) -> Result<(), HeartbeatError> {
        self.beat(None).await
    }

    /// Tells that this handler is still at work, and how far it has come, for an attempt that
    /// follows to go on from there. Durable when it returns.
    ///
    /// # Errors
    /// See [`HeartbeatError`].
    pub async fn save_checkpoint(&self, checkpoint: &impl Serialize) -> Result<(), HeartbeatError> {
        let refused = |error: &dyn fmt::Display| HeartbeatError::Checkpoint(error.to_string());
        let checkpoint = serde_json::to_string(checkpoint).map_err(|error| refused(&error))?;
        json::check(&checkpoint).map_err(|error| refused(&error))?;
        self.beat(Some(checkpoint)).await
    }

    async fn beat(&self, checkpoint: Option<String>) -> Result<(), HeartbeatError> {
        let heartbeats = match &self.desk.engine {
            DeskEngine::Database { heartbeats, .. } => heartbeats,
            DeskEngine::Memory(memory) => {
                if checkpoint.is_some() {
                    *memory.checkpoint.lock().expect("no holder panics") = checkpoint;
                }
                return Ok(());
            }
        };
        let Desk { step_id, claim_token, .. } = self.desk;
        let (answer, answered) = oneshot::channel();
        let heartbeat = Heartbeat { step_id, claim_token, checkpoint, answer };
        heartbeats.send(heartbeat).await.map_err(|_| HeartbeatError::Away)?;
        let told = answered.await.unwrap_or(Err(HeartbeatError::Away));
        if told == Err(HeartbeatError::ClaimEnded) {
            self.desk.told.cancel();
        }
        told
    }

    /// Returns when the step is no longer this handler's: its task was cancelled, or the attempt
    /// has taken too long. Whatever the handler returns then is not stored.
    pub async fn interrupted(&self) {
        self.desk.told.cancelled().await;
    }

    /// Whether the step is no longer this handler's; see [`Step::interrupted`].
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.desk.told.is_cancelled()
    }
}
