//! A workflow's definition: what its steps are, who handles them and what they wait for.
//!
//! ```yaml
//! namespace: orders
//! name: fulfil
//! version: 1                      # 1 unless told
//! description: Charge, then ship  # optional
//! steps:
//!   - name: charge
//!     handler: charge_card
//!     retry: {max_attempts: 5, backoff_initial_ms: 100, backoff_max_ms: 30000}
//!   - name: ship
//!     handler: ship_parcel
//!     depends_on: [charge]
//! ```
//! Steps stand in any order; what is left out of `retry` is as in [`RetryPolicy::default`]. The
//! other types of steps, with what only they have:
//! ```yaml
//!   - {name: route, type: decision, handler: route, branches: [cheap, dear]}
//!   - {name: cheap, handler: approve, depends_on: [route]}
//!   - {name: dear, handler: review, depends_on: [route]}
//!   - {name: finish, type: deferred_convergence, handler: finish, depends_on: [cheap, dear]}
//!   - {name: analyze, type: batchable, handler: analyze, batches_max: 500}
//!   - {name: work, type: batch_worker, handler: work, depends_on: [analyze],
//!      on_failure: continue_on_failure}
//!   - {name: merge, type: deferred_convergence, handler: merge, depends_on: [work]}
//! ```

mod files;
mod graph;
mod kinds;
mod read;
mod rules;
mod wiring;

use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::retry::RetryPolicy;
use crate::yaml::Diagnostic;

pub use files::{Source, parse_all, read_bounded};
pub use graph::levels;
pub use kinds::{FailureStrategy, StepType};
pub use wiring::Wiring;

/// Most steps in one template.
pub const STEPS_MAX: usize = 10_000;

/// Most dependencies in one template, over all its steps.
pub const EDGES_MAX: usize = 100_000;

/// Longest namespace, template name, step name or handler name, in characters.
pub const NAME_CHARS_MAX: usize = 63;

/// Longest description, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 4_096;

/// Most steps of one task, those included that are made at run time: a step's number has 16 bits.
pub const TASK_STEPS_MAX: usize = 1 << 16;

/// Most batches of a batchable step, unless its template says otherwise.
pub const BATCHES_MAX_DEFAULT: u32 = 1_000;

/// Most batches that a template may allow.
pub const BATCHES_MAX: u32 = 50_000;

/// How long an attempt at a step may take, in milliseconds, unless its template says otherwise: ten
/// minutes.
pub const TIMEOUT_MS_DEFAULT: u64 = 600_000;

/// Longest time-out of a step, and longest deadline of a task, in milliseconds: 30 days.
pub const TIMEOUT_MS_MAX: u64 = 2_592_000_000;

/// A workflow's definition, checked as a whole: names are well formed and unique, every dependency
/// exists, and there is no cycle. Only [`Template::parse`] and
/// [`parse_all`] make one.
///
/// As JSON it is the canonical definition: every field, with its default where none was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields, description = "A workflow: its steps and what they wait for.")]
#[non_exhaustive]
pub struct Template {
    /// Whose template this is; a queue and its workers serve one namespace.
    #[schemars(regex(pattern = NAME_PATTERN))]
    pub namespace: String,
    /// The template's name in its namespace.
    #[schemars(regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// Which edition of it, from 1 on.
    #[schemars(default = "first_version", range(min = 1))]
    pub version: i32,
    /// What it is for.
    #[schemars(default, length(max = DESCRIPTION_BYTES_MAX))]
    pub description: String,
    /// How long a task may take in all, in milliseconds from its creation, unless the request says
    /// otherwise; then it is cancelled. For ever when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", default, range(min = 1, max = TIMEOUT_MS_MAX))]
    pub deadline_ms: Option<u64>,
    /// The steps, in the order of the file but for batch workers, which come last. A step's number
    /// is its place here, from 0 on.
    #[schemars(length(min = 1, max = STEPS_MAX))]
    pub steps: Vec<StepTemplate>,
}

/// One step of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[non_exhaustive]
pub struct StepTemplate {
    /// The step's name in its template.
    #[schemars(regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// What it is to its task.
    #[serde(rename = "type")]
    #[schemars(default)]
    pub step_type: StepType,
    /// The handler that a worker runs for it.
    #[schemars(regex(pattern = NAME_PATTERN))]
    pub handler: String,
    /// The steps that must have ended before this one runs, in the order of the file.
    #[schemars(default, extend("uniqueItems" = true))]
    pub depends_on: Vec<String>,
    /// Of a decision, which needs it: the steps that it may choose. They must depend on it. Others
    /// that do run whatever it chooses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, extend("uniqueItems" = true))]
    pub branches: Vec<String>,
    /// Of a batchable step: most batches that it may make.
    #[schemars(default = "batches_max", range(min = 1, max = BATCHES_MAX))]
    pub batches_max: u32,
    /// Of a batch worker: what becomes of the others when an instance ends in Error.
    #[schemars(default)]
    pub on_failure: FailureStrategy,
    /// How long one attempt may take, in milliseconds; then it has failed and may be tried again.
    #[schemars(default = "timeout_ms", range(min = 1, max = TIMEOUT_MS_MAX))]
    pub timeout_ms: u64,
    /// How it is tried again.
    #[schemars(default)]
    pub retry: RetryPolicy,
    /// The numbers of the steps in `depends_on`, in the same order.
    #[serde(skip)]
    pub parents: Vec<usize>,
}

impl Template {
    /// Reads a template. `source_name` is what errors call it, usually a path.
    ///
    /// # Errors
    /// Everything that is wrong with it, each error at its position, in the order of the file. Bad
    /// YAML syntax comes alone.
    pub fn parse(source_name: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        read::template(source_name, text, None)
    }

    /// The canonical definition, which a running task keeps.
    #[must_use]
    pub fn definition(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a template is texts, numbers and lists, which are JSON")
    }

    /// SHA-256 of the canonical definition, as 64 hexadecimal digits. The same for two files that
    /// differ only in comments, layout, the order of keys, or defaults left out; the order of
    /// steps and of dependencies counts.
    #[must_use]
    pub fn content_hash(&self) -> String {
        // Serialised from the structs, whose order of fields is fixed; that of a JSON map isn't.
        let canonical = serde_json::to_vec(self)
            .expect("a template is texts, numbers and lists, which are JSON");
        Sha256::digest(canonical).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Every dependency as (number of the parent, number of the child), by child.
    pub fn edges(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.steps.iter().enumerate().flat_map(|(child_no, step)| {
            step.parents.iter().map(move |&parent_no| (parent_no, child_no))
        })
    }

    /// How many steps must run one after the other: the longest path, counted in steps.
    #[must_use]
    pub fn stages(&self) -> usize {
        self.levels().into_iter().max().map_or(0, |level| level + 1)
    }

    /// Each step's stage, from 0 on: one later than the latest of the steps that it waits for.
    #[must_use]
    pub fn levels(&self) -> Vec<usize> {
        let parents: Vec<&[usize]> = self.steps.iter().map(|step| &step.parents[..]).collect();
        graph::levels(&parents).into_iter().flatten().collect() // all: there is no cycle
    }

    /// The number of the step of this name.
    #[must_use]
    pub fn step_no(&self, name: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.name == name)
    }
}

/// What [`is_name`] takes, as a regular expression.
const NAME_PATTERN: &str = "^[a-z][a-z0-9_]{0,62}$";

const fn first_version() -> i32 {
    1
}

const fn batches_max() -> u32 {
    BATCHES_MAX_DEFAULT
}

const fn timeout_ms() -> u64 {
    TIMEOUT_MS_DEFAULT
}

/// The JSON Schema of template files, for editors. It says what a file looks like; that its steps
/// make a graph is for [`Template::parse`] to see.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Template).to_value()
}

/// Whether `name` can name a namespace, template, step or handler: `^[a-z][a-z0-9_]{0,62}$`.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    name.len() <= NAME_CHARS_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(plain)
}
