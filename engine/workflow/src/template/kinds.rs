//! The types of steps, and what only some of them have.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a step is to its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepType {
    /// Runs once all steps that it depends on are Complete; skipped when one of them is.
    #[default]
    Standard,
    /// Chooses among its branches; those that it does not choose are skipped.
    Decision,
    /// Runs once those of the steps that it depends on have ended that are going to run, and is
    /// skipped when none of them does.
    DeferredConvergence,
    /// Divides its work into batches: each becomes an instance of the batch worker that depends on
    /// this step.
    Batchable,
    /// Stands for any number of steps that are made at run time, one a batch.
    BatchWorker,
}

impl StepType {
    /// Every type.
    pub const ALL: &'static [Self] = &[
        Self::Standard,
        Self::Decision,
        Self::DeferredConvergence,
        Self::Batchable,
        Self::BatchWorker,
    ];

    /// The name in YAML, SQL and the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Decision => "decision",
            Self::DeferredConvergence => "deferred_convergence",
            Self::Batchable => "batchable",
            Self::BatchWorker => "batch_worker",
        }
    }
}

impl fmt::Display for StepType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What becomes of a batch of which a worker has ended in Error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureStrategy {
    /// The others are cancelled, and the convergence does not run.
    #[default]
    FailFast,
    /// The others go on, and the convergence is given what they made, with the failures.
    ContinueOnFailure,
}

impl FailureStrategy {
    /// Every strategy.
    pub const ALL: &'static [Self] = &[Self::FailFast, Self::ContinueOnFailure];

    /// The name in YAML and SQL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FailFast => "fail_fast",
            Self::ContinueOnFailure => "continue_on_failure",
        }
    }
}
