//! One run of a scenario, from an empty database to a verdict.
//!
//! A run has a database, a role and a cluster of its own. In between lie: warm-up, the first
//! round of the floor, load, a round of the floor in the midst of it, load, the last round; then
//! the cluster is stopped, PostgreSQL's statistics are complete, and every task is judged.

mod comparison;
mod error;
mod finish;
mod in_turns;
pub(crate) mod seen;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stepmark_servers::Guardian;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::accounting::{Accountant, Processes, SETTLE};
use crate::arrivals::Arrivals;
use crate::binaries::Binaries;
use crate::client::Client;
use crate::cluster::{Cluster, Connections, Faults};
use crate::environment::{PostgresFacts, PostgresServer, RabbitMqServer, RunDatabase};
use crate::floor::{Floor, Probe};
use crate::ladder::Rung;
use crate::load::{Driven, Load};
use crate::plan::Plan;
use crate::scenario::Scenario;
use crate::step_time::StepSeconds;
use crate::traces::{self, Receiver};
use crate::workload::Workload;

use comparison::{Beside, Compared, Other, Own};
pub use error::RunError;
pub use in_turns::{Block, Both, InTurns, Turns};
use seen::Seen;

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

/// Most pairs of a comparison.
const PAIRS_MAX: u64 = 1_000;
/// Most tasks of a stretch that are accounted one by one.
const ACCOUNTED_MAX: u64 = 50;
/// Their numbers begin here, beyond all that are timed.
const ACCOUNTED_FROM: u64 = 1 << 40;

/// About so many tasks have their times taken from the audit.
const TIMED_TASKS_MAX: u64 = 1_000;

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
    /// The number of the first sample that is measured.
    warm_from: u64,
    /// Samples accounted one by one.
    accounted: u64,
    floor: Vec<Floor>,
    driven: Driven,
    /// How far the database's clock is ahead of ours, in microseconds.
    ahead_us: i64,
    began: Instant,
    seen: RefCell<Seen>,
    compared: Option<Compared>,
    /// Where the instances' logs are.
    logs: PathBuf,
    /// When the accounts were opened.
    step_seconds: Option<StepSeconds>,
    /// Where the engine writes traces.
    traces: Option<Receiver>,
}

impl Measurement {
    /// Asks the oracle, where it is a program, brings up the cluster on an empty database, warms
    /// up, compares with another scenario where this one says so, and opens the accounts.
    /// The second database is there when that scenario runs on a cluster of its own.
    ///
    /// # Errors
    /// The oracle, a server, the cluster or the disk fails.
    pub async fn start(
        scenario: &Scenario,
        plan: Plan,
        binaries: &Binaries,
        servers: Servers,
        (database, others_database): (RunDatabase, Option<RunDatabase>),
        logs: &Path,
        guardian: &Arc<Guardian>,
    ) -> Result<Measurement, RunError> {
        let logs = logs.join(plan.run_name(scenario));
        std::fs::create_dir_all(&logs)
            .map_err(|error| RunError::File { path: logs.clone(), error })?;
        let pairs = plan.compared(scenario).map_or(0, |_| plan.samples.min(PAIRS_MAX));
        let warm_from = plan.warmup.saturating_add(pairs);
        let tasks_a_sample = u64::from(scenario.tasks_a_sample);
        let tasks = warm_from.saturating_add(plan.samples).saturating_mul(tasks_a_sample);
        let workload = Workload::prepare(scenario, tasks, &binaries.root, &logs, guardian).await?;
        let amqp_url = servers.rabbitmq.as_ref().map(|server| server.amqp_url.clone());
        let mut connections = Connections::to(&database, plan.broker, servers.rabbitmq.as_ref());
        let mut traces = None;
        if plan.traces {
            let receiver = Receiver::start().await.map_err(RunError::Traces)?;
            connections.settings.insert(traces::ENDPOINT, receiver.url());
            connections.settings.insert("NO_PROXY", "127.0.0.1".to_owned());
            traces = Some(receiver);
        }
        let topology = plan.topology(scenario);
        let cluster = Cluster::start(binaries, &topology, &connections, &logs, guardian).await?;
        let client = Client::new(cluster.orchestrator_urls());
        let run_id = Uuid::new_v4().simple().to_string();
        let seen = RefCell::new(Seen::default());
        let load = load(&client, scenario, &workload, &run_id, plan.concurrency);
        let take = |timed, tasks| seen.borrow_mut().take(&workload, timed, tasks);
        let warm_up = load.drive_together(tasks_a_sample, 0..plan.warmup, take);
        unless_given_up(cluster.faults(), warm_up).await?;
        let mut compared = None;
        if let Some((compare, other)) = plan.compared(scenario) {
            let orchestrators = cluster.orchestrator_urls();
            let connections = &connections;
            let beside = Beside { binaries, connections, logs: &logs, guardian, orchestrators };
            let other = Other::start(other, warm_from, others_database, beside).await?;
            let (load, workload, faults) = (&load, &workload, cluster.faults());
            let own = Own { scenario, compare, load, workload, seen: &seen, faults };
            compared = Some(other.compared(own, plan.warmup..warm_from).await?);
        }

        let idle_since = Instant::now();
        let healthz = format!("{}/healthz", client.orchestrators()[0]);
        let mut probe = Probe::open(&database, amqp_url.as_deref(), healthz).await?;
        let mut floor = Vec::new();
        if !plan.counts_only {
            floor.push(probe.measure(&client).await?);
        }
        let ahead_us = probe.clock_ahead_us().await?;
        let processes = processes(&cluster, &servers, &database);
        let prometheus = servers.rabbitmq.as_ref().and_then(|server| server.prometheus_url.clone());
        if !plan.counts_only {
            sleep_until(idle_since + SETTLE).await;
        }
        let facts = &servers.facts;
        let accountant =
            Accountant::open(&database, facts, plan.broker, prometheus, processes, &client).await?;
        // The probe's flushes so far lie before the baseline.
        probe.reset_commits();
        let step_seconds = StepSeconds::read(&client, &cluster.worker_urls()).await;
        {
            let mut seen = seen.borrow_mut();
            seen.warm = true;
            seen.clocks_every = (plan.samples * tasks_a_sample).div_ceil(TIMED_TASKS_MAX).max(1);
        }
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
            next: warm_from,
            warm_from,
            accounted: 0,
            floor,
            driven: Driven::default(),
            ahead_us,
            began: Instant::now(),
            seen,
            compared,
            logs,
            step_seconds,
            traces,
        })
    }

    /// Runs `samples` more samples to their ends and returns how long load was on.
    ///
    /// # Errors
    /// A server fails.
    pub async fn drive(
        &mut self,
        samples: u64,
        progress: impl Fn(u64),
    ) -> Result<Duration, RunError> {
        let end = self.next + samples;
        let concurrency = self.plan.concurrency;
        let load = load(&self.client, &self.scenario, &self.workload, &self.run_id, concurrency);
        let take = |timed, tasks| {
            self.seen.borrow_mut().take(&self.workload, timed, tasks);
            progress(1);
        };
        self.accountant.resume(&self.client).await?;
        let faults = self.cluster.faults();
        let tasks_a_sample = self.scenario.tasks_a_sample.into();
        let numbers = self.next..end;
        self.seen.borrow_mut().load_since = (Instant::now(), self.driven.busy);
        let Driven { busy, offering } = match self.plan.arrivals {
            Some(arrivals) => {
                let driven = load.drive_open(arrivals, tasks_a_sample, numbers, &take);
                unless_given_up(faults, driven).await?
            }
            None => {
                let driven = load.drive_together(tasks_a_sample, numbers, &take);
                let busy = unless_given_up(faults, driven).await?;
                Driven { busy, offering: busy }
            }
        };
        self.accountant.pause(&self.client).await?;
        if self.plan.is_one_at_a_time() {
            self.account_single_samples((samples / 10).clamp(1, ACCOUNTED_MAX)).await?;
        }
        self.next = end;
        self.driven.busy += busy;
        self.driven.offering += offering;
        Ok(busy)
    }

    /// Runs so many samples in an open loop, as a rung of a ladder; their latencies are the rung's.
    ///
    /// # Errors
    /// A server fails.
    pub async fn climb(&mut self, arrivals: Arrivals, samples: u64) -> Result<Rung, RunError> {
        self.seen.borrow_mut().record_anew();
        self.plan.arrivals = Some(arrivals);
        let before = self.driven;
        self.drive(samples, |_| {}).await?;
        let busy = self.driven.busy - before.busy;
        let offering = self.driven.offering - before.offering;
        let seen = self.seen.borrow();
        Ok(Rung::of(arrivals, &seen.recorder, &seen.late, busy, offering))
    }

    /// Runs samples one by one with a look at the counters after each. They are checked like all
    /// others but not timed: what the looks cost would show in their latencies, because it leaves
    /// the servers' processes cold.
    async fn account_single_samples(&mut self, samples: u64) -> Result<(), RunError> {
        let load = load(&self.client, &self.scenario, &self.workload, &self.run_id, 1);
        let tasks_a_sample = self.scenario.tasks_a_sample.into();
        self.accountant.resume(&self.client).await?;
        for _ in 0..samples {
            let sample = load.run_sample(ACCOUNTED_FROM + self.accounted, tasks_a_sample);
            let (_, tasks) = unless_given_up(self.cluster.faults(), sample).await?;
            let mut check = |task| self.seen.borrow_mut().check(&self.workload, task);
            tasks.into_iter().for_each(&mut check);
            self.accountant.task_ended().await?;
            self.accounted += 1;
        }
        self.accountant.pause(&self.client).await?;
        Ok(())
    }

    /// Measures one more round of the floor, while no task is under way, if it is wanted.
    ///
    /// # Errors
    /// A server fails.
    pub async fn measure_floor(&mut self) -> Result<(), RunError> {
        if !self.plan.counts_only {
            self.floor.push(self.probe.measure(&self.client).await?);
        }
        Ok(())
    }

    /// Samples measured so far.
    pub fn samples(&self) -> u64 {
        self.next - self.warm_from
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
}

/// Load, broken off when an instance is given up.
async fn unless_given_up<T>(faults: &Faults, load: impl Future<Output = T>) -> Result<T, RunError> {
    tokio::select! {
        ended = load => Ok(ended),
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
