//! The program `stepmark`: flags, signals, exit codes.
//!
//! Exit codes: 0 good, 1 budget broken, 2 invalid or incomplete (also: bad input), 3 environment.

mod api;
mod baseline;
mod bench;
mod compare;
mod doctor;
mod gate;
mod history;
mod ladder;
mod namespace;
mod products;
mod report;
mod root;
mod scenario;
mod selftest;
mod session;
mod task;
mod up;
mod workflow;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::binaries::{Binaries, BinariesError};
use crate::environment::{BackendName, Choice, EnvironmentError, Images, Told, choose};
use crate::language::Language;

pub use root::{latest_link, new_folder, root};

/// Every answer right, everything measured, in budget.
pub const GOOD: u8 = 0;
/// Wrong or missing answers, something not measured, or bad input.
pub const INVALID: u8 = 2;
/// Servers, binaries, ports or the disk.
pub const ENVIRONMENT: u8 = 3;

/// Measures the stepmark workflow engine, and checks every answer.
#[derive(Debug, Parser)]
#[command(name = "stepmark", version, max_term_width = 100, args_override_self = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios, check every answer, print the table and write the report.
    ///
    /// Exit code: 0 good, 1 budget broken, 2 invalid or incomplete, 3 environment.
    Bench(bench::BenchArgs),
    /// Raise the rate of an open loop until the system no longer keeps up, and find the knee.
    ///
    /// Exit code: 0 good, 2 invalid, 3 environment.
    Ladder(ladder::LadderArgs),
    /// Judge budgets, and hold this tree's latencies against another revision's.
    ///
    /// Exit code: 0 good, 1 budget broken or slower than the base, 2 invalid or incomplete, 3
    /// environment.
    Gate(gate::GateArgs),
    /// Make all formats of a report anew from the raw data in its folder.
    Report(report::ReportArgs),
    /// Show two reports side by side, run by run.
    ///
    /// Exit code: 0 shown, 2 their environments differ (--anyway goes on), or bad input.
    Compare(compare::CompareArgs),
    /// What reports are held against from one day to the next.
    #[command(subcommand)]
    Baseline(baseline::BaselineCommand),
    /// Show where the level of a figure has changed from report to report, and since when.
    ///
    /// Exit code: 0 nothing has got worse lately, 1 something has, 2 bad input.
    #[command(args_conflicts_with_subcommands = true)]
    History(history::HistoryArgs),
    /// Hold the instrument against a system whose latencies are known; about 40 s.
    ///
    /// Exit code: 0 it tells what is, 2 it does not.
    Selftest,
    /// Start servers and a cluster, print their URLs, and stay until Ctrl-C.
    Up(up::UpArgs),
    /// Say what this machine has, what is missing, and what each backend would use.
    Doctor(EnvironmentArgs),
    /// Start, show, list, watch, cancel, redrive and prune tasks.
    Task(task::TaskArgs),
    /// List, pause and resume namespaces.
    Namespace(namespace::NamespaceArgs),
    /// Check and list scenarios.
    #[command(subcommand)]
    Scenario(scenario::ScenarioCommand),
    /// Write the CSV file of products that the batch scenarios read, made from a seed.
    Products(products::ProductsArgs),
    /// Make workflows; check, draw and plan their templates.
    #[command(subcommand)]
    Workflow(workflow::WorkflowCommand),
}

/// Where servers and binaries come from.
#[derive(Debug, Clone, Args)]
pub struct EnvironmentArgs {
    /// Where the servers come from.
    #[arg(long, value_enum, default_value = "auto", env = "STEPMARK_BACKEND")]
    backend: BackendName,
    /// A superuser's URL of a running PostgreSQL, for the backend external.
    #[arg(
        long,
        value_name = "URL",
        env = "STEPMARK_EXTERNAL_DATABASE_URL",
        hide_env_values = true
    )]
    database_url: Option<String>,
    /// The AMQP URL of a running RabbitMQ, for the backend external.
    #[arg(
        long,
        value_name = "URL",
        env = "STEPMARK_EXTERNAL_RABBITMQ_URL",
        hide_env_values = true
    )]
    rabbitmq_url: Option<String>,
    /// The Prometheus page of that RabbitMQ, where its messages are counted.
    #[arg(long, value_name = "URL", env = "STEPMARK_EXTERNAL_RABBITMQ_PROMETHEUS_URL")]
    rabbitmq_prometheus_url: Option<String>,
    /// The folder with PostgreSQL's binaries, for the backend process.
    #[arg(long, value_name = "DIR", env = "STEPMARK_PG_BIN")]
    pg_bin: Option<PathBuf>,
    #[command(flatten)]
    images: Images,
    /// A folder with the engine's binaries, instead of building them; they must be of this
    /// revision.
    #[arg(long, value_name = "DIR", env = "STEPMARK_BIN_DIR")]
    bin_dir: Option<PathBuf>,
}

impl EnvironmentArgs {
    /// The backend that these flags ask for.
    async fn choice(&self) -> Result<Choice, EnvironmentError> {
        let told = Told {
            database_url: self.database_url.clone(),
            rabbitmq_url: self.rabbitmq_url.clone(),
            prometheus_url: self.rabbitmq_prometheus_url.clone(),
            postgres_binaries: self.pg_bin.clone(),
            images: self.images.clone(),
        };
        choose(self.backend, told).await
    }

    /// The binaries that these flags ask for, with workers in these languages.
    fn binaries(&self, languages: &BTreeSet<Language>) -> Result<Binaries, BinariesError> {
        match &self.bin_dir {
            Some(folder) => Binaries::in_folder(&root(), folder, languages),
            None => Binaries::build(&root(), languages),
        }
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    if let Some(code) = stepmark_docker::reap_if_asked() {
        return code;
    }
    let cli = Cli::parse();
    let level = EnvFilter::try_from_env("STEPMARK_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,sqlx=error"));
    tracing_subscriber::fmt().with_env_filter(level).with_writer(std::io::stderr).init();
    // One thread: the clients take as little as they can from the two cores that engine and
    // servers share with them.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(ENVIRONMENT, &error),
    };
    let code = runtime.block_on(async {
        match cli.command {
            Command::Bench(args) => bench::run(args).await,
            Command::Ladder(args) => ladder::run(args).await,
            Command::Gate(args) => gate::run(args).await,
            Command::Report(args) => report::run(&args),
            Command::Compare(args) => compare::run(&args),
            Command::Baseline(command) => baseline::run(&command),
            Command::History(args) => history::run(&args),
            Command::Selftest => selftest::run().await,
            Command::Up(args) => up::run(args).await,
            Command::Doctor(args) => doctor::run(&args).await,
            Command::Products(args) => products::run(&args),
            Command::Task(args) => task::run(&args).await,
            Command::Namespace(args) => namespace::run(&args).await,
            Command::Scenario(command) => scenario::run(&command),
            Command::Workflow(command) => workflow::run(&command),
        }
    });
    // A build or a server's start that was interrupted is not waited for: its guardian ends it.
    runtime.shutdown_background();
    code.into()
}

/// Waits for Ctrl-C or SIGTERM.
async fn interrupted() {
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => {
            tracing::error!(%error, "SIGTERM cannot be caught");
            return std::future::pending().await;
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// Says what went wrong, and with which exit code the program ends.
fn complain(code: u8, error: &dyn std::fmt::Display) -> u8 {
    eprintln!("stepmark: {error}");
    code
}

fn fail(code: u8, error: &dyn std::fmt::Display) -> ExitCode {
    complain(code, error).into()
}
