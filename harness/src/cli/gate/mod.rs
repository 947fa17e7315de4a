//! `stepmark gate`.

mod baseline;
mod budgets;
mod turns;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;

use super::bench::Brokers;
use super::{ENVIRONMENT, GOOD, INVALID, complain, interrupted};
use super::{root, session::SessionArgs};
use crate::baseline::{Baseline, Tolerance};
use crate::binaries::Binaries;
use crate::checkout::Checkout;
use crate::gate::{self, Gate};
use crate::language::Language;
use crate::report::Git;
use crate::scenario::Scenario;
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
    /// with one a tier, such as reports/baseline. What is above it is measured again; a latency
    /// fails if it is above in both.
    #[arg(long, value_name = "PATH", conflicts_with = "base")]
    baseline: Option<PathBuf>,
    /// How many times the baseline's P50 is allowed, as a multiple of the floor.
    #[arg(long, value_name = "FACTOR", default_value_t = Tolerance::default().p50_ratio_max)]
    #[arg(value_parser = factor, requires = "baseline")]
    p50_tolerance: f64,
    /// The same of P95.
    #[arg(long, value_name = "FACTOR", default_value_t = Tolerance::default().p95_ratio_max)]
    #[arg(value_parser = factor, requires = "baseline")]
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
    #[arg(long, value_name = "N", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000))]
    tasks: u64,
    /// Blocks of four tasks (base, head, head, base) of each scenario whose latencies are held
    /// against each other, on four pairs of new clusters.
    #[arg(long, value_name = "N", default_value_t = 400)]
    #[arg(value_parser = clap::value_parser!(u64).range(20..=4_000))]
    blocks: u64,
    #[command(flatten)]
    session: SessionArgs,
}

/// The files that tell of a decision.
const DECISION: [&str; 2] = ["gate.json", "gate.md"];

/// Reads how many times a baseline is allowed.
fn factor(text: &str) -> Result<f64, String> {
    let factor: f64 = text.parse().map_err(|_| format!("{text} is not a number"))?;
    let is_one = (1.0..=1_000.0).contains(&factor);
    is_one.then_some(factor).ok_or_else(|| "a factor is 1 to 1000".to_owned())
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

    /// Why there is nothing to judge, if that is so.
    fn nothing(&self, scenarios: &[Scenario]) -> Option<&'static str> {
        if scenarios.is_empty() {
            return Some("--without leaves no scenario");
        }
        let has_rows = self.base.is_none() || !self.rows(scenarios).is_empty();
        let why =
            "none of these scenarios is held against the base by itself: name one (--scenario)";
        (!has_rows).then_some(why)
    }
}

pub(super) async fn run(args: GateArgs) -> u8 {
    let root = root();
    let all = match args.session.scenarios(&root, args.tier, &args.scenario) {
        Ok(all) => all,
        Err(error) => return complain(INVALID, &error),
    };
    let is_left_out = |scenario: &Scenario| args.without().has(scenario.language);
    let (left_out, scenarios): (Vec<Scenario>, Vec<Scenario>) =
        all.into_iter().partition(is_left_out);
    if let Some(why) = args.nothing(&scenarios) {
        return complain(INVALID, &why);
    }
    let base = match args.base.as_deref().map(|revision| Base::of(&root, revision)) {
        None => None,
        Some(Ok(base)) => Some(base),
        Some(Err((code, why))) => return complain(code, &why),
    };
    let baseline = match args.baseline.as_deref().map(Baseline::read).transpose() {
        Ok(baseline) => baseline.map(|baseline| baseline::of_these(&args, &scenarios, baseline)),
        Err(error) => return complain(INVALID, &error),
    };
    if baseline.as_ref().is_some_and(|baseline| baseline.tiers.is_empty()) {
        return complain(INVALID, &"the baseline has none of these runs");
    }
    let languages: BTreeSet<Language> =
        scenarios.iter().flat_map(|scenario| scenario.topology.languages()).collect();
    let place = args.session.place(&root).apart();
    let mut suite = match place.open(languages.clone()).await {
        Ok(suite) => suite,
        Err(code) => return code,
    };
    for name in DECISION {
        let _ = std::fs::remove_file(place.folder().join(name)); // of an earlier one, if there is
    }
    for broker in args.broker.all() {
        for scenario in &left_out {
            let why = format!("--without {}", scenario.language.name());
            suite.add_left_out(scenario, budgets::plan(&args, *broker, args.tasks), &why);
        }
    }
    let mut gate = None;
    let copies = folder(&root).join(format!("run-{}", std::process::id()));
    let judged = async {
        if let Some(baseline) = &baseline {
            return baseline::measure(&mut suite, &args, &scenarios, baseline).await;
        }
        budgets::judge(&mut suite, &args, &scenarios).await?;
        let Some(base) = &base else { return Ok(()) };
        let base_binaries = base.binaries(&root, &args, &scenarios, languages).await?;
        let binaries = alike(&copies, [&base_binaries, suite.binaries()])?;
        let head = Git::look(&root).map_or_else(|| "this tree".to_owned(), |git| git.to_string());
        let gate = gate.insert(Gate::new(base.name.clone(), head));
        turns::judge(&mut suite, &args, &scenarios, &binaries, gate).await
    };
    let judged: Result<(), Stopped> = tokio::select! {
        judged = judged => judged,
        () = interrupted() => Err((INVALID, "interrupted: the gate has not decided".to_owned())),
    };
    let _ = std::fs::remove_dir_all(&copies); // there are some only of a gate with a base
    if let (Some(gate), Err((_, why))) = (&mut gate, &judged) {
        gate.stopped = Some(why.clone());
    }
    let report = match place.close(suite).await {
        Ok(report) => report,
        Err(code) => return code,
    };
    let decided = match (&gate, &baseline) {
        (Some(gate), _) => {
            println!("\n{}", gate::terminal(gate));
            let code = if gate.regressions().is_empty() { GOOD } else { FAILED };
            gate.write(place.folder()).map(|()| code)
        }
        (None, Some(baseline)) if judged.is_ok() => {
            baseline::judge(&args, baseline, &report, place.folder())
        }
        _ => Ok(GOOD),
    };
    match (judged, decided) {
        (_, Err((path, error))) => complain(ENVIRONMENT, &format!("{}: {error}", path.display())),
        (Err((code, why)), _) => complain(code, &why),
        (Ok(()), Ok(code)) => code.max(report.exit_code()),
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

    /// Builds its programs, in the languages that the head's are built in, or takes those that were
    /// told of.
    async fn binaries(
        &self,
        root: &Path,
        args: &GateArgs,
        scenarios: &[Scenario],
        languages: BTreeSet<Language>,
    ) -> Result<Binaries, Stopped> {
        let rows = args.rows(scenarios).into_iter();
        let of_rows: BTreeSet<Language> =
            rows.flat_map(|scenario| scenario.topology.languages()).collect();
        let (told, target) = (args.base_bin_dir.clone(), folder(root).join("build"));
        let tree = self.checkout.folder.clone();
        println!("building {}", self.name);
        let built = tokio::task::spawn_blocking(move || match told {
            Some(told) => Binaries::in_folder(&tree, &told, &of_rows),
            None => Binaries::build_apart(&tree, &target, &languages),
        });
        let built = built.await;
        let built = built.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        built.map_err(|error| (ENVIRONMENT, format!("the base, {}: {error}", self.name)))
    }
}

/// Copies the programs of the base and of the head in the same way, to paths of the same length, so
/// that nothing but what is in them differs. A build meanwhile doesn't reach them, either.
fn alike(copies: &Path, sides: [&Binaries; 2]) -> Result<[Binaries; 2], Stopped> {
    let copy = |side: &Binaries, name| {
        let copied = side.copied_to(&copies.join(name));
        copied.map_err(|error| (ENVIRONMENT, error.to_string()))
    };
    let [base, head] = sides;
    Ok([copy(base, "base")?, copy(head, "head")?])
}

/// Where other revisions are laid out and built.
fn folder(root: &Path) -> PathBuf {
    root.join("target/gate")
}
