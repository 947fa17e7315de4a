//! What a handler may answer.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use stepmark_workflow::StepType;

/// What a handler made of its step.
#[derive(Debug)]
pub enum Outcome {
    /// It is done; this is its result.
    Complete(Box<RawValue>),
    /// A decision is made.
    Branch {
        /// The step's result.
        result: Box<RawValue>,
        /// The chosen ones of its branches; the others are skipped.
        branches: Vec<String>,
    },
    /// A batchable step's work is divided.
    FanOut {
        /// The step's result.
        result: Box<RawValue>,
        /// What each instance of its batch worker is given.
        batches: Vec<Box<RawValue>>,
    },
    /// It failed and may be tried again, after the template's backoff or after this time.
    Retry {
        /// What went wrong.
        failure: Failure,
        /// Pause before the next attempt; the template's backoff with jitter when `None`.
        after: Option<Duration>,
    },
    /// It failed for good.
    Fail {
        /// What went wrong.
        failure: Failure,
    },
}

/// What went wrong in a handler, as it stands in the step's error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// For people.
    pub message: String,
    /// The class of the exception, in the language of the handler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<String>,
    /// Where it was thrown, as that language tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
}

/// Longest message and stack, each in bytes; what is longer loses its middle.
const FAILURE_BYTES_MAX: usize = 16 << 10;

impl Failure {
    /// The error document of a step.
    pub(super) fn document(&self) -> Value {
        let storable = |text: &str| shortened(&text.replace('\0', "\u{fffd}"));
        let mut document = json!({"kind": "handler", "message": storable(&self.message)});
        for (name, text) in [("exception", &self.exception), ("stack", &self.stack)] {
            if let Some(text) = text {
                document[name] = storable(text).into();
            }
        }
        document
    }
}

impl<T: Into<String>> From<T> for Failure {
    fn from(message: T) -> Self {
        Self { message: message.into(), exception: None, stack: None }
    }
}

fn shortened(text: &str) -> String {
    if text.len() <= FAILURE_BYTES_MAX {
        return text.to_owned();
    }
    let head = text.floor_char_boundary(FAILURE_BYTES_MAX / 2);
    let tail = text.ceil_char_boundary(text.len() - FAILURE_BYTES_MAX / 2);
    format!("{}\n[… {} bytes …]\n{}", &text[..head], tail - head, &text[tail..])
}

impl Outcome {
    /// A decision's outcome: its result, and the chosen ones of its branches.
    pub fn branch<B: Into<String>>(
        result: impl Serialize,
        branches: impl IntoIterator<Item = B>,
    ) -> Self {
        let branches = branches.into_iter().map(Into::into).collect();
        match to_raw_value(&result) {
            Ok(result) => Self::Branch { result, branches },
            Err(error) => Self::not_json(&error),
        }
    }

    /// A batchable step's outcome: its result, and what each instance of its batch worker is given.
    /// Without batches there are no instances, and the convergence runs at once.
    pub fn fan_out<B: Serialize>(
        result: impl Serialize,
        batches: impl IntoIterator<Item = B>,
    ) -> Self {
        let batches: Result<Vec<_>, _> =
            batches.into_iter().map(|batch| to_raw_value(&batch)).collect();
        match (to_raw_value(&result), batches) {
            (Ok(result), Ok(batches)) => Self::FanOut { result, batches },
            (Err(error), _) | (_, Err(error)) => Self::not_json(&error),
        }
    }

    fn not_json(error: &serde_json::Error) -> Self {
        Self::Fail { failure: format!("the result is not JSON: {error}").into() }
    }

    /// What went wrong, if something did.
    pub(super) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Retry { failure, .. } | Self::Fail { failure } => Some(failure),
            Self::Complete(_) | Self::Branch { .. } | Self::FanOut { .. } => None,
        }
    }

    /// What is wrong with it as an outcome of a step of this type.
    pub(super) fn misfit(&self, step_type: StepType) -> Option<String> {
        let (answered, of) = match (self, step_type) {
            (Self::Retry { .. } | Self::Fail { .. }, _)
            | (Self::Branch { .. }, StepType::Decision)
            | (Self::FanOut { .. }, StepType::Batchable) => return None,
            (Self::Complete(_), StepType::Decision) => ("a result without branches", "decision"),
            (Self::Complete(_), StepType::Batchable) => ("a result without batches", "batchable"),
            (Self::Complete(_), _) => return None,
            (Self::Branch { .. }, _) => ("branches", step_type.name()),
            (Self::FanOut { .. }, _) => ("batches", step_type.name()),
        };
        Some(format!(
            "the handler answered {answered}, and the step's type is {of}: a decision answers with \
             Outcome::branch, a batchable step with Outcome::fan_out, all others with a result"
        ))
    }
}

impl From<Value> for Outcome {
    fn from(result: Value) -> Self {
        match to_raw_value(&result) {
            Ok(result) => Self::Complete(result),
            Err(error) => Self::not_json(&error),
        }
    }
}

/// Why a handler failed. Any error becomes one that may be retried.
#[derive(Debug)]
pub struct StepError(Outcome);

impl StepError {
    /// A failure that the next attempt may not meet.
    #[must_use]
    pub fn retry(message: impl fmt::Display) -> Self {
        Self(Outcome::Retry { failure: message.to_string().into(), after: None })
    }

    /// A failure to be retried after this time, whatever the template's backoff says.
    #[must_use]
    pub fn retry_after(message: impl fmt::Display, after: Duration) -> Self {
        Self(Outcome::Retry { failure: message.to_string().into(), after: Some(after) })
    }

    /// A failure that no attempt can mend.
    #[must_use]
    pub fn permanent(message: impl fmt::Display) -> Self {
        Self(Outcome::Fail { failure: message.to_string().into() })
    }
}

impl<E: std::error::Error> From<E> for StepError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self::retry(message)
    }
}

impl From<StepError> for Outcome {
    fn from(error: StepError) -> Self {
        error.0
    }
}
