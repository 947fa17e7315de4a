//! Who waits for which task's end, and the calls that wake them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::calls::Calls;

/// A request that waits for a task's end.
#[derive(Debug)]
pub struct Waiting {
    unfinished: bool,
    woken: oneshot::Receiver<()>,
    task_uuid: Uuid,
    waiters: Arc<Waiters>,
}

impl Waiting {
    /// Whether the task had not ended for certain when this was registered, so that a look can wait
    /// for [`Waiting::woken`].
    pub fn is_unfinished(&self) -> bool {
        self.unfinished
    }

    /// Returns when the task has ended, or may have.
    pub async fn woken(&mut self) {
        let _ = (&mut self.woken).await; // dropped or sent: look either way
    }
}

impl Drop for Waiting {
    /// Most requests register once more before the look that answers them: nobody would call for
    /// these, and their entries would stay.
    fn drop(&mut self) {
        self.woken.close();
        let mut by_task = self.waiters.by_task.lock().expect("no holder panics");
        if let Some(entry) = by_task.get_mut(&self.task_uuid) {
            entry.waiting.retain(|wake| !wake.is_closed());
            if entry.waiting.is_empty() && !entry.unfinished {
                by_task.remove(&self.task_uuid);
            }
        }
    }
}

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
    /// Registers now, for as long as the answer lives.
    pub fn register(self: &Arc<Self>, task_uuid: Uuid) -> Waiting {
        let (wake, woken) = oneshot::channel();
        let mut by_task = self.by_task.lock().expect("no holder panics");
        let entry = by_task.entry(task_uuid).or_default();
        entry.waiting.push(wake);
        Waiting { unfinished: entry.unfinished, woken, task_uuid, waiters: Arc::clone(self) }
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
}

/// Some orchestrator has brought tasks to their end; the payload is their ids, comma-separated.
impl Calls for Waiters {
    fn channel(&self) -> &'static str {
        "stepmark_finished"
    }

    fn hear(&self, payload: &str) {
        self.wake(payload.split(',').filter_map(|id| id.parse().ok()));
    }

    /// Wakes everybody to look for themselves.
    fn missed(&self) {
        self.by_task.lock().expect("no holder panics").clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn known(waiters: &Waiters) -> usize {
        waiters.by_task.lock().unwrap().len()
    }

    #[tokio::test]
    async fn nothing_is_left_of_those_who_were_answered_or_have_gone() {
        let waiters = Arc::new(Waiters::default());
        for _ in 0..100 {
            let task = Uuid::new_v4();
            waiters.expect([task]);
            let mut first = waiters.register(task);
            assert!(first.is_unfinished());
            waiters.hear(&task.to_string());
            first.woken().await;
            let looks = waiters.register(task);
            assert!(!looks.is_unfinished());
            drop((first, looks));
            drop(waiters.register(Uuid::new_v4())); // of a task that there is not
        }
        assert_eq!(known(&waiters), 0);
    }

    #[tokio::test]
    async fn who_goes_takes_nobody_else_along() {
        let waiters = Arc::new(Waiters::default());
        let task = Uuid::new_v4();
        waiters.expect([task]);
        let (gone, mut stays) = (waiters.register(task), waiters.register(task));
        drop(gone);
        assert!(waiters.register(task).is_unfinished(), "what is known of the task stays known");
        waiters.wake([task]);
        stays.woken().await;
        drop(stays);
        assert_eq!(known(&waiters), 0);
    }
}
