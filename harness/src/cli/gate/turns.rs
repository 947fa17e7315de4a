//! The base and the head in turns, row by row; what is suspected once more.

use super::{ENVIRONMENT, GateArgs, INVALID, Stopped, budgets};
use crate::binaries::Binaries;
use crate::broker::Broker;
use crate::gate::{Gate, Row};
use crate::measurement::Turns;
use crate::progress::Progress;
use crate::scenario::Scenario;
use crate::suite::Suite;

/// Pairs of new clusters of a row, with a part of its blocks each: of two clusters of the same
/// programs one is often slower by a percent, for as long as it runs.
const ROUNDS: u64 = 4;

/// Takes every row, decides, and takes those again that are suspected. The programs are the base's
/// and the head's.
pub(super) async fn judge(
    suite: &mut Suite,
    args: &GateArgs,
    scenarios: &[Scenario],
    binaries: &[Binaries; 2],
    gate: &mut Gate,
) -> Result<(), Stopped> {
    for broker in args.broker.all() {
        for scenario in args.rows(scenarios) {
            gate.first.push(row(suite, args, scenario, *broker, binaries).await?);
        }
    }
    stands(gate)?;
    Gate::decide(&mut gate.first);
    let again = gate.first.iter().filter(|row| row.is_suspect());
    let again: Vec<(String, Broker)> =
        again.map(|row| (row.scenario.clone(), row.broker)).collect();
    for (name, broker) in again {
        let scenario = scenarios.iter().find(|scenario| scenario.name == name);
        if let Some(scenario) = scenario {
            eprintln!("suspected, so once more: {name} on {}", broker.name());
            gate.second.push(row(suite, args, scenario, broker, binaries).await?);
        }
    }
    stands(gate)?;
    Gate::decide(&mut gate.second);
    Ok(())
}

async fn row(
    suite: &mut Suite,
    args: &GateArgs,
    scenario: &Scenario,
    broker: Broker,
    binaries: &[Binaries; 2],
) -> Result<Row, Stopped> {
    let mut progress = Progress::new();
    let name = format!("{} on {}, base and head in turns", scenario.name, broker.name());
    progress.say(&format!("{name}: clusters, warm-up"));
    let a_round = args.blocks.div_ceil(ROUNDS);
    let plan = budgets::plan(args, broker, 2 * a_round);
    let mut all = Turns::default();
    for round in 1..=ROUNDS {
        let turns = async {
            // What is started second finds a busier machine.
            let head_first = round.is_multiple_of(2);
            let run = suite.start_in_turns(scenario, plan, binaries, head_first, a_round).await?;
            for instance in run.instances() {
                progress.say(&format!("  {instance}"));
            }
            progress.begin(&format!("{name}, clusters {round} of {ROUNDS}"), 4 * a_round);
            run.run(a_round, |tasks| progress.advance(tasks)).await
        };
        let turns = turns.await;
        progress.end();
        suite.clean_up().await;
        match turns {
            Ok(turns) => all.extend(turns),
            Err(error) if error.is_of_the_environment() => {
                return Err((ENVIRONMENT, error.to_string()));
            }
            Err(error) => return Ok(Row::failed(&scenario.name, broker, error.to_string())),
        }
        if !all.problems.is_empty() {
            break;
        }
    }
    Ok(Row::of(&scenario.name, broker, &all))
}

fn stands(gate: &Gate) -> Result<(), Stopped> {
    let problems = gate.problems();
    match problems.is_empty() {
        true => Ok(()),
        false => Err((INVALID, format!("the gate has not decided: {}", problems.join("; ")))),
    }
}
