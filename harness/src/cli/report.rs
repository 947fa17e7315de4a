//! `stepmark report`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{ENVIRONMENT, INVALID, complain};
use crate::raw::{RawError, RawRun};
use crate::report::{Format, Report, Terminal};

/// Flags of `stepmark report`.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The report's folder.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(super) fn run(args: &ReportArgs) -> u8 {
    let report = match read(&args.folder) {
        Ok(report) => report,
        Err(error) => return complain(INVALID, &error),
    };
    if let Err((path, error)) = report.write(&args.folder) {
        return complain(ENVIRONMENT, &format!("{}: {error}", path.display()));
    }
    println!("{}", Terminal.render(&report));
    report.exit_code()
}

/// The report of a folder: the machine and the servers as its `report.json` tells them, and the
/// runs judged anew by what they saw.
pub(super) fn read(folder: &Path) -> Result<Report, RawError> {
    let mut report = parse(folder)?;
    let raw = RawRun::read_all(folder)?;
    report.runs = raw.iter().map(RawRun::report).collect();
    Ok(report)
}

/// A report as it was written: its folder, or its `report.json` itself.
pub(super) fn parse(path: &Path) -> Result<Report, RawError> {
    let path = if path.is_dir() { path.join("report.json") } else { path.to_path_buf() };
    let text = std::fs::read_to_string(&path);
    let text = text.map_err(|error| match error.kind() {
        ErrorKind::NotFound => RawError::NoReport(path.clone()),
        _ => RawError::File { path: path.clone(), error },
    })?;
    Report::parse(&text).map_err(|error| RawError::Malformed { path, why: error.to_string() })
}
