//! The budgets: what tasks cost, counted and held against what scenarios and the list of statements
//! allow. No latency is judged, so that few tasks do.

use super::{ENVIRONMENT, FAILED, GateArgs, INVALID, Stopped};
use crate::broker::Broker;
use crate::cli::bench;
use crate::plan::Plan;
use crate::scenario::Scenario;
use crate::suite::Suite;
use crate::topology::On;
use crate::verdict::{RunReport, Status};

/// Tasks before those that are counted: programs are loaded then, and statements prepared.
const WARMUP: u64 = 10;

/// Counts the work of every scenario on every broker.
pub(super) async fn judge(
    suite: &mut Suite,
    args: &GateArgs,
    scenarios: &[Scenario],
) -> Result<(), Stopped> {
    run_each(suite, args, scenarios, |broker| plan(args, broker, args.tasks)).await?;
    let is = |status| move |run: &&RunReport| run.status == status;
    let runs = &suite.report().runs;
    let names = |runs: Vec<&RunReport>| {
        runs.into_iter().map(RunReport::name).collect::<Vec<_>>().join(", ")
    };
    let bad: Vec<&RunReport> = runs
        .iter()
        .filter(|run| matches!(run.status, Status::Invalid | Status::Incomplete))
        .collect();
    if !bad.is_empty() {
        return Err((INVALID, format!("the gate has not decided: {}", names(bad))));
    }
    let broken: Vec<&RunReport> = runs.iter().filter(is(Status::OverBudget)).collect();
    match broken.is_empty() {
        true => Ok(()),
        false => Err((FAILED, format!("budgets are broken: {}", names(broken)))),
    }
}

/// Runs every scenario on every broker.
pub(super) async fn run_each(
    suite: &mut Suite,
    args: &GateArgs,
    scenarios: &[Scenario],
    plan: impl Fn(Broker) -> Plan,
) -> Result<(), Stopped> {
    for broker in args.broker.all() {
        for scenario in scenarios {
            let run = bench::run_one(suite, scenario, plan(*broker));
            run.await.map_err(|why| (ENVIRONMENT, why))?;
        }
    }
    Ok(())
}

/// A run in which only counts are taken, those inside functions too.
pub(super) fn plan(args: &GateArgs, broker: Broker, samples: u64) -> Plan {
    Plan {
        on: On::Own,
        without: args.without(),
        broker,
        concurrency: 1,
        arrivals: None,
        counts_nested: true,
        counts_only: true,
        traces: false,
        warmup: WARMUP,
        samples,
    }
}
