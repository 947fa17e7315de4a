//! `stepmark history`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ENVIRONMENT, GOOD, INVALID, complain, report, root};
use crate::grid::Look;
use crate::history::{Record, append, has_worsened, read, render, series};

/// Something has got worse.
const WORSE: u8 = 1;

/// Flags of `stepmark history`.
#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    #[command(subcommand)]
    command: Option<HistoryCommand>,
    #[command(flatten)]
    file: FileArgs,
    /// How many of the last reports count as lately: a change for the worse among them makes the
    /// exit code 1, unless a later one has taken it back. Milliseconds don't count.
    #[arg(long, value_name = "N", default_value_t = 10)]
    recent: usize,
    /// Show the series without a change too.
    #[arg(long)]
    all: bool,
    /// Print Markdown.
    #[arg(long)]
    markdown: bool,
}

#[derive(Debug, Subcommand)]
enum HistoryCommand {
    /// Add a report to the history; one that is there already is not added again.
    ///
    /// Exit code: 0 it is in the history, 2 it has no run that stands, 3 the disk.
    Add {
        /// The report: its folder, or its report.json [default: reports/latest].
        #[arg(value_name = "DIR")]
        report: Option<PathBuf>,
        #[command(flatten)]
        file: FileArgs,
    },
}

#[derive(Debug, Args)]
struct FileArgs {
    /// The history [default: reports/history.jsonl].
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl FileArgs {
    fn path(&self) -> PathBuf {
        self.file.clone().unwrap_or_else(|| root().join("reports/history.jsonl"))
    }
}

pub(super) fn run(args: &HistoryArgs) -> u8 {
    match &args.command {
        Some(HistoryCommand::Add { report, file }) => add(report.clone(), &file.path()),
        None => show(args),
    }
}

fn add(from: Option<PathBuf>, path: &std::path::Path) -> u8 {
    let from = from.unwrap_or_else(|| root().join("reports/latest"));
    let record = match report::parse(&from) {
        Ok(report) => Record::of(&report),
        Err(error) => return complain(INVALID, &error),
    };
    if record.runs.is_empty() {
        return complain(INVALID, &format!("{} has no run that stands", from.display()));
    }
    // Also one that was made anew from its raw data.
    let is_it = |other: &Record| {
        (&other.created_at, &other.revision) == (&record.created_at, &record.revision)
    };
    match read(path) {
        Err(error) => complain(INVALID, &error),
        Ok(before) if before.iter().any(is_it) => {
            println!("{} has the report of {} already", path.display(), record.created_at);
            GOOD
        }
        Ok(before) => match append(path, &record) {
            Err(error) => complain(ENVIRONMENT, &error),
            Ok(()) => {
                println!("added to {} as report {}", path.display(), before.len() + 1);
                GOOD
            }
        },
    }
}

fn show(args: &HistoryArgs) -> u8 {
    let path = args.file.path();
    let records = match read(&path) {
        Ok(records) if records.is_empty() => {
            let what = format!("{} has no report (stepmark history add)", path.display());
            return complain(INVALID, &what);
        }
        Ok(records) => records,
        Err(error) => return complain(INVALID, &error),
    };
    let series = series(&records);
    let look = if args.markdown { Look::Markdown } else { Look::Terminal };
    print!("{}", render(look, &series, args.all));
    if has_worsened(&series, args.recent) { WORSE } else { GOOD }
}
