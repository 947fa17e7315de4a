//! What runs are held against from one day to the next: counts, and latencies as multiples of the
//! floor, committed as a file a tier.
//!
//! Milliseconds stand beside them, for the machine that they were measured on.

mod judge;
mod text;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::broker::Broker;
use crate::fingerprint::Fingerprint;
use crate::report::{REPEAT, Report};
use crate::verdict::{RunReport, Status};

pub use judge::{Line, Tolerance, Verdict, exit_code, judge};
pub use text::{moves, render};

/// The version of a baseline file's schema.
pub const SCHEMA_VERSION: u32 = 1;

/// The tiers' baselines, by tier.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Baseline {
    /// A file's content each.
    pub tiers: Vec<Tier>,
}

/// The baseline of a tier: one file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tier {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The tier.
    pub tier: u8,
    /// When its report was begun, RFC 3339, UTC.
    pub created_at: String,
    /// The version of the harness.
    pub stepmark_version: String,
    /// The revision that was measured; null outside of a checkout.
    pub revision: Option<String>,
    /// Where milliseconds hold.
    pub fingerprint: Fingerprint,
    /// The runs.
    pub runs: Vec<Entry>,
}

/// What one run has to keep to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The run's name, by which it is found.
    pub run: String,
    /// The scenario.
    pub scenario: String,
    /// The broker.
    pub broker: Broker,
    /// The cluster.
    pub on: String,
    /// Tasks at once.
    pub concurrency: usize,
    /// How load was made.
    pub mode: String,
    /// Measured tasks.
    pub samples: u64,
    /// P50 over the run's own floor.
    pub p50_own_floor: Option<f64>,
    /// P95 over the run's own floor.
    pub p95_own_floor: Option<f64>,
    /// P50 in milliseconds.
    pub p50_ms: Option<f64>,
    /// P95 in milliseconds.
    pub p95_ms: Option<f64>,
    /// What was counted, by name.
    pub counts: BTreeMap<String, Count>,
}

/// A count a task.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Count {
    /// The mean; of SQL statements the typical task's.
    pub a_task: f64,
    /// Whether it is the same for every task, so that another one is another behaviour.
    pub is_exact: bool,
}

/// Why there is no baseline.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// A file or folder cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file has something else in it.
    #[error("{path} is no baseline of stepmark: {error}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// Its fields mean something else.
    #[error("{path} has schema version {version}; this harness reads version {SCHEMA_VERSION}")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// There is no file of a tier.
    #[error("there is no baseline in {0} (stepmark baseline update makes one of a report)")]
    Empty(PathBuf),
    /// Nothing can be held against a report that proves nothing.
    #[error("{run} of the report is {status}: a baseline is made of runs that stand")]
    Spoiled {
        /// The run's name.
        run: String,
        /// What is said about it.
        status: &'static str,
    },
    /// A report of ladders alone, or of nothing.
    #[error("the report has no runs")]
    NoRuns,
}

impl Baseline {
    /// That of a report.
    ///
    /// # Errors
    /// It has no runs, or one that is invalid or incomplete.
    pub fn of(report: &Report) -> Result<Baseline, BaselineError> {
        let mut tiers: BTreeMap<u8, Vec<Entry>> = BTreeMap::new();
        for (run, of) in report.named_runs() {
            let status = match of.status {
                _ if !of.is_comparable => Some("no ordinary run"),
                Status::Good | Status::OverBudget => None,
                Status::Incomplete => Some("incomplete"),
                Status::Invalid => Some("invalid"),
            };
            if let Some(status) = status {
                return Err(BaselineError::Spoiled { run, status });
            }
            tiers.entry(of.tier).or_default().push(Entry::of(run, of));
        }
        if tiers.is_empty() {
            return Err(BaselineError::NoRuns);
        }
        let tier = |(tier, runs)| Tier {
            schema_version: SCHEMA_VERSION,
            tier,
            created_at: report.created_at.clone(),
            stepmark_version: report.stepmark_version.clone(),
            revision: report.git.as_ref().map(ToString::to_string),
            fingerprint: Fingerprint::of(report),
            runs,
        };
        Ok(Baseline { tiers: tiers.into_iter().map(tier).collect() })
    }

    /// Reads a file, or all tiers' files of a folder.
    ///
    /// # Errors
    /// There is none, or one that cannot be read.
    pub fn read(path: &Path) -> Result<Baseline, BaselineError> {
        let files = if path.is_file() { vec![path.to_path_buf()] } else { tier_files(path)? };
        if files.is_empty() {
            return Err(BaselineError::Empty(path.to_path_buf()));
        }
        let mut tiers = files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
        tiers.sort_by_key(|tier| tier.tier);
        Ok(Baseline { tiers })
    }

    /// Writes each tier's file into a folder, which is made.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), BaselineError> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |error| BaselineError::File { path, error }
        };
        fs::create_dir_all(folder).map_err(failed(folder))?;
        for tier in &self.tiers {
            let path = folder.join(format!("tier-{}.json", tier.tier));
            let text = serde_json::to_string_pretty(tier)
                .map_err(|error| BaselineError::Malformed { path: path.clone(), error })?;
            fs::write(&path, text + "\n").map_err(failed(&path))?;
        }
        Ok(())
    }

    /// Of those runs alone that are wanted; tiers without any are left out.
    #[must_use]
    pub fn only(mut self, wanted: impl Fn(&Tier, &Entry) -> bool) -> Baseline {
        for tier in &mut self.tiers {
            let runs = std::mem::take(&mut tier.runs);
            let wanted = |run: &Entry| wanted(tier, run);
            tier.runs = runs.into_iter().filter(wanted).collect();
        }
        self.tiers.retain(|tier| !tier.runs.is_empty());
        self
    }

    /// Every run, with where its milliseconds hold.
    pub fn runs(&self) -> impl Iterator<Item = (&Fingerprint, &Entry)> {
        self.tiers.iter().flat_map(|tier| tier.runs.iter().map(|run| (&tier.fingerprint, run)))
    }
}

impl Entry {
    fn of(run: String, of: &RunReport) -> Entry {
        let floor = |pick: fn(&crate::floor::OwnFloor) -> Option<f64>| {
            of.own_floor.as_ref().and_then(pick).map(rounded)
        };
        Entry {
            run,
            scenario: of.scenario.clone(),
            broker: of.broker,
            on: of.on.clone(),
            concurrency: of.concurrency,
            mode: of.mode.clone(),
            samples: of.samples,
            p50_own_floor: floor(|floor| floor.p50_ratio),
            p95_own_floor: floor(|floor| floor.p95_ratio),
            p50_ms: of.latency_ms.p50.map(rounded),
            p95_ms: of.latency_ms.p95.map(rounded),
            counts: counts(of),
        }
    }

    /// Whether a run of a report measures what this one is of: for the first time, or again.
    pub fn is_of(&self, name: &str) -> bool {
        name.strip_prefix(&self.run).is_some_and(|rest| rest.is_empty() || rest.starts_with(REPEAT))
    }

    /// Whether it is one task at a time on the scenario's own cluster.
    pub fn is_plain(&self) -> bool {
        self.mode == "closed loop" && self.concurrency == 1 && self.on == "own"
    }
}

/// The counts that a budget may bound.
fn counts(run: &RunReport) -> BTreeMap<String, Count> {
    let work = &run.work;
    let means = [
        ("step_transitions", work.step_transitions),
        ("task_transitions", work.task_transitions),
        ("messages", work.messages),
        ("dependency_evaluations", work.dependency_evaluations),
    ];
    let of_mean = |(name, mean): (&str, Option<f64>)| {
        let a_task = mean?;
        let is_exact = match run.work_each.get(name) {
            Some(each) => each.min == each.max && each.min == a_task,
            None => a_task.fract() == 0.0,
        };
        Some((name.to_owned(), Count { a_task: rounded(a_task), is_exact }))
    };
    let mut counts: BTreeMap<String, Count> = means.into_iter().filter_map(of_mean).collect();
    // As in the budget: the engine's housekeeping falls into some task or other. Where nobody else
    // looks for work, the typical task's count follows from its messages; where those of parallel
    // steps are drained together now and then, some tasks have fewer.
    if let Some(each) = run.work_each.get("sql_statements") {
        let is_exact = run.is_plainest() && each.min == each.p50;
        counts.insert("sql_statements".to_owned(), Count { a_task: each.p50, is_exact });
    }
    counts
}

/// Three decimals: more would only be noise in a committed file.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// The tiers' files of a folder; none of one that is not there.
fn tier_files(folder: &Path) -> Result<Vec<PathBuf>, BaselineError> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let failed = |error| BaselineError::File { path: folder.to_path_buf(), error };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("tier-") && name.ends_with(".json") {
            files.push(path);
        }
    }
    Ok(files)
}

fn read(path: &Path) -> Result<Tier, BaselineError> {
    let text = fs::read_to_string(path)
        .map_err(|error| BaselineError::File { path: path.to_path_buf(), error })?;
    let malformed = |error| BaselineError::Malformed { path: path.to_path_buf(), error };
    // First, because fields of another version may have other types.
    let Versioned { schema_version: version } = serde_json::from_str(&text).map_err(malformed)?;
    match version {
        SCHEMA_VERSION => serde_json::from_str(&text).map_err(malformed),
        _ => Err(BaselineError::Version { path: path.to_path_buf(), version }),
    }
}

/// What all versions of a file have.
#[derive(Deserialize)]
struct Versioned {
    schema_version: u32,
}
