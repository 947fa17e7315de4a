//! Who waits for which task's end, and the calls that wake them.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Mutex;

use tokio::sync::oneshot;
use uuid::Uuid;

/// Channel of the calls that tell of ended tasks; the payload is their ids, comma-separated.
pub const CHANNEL: &str = "stepmark_finished";

/// The waiting requests of this orchestrator, by task.
#[derive(Debug, Default)]
pub struct Waiters {
    by_task: Mutex<HashMap<Uuid, Entry>>,
}

#[derive(Debug, Default)]
struct Entry {
    /// The task was created here, and nothing has been heard of its end.
    unfinished: bool,
    waiting: Vec<oneshot::Sender<()>>,
}

impl Waiters {
    /// Registers now; the future ends when the task has ended, or may have. The flag tells that it
    /// has not ended yet for certain, so that a look can wait for the future.
    pub fn register(&self, task_uuid: Uuid) -> (bool, impl Future<Output = ()> + use<>) {
        let (wake, woken) = oneshot::channel();
        let mut by_task = self.by_task.lock().expect("no holder panics");
        let entry = by_task.entry(task_uuid).or_default();
        entry.waiting.retain(|other| !other.is_closed()); // those whose request is gone
        entry.waiting.push(wake);
        let woken = async move {
            let _ = woken.await; // dropped or sent: look either way
        };
        (entry.unfinished, woken)
    }

    /// Tasks are about to be created here; their ends will be heard of, whoever brings them about.
    pub fn expect(&self, task_uuids: impl IntoIterator<Item = Uuid>) {
        let mut by_task = self.by_task.lock().expect("no holder panics");
        for task_uuid in task_uuids {
            by_task.entry(task_uuid).or_default().unfinished = true;
        }
    }

    /// Wakes those who wait for one of these tasks.
    pub fn wake(&self, task_uuids: impl IntoIterator<Item = Uuid>) {
        let mut by_task = self.by_task.lock().expect("no holder panics");
        for task_uuid in task_uuids {
            by_task.remove(&task_uuid); // dropping the senders wakes
        }
    }

    /// Hears a call of [`CHANNEL`]: some orchestrator has brought these tasks to their end.
    pub fn hear(&self, payload: &str) {
        self.wake(payload.split(',').filter_map(|id| id.parse().ok()));
    }

    /// Wakes everybody to look for themselves, after calls may have been missed.
    pub fn wake_all(&self) {
        self.by_task.lock().expect("no holder panics").clear();
    }
}
