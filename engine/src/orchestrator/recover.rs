//! The recovering lane: due retries, delayed starts and deadlines, attempts whose time is over,
//! messages left unconfirmed. It sleeps until the next of these is due, and looks for what nobody
//! has told it of at each sweep.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::Row;
use sqlx::postgres::PgRow;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use super::metrics::OrchestratorMetrics;
use crate::config::EngineConfig;
use crate::database::Lane;
use crate::messaging::{MessagingService, Outgoing};
use crate::waiters::Waiters;

/// Most tasks that one statement moves on.
const TASKS_MAX: i32 = 1_000;

/// Wakes the lane in time for what is due.
#[derive(Debug, Default)]
pub struct Alarm {
    due: Mutex<Option<Instant>>,
    set: Notify,
}

impl Alarm {
    /// Something is due within this time.
    pub fn within(&self, time: Duration) {
        let due = Instant::now() + time;
        let mut earliest = self.due.lock().expect("no holder panics");
        if earliest.is_none_or(|earliest| due < earliest) {
            *earliest = Some(due);
            self.set.notify_one();
        }
    }

    /// Waits until something is due, and at most until `latest`.
    async fn ring(&self, latest: Instant) {
        loop {
            let due = self.due.lock().expect("no holder panics").unwrap_or(latest).min(latest);
            tokio::select! {
                () = tokio::time::sleep_until(due) => break,
                () = self.set.notified() => {}
            }
        }
        *self.due.lock().expect("no holder panics") = None;
    }
}

/// The lane's own things.
pub(super) struct RecoverLane {
    pub(super) config: EngineConfig,
    pub(super) lease_expiries_max: u32,
    pub(super) messaging: Arc<dyn MessagingService>,
    pub(super) database: Lane,
    pub(super) waiters: Arc<Waiters>,
    pub(super) alarm: Arc<Alarm>,
    pub(super) metrics: OrchestratorMetrics,
}

impl RecoverLane {
    /// Recovers until the shutdown begins.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let mut rescue_at = Instant::now();
        while !shutdown.is_cancelled() {
            // The look for attempts whose time is over goes through everything that runs: it is
            // made at the sweeps, and when one is known to be due.
            let rescues = rescue_at <= Instant::now();
            if rescues {
                rescue_at = Instant::now() + self.config.sweep();
            }
            let next_rescue = self.recover(rescues).await.unwrap_or_else(|error| {
                warn!(%error, "a sweep failed; trying again at the next");
                self.database.reset();
                None
            });
            if let Some(within) = next_rescue {
                rescue_at = rescue_at.min(Instant::now() + within);
            }
            if rescues {
                self.messaging.tend().await;
            }
            shutdown.run_until_cancelled(self.alarm.ring(rescue_at)).await;
        }
    }

    /// Does what is due; gives the time until an attempt's time is over, if that is known.
    async fn recover(&mut self, rescues: bool) -> Result<Option<Duration>, sqlx::Error> {
        let broker = self.messaging.broker().name();
        let row = sqlx::query(include_str!("../../sql/run_due_tasks.sql"))
            .bind(broker)
            .bind(TASKS_MAX)
            .fetch_one(self.database.connection().await?)
            .await?;
        self.tell(&row).await?;
        self.set_alarm(&row)?;
        if row.try_get("is_resuming")? {
            self.resume().await?;
        }
        let row = sqlx::query(include_str!("../../sql/retry_steps.sql"))
            .bind(broker)
            .bind(TASKS_MAX)
            .fetch_one(self.database.connection().await?)
            .await?;
        self.messaging.publish(Outgoing::from_row(&row)?).await;
        self.metrics.recovered("retry due", &row, "steps_retried")?;
        self.set_alarm(&row)?;
        if !rescues {
            return Ok(None);
        }
        let row = sqlx::query(include_str!("../../sql/rescue_steps.sql"))
            .bind(broker)
            .bind(i32::try_from(self.lease_expiries_max).unwrap_or(i32::MAX))
            .bind(TASKS_MAX)
            .fetch_one(self.database.connection().await?)
            .await?;
        self.tell(&row).await?;
        let (expired, late): (i32, i32) =
            (row.try_get("leases_expired")?, row.try_get("steps_timed_out")?);
        if expired + late > 0 {
            info!(leases_expired = expired, timed_out = late, "attempts are given up");
        }
        self.metrics.recovered("lease expired", &row, "leases_expired")?;
        self.metrics.recovered("too many expiries", &row, "steps_failed")?;
        self.metrics.recovered("timed out", &row, "steps_timed_out")?;
        if row.try_get("again")? {
            return Ok(Some(Duration::ZERO));
        }
        let next: Option<i64> = row.try_get("next_due_ms")?;
        Ok(next.map(|ms| Duration::from_millis(ms.unsigned_abs())))
    }

    /// Publishes what was sent, and wakes who waits for a task that has ended.
    async fn tell(&self, row: &PgRow) -> Result<(), sqlx::Error> {
        self.messaging.publish(Outgoing::from_row(row)?).await;
        if let Some(finished) = row.try_get::<Option<Vec<Uuid>>, _>("tasks_finished")? {
            self.metrics.finished(finished.len());
            self.waiters.wake(finished);
        }
        Ok(())
    }

    fn set_alarm(&self, row: &PgRow) -> Result<(), sqlx::Error> {
        if let Some(ms) = row.try_get::<Option<i64>, _>("next_due_ms")? {
            self.alarm.within(Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
        }
        Ok(())
    }

    /// Ends the resuming of namespaces that somebody has begun and not ended.
    async fn resume(&mut self) -> Result<(), sqlx::Error> {
        let messages: i64 = sqlx::query_scalar(include_str!("../../sql/namespaces_resume.sql"))
            .bind(self.messaging.broker().name())
            .fetch_one(self.database.connection().await?)
            .await?;
        info!(messages, "namespaces are resumed");
        self.messaging.tend().await;
        Ok(())
    }
}
