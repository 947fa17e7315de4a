//! What the clients have seen of a run.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::load::{Sample, Timed};
use crate::oracle::{self, Wrong};
use crate::recorder::Recorder;
use crate::workload::Workload;

/// What the clients have seen so far.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) recorder: Recorder,
    /// How long after they were due samples began.
    pub(crate) late: Recorder,
    pub(crate) warm: bool,
    /// When load last went on, and how long it had been on before that.
    pub(crate) load_since: (Instant, Duration),
    /// When the client began each measured task and knew its end, by the wall clock, in
    /// microseconds of Unix time.
    pub(crate) clocks: BTreeMap<String, (i64, i64)>,
    /// One task in so many has its clocks kept.
    pub(crate) clocks_every: u64,
    /// Each task's number by its identity.
    pub(crate) asked: BTreeMap<String, u64>,
    pub(crate) wrong: Vec<(String, Wrong)>,
    pub(crate) unfinished: Vec<String>,
    pub(crate) retries: u64,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen {
            recorder: Recorder::new(SystemTime::now()),
            late: Recorder::new(SystemTime::now()),
            warm: false,
            load_since: (Instant::now(), Duration::ZERO),
            clocks: BTreeMap::new(),
            clocks_every: 1,
            asked: BTreeMap::new(),
            wrong: Vec::new(),
            unfinished: Vec::new(),
            retries: 0,
        }
    }
}

impl Seen {
    /// Takes the tasks of a sample that was timed.
    pub(crate) fn take(&mut self, workload: &Workload, timed: Timed, tasks: Vec<Sample>) {
        if self.warm && tasks.iter().all(|task| task.outcome.is_ok()) {
            let (since, before) = self.load_since;
            let at = timed.due.saturating_duration_since(since) + before;
            self.recorder.record(at, timed.latency());
            self.late.record(at, timed.begun - timed.due);
            for task in &tasks {
                if task.number.is_multiple_of(self.clocks_every)
                    && let Some(task_uuid) = &task.task_uuid
                {
                    let clocks = (unix_us(task.begun_at), unix_us(task.ended_at));
                    self.clocks.insert(task_uuid.clone(), clocks);
                }
            }
        }
        tasks.into_iter().for_each(|task| self.check(workload, task));
    }

    /// Forgets the latencies so far.
    pub(crate) fn record_anew(&mut self) {
        self.recorder = Recorder::new(SystemTime::now());
        self.late = Recorder::new(SystemTime::now());
    }

    /// Judges a task's answer by the right one to its own input.
    pub(crate) fn check(&mut self, workload: &Workload, sample: Sample) {
        self.retries += u64::from(sample.retries);
        let number = sample.number;
        let task = sample.task_uuid.unwrap_or_else(|| format!("number {number}"));
        let name = || workload.name(number, &task);
        match sample.outcome {
            Err(error) => self.unfinished.push(format!("task {}: {error}", name())),
            Ok(answer) => {
                let wrong = match workload.expected(number) {
                    Ok(expected) => oracle::judge_answer(&expected, &answer),
                    Err(error) => vec![Wrong::Unjudged(error.to_string())],
                };
                self.wrong.extend(wrong.into_iter().map(|wrong| (name(), wrong)));
                // The map would hide that many requests share one task.
                if self.asked.insert(task.clone(), number).is_some() {
                    self.wrong.push((name(), Wrong::Repeated));
                }
            }
        }
    }
}

fn unix_us(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
