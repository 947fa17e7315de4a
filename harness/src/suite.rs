//! The runs of one report: one build, one set of servers, one folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::PgConnection;
use stepmark_servers::Guardian;

use crate::accounting;
use crate::binaries::{Binaries, BinariesError};
use crate::broker::Broker;
use crate::client::Client;
use crate::environment::{Choice, EnvironmentError, PostgresFacts, RabbitMqServer, RunDatabase};
use crate::ladder::Ladder;
use crate::measurement::{Both, InTurns, Measurement, RunError, Servers};
use crate::plan::Plan;
use crate::raw::RawRun;
use crate::report::{Environment, Git, Machine, Report, SCHEMA_VERSION, ServerFacts};
use crate::scenario::{CompareOn, Scenario};
use crate::subject::Subject;
use crate::verdict::{self, Observations};

/// Why no run could be started: exit code 3.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// There are no binaries to measure.
    #[error(transparent)]
    Binaries(#[from] BinariesError),
    /// There are no servers.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The report's folder cannot be used.
    #[error("cannot write the report to {path}: {error}; choose another folder with --report")]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

/// The runs of one report, under way.
pub struct Suite {
    binaries: Binaries,
    choice: Choice,
    guardian: Arc<Guardian>,
    folder: PathBuf,
    report: Report,
    /// A file of raw data that could not be written.
    unwritten: Option<(PathBuf, std::io::Error)>,
    /// The databases of the run under way, for whoever has to clean up after it.
    databases: Vec<RunDatabase>,
}

impl Suite {
    /// Starts PostgreSQL and looks at the machine. The report goes to `folder`, which is made.
    ///
    /// # Errors
    /// The folder cannot be written, or there is no PostgreSQL.
    pub async fn open(
        binaries: Binaries,
        mut choice: Choice,
        folder: &Path,
    ) -> Result<Suite, SuiteError> {
        make_folder(&folder.join("logs"))?;
        let guardian = Guardian::start().map_err(EnvironmentError::Guardian)?;
        let postgres = choice.backend.postgres().await?;
        let facts = read_facts(&postgres.admin_url).await?;
        let report = Report {
            schema_version: SCHEMA_VERSION,
            stepmark_version: env!("CARGO_PKG_VERSION").to_owned(),
            created_at: chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            git: Git::look(&binaries.root),
            source_hash: binaries.source_hash.clone(),
            machine: Machine::look(postgres.data_dir.as_deref()),
            environment: Environment {
                backend: choice.backend.name().to_owned(),
                why: choice.why.clone(),
                postgres: ServerFacts { version: facts.version, settings: facts.settings },
                postgres_transport: facts.transport,
                rabbitmq: None,
            },
            ladders: Vec::new(),
            runs: Vec::new(),
            left_out: Vec::new(),
        };
        let (guardian, folder) = (Arc::new(guardian), folder.to_path_buf());
        let databases = Vec::new();
        Ok(Suite { binaries, choice, guardian, folder, report, unwritten: None, databases })
    }

    /// The servers that a run on this broker needs, started when they are first asked for.
    ///
    /// # Errors
    /// A server is not there, cannot be reached, or is not durable.
    pub async fn servers(&mut self, broker: Broker) -> Result<Servers, EnvironmentError> {
        let postgres = self.choice.backend.postgres().await?;
        let facts = read_facts(&postgres.admin_url).await?;
        let rabbitmq = match broker {
            Broker::Pgmq => None,
            Broker::Rabbitmq => Some(self.choice.backend.rabbitmq().await?),
        };
        if let Some(server) = &rabbitmq {
            self.report.environment.rabbitmq = Some(rabbitmq_facts(server).await);
        }
        Ok(Servers { postgres, facts, rabbitmq })
    }

    /// Starts a run: cluster, warm-up, first round of the floor.
    ///
    /// # Errors
    /// A server, the cluster or the disk fails; nothing of the run is left then.
    pub async fn start(
        &mut self,
        scenario: &Scenario,
        plan: Plan,
    ) -> Result<Measurement, RunError> {
        let servers = self.servers(plan.broker).await?;
        let database = self.new_database(&servers).await?;
        if plan.counts_nested {
            database.count_nested().await?;
        }
        let mut others_database = None;
        if plan.compared(scenario).is_some_and(|(compare, _)| compare.on == CompareOn::Own) {
            others_database = Some(self.new_database(&servers).await?);
        }
        let (binaries, logs) = (&self.binaries, self.folder.join("logs"));
        let guardian = &self.guardian;
        let databases = (database, others_database);
        let started =
            Measurement::start(scenario, plan, binaries, servers, databases, &logs, guardian).await;
        if started.is_err() {
            self.clean_up().await;
        }
        started
    }

    /// A database for the run under way, which goes with it.
    async fn new_database(&mut self, servers: &Servers) -> Result<RunDatabase, EnvironmentError> {
        let amqp_url = servers.rabbitmq.as_ref().map(|server| server.amqp_url.clone());
        let database = RunDatabase::create(&servers.postgres.admin_url, amqp_url).await?;
        self.databases.push(database.clone());
        Ok(database)
    }

    /// The programs that its runs are of.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// Starts a scenario on two clusters, of the base's programs and of the head's, the one or the
    /// other first. Once it is over, [`Suite::clean_up`] removes what is left of it.
    ///
    /// # Errors
    /// A server, a cluster or the disk fails; nothing of the run is left then.
    pub async fn start_in_turns(
        &mut self,
        scenario: &Scenario,
        plan: Plan,
        binaries: &[Binaries; 2],
        head_first: bool,
        blocks: u64,
    ) -> Result<InTurns, RunError> {
        let servers = self.servers(plan.broker).await?;
        let mut databases =
            [self.new_database(&servers).await?, self.new_database(&servers).await?];
        if head_first {
            databases.reverse();
        }
        let both = Both {
            binaries,
            head_first,
            servers: &servers,
            databases,
            logs: &self.folder.join("logs"),
            guardian: &self.guardian,
        };
        let started = InTurns::start(scenario, plan, blocks, both).await;
        if started.is_err() {
            self.clean_up().await;
        }
        started
    }

    /// Ends a run, judges it, and takes its verdict into the report.
    pub async fn finish(&mut self, scenario: &Scenario, plan: Plan, run: Measurement) {
        let mut faults = run.faults();
        match run.finish().await {
            Ok(raw) => self.take(&raw),
            Err(error) => {
                faults.push(error.to_string());
                self.add_failed(scenario, plan, faults);
            }
        }
        self.clean_up().await;
    }

    /// Ends the run that was a ladder. The ladder is taken into the report when every answer was
    /// right; else the run is, with what is wrong.
    pub async fn finish_ladder(
        &mut self,
        scenario: &Scenario,
        plan: Plan,
        run: Measurement,
        ladder: Ladder,
    ) {
        let mut faults = run.faults();
        match run.finish().await {
            Ok(raw) if verdict::stands(&raw.seen) => self.report.ladders.push(ladder),
            Ok(raw) => self.take(&raw),
            Err(error) => {
                faults.push(error.to_string());
                self.add_failed(scenario, plan, faults);
            }
        }
        self.clean_up().await;
    }

    /// Takes a run into the report that broke off.
    pub async fn abandon(
        &mut self,
        scenario: &Scenario,
        plan: Plan,
        run: Measurement,
        error: &RunError,
    ) {
        let mut faults = run.faults();
        faults.push(error.to_string());
        drop(run);
        self.add_failed(scenario, plan, faults);
        self.clean_up().await;
    }

    /// Takes a run into the report that could not even begin.
    pub fn add_missing(&mut self, scenario: &Scenario, plan: Plan, why: &str) {
        let mut seen = Observations::failed(vec![format!("not run: {why}")]);
        seen.is_missing = true;
        self.add(scenario, plan, seen);
    }

    /// Takes a run into the report that was left out by choice.
    pub fn add_left_out(&mut self, scenario: &Scenario, plan: Plan, why: &str) {
        let what = plan.run_name(scenario);
        self.report.left_out.push(format!("{what} was left out: {why}"));
    }

    /// Drops the databases of a run under way, if there is one.
    pub async fn clean_up(&mut self) {
        for database in std::mem::take(&mut self.databases) {
            if let Err(error) = database.remove().await {
                tracing::warn!(%error, "the databases or queues of the run are still there");
            }
        }
    }

    /// The report so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Writes the report and ends the servers.
    ///
    /// # Errors
    /// A file cannot be written.
    pub async fn close(mut self) -> Result<Report, SuiteError> {
        self.clean_up().await;
        let written = self.unwritten.map_or(Ok(()), Err);
        let written = written.and_then(|()| self.report.write(&self.folder));
        written.map_err(|(path, error)| SuiteError::Folder { path, error })?;
        Ok(self.report)
    }

    /// Takes a run into the report that failed, for these reasons.
    pub fn add_failed(&mut self, scenario: &Scenario, plan: Plan, faults: Vec<String>) {
        self.add(scenario, plan, Observations::failed(faults));
    }

    fn add(&mut self, scenario: &Scenario, plan: Plan, seen: Observations) {
        let subject = Subject::of(scenario, plan);
        self.take(&RawRun { subject, seen, took: Duration::ZERO });
    }

    /// Takes a run into the report, and keeps its raw data. That they cannot be kept is told at the
    /// end.
    fn take(&mut self, raw: &RawRun) {
        self.report.runs.push(raw.report());
        if let Err((path, error)) = raw.write(&self.folder, self.report.runs.len()) {
            self.unwritten = Some((path, error));
        }
    }
}

fn make_folder(path: &Path) -> Result<(), SuiteError> {
    std::fs::create_dir_all(path)
        .map_err(|error| SuiteError::Folder { path: path.to_path_buf(), error })
}

async fn read_facts(admin_url: &str) -> Result<PostgresFacts, EnvironmentError> {
    let what = "connecting to PostgreSQL";
    let failed = |error| EnvironmentError::Postgres { what, error };
    let mut connection = PgConnection::connect(admin_url).await.map_err(failed)?;
    let facts = PostgresFacts::read(&mut connection).await?;
    connection.close().await.map_err(failed)?;
    Ok(facts)
}

/// RabbitMQ tells its version on its Prometheus page; without one it stays unknown.
async fn rabbitmq_facts(server: &RabbitMqServer) -> ServerFacts {
    let page = match &server.prometheus_url {
        None => None,
        Some(url) => Client::new(Vec::new()).page(url).await.ok(),
    };
    let label = |name| accounting::label(page.as_deref()?, "rabbitmq_build_info", name);
    let unknown = || "unknown".to_owned();
    let settings = BTreeMap::from([
        ("erlang_version".to_owned(), label("erlang_version").unwrap_or_else(unknown)),
        ("messages".to_owned(), "persistent, durable queues, publisher confirms".to_owned()),
    ]);
    ServerFacts { version: label("rabbitmq_version").unwrap_or_else(unknown), settings }
}
