//! `cargo bench`: all scenarios on both brokers, through criterion.
//!
//! Every task is checked and accounted as with `stepmark bench`, and the same report is written.
//! Exit codes and environment variables are those of `stepmark`.

use std::process::ExitCode;
use std::time::Duration;

use criterion::Criterion;
use stepmark_harness::binaries::Binaries;
use stepmark_harness::broker::Broker;
use stepmark_harness::cli::{self, ENVIRONMENT, INVALID};
use stepmark_harness::environment::{BackendName, Told, choose};
use stepmark_harness::measurement::{Measurement, RunError};
use stepmark_harness::report::{Format, Terminal};
use stepmark_harness::scenario::{self, Scenario};
use stepmark_harness::suite::Suite;
use stepmark_harness::verdict::Plan;
use tokio::runtime::Runtime;

const WARMUP_TASKS: u64 = 100;
/// After so many tasks comes the floor's second round.
const TASKS_BEFORE_SECOND_FLOOR: u64 = 100;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("stepmark: {error:#}");
            ENVIRONMENT.into()
        }
    }
}

fn run() -> anyhow::Result<u8> {
    let root = cli::root();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let scenarios = match scenario::load_all(&root.join("scenarios"))
        .and_then(|all| scenario::select(all, None, &[]))
    {
        Ok(scenarios) => scenarios,
        Err(error) => {
            eprintln!("stepmark: {error}");
            return Ok(INVALID);
        }
    };
    let folder = cli::new_folder(&root);
    let choice = choose(BackendName::Auto, Told::from_environment());
    let binaries = match std::env::var_os("STEPMARK_BIN_DIR") {
        Some(folder) => Binaries::in_folder(&root, folder.as_ref())?,
        None => Binaries::build(&root)?,
    };
    let mut suite = runtime.block_on(Suite::open(binaries, choice, &folder))?;
    let mut criterion = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(10))
        .configure_from_args();
    for broker in [Broker::Pgmq, Broker::Rabbitmq] {
        for scenario in &scenarios {
            bench(&mut criterion, &runtime, &mut suite, scenario, broker);
        }
    }
    if suite.runs().is_empty() {
        return Ok(cli::GOOD);
    }
    let report = runtime.block_on(suite.close())?;
    println!("\n{}", Terminal.render(&report));
    cli::latest_link(&root, &folder)?;
    println!("report: {}", folder.display());
    criterion.final_summary();
    Ok(report.exit_code())
}

fn bench(
    criterion: &mut Criterion,
    runtime: &Runtime,
    suite: &mut Suite,
    scenario: &Scenario,
    broker: Broker,
) {
    let plan = Plan { broker, concurrency: 1, warmup: WARMUP_TASKS };
    let mut run = None;
    let mut failed = None;
    let name = format!("{}/{}", scenario.name, broker.name());
    // Criterion sizes its samples by its warm-up, so a cluster's start must not fall into that.
    if is_asked_for(&name) {
        match runtime.block_on(suite.start(scenario, plan)) {
            Ok(started) => run = Some(started),
            Err(error) => failed = Some(error),
        }
    }
    criterion.bench_function(&name, |bencher| {
        bencher.iter_custom(|tasks| {
            if failed.is_some() {
                return Duration::from_nanos(tasks);
            }
            match runtime.block_on(drive(suite, &mut run, scenario, plan, tasks)) {
                Ok(busy) => busy,
                Err(error) => {
                    failed = Some(error);
                    Duration::from_nanos(tasks)
                }
            }
        });
    });
    runtime.block_on(async {
        match (run, failed) {
            (None, None) => {}
            (None, Some(error)) => suite.add_missing(scenario, plan, &error.to_string()),
            // Criterion's filter has left it out after all.
            (Some(run), None) if run.tasks() == 0 => drop(run),
            (Some(run), Some(error)) => suite.abandon(scenario, plan, run, &error).await,
            (Some(run), None) => suite.finish(scenario, plan, run).await,
        }
    });
}

/// Whether a word of the command line is a part of the name, or there is none. A guess at
/// criterion's filter, which it does not tell: a run that is left out here starts when criterion
/// calls for it.
fn is_asked_for(name: &str) -> bool {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with('-')).peekable();
    words.peek().is_none() || words.any(|word| name.contains(&word))
}

async fn drive(
    suite: &mut Suite,
    run: &mut Option<Measurement>,
    scenario: &Scenario,
    plan: Plan,
    tasks: u64,
) -> Result<Duration, RunError> {
    let run = match run {
        Some(run) => run,
        None => run.insert(suite.start(scenario, plan).await?),
    };
    if run.floor_rounds() == 1 && run.tasks() >= TASKS_BEFORE_SECOND_FLOOR {
        run.measure_floor().await?;
    }
    run.drive(tasks, |_| {}).await
}
