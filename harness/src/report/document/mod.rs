//! `report.json` as it is read back: what every form for people and for other programs is made of.
//!
//! It reads what a report of an older harness lacks as absent, and passes over what a newer one
//! has besides.

mod run;
mod samples;
mod time;

use serde::Deserialize;

use super::{Environment, Git, Machine, Report, SCHEMA_VERSION};

pub use run::{BudgetLine, Difference, Items, OwnFloor, Rate, Reference, Run, Status};
pub use samples::{Bounds, Comb, Distribution, Drift, IntervalsMs, Stall};
pub use time::{Bar, Breakdown, Ladder, Rung, Segment, StepShare, Waterfall};

/// Why a text is no report.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It lacks a field, or has another type in it.
    #[error("this is no report of stepmark: {0}")]
    Json(#[from] serde_json::Error),
    /// Its fields mean something else.
    #[error("the report has schema version {0}; this harness reads version {SCHEMA_VERSION}")]
    Version(u32),
}

/// A report with all its figures. The fields are those of `report.json`.
#[derive(Debug, Clone, Deserialize)]
pub struct Document {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The version of the harness.
    pub stepmark_version: String,
    /// When the report was begun, RFC 3339, UTC.
    pub created_at: String,
    /// The revision of the checkout.
    pub git: Option<Git>,
    /// The hash of the sources that the measured binaries were built from.
    pub source_hash: String,
    /// The machine.
    pub machine: Machine,
    /// The servers.
    pub environment: Environment,
    /// The runs, in order.
    pub runs: Vec<Run>,
    /// Throughput against latency, rung by rung.
    #[serde(default)]
    pub ladders: Vec<Ladder>,
    /// What was left out by choice, and whose.
    #[serde(default)]
    pub left_out: Vec<String>,
    #[serde(skip)]
    json: String,
}

impl Document {
    /// Reads a `report.json`.
    ///
    /// # Errors
    /// It is none, or of a schema version that this harness does not know.
    pub fn parse(json: String) -> Result<Document, DocumentError> {
        let mut document: Document = serde_json::from_str(&json)?;
        if document.schema_version != SCHEMA_VERSION {
            return Err(DocumentError::Version(document.schema_version));
        }
        document.json = json;
        Ok(document)
    }

    /// The text that it was read from.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The run that stands for a scenario on a broker: one task at a time on its own cluster, or
    /// else the first that there is.
    #[must_use]
    pub fn plainest(&self, scenario: &str, broker: &str) -> Option<(usize, &Run)> {
        let is_its = |(_, run): &(usize, &Run)| run.scenario == scenario && run.broker == broker;
        let mut runs = self.runs.iter().enumerate().filter(is_its);
        runs.clone().find(|(_, run)| run.is_plain()).or_else(|| runs.next())
    }

    /// The names of the scenarios, in the order of tiers and of their first runs.
    #[must_use]
    pub fn scenarios(&self) -> Vec<&str> {
        let mut runs: Vec<&Run> = self.runs.iter().collect();
        runs.sort_by_key(|run| run.tier); // stable
        firsts(runs.into_iter().map(|run| run.scenario.as_str()))
    }

    /// The names of the brokers, in the order of their first runs.
    #[must_use]
    pub fn brokers(&self) -> Vec<&str> {
        firsts(self.runs.iter().map(|run| run.broker.as_str()))
    }

    /// A name for each run that no other has, fit for a file or an address within a page.
    #[must_use]
    pub fn run_names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for run in &self.runs {
            let name = run.name();
            let same = self.runs[..names.len()].iter().filter(|other| other.name() == name);
            names.push(match same.count() {
                0 => name,
                others => format!("{name}-nr{}", others + 1),
            });
        }
        names
    }
}

impl From<&Report> for Document {
    fn from(report: &Report) -> Document {
        Document::parse(super::json::text(report)).expect("a report has the fields of a document")
    }
}

fn firsts<'d>(names: impl Iterator<Item = &'d str>) -> Vec<&'d str> {
    let mut found: Vec<&str> = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}
