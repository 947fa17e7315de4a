//! The budgets: what tasks cost, counted and held against what scenarios and the list of statements
//! allow. No latency is judged, so that few tasks do.

use super::{FAILED, GateArgs, INVALID, Stopped};
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
    for broker in args.broker.all() {
        for scenario in scenarios {
            let plan = plan(args, *broker, args.tasks);
            let run = bench::run_one(suite, scenario, plan);
            run.await.map_err(|why| (super::ENVIRONMENT, why))?;
        }
    }
    let is = |status| move |run: &&RunReport| run.status == status;
    let runs = suite.runs();
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
