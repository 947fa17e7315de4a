//! How a worker's process ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// The exit code, once there is one, and whether the host has it.
#[derive(Debug, Default)]
pub(super) struct End {
    state: Mutex<(Option<u8>, bool)>,
    changed: Condvar,
}

impl End {
    pub(super) fn set(&self, exit_code: u8) {
        self.state.lock().expect("no holder panics").0 = Some(exit_code);
        self.changed.notify_all();
    }

    /// Waits until there is an exit code, and leaves it; or until `given_up` is set and `nudge`
    /// called. Returns whether there is one.
    pub(super) fn ended(&self, given_up: &AtomicBool) -> bool {
        let state = self.state.lock().expect("no holder panics");
        let goes_on =
            |state: &mut (Option<u8>, bool)| state.0.is_none() && !given_up.load(Ordering::Relaxed);
        self.changed.wait_while(state, goes_on).expect("no holder panics").0.is_some()
    }

    /// Has those that wait look whether they still have to.
    pub(super) fn nudge(&self) {
        let _state = self.state.lock().expect("no holder panics"); // as in the queue
        self.changed.notify_all();
    }

    /// Waits for the exit code, and takes it.
    pub(super) fn wait(&self) -> u8 {
        let state = self.state.lock().expect("no holder panics");
        let mut state =
            self.changed.wait_while(state, |state| state.0.is_none()).expect("no holder panics");
        state.1 = true;
        self.changed.notify_all();
        state.0.expect("it was waited for")
    }

    /// Ends the process when the host does not take the exit code within `patience`: its thread is
    /// with a handler that doesn't end.
    pub(super) fn process_unless_taken(&self, patience: Duration) {
        let state = self.state.lock().expect("no holder panics");
        let (state, _) = self
            .changed
            .wait_timeout_while(state, patience, |state| !state.1)
            .expect("no holder panics");
        if let (Some(exit_code), false) = *state {
            eprintln!("error: a handler holds the host's thread: its process is ended");
            exit_now(exit_code);
        }
    }

    /// The exit code, if there is one yet.
    pub(super) fn take_now(&self) -> Option<u8> {
        let mut state = self.state.lock().expect("no holder panics");
        state.1 = state.0.is_some();
        self.changed.notify_all();
        state.0
    }
}

/// Without what the host has registered for its end, which may wait for the handler.
#[allow(unsafe_code)]
fn exit_now(exit_code: u8) -> ! {
    // SAFETY: _exit takes any code and only ends the process.
    unsafe { libc::_exit(exit_code.into()) }
}
