//! Where the time of a task goes, from the client's request to its answer: each step's times in its
//! states, by the audit's own clock, and the way through the steps that the end waited for. Pure.

mod gather;
mod path;
mod summary;

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};
use stepmark_workflow::state::StepState;

pub use gather::Gathering;
pub use path::{Piece, critical_path};
pub use summary::{Bar, Breakdown, SegmentTime, StepTimes, Waterfall, breakdown};

/// What a piece of a task's time is spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Segment {
    /// From the client's request until the first step of the way is Enqueued: HTTP, the task's
    /// creation.
    #[serde(rename = "create")]
    Create,
    /// Enqueued, until a worker has claimed the step: the dispatch message's way, and the claim.
    #[serde(rename = "enqueue → claim")]
    Claim,
    /// InProgress, until the outcome is stored: the claim's answer, the handler, the completion.
    #[serde(rename = "handler")]
    Handler,
    /// EnqueuedForOrchestration, until the step is Complete: the completion message's way, and its
    /// evaluation.
    #[serde(rename = "result → processed")]
    Process,
    /// WaitingForRetry, until the step is Enqueued again.
    #[serde(rename = "wait for retry")]
    Retry,
    /// From the last parent's end until the next step of the way is Enqueued.
    #[serde(rename = "next enqueue")]
    Enqueue,
    /// From the last step's end until the client knows.
    #[serde(rename = "notify")]
    Notify,
}

impl Segment {
    /// All of them, in the order in which a task goes through them.
    pub const ALL: [Segment; 7] = [
        Segment::Create,
        Segment::Claim,
        Segment::Handler,
        Segment::Process,
        Segment::Retry,
        Segment::Enqueue,
        Segment::Notify,
    ];

    /// The name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Segment::Create => "create",
            Segment::Claim => "enqueue → claim",
            Segment::Handler => "handler",
            Segment::Process => "result → processed",
            Segment::Retry => "wait for retry",
            Segment::Enqueue => "next enqueue",
            Segment::Notify => "notify",
        }
    }

    /// What a step's time in a state counts as; nothing where it waits for others or is over.
    fn of_state(state: StepState) -> Option<Segment> {
        match state {
            StepState::Enqueued => Some(Segment::Claim),
            StepState::InProgress => Some(Segment::Handler),
            StepState::EnqueuedForOrchestration => Some(Segment::Process),
            StepState::WaitingForRetry => Some(Segment::Retry),
            _ => None,
        }
    }
}

impl Display for Segment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The times of one task, in microseconds since the client began its request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskTimes {
    /// When the client knew of the end.
    pub ended_us: i64,
    /// The steps that ever left Pending.
    pub steps: Vec<StepMoves>,
}

/// The moves of one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepMoves {
    /// The step's place in the run's list of names.
    pub name: u32,
    /// Its parents' places among the task's steps.
    pub parents: Vec<u32>,
    /// The states that it entered, in order, and when.
    pub moves: Vec<(StepState, i64)>,
}

impl StepMoves {
    fn first_us(&self) -> i64 {
        self.moves.first().map_or(0, |(_, at)| *at)
    }

    fn last_us(&self) -> i64 {
        self.moves.last().map_or(0, |(_, at)| *at)
    }

    /// Its time in each state that counts: the segment, from, and to.
    fn pieces(&self) -> impl Iterator<Item = (Segment, i64, i64)> {
        self.moves.windows(2).filter_map(|pair| {
            let ((state, from), (_, to)) = (pair[0], pair[1]);
            Some((Segment::of_state(state)?, from, to))
        })
    }
}

/// The times of a run's tasks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunTimes {
    /// The steps' names.
    pub names: Vec<String>,
    /// The tasks; of a long run not all.
    pub tasks: Vec<TaskTimes>,
}

impl RunTimes {
    /// Takes another run's tasks.
    pub fn extend(&mut self, other: RunTimes) {
        let place = |name: String| match self.names.iter().position(|known| *known == name) {
            Some(place) => place,
            None => {
                self.names.push(name);
                self.names.len() - 1
            }
        };
        let places: Vec<u32> =
            other.names.into_iter().map(place).map(|place| place as u32).collect();
        self.tasks.extend(other.tasks.into_iter().map(|mut task| {
            task.steps.iter_mut().for_each(|step| step.name = places[step.name as usize]);
            task
        }));
    }
}
