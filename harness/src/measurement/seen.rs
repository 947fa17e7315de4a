//! What the clients have seen of a run.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::load::Sample;
use crate::oracle::{self, Wrong};
use crate::recorder::Recorder;
use crate::workload::Workload;

/// What the clients have seen so far.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) recorder: Recorder,
    pub(super) warm: bool,
    /// Each task's number by its identity.
    pub(super) asked: BTreeMap<String, u64>,
    pub(super) wrong: Vec<(String, Wrong)>,
    pub(super) unfinished: Vec<String>,
    pub(super) retries: u64,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen {
            recorder: Recorder::new(SystemTime::now()),
            warm: false,
            asked: BTreeMap::new(),
            wrong: Vec::new(),
            unfinished: Vec::new(),
            retries: 0,
        }
    }
}

impl Seen {
    /// Takes the tasks of a sample that was timed.
    pub(super) fn take(&mut self, workload: &Workload, latency: Duration, tasks: Vec<Sample>) {
        if self.warm && tasks.iter().all(|task| task.outcome.is_ok()) {
            self.recorder.record(latency);
        }
        tasks.into_iter().for_each(|task| self.check(workload, task));
    }
    /// Judges a task's answer by the right one to its own input.
    pub(super) fn check(&mut self, workload: &Workload, sample: Sample) {
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
