//! Who waits for which task's end, and the calls that wake them.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use crate::database::Pause;
use crate::messaging::pgmq_listener;

/// The waiting requests of this orchestrator, by task.
#[derive(Debug, Default)]
pub struct Waiters {
    by_task: Mutex<HashMap<Uuid, Vec<oneshot::Sender<()>>>>,
}

impl Waiters {
    /// Registers now; the future ends when the task has ended, or may have.
    pub fn register(&self, task_uuid: Uuid) -> impl Future<Output = ()> + use<> {
        let (wake, woken) = oneshot::channel();
        let mut by_task = self.by_task.lock().expect("no holder panics");
        let waiting = by_task.entry(task_uuid).or_default();
        waiting.retain(|other| !other.is_closed()); // those whose request is gone
        waiting.push(wake);
        async move {
            let _ = woken.await; // dropped or sent: look either way
        }
    }

    /// Wakes those who wait for one of these tasks.
    pub fn wake(&self, task_uuids: impl IntoIterator<Item = Uuid>) {
        let mut by_task = self.by_task.lock().expect("no holder panics");
        for task_uuid in task_uuids {
            by_task.remove(&task_uuid); // dropping the senders wakes
        }
    }

    /// Wakes everybody, after calls may have been missed.
    fn wake_all(&self) {
        self.by_task.lock().expect("no holder panics").clear();
    }

    /// Forgets requests that have gone away.
    fn sweep(&self) {
        self.by_task
            .lock()
            .expect("no holder panics")
            .retain(|_, waiting| {
                waiting.retain(|other| !other.is_closed());
                !waiting.is_empty()
            });
    }

    /// Hears of tasks that any orchestrator has brought to their end.
    pub(super) async fn listen(
        self: Arc<Self>,
        options: PgConnectOptions,
        sweep: Duration,
        shutdown: CancellationToken,
    ) {
        let mut pause = Pause::default();
        while !shutdown.is_cancelled() {
            let heard = shutdown
                .run_until_cancelled(self.hear(&options, sweep))
                .await;
            if let Some(Err(error)) = heard {
                warn!(%error, "ends of tasks can't be heard; trying again");
                self.wake_all(); // they look for themselves
                pause.wait().await;
            }
        }
    }

    async fn hear(&self, options: &PgConnectOptions, sweep: Duration) -> Result<(), sqlx::Error> {
        let mut listener = pgmq_listener(options, "stepmark_finished").await?;
        self.wake_all();
        loop {
            match tokio::time::timeout(sweep, listener.try_recv()).await {
                Ok(Ok(Some(call))) => {
                    self.wake(call.payload().split(',').filter_map(|id| id.parse().ok()));
                }
                Ok(Ok(None)) => self.wake_all(), // the connection was lost, and calls with it
                Ok(Err(error)) => return Err(error),
                Err(_) => self.sweep(),
            }
        }
    }
}
