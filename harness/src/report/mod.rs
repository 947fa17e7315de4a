//! What people and programs read: one report, one file a format.

mod csv;
pub mod document;
mod html;
mod json;
mod junit;
mod machine;
mod markdown;
mod openmetrics;
mod tables;
mod terminal;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ladder::Ladder;
use crate::verdict::{RunReport, Status};

pub use csv::Csv;
pub use document::Document;
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
    /// The runs, in order. They are read from their raw data.
    #[serde(default, skip_deserializing)]
    pub runs: Vec<RunReport>,
    /// What was left out by choice, and whose.
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

/// The formats that have a file.
const FILES: [&dyn Format; 6] = [&Json, &Html, &Markdown, &Junit, &Csv, &OpenMetrics];

/// A form that a report is written in.
pub trait Format {
    /// The name of its file in the report's folder; none for the terminal.
    fn file_name(&self) -> Option<&'static str>;

    /// The report in this form, out of its `report.json`.
    fn render_document(&self, document: &Document) -> String;

    /// The report in this form.
    fn render(&self, report: &Report) -> String {
        self.render_document(&Document::from(report))
    }
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

    /// Writes every format that has a file into `folder`.
    ///
    /// # Errors
    /// A file cannot be written; the error names it.
    pub fn write(&self, folder: &Path) -> Result<(), (PathBuf, std::io::Error)> {
        Document::from(self).write(folder)
    }
}

impl Document {
    /// Writes every format that has a file into `folder`.
    ///
    /// # Errors
    /// A file cannot be written; the error names it.
    pub fn write(&self, folder: &Path) -> Result<(), (PathBuf, std::io::Error)> {
        for format in FILES {
            if let Some(name) = format.file_name() {
                let path = folder.join(name);
                let text = format.render_document(self);
                std::fs::write(&path, text).map_err(|error| (path, error))?;
            }
        }
        Ok(())
    }
}
