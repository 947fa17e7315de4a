//! The worker core for Ruby: the [`Bridge`] as an object of Ruby, and the waiting.
//!
//! Whatever may wait does so without Ruby's lock (the GVL), so that its other threads go on. A
//! thread that Ruby wants back meanwhile, for a signal, `Thread#raise` or the end of the process,
//! is told to give up, sees to what Ruby wants, and waits again.

mod waiting;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use magnus::{
    Error, ExceptionClass, IntoValue, RModule, Ruby, Value, function, method, prelude::*,
};
use stepmark_engine::worker::HeartbeatError;
use stepmark_engine::worker::bridge::{self, Bridge};

use self::waiting::wait_without_lock;

/// `Stepmark::Native::Bridge`.
#[magnus::wrap(class = "Stepmark::Native::Bridge", free_immediately)]
struct Host(Arc<Bridge>);

/// Namespaces with names.
type Handlers = Vec<(String, String)>;

impl Host {
    /// A bridge, or the exit code of a program that has nothing more to do.
    fn start(ruby: &Ruby, handlers: Handlers, arguments: Vec<String>) -> Value {
        match Bridge::start(&handlers, arguments, None) {
            Ok(bridge) => Self(bridge).into_value_with(ruby),
            Err(exit_code) => exit_code.into_value_with(ruby),
        }
    }

    fn run_task(handlers: Handlers, template: String, context: String) -> Self {
        Self(Bridge::run_task(&handlers, Path::new(&template), &context, None))
    }

    fn check_scenario(
        handlers: Handlers,
        scenario: String,
        templates: String,
        namespace: Option<String>,
    ) -> Self {
        let (scenario, templates) = (Path::new(&scenario), Path::new(&templates));
        Self(Bridge::check_scenario(&handlers, scenario, templates, namespace.as_deref(), None))
    }

    /// The next event and how many threads go on waiting; nil once the worker has ended.
    fn take(ruby: &Ruby, this: &Self) -> Result<Option<(String, usize)>, Error> {
        let taken = wait_without_lock(ruby, &this.0, |given_up| this.0.take_unless(given_up))?;
        Ok(taken.map(|taken| (taken.event, taken.waiting)))
    }

    fn answer(&self, call: u64, answer: String, handler_ns: u64, serialisation_ns: u64) {
        let (handler, serialisation) =
            (Duration::from_nanos(handler_ns), Duration::from_nanos(serialisation_ns));
        self.0.answer(call, &answer, handler, serialisation);
    }

    fn heartbeat(
        ruby: &Ruby,
        this: &Self,
        call: u64,
        checkpoint: Option<String>,
    ) -> Result<(), Error> {
        let beat = |_: &_| Some(this.0.heartbeat(call, checkpoint.as_deref()));
        let beaten = wait_without_lock(ruby, &this.0, beat)?;
        beaten.unwrap_or(Ok(())).map_err(|error| raised(ruby, &error))
    }

    fn parent_failures(ruby: &Ruby, this: &Self, call: u64) -> Result<Option<String>, Error> {
        let read = |_: &_| Some(this.0.parent_failures(call));
        let failures = wait_without_lock(ruby, &this.0, read)?;
        failures.transpose().map_err(|error| raised(ruby, &error))
    }

    fn is_interrupted(&self, call: u64) -> bool {
        self.0.is_interrupted(call)
    }

    fn concurrency(&self) -> u32 {
        self.0.concurrency()
    }

    fn stop(&self) {
        self.0.stop();
    }

    /// The exit code. It is taken with Ruby's lock: while a handler holds that for ever, nobody
    /// takes it, and the core ends the process.
    fn wait(ruby: &Ruby, this: &Self) -> Result<u8, Error> {
        wait_without_lock(ruby, &this.0, |given_up| this.0.ended_unless(given_up).then_some(()))?;
        Ok(this.0.wait())
    }

    /// Whether a test has come to its end, and what it was about or what is wrong.
    fn verdict(ruby: &Ruby, this: &Self) -> Result<(bool, String), Error> {
        Self::wait(ruby, this)?;
        Ok(match this.0.verdict() {
            Ok(text) => (true, text),
            Err(text) => (false, text),
        })
    }
}

/// The exception of Ruby for a heartbeat in vain.
fn raised(ruby: &Ruby, error: &HeartbeatError) -> Error {
    let name = match error {
        HeartbeatError::ClaimEnded => "ClaimEnded",
        HeartbeatError::Away => "Away",
        HeartbeatError::Checkpoint(_) => "CheckpointRefused",
    };
    let stepmark = ruby.define_module("Stepmark"); // or the one that is there
    match stepmark.and_then(|stepmark: RModule| stepmark.const_get::<_, ExceptionClass>(name)) {
        Ok(class) => Error::new(class, error.to_string()),
        Err(error) => error,
    }
}

fn log(level: String, logger: String, message: String) {
    bridge::log(&level, &logger, &message);
}

/// Ruby looks for it under the name of the library's file.
#[magnus::init(name = "libstepmark_ruby")]
fn init(ruby: &Ruby) -> Result<(), Error> {
    let native = ruby.define_module("Stepmark")?.define_module("Native")?;
    native.define_module_function("start", function!(Host::start, 2))?;
    native.define_module_function("run_task", function!(Host::run_task, 3))?;
    native.define_module_function("check_scenario", function!(Host::check_scenario, 4))?;
    native.define_module_function("log", function!(log, 3))?;
    let class = native.define_class("Bridge", ruby.class_object())?;
    class.define_method("take", method!(Host::take, 0))?;
    class.define_method("answer", method!(Host::answer, 4))?;
    class.define_method("heartbeat", method!(Host::heartbeat, 2))?;
    class.define_method("parent_failures", method!(Host::parent_failures, 1))?;
    class.define_method("interrupted?", method!(Host::is_interrupted, 1))?;
    class.define_method("concurrency", method!(Host::concurrency, 0))?;
    class.define_method("stop", method!(Host::stop, 0))?;
    class.define_method("wait", method!(Host::wait, 0))?;
    class.define_method("verdict", method!(Host::verdict, 0))?;
    Ok(())
}
