//! `stepmark bench`.

use std::collections::BTreeSet;

use clap::{Args, ValueEnum};

use super::ladder::{self, Rungs};
use super::{ENVIRONMENT, INVALID, complain, interrupted};
use super::{root, session::SessionArgs};
use crate::arrivals::{Arrivals, Spacing};
use crate::broker::Broker;
use crate::language::Language;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::scenario::Scenario;
use crate::suite::Suite;
use crate::topology::{On, Without};

/// Flags of `stepmark bench`.
#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// Only scenarios of this tier.
    #[arg(long)]
    tier: Option<u8>,
    /// Only the scenario of this name; may be given several times.
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// The broker that messages travel through.
    #[arg(long, value_enum, default_value = "both")]
    broker: Brokers,
    /// Tasks under way at any moment; may be given several times, for a run each. With 1, the work
    /// of each single task is accounted.
    #[arg(long, value_name = "N", default_values_t = [1])]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=4096))]
    concurrency: Vec<u16>,
    /// An open loop: so many tasks a second begin, whatever became of those before, and latency
    /// counts from when each was due; may be given several times, for a run each.
    #[arg(long, value_name = "PER_S", conflicts_with_all = ["whole", "concurrency"])]
    #[arg(value_parser = rate)]
    rate: Vec<f64>,
    /// How the tasks of an open loop lie in time.
    #[arg(long, value_enum, default_value = "poisson", requires = "rate")]
    arrivals: Spacing,
    /// The cluster; may be given several times, for runs on each: `own` is the scenario's, `ten`
    /// has two orchestrators and two workers in each language, `2x4` has two orchestrators and four
    /// workers in the language of the scenario's handlers.
    #[arg(long, value_name = "CLUSTER", default_values_t = [On::Own])]
    topology: Vec<On>,
    /// Everything: each scenario on its own cluster and on the ten instances, those of tiers 1, 2
    /// and 5 with 64 tasks at once too, and the linear workflow so on clusters of three sizes, and
    /// on a ladder.
    #[arg(long, conflicts_with_all = ["tier", "scenario", "concurrency", "topology"])]
    whole: bool,
    /// Leaves out the workers in this language, and the scenarios whose handlers are in it; may be
    /// given several times. The report says so.
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    without: Vec<Language>,
    /// Count the statements that functions run too, by their texts. It takes time: no budget of
    /// latency is judged.
    #[arg(long)]
    nested_statements: bool,
    /// Have the engine write OpenTelemetry traces. The report keeps that of one task, as OTLP's
    /// JSON in RUN.trace.json. It takes time: no budget of latency is judged, and with one task at
    /// a time on its own cluster each scenario runs in turns with itself without traces, instead of
    /// what else it is compared with, for the difference.
    #[arg(long)]
    traces: bool,
    /// Tasks that are measured. P95 is given from 200 on, P99 from 1000 on.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    samples: u64,
    /// Tasks before the measurement, checked like the others.
    #[arg(long, value_name = "N", default_value_t = 100)]
    warmup: u64,
    #[command(flatten)]
    session: SessionArgs,
}

/// The lowest and the highest rate of an open loop, in tasks a second.
const RATE_MIN: f64 = 0.1;
const RATE_MAX: f64 = 100_000.0;
/// Tasks at once where throughput is the question.
const LOADED: usize = 64;
/// The clusters that throughput is told by the size of.
const SIZES: [On; 3] = [
    On::Grid { orchestrators: 1, workers: 1 },
    On::Grid { orchestrators: 2, workers: 2 },
    On::Grid { orchestrators: 4, workers: 4 },
];
/// And the scenario that is run on them.
const GROWING: &str = "linear_rust";

/// The ladder that belongs to everything.
const RUNGS: Rungs = Rungs { from: 50.0, growth: 1.4, seconds: 5, arrivals: Spacing::Poisson };

/// Which brokers are meant.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Brokers {
    Pgmq,
    Rabbitmq,
    Both,
}

impl Brokers {
    /// They.
    pub(super) const fn all(self) -> &'static [Broker] {
        match self {
            Brokers::Pgmq => &[Broker::Pgmq],
            Brokers::Rabbitmq => &[Broker::Rabbitmq],
            Brokers::Both => &[Broker::Pgmq, Broker::Rabbitmq],
        }
    }
}

impl BenchArgs {
    /// The runs on a broker, cluster by cluster in the order given and within one scenario by
    /// scenario; one that is asked for twice is one.
    fn runs<'s>(&self, scenarios: &'s [Scenario], broker: Broker) -> Vec<(&'s Scenario, Plan)> {
        let (without, warmup, samples) = (self.without(), self.warmup, self.samples);
        let mut runs: Vec<(&Scenario, Plan)> = Vec::new();
        for on in self.clusters() {
            for scenario in scenarios {
                for (concurrency, arrivals) in self.loads(on, scenario) {
                    let (counts_nested, traces) = (self.nested_statements, self.traces);
                    let plan = Plan {
                        on,
                        without,
                        broker,
                        concurrency,
                        arrivals,
                        counts_nested,
                        counts_only: false,
                        traces,
                        warmup,
                        samples,
                    };
                    let is_there = |(other, one): &(&Scenario, Plan)| {
                        other.name == scenario.name
                            && one.run_name(other) == plan.run_name(scenario)
                    };
                    if !runs.iter().any(is_there) {
                        runs.push((scenario, plan));
                    }
                }
            }
        }
        runs
    }

    fn clusters(&self) -> Vec<On> {
        match self.whole {
            true => [On::Own, On::Ten].into_iter().chain(SIZES).collect(),
            false => self.topology.clone(),
        }
    }

    /// The loads of a scenario: tasks at once in a closed loop, or the arrivals of an open one.
    fn loads(&self, on: On, scenario: &Scenario) -> Vec<(usize, Option<Arrivals>)> {
        let spacing = self.arrivals;
        let open = |rate_per_s: &f64| (1, Some(Arrivals { rate_per_s: *rate_per_s, spacing }));
        match self.rate.is_empty() {
            true => self.concurrencies(on, scenario).into_iter().map(|many| (many, None)).collect(),
            false => self.rate.iter().map(open).collect(),
        }
    }

    fn concurrencies(&self, on: On, scenario: &Scenario) -> Vec<usize> {
        match (self.whole, on) {
            (false, _) => self.concurrency.iter().copied().map(usize::from).collect(),
            (true, On::Own) if matches!(scenario.tier, 1 | 2 | 5) => vec![1, LOADED],
            (true, On::Own | On::Ten) => vec![1],
            (true, On::Grid { .. }) if scenario.name == GROWING => vec![LOADED],
            (true, On::Grid { .. }) => Vec::new(),
        }
    }

    fn without(&self) -> Without {
        self.without.iter().copied().collect()
    }

    /// The languages that workers are needed in.
    fn languages(&self, scenarios: &[Scenario]) -> BTreeSet<Language> {
        let runs = self.runs(scenarios, Broker::Pgmq); // as on any broker
        let wanted = runs.iter().filter(|(scenario, plan)| plan.leaves_out(scenario).is_none());
        wanted.flat_map(|(scenario, plan)| plan.languages(scenario)).collect()
    }
}

/// Reads a rate, in tasks a second.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| format!("{text} is not a number"))?;
    match (RATE_MIN..=RATE_MAX).contains(&rate) {
        true => Ok(rate),
        false => Err(format!("a rate is {RATE_MIN} to {RATE_MAX} tasks a second")),
    }
}

/// Why not every run was begun.
enum BrokenOff {
    Interrupted,
    Environment(String),
}

pub(super) async fn run(args: BenchArgs) -> u8 {
    let root = root();
    let scenarios = match args.session.scenarios(&root, args.tier, &args.scenario) {
        Ok(scenarios) if args.traces => {
            scenarios.into_iter().map(Scenario::beside_itself_without_traces).collect()
        }
        Ok(scenarios) => scenarios,
        Err(error) => return complain(INVALID, &error),
    };
    let place = args.session.place(&root);
    let mut suite = match place.open(args.languages(&scenarios)).await {
        Ok(suite) => suite,
        Err(code) => return code,
    };
    let finished = tokio::select! {
        finished = measure(&mut suite, &args, &scenarios) => {
            finished.map_err(BrokenOff::Environment)
        }
        () = interrupted() => Err(BrokenOff::Interrupted),
    };
    let report = match place.close(suite).await {
        Ok(report) => report,
        Err(code) => return code,
    };
    match finished {
        Ok(()) => report.exit_code(),
        Err(BrokenOff::Interrupted) => {
            complain(INVALID, &"interrupted: what was measured before stands")
        }
        Err(BrokenOff::Environment(why)) => complain(ENVIRONMENT, &why),
    }
}

/// Runs every scenario on every broker at every concurrency. An error is one of the environment.
async fn measure(
    suite: &mut Suite,
    args: &BenchArgs,
    scenarios: &[Scenario],
) -> Result<(), String> {
    let brokers = args.broker.all();
    for broker in brokers {
        let runs = args.runs(scenarios, *broker);
        // One broker of two that is missing leaves a report that says so, and is incomplete.
        if let Err(error) = suite.servers(*broker).await {
            if brokers.len() == 1 {
                return Err(error.to_string());
            }
            for (scenario, plan) in runs {
                suite.add_missing(scenario, plan, &error.to_string());
            }
            continue;
        }
        for (scenario, plan) in runs {
            if let Some(language) = plan.leaves_out(scenario) {
                let why = format!("--without {}", language.name());
                suite.add_left_out(scenario, plan, &why);
                continue;
            }
            run_one(suite, scenario, plan).await?;
        }
        if args.whole {
            climb(suite, args, scenarios, *broker).await?;
        }
    }
    Ok(())
}

/// The ladder of the scenario that throughput is told by. One that comes to nothing is a run that
/// failed.
async fn climb(
    suite: &mut Suite,
    args: &BenchArgs,
    scenarios: &[Scenario],
    broker: Broker,
) -> Result<(), String> {
    let growing = scenarios.iter().find(|scenario| scenario.name == GROWING);
    let Some(scenario) = growing.filter(|scenario| !args.without().has(scenario.language)) else {
        return Ok(());
    };
    let plan = RUNGS.plan(On::Own, broker, args.warmup);
    match ladder::climb(suite, RUNGS, scenario, plan).await {
        Err(error) if error.is_of_the_environment() => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// Runs a scenario, and takes what came of it into the report. An error is one of the environment.
pub(super) async fn run_one(
    suite: &mut Suite,
    scenario: &Scenario,
    plan: Plan,
) -> Result<(), String> {
    let mut progress = Progress::new();
    let samples = plan.samples;
    let at_once = match (plan.arrivals, plan.concurrency) {
        (Some(arrivals), _) => format!(", {arrivals}"),
        (None, 1) => String::new(),
        (None, many) => format!(", {many} at once"),
    };
    let cluster = match plan.on {
        On::Own => String::new(),
        other => format!(", cluster {other}"),
    };
    let name = format!("{} on {}{at_once}{cluster}", scenario.name, plan.broker.name());
    progress.say(&format!("{name}: cluster, warm-up, floor"));
    let mut run = match suite.start(scenario, plan).await {
        Ok(run) => run,
        Err(error) if error.is_of_the_environment() => return Err(error.to_string()),
        Err(error) => {
            suite.add_failed(scenario, plan, vec![error.to_string()]);
            return Ok(());
        }
    };
    for instance in run.instances() {
        progress.say(&format!("  {instance}"));
    }
    progress.begin(&name, samples);
    let first_half = samples / 2;
    let driven = async {
        run.drive(first_half, |tasks| progress.advance(tasks)).await?;
        run.measure_floor().await?;
        run.drive(samples - first_half, |tasks| progress.advance(tasks)).await
    }
    .await;
    progress.end();
    match driven {
        Ok(_) => suite.finish(scenario, plan, run).await,
        Err(error) => suite.abandon(scenario, plan, run, &error).await,
    }
    Ok(())
}
