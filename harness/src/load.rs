//! Closed-loop load: each client waits for its task before it starts the next.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::client::{Client, ClientError, NewTask};
use crate::oracle::Answer;
use crate::scenario::Workflow;
use crate::workload::Inputs;

/// How long a task may take before it counts as unfinished.
pub const TASK_TIMEOUT: Duration = Duration::from_secs(60);

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

/// One task as the client lived it.
#[derive(Debug)]
pub struct Sample {
    /// The task's number in the run.
    pub number: u64,
    /// From before the request was sent until the caller knew the end.
    pub latency: Duration,
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
        on_end: impl Fn(Duration, Vec<Sample>),
    ) -> Duration {
        let started = Instant::now();
        let numbers = RefCell::new(numbers.fuse());
        let spoiled = Cell::new(false);
        let next = || numbers.borrow_mut().next().filter(|_| !spoiled.get());
        let (next, spoiled, on_end) = (&next, &spoiled, &on_end);
        let lane = || async move {
            while let Some(number) = next() {
                let (latency, tasks) = self.run_sample(number, tasks_a_sample).await;
                spoiled.set(spoiled.get() || tasks.iter().any(|task| task.outcome.is_err()));
                on_end(latency, tasks);
            }
        };
        join_all((0..self.concurrency).map(|_| lane())).await;
        started.elapsed()
    }

    /// Runs the tasks of one sample, started together.
    pub async fn run_sample(&self, number: u64, tasks: u64) -> (Duration, Vec<Sample>) {
        let started = Instant::now();
        let numbers = number * tasks..(number + 1) * tasks;
        let tasks = join_all(numbers.map(|number| self.run_task(number))).await;
        (started.elapsed(), tasks)
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
        let started = Instant::now();
        let outcome = self.bring_to_end(number, &task, started, &mut sample).await;
        let latency = started.elapsed();
        let Unended { task_uuid, retries } = sample;
        Sample { number, latency, retries, task_uuid, outcome }
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

struct Unended {
    task_uuid: Option<String>,
    retries: u32,
}
