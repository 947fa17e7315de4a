//! What reports said, one after the other, and where the level of a figure has changed.
//!
//! A file of JSON lines, a report each: short enough to be committed.

mod series;
mod text;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fingerprint::Fingerprint;
use crate::report::Report;
use crate::verdict::{RunReport, Status};

pub use series::{Change, Figure, Series, has_worsened, series};
pub use text::render;

/// What one report said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When the report was begun, RFC 3339, UTC.
    pub created_at: String,
    /// The revision, with a word where there were changes beyond it; null outside of a checkout.
    pub revision: Option<String>,
    /// The runs that stand, by their names.
    pub runs: BTreeMap<String, Point>,
}

/// What a run said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The hash of the environment, as far as it bears on this run.
    pub fingerprint: String,
    /// P50 in milliseconds.
    pub p50_ms: Option<f64>,
    /// P95 in milliseconds.
    pub p95_ms: Option<f64>,
    /// P50 over the run's own floor.
    pub p50_own_floor: Option<f64>,
    /// P95 over the run's own floor.
    pub p95_own_floor: Option<f64>,
    /// SQL statements of the typical task.
    pub sql_statements: Option<f64>,
}

/// Why a history can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A line has something else in it.
    #[error("{path}:{line}: this is no line of a history: {error}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// The record cannot be written as JSON.
    #[error("the report cannot be written as a line: {0}")]
    Record(serde_json::Error),
}

impl Record {
    /// That of a report: its runs that stand.
    pub fn of(report: &Report) -> Record {
        let place = Fingerprint::of(report);
        let stands = |run: &RunReport| {
            run.is_comparable && matches!(run.status, Status::Good | Status::OverBudget)
        };
        let runs = report.named_runs().filter(|(_, run)| stands(run));
        Record {
            created_at: report.created_at.clone(),
            revision: report.git.as_ref().map(ToString::to_string),
            runs: runs.map(|(name, run)| (name, Point::of(&place, run))).collect(),
        }
    }
}

impl Point {
    fn of(place: &Fingerprint, run: &RunReport) -> Point {
        Point {
            fingerprint: place.on(run.broker).hash(),
            p50_ms: run.latency_ms.p50,
            p95_ms: run.latency_ms.p95,
            p50_own_floor: run.own_floor.and_then(|floor| floor.p50_ratio),
            p95_own_floor: run.own_floor.and_then(|floor| floor.p95_ratio),
            sql_statements: run.work_each.get("sql_statements").map(|each| each.p50),
        }
    }
}

/// The records of a file, in the order of their reports' times; none of a file that is not there.
///
/// # Errors
/// The file cannot be read, or a line is none of a history.
pub fn read(path: &Path) -> Result<Vec<Record>, HistoryError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(HistoryError::File { path: path.to_path_buf(), error }),
    };
    let mut records = Vec::new();
    for (nr, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let record = serde_json::from_str::<Record>(line);
        let malformed =
            |error| HistoryError::Malformed { path: path.to_path_buf(), line: nr + 1, error };
        records.push(record.map_err(malformed)?);
    }
    records.sort_by(|one, other| one.created_at.cmp(&other.created_at)); // stable
    Ok(records)
}

/// Adds a record to the end of a file, which is made with its folder.
///
/// # Errors
/// The file cannot be written.
pub fn append(path: &Path, record: &Record) -> Result<(), HistoryError> {
    let line = serde_json::to_string(record).map_err(HistoryError::Record)? + "\n";
    let written = || {
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(line.as_bytes())
    };
    written().map_err(|error| HistoryError::File { path: path.to_path_buf(), error })
}
