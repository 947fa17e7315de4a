//! Load. In a closed loop each client waits for its task before it starts the next; in an open loop
//! tasks begin when they are due, whatever became of those before, and latency counts from then on.

use std::cell::{Cell, RefCell};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::arrivals::Arrivals;
use crate::client::{Client, ClientError, NewTask};
use crate::oracle::Answer;
use crate::scenario::Workflow;
use crate::workload::Inputs;

/// How long a task may take before it counts as unfinished.
pub const TASK_TIMEOUT: Duration = Duration::from_secs(60);

/// Tasks of an open loop that are under way at once, at most: a bound on memory and sockets. Those
/// that are due then begin late, which is part of their latency, and shows.
pub const UNDER_WAY_MAX: usize = 8_192;

/// What load is made of: tasks of one workflow.
#[derive(Debug)]
pub struct Load<'a> {
    /// The client that the tasks are sent through.
    pub client: &'a Client,
    /// The workflow of every task.
    pub workflow: &'a Workflow,
    /// The context of each task, by its number.
    pub inputs: &'a Inputs,
    /// What tells this run's idempotency keys from another's.
    pub run_id: &'a str,
    /// Tasks under way at any moment.
    pub concurrency: usize,
}

/// When a sample was due, begun and over.
#[derive(Debug, Clone, Copy)]
pub struct Timed {
    /// When it had to begin: in a closed loop, when it did.
    pub due: Instant,
    /// When it began.
    pub begun: Instant,
    /// When its last task had ended.
    pub ended: Instant,
}

impl Timed {
    /// From when it was due until its end.
    pub fn latency(&self) -> Duration {
        self.ended - self.due
    }
}

/// How long an open loop was on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Driven {
    /// From when the first sample was due until the last one's end.
    pub busy: Duration,
    /// From when the first sample was due until the last one began.
    pub offering: Duration,
}

/// One task as the client lived it.
#[derive(Debug)]
pub struct Sample {
    /// The task's number in the run.
    pub number: u64,
    /// From before the request was sent until the caller knew the end.
    pub latency: Duration,
    /// The wall clock's time before the request was sent.
    pub begun_at: SystemTime,
    /// The same when the caller knew the end.
    pub ended_at: SystemTime,
    /// Calls that had to be made again.
    pub retries: u32,
    /// The task's identity, once the client was told.
    pub task_uuid: Option<String>,
    /// The terminal answer, or why there is none.
    pub outcome: Result<Answer, LoadError>,
}

/// Why a task has no terminal answer.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A call failed for good.
    #[error(transparent)]
    Call(#[from] ClientError),
    /// The task did not end in time.
    #[error("not finished after {} s{}", TASK_TIMEOUT.as_secs(), last_words(.0))]
    Unfinished(Option<ClientError>),
}

fn last_words(error: &Option<ClientError>) -> String {
    error.as_ref().map(|error| format!(" (last error: {error})")).unwrap_or_default()
}

impl Load<'_> {
    /// Runs the tasks with these numbers to their ends; `on_end` is told of each as it ends. No
    /// more are begun once one has come to none: the run is spoiled, and each might take as long.
    /// Returns the time from the first request to the last end.
    pub async fn drive(
        &self,
        numbers: impl Iterator<Item = u64>,
        on_end: impl Fn(Sample),
    ) -> Duration {
        self.drive_together(1, numbers, |_, tasks| tasks.into_iter().for_each(&on_end)).await
    }

    /// The same with samples of so many tasks each, which are started together, one on each
    /// orchestrator in turn. A sample's latency is that of its last task; the tasks of sample n
    /// have the numbers from n times their count on.
    pub async fn drive_together(
        &self,
        tasks_a_sample: u64,
        numbers: impl Iterator<Item = u64>,
        on_end: impl Fn(Timed, Vec<Sample>),
    ) -> Duration {
        let started = Instant::now();
        let numbers = RefCell::new(numbers.fuse());
        let spoiled = Cell::new(false);
        let next = || numbers.borrow_mut().next().filter(|_| !spoiled.get());
        let (next, spoiled, on_end) = (&next, &spoiled, &on_end);
        let lane = || async move {
            while let Some(number) = next() {
                let (timed, tasks) = self.run_sample(number, tasks_a_sample).await;
                spoiled.set(spoiled.get() || tasks.iter().any(|task| task.outcome.is_err()));
                on_end(timed, tasks);
            }
        };
        join_all((0..self.concurrency).map(|_| lane())).await;
        started.elapsed()
    }

    /// Runs samples in an open loop: each begins when it is due, or, where that is not possible, as
    /// soon as it is. The concurrency is not looked at. No more are begun once a task has come to
    /// no end; those under way are waited for.
    pub async fn drive_open(
        &self,
        arrivals: Arrivals,
        tasks_a_sample: u64,
        numbers: std::ops::Range<u64>,
        on_end: impl Fn(Timed, Vec<Sample>),
    ) -> Driven {
        let mut due = pace(arrivals, numbers);
        let mut under_way = FuturesUnordered::new();
        let (mut first_due, mut last_begun, mut last_ended) = (None, None, None);
        let mut is_over = false;
        loop {
            tokio::select! {
                biased;
                next = due.recv(), if !is_over && under_way.len() < UNDER_WAY_MAX => {
                    let Some((number, due_at)) = next else {
                        is_over = true;
                        continue;
                    };
                    first_due.get_or_insert(due_at);
                    last_begun = Some(Instant::now());
                    under_way.push(self.run_due_sample(number, tasks_a_sample, due_at));
                }
                Some((timed, tasks)) = under_way.next() => {
                    last_ended = last_ended.max(Some(timed.ended));
                    is_over |= tasks.iter().any(|task| task.outcome.is_err());
                    on_end(timed, tasks);
                }
                else => break,
            }
        }
        let since_first = |at: Option<Instant>| {
            at.zip(first_due).map(|(at, first)| at - first).unwrap_or_default()
        };
        Driven { busy: since_first(last_ended), offering: since_first(last_begun) }
    }

    /// Runs the tasks of one sample, started together.
    pub async fn run_sample(&self, number: u64, tasks: u64) -> (Timed, Vec<Sample>) {
        self.run_due_sample(number, tasks, Instant::now()).await
    }

    async fn run_due_sample(&self, number: u64, tasks: u64, due: Instant) -> (Timed, Vec<Sample>) {
        let begun = Instant::now();
        let numbers = number * tasks..(number + 1) * tasks;
        let tasks = join_all(numbers.map(|number| self.run_task(number))).await;
        (Timed { due, begun, ended: Instant::now() }, tasks)
    }

    async fn run_task(&self, number: u64) -> Sample {
        let mut sample = Unended { task_uuid: None, retries: 0 };
        let idempotency_key = format!("{}-{number}", self.run_id);
        let input = self.inputs.of(number);
        let task = NewTask {
            namespace: &self.workflow.namespace,
            template: &self.workflow.template,
            version: self.workflow.version,
            context: &input,
            idempotency_key: &idempotency_key,
        };
        let (started, begun_at) = (Instant::now(), SystemTime::now());
        let outcome = self.bring_to_end(number, &task, started, &mut sample).await;
        let (latency, ended_at) = (started.elapsed(), SystemTime::now());
        let Unended { task_uuid, retries } = sample;
        Sample { number, latency, begun_at, ended_at, retries, task_uuid, outcome }
    }

    async fn bring_to_end(
        &self,
        number: u64,
        task: &NewTask<'_>,
        started: Instant,
        sample: &mut Unended,
    ) -> Result<Answer, LoadError> {
        loop {
            // The idempotency key makes it safe to create again after an answer was lost.
            let answer = match &sample.task_uuid {
                None => self.client.create(number, task).await,
                Some(task_uuid) => self.client.wait(number, task_uuid).await,
            };
            let late = started.elapsed() > TASK_TIMEOUT;
            match answer {
                // A creation that was repeated may find the task at its end, but has no results.
                Ok(answer) if answer.state.is_terminal() && sample.task_uuid.is_some() => {
                    sample.task_uuid = Some(answer.task_uuid.clone());
                    return Ok(answer);
                }
                Ok(_) if late => return Err(LoadError::Unfinished(None)),
                Ok(answer) => sample.task_uuid = Some(answer.task_uuid),
                Err(error) => match error.retry_after() {
                    None => return Err(error.into()),
                    Some(_) if late => return Err(LoadError::Unfinished(Some(error))),
                    Some(pause) => {
                        sample.retries += 1;
                        sleep(pause).await;
                    }
                },
            }
        }
    }
}

/// Sends each number when it is due. A thread of its own, because the runtime's timer ticks once a
/// millisecond, and a thread sleeps to within a tenth of that.
fn pace(
    arrivals: Arrivals,
    numbers: std::ops::Range<u64>,
) -> mpsc::UnboundedReceiver<(u64, Instant)> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let seed = numbers.start;
    std::thread::spawn(move || {
        let began = Instant::now();
        for (number, due) in numbers.zip(arrivals.due(seed)) {
            let due = began + due;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if sender.send((number, due)).is_err() {
                return;
            }
        }
    });
    receiver
}

struct Unended {
    task_uuid: Option<String>,
    retries: u32,
}
