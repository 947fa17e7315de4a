//! What a handler is given, and what it may answer.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

/// One attempt at a step.
#[derive(Debug)]
pub struct Step {
    /// The task that the step belongs to.
    pub task_uuid: Uuid,
    /// Namespace of the task's template.
    pub namespace: String,
    /// Name of the step in its template.
    pub name: String,
    /// Name of the handler that the template asks for.
    pub handler: String,
    /// Which attempt this is, from 1. An attempt whose lease expired counts once, when repeated.
    pub attempt: i32,
    /// Attempts that the template allows.
    pub max_attempts: i32,
    pub(crate) context: String,
    pub(crate) parent_results: String,
}

impl Step {
    /// The same for every attempt at this step, and for no other step: give it to systems outside
    /// as their idempotency key, because a handler may run more than once.
    #[must_use]
    pub fn idempotency_token(&self) -> String {
        format!("{}/{}", self.task_uuid, self.name)
    }

    /// The task's context, as it was posted.
    ///
    /// # Errors
    /// The context is not of this type.
    pub fn context<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.context)
    }

    /// The results of the steps that this one depends on, by their names.
    ///
    /// # Errors
    /// A result is not of this type.
    pub fn parent_results<T: DeserializeOwned>(
        &self,
    ) -> Result<BTreeMap<String, T>, serde_json::Error> {
        serde_json::from_str(&self.parent_results)
    }
}

/// What a handler made of its step.
#[derive(Debug)]
pub enum Outcome {
    /// It is done; this is its result.
    Complete(Box<RawValue>),
    /// It failed and may be tried again, after the template's backoff or after this time.
    Retry {
        /// What went wrong.
        message: String,
        /// Pause before the next attempt; the template's backoff with jitter when `None`.
        after: Option<Duration>,
    },
    /// It failed for good.
    Fail {
        /// What went wrong.
        message: String,
    },
}

impl From<Value> for Outcome {
    fn from(result: Value) -> Self {
        match serde_json::value::to_raw_value(&result) {
            Ok(result) => Self::Complete(result),
            Err(error) => Self::Fail { message: format!("the result is not JSON: {error}") },
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
        Self(Outcome::Retry { message: message.to_string(), after: None })
    }

    /// A failure to be retried after this time, whatever the template's backoff says.
    #[must_use]
    pub fn retry_after(message: impl fmt::Display, after: Duration) -> Self {
        Self(Outcome::Retry { message: message.to_string(), after: Some(after) })
    }

    /// A failure that no attempt can mend.
    #[must_use]
    pub fn permanent(message: impl fmt::Display) -> Self {
        Self(Outcome::Fail { message: message.to_string() })
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
