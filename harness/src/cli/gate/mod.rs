//! `stepmark gate`.

mod baseline;
mod budgets;
mod turns;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;

use super::bench::Brokers;
use super::{ENVIRONMENT, EnvironmentArgs, GOOD, INVALID, complain, interrupted};
use super::{root, session::Place};
use crate::baseline::{Baseline, Tolerance};
use crate::binaries::Binaries;
use crate::checkout::Checkout;
use crate::gate::{self, Gate};
use crate::language::Language;
use crate::report::Git;
use crate::scenario::{self, Scenario};
use crate::topology::Without;

/// A budget is broken, or the head is slower.
const FAILED: u8 = 1;

/// Flags of `stepmark gate`.
#[derive(Debug, Args)]
pub(super) struct GateArgs {
    /// Also hold latencies against this revision's (a commit, branch or tag), which is built
    /// beside and run in turns with this tree.
    #[arg(long, value_name = "REV")]
    base: Option<String>,
    /// A folder with the base's programs, instead of building them; they must be of that revision.
    #[arg(long, value_name = "DIR", env = "STEPMARK_BASE_BIN_DIR", requires = "base")]
    base_bin_dir: Option<PathBuf>,
    /// Also hold latencies, as multiples of the floor, against this baseline: a file, or a folder
    /// with one a tier, such as reports/baseline.
    #[arg(long, value_name = "PATH", conflicts_with = "base")]
    baseline: Option<PathBuf>,
    /// How many times the baseline's P50 is allowed, as a multiple of the floor.
    #[arg(long, value_name = "FACTOR", default_value_t = Tolerance::default().p50_ratio_max)]
    p50_tolerance: f64,
    /// The same of P95.
    #[arg(long, value_name = "FACTOR", default_value_t = Tolerance::default().p95_ratio_max)]
    p95_tolerance: f64,
    /// Only scenarios of this tier.
    #[arg(long)]
    tier: Option<u8>,
    /// Only the scenario of this name; may be given several times. Else budgets are judged of all,
    /// and latencies are held against the base's of those with handlers in Rust.
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// The broker that messages travel through.
    #[arg(long, value_enum, default_value = "both")]
    broker: Brokers,
    /// Leaves out the scenarios whose handlers are in this language; may be given several times.
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    without: Vec<Language>,
    /// Tasks of each scenario whose work is counted; with a baseline there are 200 at least, which
    /// carry a P95.
    #[arg(long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000))]
    tasks: u64,
    /// Blocks of four tasks (base, head, head, base) of each scenario whose latencies are held
    /// against each other, on four pairs of new clusters.
    #[arg(long, value_name = "N", default_value_t = 400)]
    #[arg(value_parser = clap::value_parser!(u64).range(20..=20_000))]
    blocks: u64,
    /// Where the reports go [default: a new folder in reports/runs, with reports/latest as a link
    /// to it].
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// The folder with the scenarios [default: scenarios].
    #[arg(long, value_name = "DIR")]
    scenarios: Option<PathBuf>,
    #[command(flatten)]
    environment: EnvironmentArgs,
}

/// How a gate ends that says nothing of the head, or no more of it: an exit code and why.
type Stopped = (u8, String);

impl GateArgs {
    fn without(&self) -> Without {
        self.without.iter().copied().collect()
    }

    /// The scenarios whose latencies are held against the base's.
    fn rows<'s>(&self, scenarios: &'s [Scenario]) -> Vec<&'s Scenario> {
        let is_asked_for = !self.scenario.is_empty();
        let wanted = |scenario: &&Scenario| is_asked_for || scenario.language == Language::Rust;
        scenarios.iter().filter(wanted).collect()
    }

    /// The scenarios that are not left out.
    fn scenarios(&self, root: &Path) -> Result<Vec<Scenario>, scenario::ScenarioError> {
        let folder = self.scenarios.clone().unwrap_or_else(|| root.join("scenarios"));
        let all = scenario::load_all(root, &folder)?;
        let mut scenarios = scenario::select(all, self.tier, &self.scenario)?;
        scenarios.retain(|scenario| !self.without().has(scenario.language));
        Ok(scenarios)
    }
}

pub(super) async fn run(args: GateArgs) -> u8 {
    let root = root();
    let scenarios = match args.scenarios(&root) {
        Ok(scenarios) => scenarios,
        Err(error) => return complain(INVALID, &error),
    };
    let base = match args.base.as_deref().map(|revision| Base::of(&root, revision)) {
        None => None,
        Some(Ok(base)) => Some(base),
        Some(Err((code, why))) => return complain(code, &why),
    };
    let baseline = match args.baseline.as_deref().map(Baseline::read).transpose() {
        Ok(baseline) => baseline,
        Err(error) => return complain(INVALID, &error),
    };
    let languages: BTreeSet<Language> =
        scenarios.iter().flat_map(|scenario| scenario.topology.languages()).collect();
    let place = Place::of(&root, args.report.as_ref());
    let mut suite = match place.open(&args.environment, languages).await {
        Ok(suite) => suite,
        Err(code) => return code,
    };
    let mut gate = None;
    let judged = async {
        if baseline.is_some() {
            return baseline::measure(&mut suite, &args, &scenarios).await;
        }
        budgets::judge(&mut suite, &args, &scenarios).await?;
        let Some(base) = &base else { return Ok(()) };
        let binaries = base.binaries(&root, &args, &scenarios).await?;
        let head = Git::look(&root).map_or_else(|| "this tree".to_owned(), |git| git.to_string());
        let gate = gate.insert(Gate::new(base.name.clone(), head));
        turns::judge(&mut suite, &args, &scenarios, &binaries, gate).await
    };
    let judged: Result<(), Stopped> = tokio::select! {
        judged = judged => judged,
        () = interrupted() => Err((INVALID, "interrupted: the gate has not decided".to_owned())),
    };
    let report = match place.close(suite).await {
        Ok(report) => report,
        Err(code) => return code,
    };
    let said = match (&gate, baseline) {
        (Some(gate), _) => Some(gate.write(place.folder()).map(|()| {
            println!("\n{}", gate::terminal(gate));
            if gate.regressions().is_empty() { GOOD } else { FAILED }
        })),
        (None, Some(baseline)) => {
            Some(baseline::judge(&args, &scenarios, baseline, &report, place.folder()))
        }
        (None, None) => None,
    };
    match (judged, said) {
        (_, Some(Err((path, error)))) => {
            complain(ENVIRONMENT, &format!("{}: {error}", path.display()))
        }
        (Err((code, why)), _) => complain(code, &why),
        (Ok(()), said) => report.exit_code().max(said.and_then(Result::ok).unwrap_or(GOOD)),
    }
}

/// The base.
struct Base {
    /// As it was asked for, and its commit.
    name: String,
    checkout: Checkout,
}

impl Base {
    fn of(root: &Path, revision: &str) -> Result<Base, Stopped> {
        let checkout = Checkout::of(root, revision, &folder(root)).map_err(|error| {
            (if error.is_input() { INVALID } else { ENVIRONMENT }, error.to_string())
        })?;
        let commit = &checkout.commit[..12];
        let name = match revision.starts_with(commit) {
            true => commit.to_owned(),
            false => format!("{revision} ({commit})"),
        };
        Ok(Base { name, checkout })
    }

    /// Builds its programs, or takes those that were told of.
    async fn binaries(
        &self,
        root: &Path,
        args: &GateArgs,
        scenarios: &[Scenario],
    ) -> Result<Binaries, Stopped> {
        let rows = args.rows(scenarios).into_iter();
        let languages: BTreeSet<Language> =
            rows.flat_map(|scenario| scenario.topology.languages()).collect();
        let (told, target) = (args.base_bin_dir.clone(), folder(root).join("build"));
        let tree = self.checkout.folder.clone();
        println!("building {}", self.name);
        let built = tokio::task::spawn_blocking(move || match told {
            Some(told) => Binaries::in_folder(&tree, &told, &languages),
            None => Binaries::build_apart(&tree, &target, &languages),
        });
        let built = built.await;
        let built = built.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        built.map_err(|error| (ENVIRONMENT, format!("the base, {}: {error}", self.name)))
    }
}

/// Where other revisions are laid out and built.
fn folder(root: &Path) -> PathBuf {
    root.join("target/gate")
}
