//! `cargo bench`: all scenarios on both brokers, through criterion.
//!
//! Every task is checked and accounted as with `stepmark bench`, and the same report is written.
//! Exit codes and environment variables are those of `stepmark`. A run that fails under criterion
//! ends the program.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use criterion::Criterion;
use stepmark_harness::binaries::{Binaries, BinariesError};
use stepmark_harness::broker::Broker;
use stepmark_harness::cli::{self, ENVIRONMENT, INVALID};
use stepmark_harness::environment::{BackendName, Told, choose};
use stepmark_harness::measurement::{Measurement, RunError};
use stepmark_harness::plan::Plan;
use stepmark_harness::report::{Format, Terminal};
use stepmark_harness::scenario::{self, Scenario};
use stepmark_harness::suite::Suite;
use stepmark_harness::topology::{On, Without};
use tokio::runtime::Runtime;

const WARMUP_TASKS: u64 = 100;
/// So many inputs an oracle's program is asked for: criterion does not tell how many it will run.
const SAMPLES_GUESSED: u64 = 10_000;
/// After so many tasks comes the floor's second round.
const TASKS_BEFORE_SECOND_FLOOR: u64 = 100;
/// Why there is a suite at every call.
const ONE_REPORT: &str = "the program ends with the suite";

fn main() -> ExitCode {
    if let Some(code) = stepmark_docker::reap_if_asked() {
        return code;
    }
    match run() {
        Ok(code) => code.into(),
        Err(error) => complain(&error).into(),
    }
}

fn complain(error: &anyhow::Error) -> u8 {
    eprintln!("stepmark: {error:#}");
    ENVIRONMENT
}

fn run() -> anyhow::Result<u8> {
    let root = cli::root();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let scenarios = match scenario::load_all(&root, &root.join("scenarios"))
        .and_then(|all| scenario::select(all, None, &[]))
    {
        Ok(scenarios) => scenarios,
        Err(error) => {
            eprintln!("stepmark: {error}");
            return Ok(INVALID);
        }
    };
    let folder = cli::new_folder(&root);
    let choice = runtime.block_on(choose(BackendName::Auto, Told::from_environment()))?;
    let languages = scenarios.iter().flat_map(|scenario| plan(Broker::Pgmq).languages(scenario));
    let languages = languages.collect();
    let binaries = match std::env::var_os("STEPMARK_BIN_DIR") {
        Some(folder) => Binaries::in_folder(&root, folder.as_ref(), &languages),
        None => Binaries::build(&root, &languages),
    };
    let binaries = match binaries {
        Err(error @ BinariesError::Runtime(_)) => {
            eprintln!("stepmark: {error}");
            return Ok(INVALID);
        }
        binaries => binaries?,
    };
    let suite = runtime.block_on(Suite::open(binaries, choice, &folder))?;
    let mut bench = Bench { suite: Some(suite), runtime, code: cli::GOOD, root, folder };
    let mut criterion = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(10))
        .configure_from_args();
    for broker in [Broker::Pgmq, Broker::Rabbitmq] {
        for scenario in &scenarios {
            bench.run(&mut criterion, scenario, broker);
        }
    }
    if bench.with_suite(async |suite| suite.report().runs.is_empty()) {
        // Without --bench, criterion only tests.
        if !has_flag("--bench") || has_flag("--test") || has_flag("--list") {
            return Ok(cli::GOOD);
        }
        eprintln!("stepmark: nothing was run");
        return Ok(INVALID);
    }
    let code = bench.close()?;
    criterion.final_summary();
    Ok(code)
}

fn plan(broker: Broker) -> Plan {
    let (on, without) = (On::Own, Without::NONE);
    Plan {
        on,
        without,
        broker,
        concurrency: 1,
        arrivals: None,
        counts_nested: false,
        counts_only: false,
        traces: false,
        warmup: WARMUP_TASKS,
        samples: SAMPLES_GUESSED,
    }
}

/// What all benchmarks share.
struct Bench {
    /// There until the report is written.
    suite: Option<Suite>,
    runtime: Runtime,
    /// The exit code where the report calls for none that is higher.
    code: u8,
    root: PathBuf,
    folder: PathBuf,
}

impl Bench {
    fn run(&mut self, criterion: &mut Criterion, scenario: &Scenario, broker: Broker) {
        let plan = plan(broker);
        let mut run = None;
        let name = format!("{}/{}", scenario.name, broker.name());
        // Criterion sizes its samples by its warm-up, so a cluster's start must not fall into it.
        if is_asked_for(&name) {
            match self.start(scenario, plan) {
                Ok(started) => run = Some(started),
                Err(error) => return self.add_missing(scenario, plan, &error),
            }
        }
        criterion.bench_function(&name, |bencher| {
            bencher.iter_custom(|tasks| {
                let under_way = match run.take() {
                    Some(run) => Ok(run),
                    None => self.start(scenario, plan),
                };
                let mut under_way = under_way.unwrap_or_else(|error| {
                    self.add_missing(scenario, plan, &error);
                    self.end()
                });
                match self.runtime.block_on(drive(&mut under_way, tasks)) {
                    Ok(busy) => {
                        run = Some(under_way);
                        busy
                    }
                    Err(error) => {
                        self.with_suite(async |suite| {
                            suite.abandon(scenario, plan, under_way, &error).await;
                        });
                        self.end()
                    }
                }
            });
        });
        let Some(run) = run else {
            return;
        };
        self.with_suite(async |suite| {
            if run.samples() > 0 {
                suite.finish(scenario, plan, run).await;
            } else {
                // Criterion's filter has left it out after all.
                drop(run);
                suite.clean_up().await;
            }
        });
    }

    fn start(&mut self, scenario: &Scenario, plan: Plan) -> Result<Measurement, RunError> {
        self.with_suite(async |suite| suite.start(scenario, plan).await)
    }

    fn add_missing(&mut self, scenario: &Scenario, plan: Plan, error: &RunError) {
        self.with_suite(async |suite| suite.add_missing(scenario, plan, &error.to_string()));
        // A broker that is missing leaves a report that is incomplete, as with `stepmark bench`.
        if error.is_of_the_environment() && !matches!(error, RunError::Environment(_)) {
            self.code = ENVIRONMENT;
        }
    }

    /// Ends the program when a run has failed under criterion, which has no way to be told so: it
    /// would print and keep whatever time it was given.
    fn end(&mut self) -> ! {
        let code = self.close().unwrap_or_else(|error| complain(&error));
        std::process::exit(code.into())
    }

    /// Writes the report and ends the servers; the exit code that the runs call for.
    fn close(&mut self) -> anyhow::Result<u8> {
        let suite = self.suite.take().expect(ONE_REPORT);
        let report = self.runtime.block_on(suite.close())?;
        println!("\n{}", Terminal.render(&report));
        println!("criterion's lines stand only for runs that stand in this report");
        cli::latest_link(&self.root, &self.folder)?;
        println!("report: {}", self.folder.display());
        Ok(report.exit_code().max(self.code))
    }

    fn with_suite<T>(&mut self, call: impl AsyncFnOnce(&mut Suite) -> T) -> T {
        let suite = self.suite.as_mut().expect(ONE_REPORT);
        self.runtime.block_on(call(suite))
    }
}

fn has_flag(flag: &str) -> bool {
    std::env::args().any(|argument| argument == flag)
}

/// Whether a word of the command line is a part of the name, or there is none. A guess at
/// criterion's filter, which it does not tell: a run that is left out here starts when criterion
/// calls for it.
fn is_asked_for(name: &str) -> bool {
    if has_flag("--list") {
        return false;
    }
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with('-')).peekable();
    words.peek().is_none() || words.any(|word| name.contains(&word))
}

async fn drive(run: &mut Measurement, tasks: u64) -> Result<Duration, RunError> {
    if run.floor_rounds() == 1 && run.samples() >= TASKS_BEFORE_SECOND_FLOOR {
        run.measure_floor().await?;
    }
    run.drive(tasks, |_| {}).await
}
