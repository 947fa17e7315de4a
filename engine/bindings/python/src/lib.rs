//! The worker core as an extension module of Python: the bridge, method by method.
//!
//! What users see is the package in `stepmark/`; nothing is decided here. Whatever waits lets go of
//! the interpreter first. The core's own threads never call Python.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::{PyException, PySystemExit, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use stepmark_engine::config::VERSION;
use stepmark_engine::worker::HeartbeatError;
use stepmark_engine::worker::bridge;

pyo3::create_exception!(
    _native,
    Refused,
    PyException,
    "What a handler asked of the engine is refused: a word for it, and a message."
);

/// A worker whose handlers are in Python.
#[pyclass(frozen, module = "stepmark._native")]
struct Bridge(Arc<bridge::Bridge>);

#[pymethods]
impl Bridge {
    /// Starts a worker as a program. Raises `SystemExit` where the arguments are wrong, or ask for
    /// something that has been printed.
    #[staticmethod]
    fn start(handlers: Vec<(String, String)>, arguments: Vec<String>) -> PyResult<Self> {
        let started = bridge::Bridge::start(&handlers, arguments, None);
        started.map(Self).map_err(PySystemExit::new_err)
    }

    /// Runs a task in memory.
    #[staticmethod]
    #[allow(clippy::needless_pass_by_value)] // Python's values are taken over
    fn run_task(handlers: Vec<(String, String)>, template: PathBuf, context: PyBackedStr) -> Self {
        Self(bridge::Bridge::run_task(&handlers, &template, &context, None))
    }

    /// Runs a scenario's tasks in memory.
    #[staticmethod]
    #[pyo3(signature = (handlers, scenario, templates, namespace))]
    #[allow(clippy::needless_pass_by_value)] // Python's values are taken over
    fn check_scenario(
        handlers: Vec<(String, String)>,
        scenario: PathBuf,
        templates: PathBuf,
        namespace: Option<String>,
    ) -> Self {
        let namespace = namespace.as_deref();
        Self(bridge::Bridge::check_scenario(&handlers, &scenario, &templates, namespace, None))
    }

    /// The next event, and how many threads go on waiting for one; none once the worker has ended.
    fn take(&self, py: Python<'_>) -> Option<(String, usize)> {
        let taken = py.detach(|| self.0.take())?;
        Some((taken.event, taken.waiting))
    }

    /// What a handler has made of its step, and the times that this took, in ns.
    #[allow(clippy::needless_pass_by_value)] // Python's values are taken over
    fn answer(&self, call: u64, answer: PyBackedStr, handler_ns: u64, serialisation_ns: u64) {
        let (handler, serialisation) =
            (Duration::from_nanos(handler_ns), Duration::from_nanos(serialisation_ns));
        self.0.answer(call, &answer, handler, serialisation);
    }

    /// Waits until the heartbeat is stored. Raises `Refused`.
    #[pyo3(signature = (call, checkpoint))]
    fn heartbeat(&self, py: Python<'_>, call: u64, checkpoint: Option<String>) -> PyResult<()> {
        let told = py.detach(|| self.0.heartbeat(call, checkpoint.as_deref()));
        told.map_err(|error| refused(&error))
    }

    /// The same without waiting: an event `answered` tells how it went.
    #[pyo3(signature = (call, checkpoint, request))]
    fn heartbeat_later(&self, call: u64, checkpoint: Option<String>, request: u64) {
        self.0.heartbeat_later(call, checkpoint, request);
    }

    /// The errors of failed parents, as JSON. Waits. Raises `Refused`.
    fn parent_failures(&self, py: Python<'_>, call: u64) -> PyResult<String> {
        py.detach(|| self.0.parent_failures(call)).map_err(|error| refused(&error))
    }

    /// The same without waiting: an event `answered` has them.
    fn parent_failures_later(&self, call: u64, request: u64) {
        self.0.parent_failures_later(call, request);
    }

    /// Whether the step is no longer its handler's.
    fn is_interrupted(&self, call: u64) -> bool {
        self.0.is_interrupted(call)
    }

    /// Steps that run at once, at most.
    fn concurrency(&self) -> u32 {
        self.0.concurrency()
    }

    /// Tells the worker to drain.
    fn stop(&self) {
        self.0.stop();
    }

    /// Waits until the worker has ended, and gives the exit code for the process.
    fn wait(&self, py: Python<'_>) -> u8 {
        py.detach(|| self.0.ended());
        // Not before the interpreter is ours again, which a handler may be holding.
        self.0.wait()
    }

    /// Waits for the end of a test, and gives what it was about. Raises `ValueError` with what is
    /// wrong.
    fn verdict(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| self.0.verdict()).map_err(PyValueError::new_err)
    }
}

fn refused(error: &HeartbeatError) -> PyErr {
    Refused::new_err((error.kind(), error.to_string()))
}

/// Writes a line into the worker's log.
#[pyfunction]
fn log(py: Python<'_>, level: String, logger: String, message: String) {
    py.detach(|| bridge::log(&level, &logger, &message));
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("VERSION", VERSION)?;
    module.add("Refused", module.py().get_type::<Refused>())?;
    module.add_class::<Bridge>()?;
    module.add_function(wrap_pyfunction!(log, module)?)
}
