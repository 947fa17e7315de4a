//! What a workflow is and what may happen to it, decided without I/O, clock or randomness.
//!
//! # Layout
//! - [`state`]: the states of tasks and steps, and the one table of allowed transitions
//! - [`template`]: a workflow's definition, read from YAML and checked as a whole
//! - [`yaml`]: YAML with positions, limits, and errors that point at their line
//! - [`model`]: the life of one task in memory, which the engine is held against
//! - [`readiness`]: which steps can run now, the twin of the SQL functions
//! - [`plan`]: what a template amounts to before anything runs
//! - [`drawing`]: a template as Mermaid, DOT or SVG
//! - [`retry`]: backoff, and when a failure is final
//! - [`batch`]: how rows are divided among workers

pub mod batch;
pub mod drawing;
pub mod model;
pub mod plan;
pub mod readiness;
pub mod retry;
pub mod state;
pub mod template;
pub mod yaml;

pub use retry::RetryPolicy;
pub use state::{StepState, TaskState};
pub use template::{FailureStrategy, StepTemplate, StepType, Template};
