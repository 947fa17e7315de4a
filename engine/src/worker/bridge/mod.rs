//! The bridge to handlers in other languages, which the bindings are thin layers over.
//!
//! The worker core runs on a thread of its own. The host (a Python, Ruby or JavaScript program)
//! takes [events](document) from the bridge, on as many threads as it likes or whenever it is
//! woken, runs the handler, and [answers](Bridge::answer). Everything crosses as JSON text, once
//! each way. No handler of the host is ever called from a foreign thread.
//!
//! A handler whose time is over and that does not answer within [`OVERRUN_GRACE`] of being told is
//! stuck, and nothing can stop it but the end of its process: the worker drains and ends with
//! [`EXIT_OVERRUN`], for whatever watches over it to start it again.

pub mod document;
mod ends;
mod queue;
mod test;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

pub use self::document::log;
use self::ends::End;
use self::queue::EventQueue;
pub use self::queue::{Taken, Wake};
use super::metrics::{FarSide, WorkerMetrics};
use super::{HeartbeatError, Outcome, Step, Worker};
use crate::{json, program};

/// How long after it has been told that its time is over a handler may still take to answer.
pub const OVERRUN_GRACE: Duration = Duration::from_secs(2);
/// Exit code of a worker that ends because of a handler that doesn't: EX_TEMPFAIL of sysexits.h.
pub const EXIT_OVERRUN: u8 = 75;
/// How long a host whose worker has ended may take to notice, before its process is ended for it.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// A worker whose handlers are in another language.
#[derive(Debug)]
pub struct Bridge {
    queue: EventQueue,
    calls: Mutex<HashMap<u64, Call>>,
    next_call: AtomicU64,
    /// The core's runtime, once it runs.
    core: OnceLock<Handle>,
    lease: OnceLock<Duration>,
    concurrency: AtomicU32,
    metrics: WorkerMetrics,
    /// The host wants the worker to drain.
    stop: CancellationToken,
    condemned: CancellationToken,
    end: End,
    /// What a test has come to.
    verdict: Mutex<Option<Result<String, String>>>,
}

/// A handler at work on the other side.
#[derive(Debug)]
struct Call {
    step: Arc<Step>,
    answer: oneshot::Sender<(Outcome, FarSide)>,
    /// The last heartbeat, or the beginning.
    alive_at: Instant,
}

impl Bridge {
    /// Starts a worker as a program, on a thread of its own: configuration from `arguments` (the
    /// program's name first) and the environment, log on standard error, drained on SIGTERM and
    /// SIGINT. `handlers` are namespaces with names. `wake` is called, from another thread, when
    /// there is something to [take](Bridge::try_take).
    ///
    /// # Errors
    /// An exit code: the arguments are wrong, or ask for something that has been printed.
    pub fn start(
        handlers: &[(String, String)],
        arguments: Vec<String>,
        wake: Option<Wake>,
    ) -> Result<Arc<Self>, u8> {
        let (bridge, worker) = Self::new(handlers, wake);
        let config = worker.configured(arguments)?;
        let lease = Duration::from_millis(config.lease_ms.into());
        bridge.lease.set(lease).expect("nobody else has set it");
        bridge.concurrency.store(config.concurrency, Ordering::Relaxed);
        let core = Arc::clone(&bridge);
        std::thread::spawn(move || {
            let engine = config.engine.clone();
            let exit_code = program::run(&engine, config.threads, |shutdown| {
                let _ = core.core.set(Handle::current()); // set once
                let core = Arc::clone(&core);
                async move {
                    tokio::spawn(core.cancel(shutdown.clone()));
                    worker.run(config, shutdown).await
                }
            });
            core.end_with(exit_code);
            core.end.process_unless_taken(END_PATIENCE);
        });
        Ok(bridge)
    }

    fn new(handlers: &[(String, String)], wake: Option<Wake>) -> (Arc<Self>, Worker) {
        let mut worker = Worker::new();
        let bridge = Arc::new(Self {
            queue: EventQueue::new(wake),
            calls: Mutex::default(),
            next_call: AtomicU64::new(1),
            core: OnceLock::new(),
            lease: OnceLock::new(),
            concurrency: AtomicU32::new(1),
            metrics: worker.metrics.clone(),
            stop: CancellationToken::new(),
            condemned: worker.condemned.clone(),
            end: End::default(),
            verdict: Mutex::default(),
        });
        for (namespace, name) in handlers {
            let bridge = Arc::clone(&bridge);
            worker = worker.handler(namespace, name, move |step| {
                let bridge = Arc::clone(&bridge);
                async move { Ok::<_, super::StepError>(bridge.call(step).await) }
            });
        }
        (bridge, worker)
    }

    /// Takes the next event, a JSON document, as soon as there is one; none once the worker has
    /// ended. To be called from threads of the host that may wait, one for each handler that it
    /// runs at once.
    pub fn take(&self) -> Option<Taken> {
        self.take_unless(&AtomicBool::new(false))
    }

    /// The same for a thread that the host may want back: none also once `given_up` is set and
    /// [`Bridge::nudge`] called.
    pub fn take_unless(&self, given_up: &AtomicBool) -> Option<Taken> {
        self.queue.take(given_up)
    }

    /// Takes an event if there is one.
    pub fn try_take(&self) -> Option<Taken> {
        self.queue.try_take()
    }

    /// What a handler has made of its step: a JSON document, see [`document`]. What it is wrong
    /// about is the step's failure. `handler` and `serialisation` are the times that it took.
    pub fn answer(&self, call: u64, answer: &str, handler: Duration, serialisation: Duration) {
        let begun = Instant::now();
        let outcome = document::outcome(answer);
        let serialisation = serialisation + begun.elapsed();
        if let Some(call) = self.calls().remove(&call) {
            // Closed when the step was given up.
            let _ = call.answer.send((outcome, FarSide { handler, serialisation }));
        }
    }

    /// Tells that the handler is still at work and, where `checkpoint` gives it, how far it has
    /// come (JSON). Waits until that is stored; not for threads that must not wait.
    ///
    /// # Errors
    /// See [`HeartbeatError`].
    pub fn heartbeat(&self, call: u64, checkpoint: Option<&str>) -> Result<(), HeartbeatError> {
        let step = self.step(call)?;
        self.core()?.block_on(self.beat(call, &step, checkpoint))
    }

    /// The same without waiting: an event `answered` tells how it went.
    pub fn heartbeat_later(self: &Arc<Self>, call: u64, checkpoint: Option<String>, request: u64) {
        self.later(request, move |bridge| async move {
            let step = bridge.step(call)?;
            bridge.beat(call, &step, checkpoint.as_deref()).await?;
            Ok(Value::Null)
        });
    }

    /// The errors of the parents that have failed and that this step goes on without, by their
    /// names, as JSON. Waits.
    ///
    /// # Errors
    /// The database is away, or the call is over.
    pub fn parent_failures(&self, call: u64) -> Result<String, HeartbeatError> {
        let step = self.step(call)?;
        let failures = self.core()?.block_on(step.parent_failures())?;
        Ok(serde_json::json!(failures).to_string())
    }

    /// The same without waiting: an event `answered` has them.
    pub fn parent_failures_later(self: &Arc<Self>, call: u64, request: u64) {
        self.later(request, move |bridge| async move {
            let failures = bridge.step(call)?.parent_failures().await?;
            Ok(serde_json::json!(failures))
        });
    }

    /// Whether the step is no longer this handler's, or the call is over.
    pub fn is_interrupted(&self, call: u64) -> bool {
        self.step(call).map_or(true, |step| step.is_interrupted())
    }

    /// Steps that run at once, at most: a host that runs handlers on threads needs no more of them.
    pub fn concurrency(&self) -> u32 {
        self.concurrency.load(Ordering::Relaxed)
    }

    /// Tells the worker to drain, as a signal does.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until the worker has ended. A host whose threads run one at a time gets its turn
    /// between this and [`Bridge::wait`]: a handler may be holding it for ever, and then nobody
    /// takes the exit code.
    pub fn ended(&self) {
        self.ended_unless(&AtomicBool::new(false));
    }

    /// The same for a thread that the host may want back, as [`Bridge::take_unless`]. Returns
    /// whether the worker has ended.
    pub fn ended_unless(&self, given_up: &AtomicBool) -> bool {
        self.end.ended(given_up)
    }

    /// Has the threads that wait look whether they have been given up.
    pub fn nudge(&self) {
        self.queue.nudge();
        self.end.nudge();
    }

    /// Waits until the worker has ended, and returns the exit code for the host's process, which
    /// from now on ends by itself.
    pub fn wait(&self) -> u8 {
        self.end.wait()
    }

    /// The exit code, if the worker has ended; for hosts that must not wait.
    pub fn try_wait(&self) -> Option<u8> {
        self.end.take_now()
    }

    fn core(&self) -> Result<&Handle, HeartbeatError> {
        self.core.get().ok_or(HeartbeatError::Away)
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<u64, Call>> {
        self.calls.lock().expect("no holder panics")
    }

    fn step(&self, call: u64) -> Result<Arc<Step>, HeartbeatError> {
        let step = self.calls().get(&call).map(|call| Arc::clone(&call.step));
        step.ok_or(HeartbeatError::ClaimEnded)
    }

    async fn beat(
        &self,
        call: u64,
        step: &Step,
        checkpoint: Option<&str>,
    ) -> Result<(), HeartbeatError> {
        let refused = |error: serde_json::Error| HeartbeatError::Checkpoint(error.to_string());
        match checkpoint {
            None => step.heartbeat().await?,
            Some(text) => {
                let exact = json::check_integers(text);
                exact.map_err(|error| HeartbeatError::Checkpoint(error.to_string()))?;
                let checkpoint: Box<RawValue> = serde_json::from_str(text).map_err(refused)?;
                step.save_checkpoint(&checkpoint).await?;
            }
        }
        if let Some(call) = self.calls().get_mut(&call) {
            call.alive_at = Instant::now();
        }
        Ok(())
    }

    fn later<F, Fut>(self: &Arc<Self>, request: u64, work: F)
    where
        F: FnOnce(Arc<Self>) -> Fut,
        Fut: Future<Output = Result<Value, HeartbeatError>> + Send + 'static,
    {
        let bridge = Arc::clone(self);
        let work = work(Arc::clone(self));
        match self.core.get() {
            None => self.queue.push(document::answered(request, Err(HeartbeatError::Away))),
            Some(core) => drop(core.spawn(async move {
                let answered = work.await;
                bridge.queue.push(document::answered(request, answered));
            })),
        }
    }

    /// Drains the worker when the host wants it, or because of a stuck handler.
    async fn cancel(self: Arc<Self>, shutdown: CancellationToken) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.condemned.cancelled() => {}
        }
        shutdown.cancel();
    }

    fn end_with(&self, exit_code: u8) {
        let condemned = self.condemned.is_cancelled();
        self.end.set(if condemned { EXIT_OVERRUN } else { exit_code });
        self.queue.end();
    }

    /// Has the host run a step, and waits for its answer.
    async fn call(&self, step: Step) -> Outcome {
        let begun = Instant::now();
        let number = self.next_call.fetch_add(1, Ordering::Relaxed);
        let document = match document::step(number, &step) {
            Ok(document) => document,
            Err(error) => return Outcome::Fail { failure: error.to_string().into() },
        };
        let serialisation = begun.elapsed();
        let step = Arc::new(step);
        let (answer, answered) = oneshot::channel();
        let call = Call { step: Arc::clone(&step), answer, alive_at: begun };
        self.calls().insert(number, call);
        let _over = CallOver { bridge: self, number };
        self.queue.push(document);
        tokio::pin!(answered);
        let answered = tokio::select! {
            biased;
            answered = &mut answered => answered,
            () = step.interrupted() => {
                self.queue.push(document::interrupted(number));
                let Some(in_time) = self.overrun(number, &step, begun, answered).await else {
                    let failure = "the handler did not end when its time was over".into();
                    return Outcome::Retry { failure, after: None }; // stored by nobody
                };
                in_time
            }
        };
        match answered {
            Ok((outcome, spent)) => {
                let serialisation = serialisation + spent.serialisation;
                self.metrics.far_side(FarSide { serialisation, ..spent });
                outcome
            }
            Err(_) => Outcome::Retry { failure: "the handler was given up".into(), after: None },
        }
    }

    /// The answer of a handler whose claim has ended. None when it does not come although its time
    /// is over: the process is condemned then. One whose task was cancelled has what is left of its
    /// time; so has one that is told of its end a little early, by the database's clock.
    async fn overrun<T>(
        &self,
        number: u64,
        step: &Step,
        begun: Instant,
        answered: impl Future<Output = T>,
    ) -> Option<T> {
        let alive_at = self.calls().get(&number).map_or(begun, |call| call.alive_at);
        let lease = self.lease.get().copied().unwrap_or(Duration::MAX);
        let left = step.timeout.saturating_sub(begun.elapsed());
        let left = left.min(lease.saturating_sub(alive_at.elapsed()));
        if let Ok(answer) = tokio::time::timeout(left + OVERRUN_GRACE, answered).await {
            return Some(answer);
        }
        error!(
            task = %step.task_uuid,
            step = step.name,
            handler = step.handler,
            "a handler does not end although its time is over: this process drains and ends, to \
             be started again"
        );
        self.condemned.cancel();
        None
    }
}

/// Forgets a call, however it ends.
struct CallOver<'a> {
    bridge: &'a Bridge,
    number: u64,
}

impl Drop for CallOver<'_> {
    fn drop(&mut self) {
        if self.bridge.calls().remove(&self.number).is_some() {
            warn!(call = self.number, "a handler's answer is no longer waited for");
        }
    }
}
