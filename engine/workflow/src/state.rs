//! The states of tasks and steps, and the one table of allowed transitions for each.
//!
//! The names are the same in SQL, in the HTTP API and in reports: every enum here reads and writes
//! its Rust variant name and nothing else.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {of} state {name:?}")]
pub struct UnknownState {
    /// Whose state was asked for: `step` or `task`.
    pub of: &'static str,
    /// The text that was given.
    pub name: String,
}

macro_rules! states {
    (
        $(#[$doc:meta])*
        $name:ident of $of:literal {
            $($(#[$variant_doc:meta])* $variant:ident),+ $(,)?
        }
    ) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        pub enum $name {
            $($(#[$variant_doc])* $variant),+
        }

        impl $name {
            /// Every state, in the order of the life it describes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The state's name as everything outside writes it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant)),+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl FromStr for $name {
            type Err = UnknownState;

            fn from_str(name: &str) -> Result<Self, UnknownState> {
                Self::ALL.iter().copied().find(|state| state.name() == name).ok_or_else(|| {
                    UnknownState { of: $of, name: name.to_owned() }
                })
            }
        }
    };
}

states! {
    /// Where one workflow step is in its life.
    StepState of "step" {
        /// Created; waits for its parents. A row is born here, which is no transition.
        Pending,
        /// Its dispatch message is with the transport.
        Enqueued,
        /// A worker holds it under a lease.
        InProgress,
        /// The handler's outcome is stored, good or bad, and waits to be processed.
        EnqueuedForOrchestration,
        /// Done, its result applied.
        Complete,
        /// Failed with attempts left; waits out its backoff.
        WaitingForRetry,
        /// Failed for good, unless somebody redrives it.
        Error,
        /// A branch that was not chosen.
        Skipped,
        /// Given up with its task.
        Cancelled,
    }
}

states! {
    /// Where one task is in its life.
    TaskState of "task" {
        /// Created. A row is born here, which is no transition.
        Pending,
        /// Its steps and edges are being written.
        Initializing,
        /// Ready steps are being handed to the transport.
        EnqueuingSteps,
        /// Steps are with workers.
        StepsInProcess,
        /// Outcomes are being processed and the dependency graph evaluated.
        EvaluatingResults,
        /// Nothing runs, and at least one step waits out its backoff.
        WaitingForRetry,
        /// Every step is done.
        Complete,
        /// A step failed for good and nothing more can run.
        Error,
        /// Given up on request.
        Cancelled,
    }
}

/// Every transition that a step may make, as (from, to). There are no others.
pub const STEP_TRANSITIONS: &[(StepState, StepState)] = {
    use StepState::*;
    &[
        (Pending, Enqueued),
        (Pending, Skipped),
        (Pending, Cancelled),
        (Enqueued, InProgress),
        (Enqueued, Cancelled),
        (InProgress, EnqueuedForOrchestration),
        (InProgress, Enqueued),
        (InProgress, Error),
        (InProgress, Cancelled),
        (EnqueuedForOrchestration, Complete),
        (EnqueuedForOrchestration, WaitingForRetry),
        (EnqueuedForOrchestration, Error),
        (EnqueuedForOrchestration, Cancelled),
        (WaitingForRetry, Enqueued),
        (WaitingForRetry, Cancelled),
        (Error, Pending),
    ]
};

/// Every transition that a task may make, as (from, to). There are no others.
pub const TASK_TRANSITIONS: &[(TaskState, TaskState)] = {
    use TaskState::*;
    &[
        (Pending, Initializing),
        (Initializing, EnqueuingSteps),
        (EnqueuingSteps, StepsInProcess),
        (StepsInProcess, EvaluatingResults),
        (EvaluatingResults, EnqueuingSteps),
        (EvaluatingResults, StepsInProcess),
        (EvaluatingResults, WaitingForRetry),
        (EvaluatingResults, Complete),
        (EvaluatingResults, Error),
        (WaitingForRetry, EnqueuingSteps),
        (Error, EnqueuingSteps),
        (Pending, Cancelled),
        (Initializing, Cancelled),
        (EnqueuingSteps, Cancelled),
        (StepsInProcess, Cancelled),
        (EvaluatingResults, Cancelled),
        (WaitingForRetry, Cancelled),
        (Error, Cancelled),
    ]
};

impl StepState {
    /// Whether the table allows this step to go to `to`.
    #[must_use]
    pub fn can_become(self, to: Self) -> bool {
        STEP_TRANSITIONS.contains(&(self, to))
    }

    /// Whether nothing leads out of this state, not even a redrive.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Complete | Self::Skipped | Self::Cancelled)
    }

    /// Whether the step has come to rest: final, or in `Error`, which only a redrive leaves.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        self.is_final() || matches!(self, Self::Error)
    }

    /// Whether a message or a worker holds the step, so that it moves on without being enqueued.
    #[must_use]
    pub const fn is_in_flight(self) -> bool {
        matches!(self, Self::Enqueued | Self::InProgress | Self::EnqueuedForOrchestration)
    }
}

impl TaskState {
    /// Whether the table allows this task to go to `to`.
    #[must_use]
    pub fn can_become(self, to: Self) -> bool {
        TASK_TRANSITIONS.contains(&(self, to))
    }

    /// Whether nothing leads out of this state, not even a redrive.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Complete | Self::Cancelled)
    }

    /// Whether the task has come to rest, which is what a waiting client is told.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        self.is_final() || matches!(self, Self::Error)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_state_reads_back_from_its_name_in_text_and_in_json() {
        for state in StepState::ALL {
            assert_eq!(state.to_string().parse::<StepState>().unwrap(), *state);
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
        for state in TaskState::ALL {
            assert_eq!(state.to_string().parse::<TaskState>().unwrap(), *state);
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
    }

    #[test]
    fn a_name_that_is_no_state_is_refused_and_named() {
        let error = "complete".parse::<StepState>().unwrap_err();
        assert_eq!(error.to_string(), "unknown step state \"complete\"");
    }

    #[test]
    fn exactly_the_final_states_have_no_way_out() {
        for state in StepState::ALL {
            let leaves = STEP_TRANSITIONS.iter().any(|(from, _)| from == state);
            assert_eq!(leaves, !state.is_final(), "{state}");
        }
        for state in TaskState::ALL {
            let leaves = TASK_TRANSITIONS.iter().any(|(from, _)| from == state);
            assert_eq!(leaves, !state.is_final(), "{state}");
        }
    }

    #[test]
    fn every_task_that_is_not_final_can_be_cancelled() {
        for state in TaskState::ALL {
            assert_eq!(state.can_become(TaskState::Cancelled), !state.is_final(), "{state}");
        }
    }

    #[test]
    fn no_table_lists_a_transition_twice() {
        for (at, arrow) in STEP_TRANSITIONS.iter().enumerate() {
            assert!(!STEP_TRANSITIONS[..at].contains(arrow), "{arrow:?}");
        }
        for (at, arrow) in TASK_TRANSITIONS.iter().enumerate() {
            assert!(!TASK_TRANSITIONS[..at].contains(arrow), "{arrow:?}");
        }
    }
}
