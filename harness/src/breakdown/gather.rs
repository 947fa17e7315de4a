//! Takes the times of tasks from their audits.

use std::collections::HashMap;

use super::{RunTimes, StepMoves, TaskTimes};
use crate::oracle::TaskRecord;

/// Steps of all tasks together whose times are kept: a bound on memory and on the report.
const STEPS_MAX: usize = 50_000;

/// The times of a run's tasks, one task after the other.
#[derive(Debug, Default)]
pub struct Gathering {
    times: RunTimes,
    places: HashMap<String, u32>,
    steps: usize,
}

impl Gathering {
    /// Adds a task that the client began and knew the end of at these times, in microseconds of
    /// Unix time by the database's clock. Of so many that the bound is reached, the rest is left
    /// out.
    pub fn add(&mut self, task: &TaskRecord, begun_us: i64, ended_us: i64) {
        self.steps += task.steps.len();
        if self.steps > STEPS_MAX {
            return;
        }
        let mut steps = Vec::with_capacity(task.steps.len());
        for step in &task.steps {
            let moves = step.transitions.iter();
            let moves = moves.map(|transition| (transition.to, transition.at_us - begun_us));
            let parents = step.parents.iter().filter_map(|parent| u32::try_from(*parent).ok());
            let parents = parents.collect();
            steps.push(StepMoves { name: self.place(&step.name), parents, moves: moves.collect() });
        }
        self.times.tasks.push(TaskTimes { ended_us: ended_us - begun_us, steps });
    }

    /// All that was added.
    pub fn done(self) -> RunTimes {
        self.times
    }

    fn place(&mut self, name: &str) -> u32 {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = u32::try_from(self.times.names.len()).unwrap_or(u32::MAX);
        self.times.names.push(name.to_owned());
        self.places.insert(name.to_owned(), place);
        place
    }
}
