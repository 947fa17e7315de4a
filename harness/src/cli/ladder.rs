//! `stepmark ladder`.

use clap::Args;

use super::bench::rate;
use super::{ENVIRONMENT, GOOD, INVALID, complain, interrupted};
use super::{root, session::SessionArgs};
use crate::arrivals::{Arrivals, Spacing};
use crate::broker::Broker;
use crate::ladder::{Ladder, Rung, knee, why_stop};
use crate::measurement::{Measurement, RunError};
use crate::plan::Plan;
use crate::scenario::Scenario;
use crate::suite::Suite;
use crate::topology::{On, Without};

/// Flags of `stepmark ladder`.
#[derive(Debug, Args)]
pub(super) struct LadderArgs {
    /// The scenario.
    #[arg(long, value_name = "NAME", default_value = "linear_rust")]
    scenario: String,
    /// The broker that messages travel through.
    #[arg(long, value_enum, default_value = "pgmq")]
    broker: Broker,
    /// The cluster, as `stepmark bench` has it.
    #[arg(long, value_name = "CLUSTER", default_value_t = On::Own)]
    topology: On,
    /// The rate of the lowest rung, in tasks a second.
    #[arg(long, value_name = "PER_S", default_value_t = 50.0, value_parser = rate)]
    from: f64,
    /// How much higher each rung is than the one below.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.25, value_parser = growth)]
    growth: f64,
    /// How long tasks begin on each rung, in seconds; there are 200 tasks at least.
    #[arg(long, value_name = "S", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// How the tasks lie in time.
    #[arg(long, value_enum, default_value = "poisson")]
    arrivals: Spacing,
    /// Tasks before the lowest rung, checked like the others.
    #[arg(long, value_name = "N", default_value_t = 200)]
    warmup: u64,
    #[command(flatten)]
    session: SessionArgs,
}

/// The fewest tasks of a rung: they carry a P95.
const SAMPLES_MIN: f64 = 200.0;

fn growth(text: &str) -> Result<f64, String> {
    let growth: f64 = text.parse().map_err(|_| format!("{text} is not a number"))?;
    let is_one = (1.01..=10.0).contains(&growth);
    is_one.then_some(growth).ok_or_else(|| "a factor is 1.01 to 10".to_owned())
}

pub(super) async fn run(args: LadderArgs) -> u8 {
    let root = root();
    let named = std::slice::from_ref(&args.scenario);
    let scenario = match args.session.scenarios(&root, None, named) {
        Ok(mut scenarios) => scenarios.remove(0),
        Err(error) => return complain(INVALID, &error),
    };
    let (from, growth, seconds, arrivals) = (args.from, args.growth, args.seconds, args.arrivals);
    let of = Rungs { from, growth, seconds, arrivals };
    let plan = of.plan(args.topology, args.broker, args.warmup);
    let place = args.session.place(&root);
    let mut suite = match place.open(plan.languages(&scenario)).await {
        Ok(suite) => suite,
        Err(code) => return code,
    };
    let climbed = tokio::select! {
        climbed = climb(&mut suite, of, &scenario, plan) => climbed.map_err(|error| {
            let code = if error.is_of_the_environment() { ENVIRONMENT } else { INVALID };
            (code, error.to_string())
        }),
        () = interrupted() => Err((INVALID, "interrupted: there is no ladder".to_owned())),
    };
    let report = match place.close(suite).await {
        Ok(report) => report,
        Err(code) => return code,
    };
    match climbed {
        Err((code, why)) => complain(code, &why),
        Ok(()) if report.ladders.is_empty() => report.exit_code(),
        Ok(()) => GOOD,
    }
}

/// The rungs of a ladder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rungs {
    /// The rate of the lowest, in tasks a second.
    pub(super) from: f64,
    /// How much higher each is than the one below.
    pub(super) growth: f64,
    /// How long tasks begin on each, in seconds.
    pub(super) seconds: u32,
    /// How they lie in time.
    pub(super) arrivals: Spacing,
}

impl Rungs {
    /// How a scenario is run on them.
    pub(super) fn plan(self, on: On, broker: Broker, warmup: u64) -> Plan {
        Plan {
            on,
            without: Without::NONE,
            broker,
            concurrency: 1,
            arrivals: Some(Arrivals { rate_per_s: self.from, spacing: self.arrivals }),
            counts_nested: false,
            counts_only: false,
            traces: false,
            warmup,
            samples: 0,
        }
    }
}

/// Climbs until there is no need to go on, and takes the ladder into the report; one that fails is
/// a run there.
pub(super) async fn climb(
    suite: &mut Suite,
    of: Rungs,
    scenario: &Scenario,
    plan: Plan,
) -> Result<(), RunError> {
    println!("{} on {}, a ladder: cluster, warm-up, floor", scenario.name, plan.broker.name());
    let mut run = suite.start(scenario, plan).await.inspect_err(|error| {
        if !error.is_of_the_environment() {
            suite.add_failed(scenario, plan, vec![error.to_string()]);
        }
    })?;
    match rungs(&mut run, of).await {
        Ok((rungs, why_stopped)) => {
            let knee_per_s = knee(&rungs).map(|rung| rung.asked_per_s);
            let ladder = Ladder {
                scenario: scenario.name.clone(),
                broker: plan.broker,
                on: plan.on.to_string(),
                rungs,
                knee_per_s,
                why_stopped,
            };
            suite.finish_ladder(scenario, plan, run, ladder).await;
            Ok(())
        }
        Err(error) => {
            suite.abandon(scenario, plan, run, &error).await;
            Err(error)
        }
    }
}

async fn rungs(run: &mut Measurement, of: Rungs) -> Result<(Vec<Rung>, String), RunError> {
    let mut rungs = Vec::new();
    let mut rate_per_s = of.from;
    loop {
        let samples = (rate_per_s * f64::from(of.seconds)).max(SAMPLES_MIN) as u64;
        let arrivals = Arrivals { rate_per_s, spacing: of.arrivals };
        let rung = run.climb(arrivals, samples).await?;
        println!(
            "{:>9.1}/s  achieved {:>8.1}/s  P50 {:>8.2} ms  P95 {:>8.2} ms",
            rung.asked_per_s, rung.achieved_per_s, rung.p50_ms, rung.p95_ms
        );
        rungs.push(rung);
        if let Some(why) = why_stop(&rungs) {
            return Ok((rungs, why));
        }
        rate_per_s *= of.growth;
    }
}
