//! What goes into the engine's statements, and what comes out of them.

use sqlx::Row;
use sqlx::postgres::PgRow;
use stepmark_engine::messaging::StepId;
use stepmark_workflow::Template;
use uuid::Uuid;

/// A task to be created.
#[derive(Debug, Clone)]
pub struct Request {
    pub template_id: i32,
    pub namespace: String,
    pub context: String,
    pub key: Option<String>,
    pub version_asked: Option<i32>,
    pub priority: i16,
    pub delay_ms: Option<i64>,
    pub deadline_ms: Option<i64>,
}

/// What came of a [`Request`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    pub task_uuid: Uuid,
    pub new: bool,
    pub same_request: bool,
}

/// A step that has been claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    pub step: StepId,
    pub token: Uuid,
    pub attempt: i32,
}

/// An outcome to be stored.
#[derive(Debug, Clone)]
pub struct Stored {
    pub step: StepId,
    pub token: Uuid,
    /// `Complete`, `Branch`, `FanOut`, `Retry` or `Fail`.
    pub outcome: &'static str,
    pub retry_after_ms: Option<i64>,
    /// What was chosen or made, JSON.
    pub expansion: Option<String>,
}

/// What time has brought about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    pub started: i32,
    pub retried: i32,
    pub expired: i32,
    pub failed: i32,
    pub timed_out: i32,
}

impl Claim {
    pub fn from_row(row: &PgRow) -> Self {
        Self {
            step: row.get("step_id"),
            token: row.get("claim_token"),
            attempt: row.get("attempt"),
        }
    }
}

impl Stored {
    pub fn complete(claim: &Claim) -> Self {
        Self::new(claim, "Complete")
    }

    /// A retry is put off for an hour.
    pub fn new(claim: &Claim, outcome: &'static str) -> Self {
        let retry_after_ms = (outcome == "Retry").then_some(3_600_000);
        let Claim { step, token, .. } = *claim;
        Self { step, token, outcome, retry_after_ms, expansion: None }
    }

    /// A decision's or a batchable step's.
    pub fn expanding(claim: &Claim, outcome: &'static str, expansion: &serde_json::Value) -> Self {
        Self { expansion: Some(expansion.to_string()), ..Self::new(claim, outcome) }
    }
}

impl Request {
    pub fn of(template: &Template, template_id: i32) -> Self {
        Self {
            template_id,
            namespace: template.namespace.clone(),
            context: "{}".to_owned(),
            key: None,
            version_asked: None,
            priority: 0,
            delay_ms: None,
            deadline_ms: None,
        }
    }
}
