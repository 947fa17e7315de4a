//! The recovering lane: due retries, expired leases, messages left unconfirmed. It sleeps until
//! the next retry is due, and looks for the rest at each sweep.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::Row;
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

/// Most tasks that one statement recovers steps of.
const TASKS_MAX: i32 = 1_000;

/// Wakes the lane in time for a retry.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    due: Mutex<Option<Instant>>,
    set: Notify,
}

impl Alarm {
    /// Something is due within this time.
    pub(super) fn within(&self, time: Duration) {
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
        while !shutdown.is_cancelled() {
            let again = self.recover().await.unwrap_or_else(|error| {
                warn!(%error, "a sweep failed; trying again at the next");
                self.database.reset();
                false
            });
            self.messaging.tend().await;
            if !again {
                let latest = Instant::now() + self.config.sweep();
                shutdown.run_until_cancelled(self.alarm.ring(latest)).await;
            }
        }
    }

    /// Recovers up to [`TASKS_MAX`] tasks; true when there may be more.
    async fn recover(&mut self) -> Result<bool, sqlx::Error> {
        let row = sqlx::query(include_str!("../../sql/recover_steps.sql"))
            .bind(self.messaging.broker().name())
            .bind(i32::try_from(self.lease_expiries_max).unwrap_or(i32::MAX))
            .bind(TASKS_MAX)
            .fetch_one(self.database.connection().await?)
            .await?;
        self.messaging.publish(Outgoing::from_row(&row)?).await;
        self.metrics.recovered(&row)?;
        let expired: i32 = row.try_get("leases_expired")?;
        if expired > 0 {
            info!(steps = expired, "leases have expired");
        }
        if let Some(finished) = row.try_get::<Option<Vec<Uuid>>, _>("tasks_finished")? {
            self.metrics.finished(finished.len());
            self.waiters.wake(finished);
        }
        if let Some(ms) = row.try_get::<Option<i64>, _>("next_due_ms")? {
            self.alarm.within(Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
        }
        row.try_get("again")
    }
}
