//! What people and programs read: one report, one file a format.

mod csv;
mod html;
mod json;
mod junit;
mod machine;
mod markdown;
mod openmetrics;
mod tables;
mod terminal;
mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::broker::Broker;
use crate::ladder::Ladder;
use crate::verdict::{RunReport, Status};

pub use csv::Csv;
pub use html::Html;
pub use json::Json;
pub use junit::Junit;
pub use machine::{Disk, Git, Machine};
pub use markdown::Markdown;
pub use openmetrics::OpenMetrics;
pub use terminal::Terminal;

/// The version of `report.json`'s schema. It goes up when a field changes its meaning or goes;
/// a new field alone does not raise it.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything that a report says. Its fields are those of `report.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
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
    /// The rate ladders.
    #[serde(default)]
    pub ladders: Vec<Ladder>,
    /// The runs, in order.
    pub runs: Vec<RunReport>,
    /// What was left out by choice, and whose.
    #[serde(default)]
    pub left_out: Vec<String>,
}

/// The servers that the runs used.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Environment {
    /// The backend's name.
    pub backend: String,
    /// Why it was taken.
    pub why: String,
    /// PostgreSQL, as read back from the server.
    pub postgres: ServerFacts,
    /// What PostgreSQL is reached over: `unix socket` or `tcp`.
    pub postgres_transport: String,
    /// RabbitMQ, where it was used.
    pub rabbitmq: Option<ServerFacts>,
}

/// A server's version and settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerFacts {
    /// The version as the server says it.
    pub version: String,
    /// The settings that bear on speed and durability.
    pub settings: BTreeMap<String, String>,
}

/// What follows on a run's name, before its number, where a report has several of the name.
pub const REPEAT: &str = "-nr";

/// The formats that have a file.
const FILES: [&dyn Format; 6] = [&Json, &Html, &Markdown, &Junit, &Csv, &OpenMetrics];

/// A form that a report is written in.
pub trait Format {
    /// The name of its file in the report's folder; none for the terminal.
    fn file_name(&self) -> Option<&'static str>;

    /// The report in this form.
    fn render(&self, report: &Report) -> String;
}

/// Why a text is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// It lacks a field, or has another type in it.
    #[error("this is no report of stepmark: {0}")]
    Json(#[from] serde_json::Error),
    /// Its fields mean something else.
    #[error("the report has schema version {0}; this harness reads version {SCHEMA_VERSION}")]
    Version(u32),
}

impl Report {
    /// The exit code that the runs call for: 0 good, 1 budget broken, 2 invalid or incomplete.
    pub fn exit_code(&self) -> u8 {
        let code = |run: &RunReport| match run.status {
            Status::Good => 0,
            Status::OverBudget => 1,
            Status::Incomplete | Status::Invalid => 2,
        };
        // Without runs it has shown nothing, but for ladders: all their answers were right.
        let without_runs = if self.ladders.is_empty() { 2 } else { 0 };
        self.runs.iter().map(code).max().unwrap_or(without_runs)
    }

    /// Reads a `report.json`. What one of an older harness lacks is absent, and what one of a newer
    /// harness has besides is passed over.
    ///
    /// # Errors
    /// It is none, or of a schema version that this harness does not know.
    pub fn parse(json: &str) -> Result<Report, ReportError> {
        // First, because fields of another version may have other types.
        let Versioned { schema_version } = serde_json::from_str(json)?;
        match schema_version {
            SCHEMA_VERSION => Ok(serde_json::from_str(json)?),
            other => Err(ReportError::Version(other)),
        }
    }

    /// Writes every format that has a file into `folder`.
    ///
    /// # Errors
    /// A file cannot be written; the error names it.
    pub fn write(&self, folder: &Path) -> Result<(), (PathBuf, std::io::Error)> {
        for format in FILES {
            if let Some(name) = format.file_name() {
                let path = folder.join(name);
                std::fs::write(&path, format.render(self)).map_err(|error| (path, error))?;
            }
        }
        Ok(())
    }

    /// The runs with the names by which those of another report are found. An open loop that
    /// begins its tasks at even distances says so, since its rate alone doesn't.
    pub fn named_runs(&self) -> impl Iterator<Item = (String, &RunReport)> {
        self.run_names().into_iter().zip(&self.runs).map(|(name, run)| {
            let is_fixed = run.rate.is_some() && run.mode.ends_with("fixed");
            (if is_fixed { name + "-fixed" } else { name }, run)
        })
    }

    /// The run that stands for a scenario on a broker: one task at a time on its own cluster, or
    /// else the first that there is.
    fn plainest(&self, scenario: &str, broker: Broker) -> Option<(usize, &RunReport)> {
        let is_its =
            |(_, run): &(usize, &RunReport)| run.scenario == scenario && run.broker == broker;
        let mut runs = self.runs.iter().enumerate().filter(is_its);
        runs.clone().find(|(_, run)| run.is_plain()).or_else(|| runs.next())
    }

    /// The names of the scenarios, in the order of tiers and of their first runs.
    fn scenarios(&self) -> Vec<&str> {
        let mut runs: Vec<&RunReport> = self.runs.iter().collect();
        runs.sort_by_key(|run| run.tier); // stable
        firsts(runs.into_iter().map(|run| run.scenario.as_str()))
    }

    /// The brokers, in the order of their first runs.
    fn brokers(&self) -> Vec<Broker> {
        firsts(self.runs.iter().map(|run| run.broker))
    }

    /// A name for each run that no other has, fit for a file or an address within a page.
    fn run_names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for run in &self.runs {
            let name = run.name();
            let same = self.runs[..names.len()].iter().filter(|other| other.name() == name);
            names.push(match same.count() {
                0 => name,
                others => format!("{name}{REPEAT}{}", others + 1),
            });
        }
        names
    }
}

/// What all versions of a report have.
#[derive(Deserialize)]
struct Versioned {
    schema_version: u32,
}

fn firsts<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut found: Vec<T> = Vec::new();
    for one in all {
        if !found.contains(&one) {
            found.push(one);
        }
    }
    found
}
