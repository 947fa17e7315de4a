//! Workflows of one's own, a module each: `stepmark workflow new` adds them.

use stepmark_engine::worker::Worker;

/// Adds the handlers of one workflow to a worker.
type Register = fn(Worker) -> Worker;

const WORKFLOWS: &[Register] = &[
    // New workflows come above this line.
];

/// Registers the handlers of them all.
pub fn register(worker: Worker) -> Worker {
    WORKFLOWS.iter().fold(worker, |worker, register| register(worker))
}
