//! `stepmark baseline`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ENVIRONMENT, GOOD, INVALID, complain, report, root};
use crate::baseline::{Baseline, BaselineError, Tolerance, judge, moves};
use crate::grid::Look;

/// What to do with the baseline.
#[derive(Debug, Subcommand)]
pub(super) enum BaselineCommand {
    /// Make a report the baseline of its tiers, and say what moved. The files of other tiers stay.
    ///
    /// Exit code: 0 written, 2 the report has runs that are invalid or incomplete, 3 the disk.
    Update(UpdateArgs),
}

#[derive(Debug, Args)]
pub(super) struct UpdateArgs {
    /// The report: its folder, or its report.json [default: reports/latest].
    #[arg(value_name = "DIR")]
    report: Option<PathBuf>,
    /// The folder with the baseline, a file a tier [default: reports/baseline].
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

pub(super) fn run(command: &BaselineCommand) -> u8 {
    let BaselineCommand::Update(args) = command;
    let from = args.report.clone().unwrap_or_else(|| root().join("reports/latest"));
    let to = args.to.clone().unwrap_or_else(|| root().join("reports/baseline"));
    let report = match report::parse(&from) {
        Ok(report) => report,
        Err(error) => return complain(INVALID, &error),
    };
    let fresh = match Baseline::of(&report) {
        Ok(fresh) => fresh,
        Err(error) => return complain(INVALID, &error),
    };
    let before = match Baseline::read(&to) {
        Ok(before) => before,
        Err(BaselineError::Empty(_)) => Baseline::default(),
        Err(error) => return complain(INVALID, &error),
    };
    let tiers: Vec<u8> = fresh.tiers.iter().map(|tier| tier.tier).collect();
    let before = before.only(|tier, _| tiers.contains(&tier.tier));
    let lines = judge(&before, &report, Tolerance::default());
    if let Err(error) = fresh.write(&to) {
        return complain(ENVIRONMENT, &error);
    }
    print!("{}", moves(Look::Terminal, &lines));
    let tiers: Vec<String> = tiers.iter().map(ToString::to_string).collect();
    println!("{} has the baseline of tier {}", to.display(), tiers.join(", "));
    GOOD
}
