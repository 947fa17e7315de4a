//! One run of a scenario, from an empty database to a verdict.
//!
//! A run has a database, a role and a cluster of its own. In between lie: warm-up, the first
//! round of the floor, load, a round of the floor in the midst of it, load, the last round; then
//! the cluster is stopped, PostgreSQL's statistics are complete, and every task is judged.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use stepmark_servers::Guardian;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::accounting::{Accountant, Balance, Processes, SETTLE};
use crate::audit::{self, AuditError};
use crate::binaries::Binaries;
use crate::client::Client;
use crate::cluster::{Cluster, ClusterError, Connections, Faults};
use crate::environment::{
    EnvironmentError, PostgresFacts, PostgresServer, RabbitMqServer, RunDatabase,
};
use crate::floor::{Floor, FloorError, FloorSummary, Probe};
use crate::load::{Load, Sample};
use crate::oracle::{self, Wrong};
use crate::recorder::Recorder;
use crate::scenario::Scenario;
use crate::verdict::{self, Observations, Plan, RunReport};
use crate::workload::{ProgramError, Workload};

/// A run is marked when other processes take more than this share of the machine's CPU.
const OTHERS_SHARE_MAX: f64 = 0.1;

/// The servers that a run uses.
#[derive(Debug, Clone)]
pub struct Servers {
    /// PostgreSQL.
    pub postgres: PostgresServer,
    /// What PostgreSQL says of itself.
    pub facts: PostgresFacts,
    /// RabbitMQ, where it is the broker.
    pub rabbitmq: Option<RabbitMqServer>,
}

/// Why a run came to no verdict.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A server fails.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The cluster does not come up.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The floor cannot be measured.
    #[error(transparent)]
    Floor(#[from] FloorError),
    /// The audit cannot be read.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The oracle's program does not give the right answers.
    #[error(transparent)]
    Oracle(ProgramError),
    /// An instance died again and again.
    #[error("an instance was given up: the run was broken off")]
    GivenUp,
    /// A file of the report cannot be written.
    #[error("{path}: {error}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl RunError {
    /// Whether servers, programs or the disk are at fault, so that the next run would fail as well.
    /// Else it is this run's own failure: an instance died, or does not answer, or its oracle.
    pub fn is_of_the_environment(&self) -> bool {
        let own = matches!(self, RunError::GivenUp | RunError::Oracle(_));
        !own && !matches!(self, RunError::Floor(FloorError::Http(_)))
    }
}

impl From<ProgramError> for RunError {
    fn from(error: ProgramError) -> RunError {
        match error {
            ProgramError::File { path, error } => RunError::File { path, error },
            other => RunError::Oracle(other),
        }
    }
}

/// Most tasks of a stretch that are accounted one by one.
const ACCOUNTED_MAX: u64 = 50;
/// Their numbers begin here, beyond all that are timed.
const ACCOUNTED_FROM: u64 = 1 << 40;

/// A run under way.
pub struct Measurement {
    scenario: Scenario,
    workload: Workload,
    plan: Plan,
    servers: Servers,
    database: RunDatabase,
    cluster: Cluster,
    client: Client,
    probe: Probe,
    accountant: Accountant,
    run_id: String,
    next: u64,
    /// Tasks accounted one by one.
    accounted: u64,
    floor: Vec<Floor>,
    busy: Duration,
    began: Instant,
    seen: RefCell<Seen>,
}

/// What the clients have seen so far.
#[derive(Debug)]
struct Seen {
    recorder: Recorder,
    warm: bool,
    /// Each task's number by its identity.
    asked: BTreeMap<String, u64>,
    wrong: Vec<(String, Wrong)>,
    unfinished: Vec<String>,
    retries: u64,
}

impl Measurement {
    /// Asks the oracle, where it is a program, brings up the cluster on an empty database, warms
    /// up, and opens the accounts.
    ///
    /// # Errors
    /// The oracle, a server, the cluster or the disk fails.
    pub async fn start(
        scenario: &Scenario,
        plan: Plan,
        binaries: &Binaries,
        servers: Servers,
        database: RunDatabase,
        logs: &Path,
        guardian: &Arc<Guardian>,
    ) -> Result<Measurement, RunError> {
        let logs = logs.join(plan.run_name(scenario));
        std::fs::create_dir_all(&logs)
            .map_err(|error| RunError::File { path: logs.clone(), error })?;
        let tasks = plan.warmup.saturating_add(plan.samples);
        let workload = Workload::prepare(scenario, tasks, &binaries.root, &logs, guardian).await?;
        let amqp_url = servers.rabbitmq.as_ref().map(|server| server.amqp_url.clone());
        let connections = Connections {
            database_url: database.engine_url.clone(),
            broker: plan.broker,
            rabbitmq_url: amqp_url.clone(),
            settings: BTreeMap::from([("STEPMARK_QUEUE_PREFIX", database.queue_prefix())]),
        };
        let cluster =
            Cluster::start(binaries, &scenario.topology, &connections, &logs, guardian).await?;
        let client = Client::new(cluster.orchestrator_urls());
        let run_id = Uuid::new_v4().simple().to_string();
        let seen = RefCell::new(Seen::new());
        let load = load(&client, scenario, &workload, &run_id, plan.concurrency);
        let warm_up = load.drive(0..plan.warmup, |sample| {
            seen.borrow_mut().take(&workload, sample);
        });
        unless_given_up(cluster.faults(), warm_up).await?;

        let idle_since = Instant::now();
        let healthz = format!("{}/healthz", client.orchestrators()[0]);
        let mut probe = Probe::open(&database, amqp_url.as_deref(), healthz).await?;
        let before = probe.measure(&client).await?;
        let processes = processes(&cluster, &servers, &database);
        let prometheus = servers.rabbitmq.as_ref().and_then(|server| server.prometheus_url.clone());
        sleep_until(idle_since + SETTLE).await;
        let facts = &servers.facts;
        let accountant =
            Accountant::open(&database, facts, plan.broker, prometheus, processes, &client).await?;
        // The probe's flushes so far lie before the baseline.
        probe.reset_commits();
        seen.borrow_mut().warm = true;
        Ok(Measurement {
            scenario: scenario.clone(),
            workload,
            plan,
            servers,
            database,
            cluster,
            client,
            probe,
            accountant,
            run_id,
            next: plan.warmup,
            accounted: 0,
            floor: vec![before],
            busy: Duration::ZERO,
            began: Instant::now(),
            seen,
        })
    }

    /// Runs `tasks` more tasks to their ends and returns how long load was on.
    ///
    /// # Errors
    /// A server fails.
    pub async fn drive(
        &mut self,
        tasks: u64,
        progress: impl Fn(u64),
    ) -> Result<Duration, RunError> {
        let end = self.next + tasks;
        let concurrency = self.plan.concurrency;
        let load = load(&self.client, &self.scenario, &self.workload, &self.run_id, concurrency);
        let take = |sample| {
            self.seen.borrow_mut().take(&self.workload, sample);
            progress(1);
        };
        self.accountant.resume(&self.client).await?;
        let faults = self.cluster.faults();
        let busy = unless_given_up(faults, load.drive(self.next..end, &take)).await?;
        self.accountant.pause(&self.client).await?;
        if self.plan.concurrency == 1 {
            self.account_single_tasks((tasks / 10).clamp(1, ACCOUNTED_MAX)).await?;
        }
        self.next = end;
        self.busy += busy;
        Ok(busy)
    }

    /// Runs tasks one by one with a look at the counters after each. They are checked like all
    /// others but not timed: what the looks cost would show in their latencies, because it leaves
    /// the servers' processes cold.
    async fn account_single_tasks(&mut self, tasks: u64) -> Result<(), RunError> {
        let load = load(&self.client, &self.scenario, &self.workload, &self.run_id, 1);
        let take = |sample| self.seen.borrow_mut().check(&self.workload, sample);
        self.accountant.resume(&self.client).await?;
        for _ in 0..tasks {
            let number = ACCOUNTED_FROM + self.accounted;
            unless_given_up(self.cluster.faults(), load.drive(number..number + 1, &take)).await?;
            self.accountant.task_ended().await?;
            self.accounted += 1;
        }
        self.accountant.pause(&self.client).await?;
        Ok(())
    }

    /// Measures one more round of the floor, while no task is under way.
    ///
    /// # Errors
    /// A server fails.
    pub async fn measure_floor(&mut self) -> Result<(), RunError> {
        self.floor.push(self.probe.measure(&self.client).await?);
        Ok(())
    }

    /// Tasks measured so far.
    pub fn tasks(&self) -> u64 {
        self.next - self.plan.warmup
    }

    /// Rounds of the floor measured so far.
    pub fn floor_rounds(&self) -> usize {
        self.floor.len()
    }

    /// The cluster's instances, for people: name, process id, URL.
    pub fn instances(&self) -> Vec<String> {
        self.cluster.instances().map(ToString::to_string).collect()
    }

    /// What happened to the cluster so far that must not happen.
    pub fn faults(&self) -> Vec<String> {
        self.cluster.faults().all()
    }

    /// Measures the floor a last time, stops the cluster, and judges the run. Writes the
    /// latencies' histogram into `folder` when they stand.
    ///
    /// # Errors
    /// A server or the disk fails.
    pub async fn finish(mut self, folder: &Path) -> Result<RunReport, RunError> {
        self.measure_floor().await?;
        self.accountant.before_stop(&self.client).await;
        let own_flushes = self.probe.commits();
        self.probe.close().await?;
        let faults = self.cluster.stop().await;
        let seen = self.seen.into_inner();
        let samples = seen.recorder.samples();
        let Balance { mut accounts, gaps, others_share } =
            self.accountant.close(samples + self.accounted, own_flushes).await?;

        let mut connection = self.database.connect_to_engine().await?;
        let is_measured = |number| number >= self.plan.warmup;
        let examined =
            audit::examine(&mut connection, &self.workload, &seen.asked, is_measured).await;
        let findings = examined?;
        drop(connection);
        accounts.mean.step_transitions = findings.step_transitions.mean();
        accounts.mean.task_transitions = findings.task_transitions.mean();
        let spreads = [
            ("step_transitions", findings.step_transitions.spread()),
            ("task_transitions", findings.task_transitions.spread()),
        ];
        accounts.each.extend(spreads.into_iter().filter_map(|(name, s)| Some((name, s?))));

        let observations = Observations {
            recorder: seen.recorder,
            busy: self.busy,
            wrong: seen.wrong.into_iter().chain(findings.wrong).collect(),
            unfinished: seen.unfinished,
            faults,
            gaps,
            notes: notes(seen.retries, others_share, &self.servers),
            accounts,
            floor: FloorSummary::of(self.floor),
        };
        let mut report = verdict::judge(&self.scenario, self.plan, &observations);
        if report.correct {
            let name = format!("{}.hlog", self.plan.run_name(&self.scenario));
            let path = folder.join(&name);
            let recorder = &observations.recorder;
            std::fs::File::create(&path)
                .and_then(|mut file| {
                    recorder.write_hlog(&report.scenario, self.began.elapsed(), &mut file)
                })
                .map_err(|error| RunError::File { path, error })?;
            report.hlog = Some(name);
        }
        Ok(report)
    }
}

impl Seen {
    fn new() -> Seen {
        Seen {
            recorder: Recorder::new(SystemTime::now()),
            warm: false,
            asked: BTreeMap::new(),
            wrong: Vec::new(),
            unfinished: Vec::new(),
            retries: 0,
        }
    }

    /// Takes a task that was timed.
    fn take(&mut self, workload: &Workload, sample: Sample) {
        if self.warm && sample.outcome.is_ok() {
            self.recorder.record(sample.latency);
        }
        self.check(workload, sample);
    }

    /// Judges a task's answer by the right one to its own input.
    fn check(&mut self, workload: &Workload, sample: Sample) {
        self.retries += u64::from(sample.retries);
        let number = sample.number;
        let task = sample.task_uuid.unwrap_or_else(|| format!("number {number}"));
        let name = || workload.name(number, &task);
        match sample.outcome {
            Err(error) => self.unfinished.push(format!("task {}: {error}", name())),
            Ok(answer) => {
                let wrong = match workload.expected(number) {
                    Ok(expected) => oracle::judge_answer(&expected, &answer),
                    Err(error) => vec![Wrong::Unjudged(error.to_string())],
                };
                self.wrong.extend(wrong.into_iter().map(|wrong| (name(), wrong)));
                // The map would hide that many requests share one task.
                if self.asked.insert(task.clone(), number).is_some() {
                    self.wrong.push((name(), Wrong::Repeated));
                }
            }
        }
    }
}

/// Load, broken off when an instance is given up.
async fn unless_given_up(
    faults: &Faults,
    load: impl Future<Output = Duration>,
) -> Result<Duration, RunError> {
    tokio::select! {
        busy = load => Ok(busy),
        () = faults.given_up() => Err(RunError::GivenUp),
    }
}

fn load<'a>(
    client: &'a Client,
    scenario: &'a Scenario,
    workload: &'a Workload,
    run_id: &'a str,
    concurrency: usize,
) -> Load<'a> {
    let (workflow, inputs) = (&scenario.workflow, workload.inputs());
    Load { client, workflow, inputs, run_id, concurrency }
}

fn processes(cluster: &Cluster, servers: &Servers, database: &RunDatabase) -> Processes {
    let instances = cluster.instances();
    let names = &database.names;
    Processes {
        instances: instances.filter_map(|i| Some((i.name().to_owned(), i.pid()?))).collect(),
        postgres: servers.postgres.pid,
        rabbitmq: servers.rabbitmq.as_ref().and_then(|server| server.pid),
        has_rabbitmq: servers.rabbitmq.is_some(),
        harness_titles: vec![
            names.harness_database.clone(),
            format!("{} {}", database.admin_role(), names.engine_database),
        ],
    }
}

fn notes(retries: u64, others_share: f64, servers: &Servers) -> Vec<String> {
    let mut notes = Vec::new();
    if servers.postgres.pid.is_some() && others_share > OTHERS_SHARE_MAX {
        notes.push(format!(
            "other processes took {:.0} % of the machine's CPU while load was on (marked above \
             {:.0} %)",
            100.0 * others_share,
            100.0 * OTHERS_SHARE_MAX
        ));
    }
    if retries > 0 {
        notes.push(format!("{retries} calls of the client were made again (connection or 503)"));
    }
    if servers.postgres.pid.is_none() {
        notes.push("CPU time of the servers is not in cpu_ms: they are not ours".to_owned());
    }
    notes
}
