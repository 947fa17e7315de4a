//! The baseline: every scenario measured, and its counts and multiples of the floor held against
//! what is committed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{ENVIRONMENT, GateArgs, Stopped, budgets};
use crate::baseline::{Baseline, Entry, Tolerance, Verdict, exit_code, judge as held, render};
use crate::cli::bench;
use crate::grid::Look;
use crate::plan::Plan;
use crate::report::Report;
use crate::scenario::Scenario;
use crate::suite::Suite;

/// The fewest tasks: they carry a P95.
const SAMPLES_MIN: u64 = 200;
/// Tasks before them.
const WARMUP: u64 = 100;

/// Measures every scenario on every broker, and again what the baseline doesn't allow. Budgets are
/// judged with it.
pub(super) async fn measure(
    suite: &mut Suite,
    args: &GateArgs,
    scenarios: &[Scenario],
    baseline: &Baseline,
) -> Result<(), Stopped> {
    let plan = |broker| {
        let counts = budgets::plan(args, broker, args.tasks.max(SAMPLES_MIN));
        Plan { counts_nested: false, counts_only: false, warmup: WARMUP, ..counts }
    };
    budgets::run_each(suite, args, scenarios, plan).await?;
    let lines = held(baseline, suite.report(), tolerance(args));
    let is_broken = |run: &Entry| {
        lines.iter().any(|line| line.run == run.run && line.verdict == Verdict::Broken)
    };
    for run in baseline.runs().map(|(_, run)| run).filter(|run| is_broken(run)) {
        let scenario = scenarios.iter().find(|scenario| scenario.name == run.scenario);
        let scenario = scenario.expect("the baseline has been cut to these scenarios");
        let again = bench::run_one(suite, scenario, plan(run.broker));
        again.await.map_err(|why| (ENVIRONMENT, why))?;
    }
    Ok(())
}

/// What the baseline has of these scenarios, one task at a time.
pub(super) fn of_these(args: &GateArgs, scenarios: &[Scenario], baseline: Baseline) -> Baseline {
    baseline.only(|_, run| {
        let is_asked_for = scenarios.iter().any(|one| one.name == run.scenario);
        run.is_plain() && is_asked_for && args.broker.all().contains(&run.broker)
    })
}

/// Holds the report against the baseline, shows it, writes `gate.md`, and returns the exit code.
pub(super) fn judge(
    args: &GateArgs,
    baseline: &Baseline,
    report: &Report,
    folder: &Path,
) -> Result<u8, (PathBuf, io::Error)> {
    let lines = held(baseline, report, tolerance(args));
    println!("\n{}", render(Look::Terminal, &lines, false));
    let code = exit_code(&lines).max(report.exit_code());
    let (mark, verdict) = match code {
        0 => ("✅", "in budget, and as the baseline allows it"),
        1 => ("❌", "over budget, or not as the baseline allows it"),
        _ => ("❌", "not decided: something is missing, or wrong"),
    };
    let text = format!("## {mark} {verdict}\n\n{}", render(Look::Markdown, &lines, false));
    let path = folder.join("gate.md");
    fs::write(&path, text).map(|()| code).map_err(|error| (path, error))
}

fn tolerance(args: &GateArgs) -> Tolerance {
    Tolerance { p50_ratio_max: args.p50_tolerance, p95_ratio_max: args.p95_tolerance }
}
