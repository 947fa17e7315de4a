//! The claiming lane: takes dispatch messages, claims their steps, starts their handlers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::Row;
use sqlx::postgres::PgRow;
use stepmark_workflow::{RetryPolicy, StepType};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use super::WorkerConfig;
use super::breaker::{Breaker, BreakerState};
use super::complete::Together;
use super::flight::Flight;
use super::interrupts::Interrupts;
use super::step::{Desk, DeskEngine, Step};
use super::suspects::Suspects;
use crate::database::Pause;
use crate::messaging::{
    MessagingError, MessagingService, Phase, Queue, Source, SourceQueue, Statement, StepId,
};
use crate::traces::{Attempt, Traces};

/// A step that this worker holds, until its lease expires.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) step_id: StepId,
    pub(super) claim_token: Uuid,
    pub(super) retry: RetryPolicy,
    /// It is held back until it can run alone: leases on it have expired before.
    pub(super) is_suspect: bool,
    pub(super) together: Arc<Together>,
    /// For its spans, if there are any.
    pub(super) traced: Option<Attempt>,
    pub(super) step: Step,
}

impl Claim {
    fn read(
        row: &PgRow,
        together: &Arc<Together>,
        engine: &DeskEngine,
        traces: &Traces,
        begun: Instant,
    ) -> Result<Self, sqlx::Error> {
        let unsigned = |column| Ok::<_, sqlx::Error>(row.try_get::<i64, _>(column)?.unsigned_abs());
        let max_attempts: i32 = row.try_get("max_attempts")?;
        let (step_id, claim_token) = (row.try_get("step_id")?, row.try_get("claim_token")?);
        let (task_uuid, attempt) = (row.try_get("task_uuid")?, row.try_get("attempt")?);
        let step_type: &str = row.try_get("type")?;
        let step_type = StepType::ALL.iter().find(|known| known.name() == step_type);
        Ok(Self {
            step_id,
            claim_token,
            is_suspect: row.try_get("is_held_back")?,
            together: Arc::clone(together),
            traced: traces.claimed(task_uuid, step_id, attempt, begun),
            retry: RetryPolicy {
                max_attempts: max_attempts.unsigned_abs(),
                backoff_initial_ms: unsigned("backoff_initial_ms")?,
                backoff_max_ms: unsigned("backoff_max_ms")?,
            },
            step: Step {
                task_uuid,
                namespace: row.try_get("namespace")?,
                name: row.try_get("step")?,
                step_type: *step_type.expect("the database's types are those of the code"),
                handler: row.try_get("handler")?,
                attempt,
                max_attempts,
                timeout: Duration::from_millis(unsigned("timeout_ms")?),
                context: row.try_get("context")?,
                parent_results: row
                    .try_get::<Option<String>, _>("parent_results")?
                    .unwrap_or_else(|| "{}".to_owned()),
                input: row.try_get("input")?,
                checkpoint: row.try_get("checkpoint")?,
                parents_failed: row.try_get("parents_failed")?,
                desk: Desk {
                    step_id,
                    claim_token,
                    told: CancellationToken::new(),
                    engine: engine.clone(),
                },
            },
        })
    }
}

/// Enqueued → InProgress.
pub(super) struct Claiming {
    worker: String,
    lease_ms: i64,
}

impl Claiming {
    pub(super) fn new(config: &WorkerConfig) -> Self {
        let worker = config.engine.instance.clone();
        Self { worker, lease_ms: config.lease_ms.into() }
    }
}

impl Phase for Claiming {
    fn taking<'a>(&'a self, namespaces: &'a [String], max: i32) -> Statement<'a> {
        sqlx::query(include_str!("../../sql/claim_taken.sql"))
            .bind(namespaces)
            .bind(max)
            .bind(&self.worker)
            .bind(self.lease_ms)
    }

    fn delivered(&self, steps: &[StepId]) -> Statement<'_> {
        sqlx::query(include_str!("../../sql/claim_delivered.sql"))
            .bind(steps.to_vec())
            .bind(&self.worker)
            .bind(self.lease_ms)
    }
}

/// The lane's own things.
pub(super) struct ClaimLane {
    pub(super) config: WorkerConfig,
    pub(super) claiming: Claiming,
    pub(super) namespaces: Vec<String>,
    pub(super) messaging: Arc<dyn MessagingService>,
    pub(super) interrupts: Arc<Interrupts>,
    pub(super) breaker: Arc<Breaker>,
    pub(super) engine: DeskEngine,
    pub(super) flight: Flight,
    pub(super) suspects: Suspects,
    pub(super) traces: Traces,
}

impl ClaimLane {
    /// Claims and starts steps until the shutdown begins.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let slots = Arc::new(Semaphore::new(self.config.concurrency as usize));
        let mut queue = None;
        let mut pause = Pause::default();
        while !shutdown.is_cancelled() {
            let round = self.round(&mut queue, &slots, &shutdown).await;
            match round {
                Ok(()) => pause = Pause::default(),
                Err(error) => {
                    warn!(%error, "steps can't be claimed; trying again");
                    queue = None;
                    pause.wait().await;
                }
            }
        }
    }

    /// Waits for free slots and messages, and starts what there is.
    async fn round(
        &mut self,
        queue: &mut Option<Box<dyn Queue>>,
        slots: &Arc<Semaphore>,
        shutdown: &CancellationToken,
    ) -> Result<(), MessagingError> {
        if let BreakerState::Open(left) = self.breaker.state() {
            // The broker gives others what it has delivered here.
            *queue = None;
            shutdown.run_until_cancelled(tokio::time::sleep(left)).await;
            return Ok(());
        }
        let queue = match queue {
            Some(queue) => queue,
            None => {
                let source = Source {
                    queue: SourceQueue::Dispatches(self.namespaces.clone()),
                    calls: Arc::clone(&self.interrupts) as _,
                };
                let prefetch = u16::try_from(self.config.concurrency).unwrap_or(u16::MAX);
                // It waits for a broker that is away, for as long as that takes.
                let opening = shutdown.run_until_cancelled(self.messaging.open(source, prefetch));
                let Some(opened) = opening.await else {
                    return Ok(());
                };
                queue.insert(opened?)
            }
        };
        let sweep = self.config.engine.sweep();
        let Some(waited) = shutdown.run_until_cancelled(queue.wait(sweep)).await else {
            return Ok(());
        };
        waited?;
        while self.breaker.should_allow() {
            let one_to_see = self.breaker.state() == BreakerState::HalfOpen;
            // Handlers that hold all slots must be told when their claims end.
            let mut permits = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                slot = Arc::clone(slots).acquire_owned() => {
                    slot.expect("the semaphore is never closed")
                }
                error = queue.hear() => return Err(error),
            };
            let more = slots.available_permits().min(self.config.engine.batch_max as usize - 1);
            let more = if one_to_see { 0 } else { more };
            if let Ok(others) = Arc::clone(slots).try_acquire_many_owned(clamp_u32(more)) {
                permits.merge(others);
            }
            // From here to the start of the handlers nothing may be cut short: what is claimed
            // and not started stays idle until its lease expires.
            let max = permits.num_permits();
            let begun = Instant::now();
            let rows = queue.act(&self.claiming, max).await?;
            let together = Together::new(rows.len());
            let read = |row| Claim::read(row, &together, &self.engine, &self.traces, begun);
            let claims = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
            let queue_empty = claims.len() < max;
            self.start(claims, permits);
            if queue_empty {
                return Ok(());
            }
            if one_to_see {
                tokio::select! {
                    () = self.breaker.decided.notified() => {}
                    () = shutdown.cancelled() => {}
                    error = queue.hear() => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn start(&self, claims: Vec<Claim>, mut permits: OwnedSemaphorePermit) {
        for claim in claims {
            let permit = permits.split(1).expect("no more is claimed than there are permits");
            match claim.is_suspect {
                false => self.flight.start(claim, permit),
                true => self.suspects.start(claim, permit),
            }
        }
    }
}

fn clamp_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
