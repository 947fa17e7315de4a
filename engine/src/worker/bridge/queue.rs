//! What the host is told, one event after the other.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};

/// Called, from a thread of the core, when there is something to take.
pub type Wake = Box<dyn Fn() + Send + Sync>;

/// An event, and what is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The event, as JSON.
    pub event: String,
    /// Threads that go on waiting for the next event. With none, the host needs another one.
    pub waiting: usize,
}

/// Events in order. There are never more than a few for each handler that may run.
pub(super) struct EventQueue {
    state: Mutex<State>,
    arrived: Condvar,
    wake: Option<Wake>,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<String>,
    waiting: usize,
    ended: bool,
}

impl EventQueue {
    pub(super) fn new(wake: Option<Wake>) -> Self {
        Self { state: Mutex::default(), arrived: Condvar::new(), wake }
    }

    pub(super) fn push(&self, event: String) {
        self.state().events.push_back(event);
        self.arrived.notify_one();
        self.call();
    }

    /// There will be no more; what is left is nobody's.
    pub(super) fn end(&self) {
        self.state().ended = true;
        self.arrived.notify_all();
        self.call();
    }

    /// Waits for an event, until there will be no more or `given_up` is set and `nudge` called.
    pub(super) fn take(&self, given_up: &AtomicBool) -> Option<Taken> {
        let mut state = self.state();
        loop {
            if state.ended {
                return None;
            }
            if let Some(event) = state.events.pop_front() {
                return Some(Taken { event, waiting: state.waiting });
            }
            if given_up.load(Ordering::Relaxed) {
                return None;
            }
            state.waiting += 1;
            state = self.arrived.wait(state).expect("no holder panics");
            state.waiting -= 1;
        }
    }

    pub(super) fn try_take(&self) -> Option<Taken> {
        let mut state = self.state();
        let event = state.events.pop_front()?;
        Some(Taken { event, waiting: state.waiting })
    }

    /// Has those that wait look whether they still have to.
    pub(super) fn nudge(&self) {
        let _state = self.state(); // or one that is about to wait would miss it
        self.arrived.notify_all();
    }

    fn call(&self) {
        if let Some(wake) = &self.wake {
            wake();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

impl fmt::Debug for EventQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventQueue").field("state", &self.state).finish_non_exhaustive()
    }
}
