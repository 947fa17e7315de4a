//! The raw data of a run: what was measured, what it saw, and its samples. A run can be judged, and
//! its report made anew, from these alone.
//!
//! `raw/NNN-RUN.json` has what the run saw, `RUN.hlog` the histogram of its latencies,
//! `RUN.trace.json` the trace of one task.

use std::fs;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use serde::{Deserialize, Serialize};

use crate::recorder::{Recorded, Recorder};
use crate::subject::Subject;
use crate::verdict::{self, Observations, RunReport};

/// The version of the raw data's schema; others are not read.
const SCHEMA_VERSION: u32 = 1;

/// A run that is over.
#[derive(Debug, Clone)]
pub struct RawRun {
    /// What was measured.
    pub subject: Subject,
    /// What was seen.
    pub seen: Observations,
    /// From the first task to the last.
    pub took: Duration,
}

/// Why raw data cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RawError {
    /// There is no report.
    #[error("{0}: no report is there; `stepmark bench` writes one to reports/latest")]
    NoReport(PathBuf),
    /// A file or folder cannot be read.
    #[error("{path}: {error}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file has something else in it.
    #[error("{path}: {why}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Stored<S, O> {
    schema_version: u32,
    subject: S,
    seen: O,
    started: SystemTime,
    took: Duration,
    hlog: Option<String>,
    kept: Vec<Recorded>,
}

impl RawRun {
    /// The run's verdict.
    pub fn report(&self) -> RunReport {
        let mut report = verdict::judge(&self.subject, &self.seen);
        report.hlog = self.hlog();
        report.trace = self.trace();
        if let Some(name) = &report.trace {
            report.notes.push(format!("the trace of the task at the median is in {name}"));
        } else if self.subject.traces {
            report.notes.push("no trace came of a measured task".to_owned());
        }
        report
    }

    /// Writes the run into a report's folder, as the one of this number.
    ///
    /// # Errors
    /// A file cannot be written; the error names it.
    pub fn write(&self, folder: &Path, number: usize) -> Result<(), (PathBuf, io::Error)> {
        let recorder = &self.seen.recorder;
        if let Some(name) = self.hlog() {
            let path = folder.join(name);
            write(&path, |file| recorder.write_hlog(&self.subject.scenario, self.took, file))?;
        }
        if let Some((name, trace)) = self.trace().zip(self.seen.trace.as_ref()) {
            write(&folder.join(name), |file| Ok(serde_json::to_writer(file, trace)?))?;
        }
        let stored = Stored {
            schema_version: SCHEMA_VERSION,
            subject: &self.subject,
            seen: &self.seen,
            started: recorder.started(),
            took: self.took,
            hlog: self.hlog(),
            kept: recorder.kept().to_vec(),
        };
        let folder = folder.join("raw");
        fs::create_dir_all(&folder).map_err(|error| (folder.clone(), error))?;
        let path = folder.join(format!("{number:03}-{}.json", self.subject.run_name));
        write(&path, |file| Ok(serde_json::to_writer(file, &stored)?))
    }

    /// The runs of a report's folder, in their order.
    ///
    /// # Errors
    /// There are none, or one cannot be read.
    pub fn read_all(folder: &Path) -> Result<Vec<RawRun>, RawError> {
        let raw = folder.join("raw");
        let failed = |error| RawError::File { path: raw.clone(), error };
        let mut paths = Vec::new();
        for entry in fs::read_dir(&raw).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                paths.push(path);
            }
        }
        paths.sort();
        paths.iter().map(|path| RawRun::read(path, folder)).collect()
    }

    fn read(path: &Path, folder: &Path) -> Result<RawRun, RawError> {
        let malformed = |why| RawError::Malformed { path: path.to_path_buf(), why };
        let file = open(path)?;
        let stored: Stored<Subject, Observations> =
            serde_json::from_reader(file).map_err(|error| malformed(error.to_string()))?;
        let Stored { schema_version, subject, mut seen, started, took, hlog, kept } = stored;
        if schema_version != SCHEMA_VERSION {
            return Err(malformed(format!(
                "it is of schema {schema_version}, and this stepmark reads {SCHEMA_VERSION}"
            )));
        }
        if let Some(name) = hlog {
            let histogram = read_hlog(&folder.join(name))?;
            seen.recorder = Recorder::restored(started, histogram, kept);
        }
        Ok(RawRun { subject, seen, took })
    }

    /// The file with the histogram, where the latencies stand.
    fn hlog(&self) -> Option<String> {
        let stands = verdict::stands(&self.seen);
        stands.then(|| format!("{}.hlog", self.subject.run_name))
    }

    /// The file with the trace of one task, where there is one.
    fn trace(&self) -> Option<String> {
        let trace = self.seen.trace.as_ref();
        trace.map(|_| format!("{}.trace.json", self.subject.run_name))
    }
}

fn write(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<fs::File>) -> io::Result<()>,
) -> Result<(), (PathBuf, io::Error)> {
    let written = fs::File::create(path).and_then(|file| {
        let mut file = BufWriter::new(file);
        content(&mut file)?;
        file.flush()
    });
    written.map_err(|error| (path.to_path_buf(), error))
}

fn open(path: &Path) -> Result<BufReader<fs::File>, RawError> {
    let file = fs::File::open(path);
    let file = file.map_err(|error| RawError::File { path: path.to_path_buf(), error })?;
    Ok(BufReader::new(file))
}

/// The one histogram of an interval log.
fn read_hlog(path: &Path) -> Result<Histogram<u64>, RawError> {
    let malformed =
        |why: &str| RawError::Malformed { path: path.to_path_buf(), why: why.to_owned() };
    let log = fs::read(path);
    let log = log.map_err(|error| RawError::File { path: path.to_path_buf(), error })?;
    let mut entries = IntervalLogIterator::new(&log).filter_map(|entry| match entry {
        Ok(LogEntry::Interval(interval)) => Some(interval.encoded_histogram().to_owned()),
        _ => None,
    });
    let encoded = entries.next().ok_or_else(|| malformed("it has no interval"))?;
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, encoded);
    let bytes = bytes.map_err(|_| malformed("its interval is not in base64"))?;
    let histogram = Deserializer::new().deserialize(&mut bytes.as_slice());
    histogram.map_err(|_| malformed("its interval is no histogram"))
}
