//! One scenario on two clusters in turns, on the same servers: the base, and the head.
//!
//! Samples come in blocks of four, base, head, head, base, or the other way round (ABBA), so that a
//! machine that gets slower in the meantime bears on both alike. Which way is drawn, and so is a
//! pause before each block: both sides have work that follows a task by a timer, up to 50 ms later
//! (RabbitMQ's acknowledgements), and in a steady rhythm it would fall on the same side's tasks
//! again and again.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stepmark_servers::Guardian;
use tokio::time::sleep;
use uuid::Uuid;

use super::seen::Seen;
use super::{RunError, Servers, load, unless_given_up};
use crate::audit::{self, Asked, Clocks};
use crate::binaries::Binaries;
use crate::breakdown::RunTimes;
use crate::client::Client;
use crate::cluster::{Cluster, Connections};
use crate::environment::RunDatabase;
use crate::plan::Plan;
use crate::scenario::Scenario;
use crate::workload::Workload;

/// Blocks before the first that is measured: both clusters are warm then.
const WARMUP_BLOCKS: u64 = 20;

/// The longest pause before a block.
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// The base, and the head.
const SIDES: [&str; 2] = ["base", "head"];

/// Latencies of a block in milliseconds: two of the base, two of the head.
pub type Block = [[f64; 2]; 2];

/// What was seen of both, the base's first.
#[derive(Debug, Default)]
pub struct Turns {
    /// Latencies in milliseconds, by pair of clusters and block: two of each side.
    pub pairs: Vec<Vec<Block>>,
    /// Where the time of each side's tasks went.
    pub times: [RunTimes; 2],
    /// Why nothing can be said: wrong answers, lost tasks, faults.
    pub problems: Vec<String>,
}

impl Turns {
    /// Takes what was seen of the same on other clusters.
    pub fn extend(&mut self, other: Turns) {
        self.pairs.extend(other.pairs);
        self.problems.extend(other.problems);
        for (own, others) in self.times.iter_mut().zip(other.times) {
            own.extend(others);
        }
    }
}

/// What both clusters are started with.
#[derive(Debug)]
pub struct Both<'a> {
    /// The programs of each.
    pub binaries: &'a [Binaries; 2],
    /// Whether the head's cluster is started before the base's.
    pub head_first: bool,
    /// The servers, the same for both.
    pub servers: &'a Servers,
    /// A database for each.
    pub databases: [RunDatabase; 2],
    /// Where the logs go.
    pub logs: &'a Path,
    /// What sees to it that no process is left.
    pub guardian: &'a Arc<Guardian>,
}

/// A scenario on two clusters.
pub struct InTurns {
    scenario: Scenario,
    workload: Workload,
    sides: [Side; 2],
}

/// One of the two clusters.
struct Side {
    name: &'static str,
    cluster: Cluster,
    database: RunDatabase,
    client: Client,
    run_id: String,
    seen: RefCell<Seen>,
}

impl InTurns {
    /// Asks the oracle for the answers to so many blocks, and brings up both clusters.
    ///
    /// # Errors
    /// The oracle, a server, a cluster or the disk fails.
    pub async fn start(
        scenario: &Scenario,
        plan: Plan,
        blocks: u64,
        both: Both<'_>,
    ) -> Result<InTurns, RunError> {
        let logs = both.logs.join(format!("{}-in-turns", plan.run_name(scenario)));
        let tasks = 2 * (WARMUP_BLOCKS + blocks) * u64::from(scenario.tasks_a_sample);
        make_folder(&logs)?;
        let [_, head] = both.binaries;
        let workload = Workload::prepare(scenario, tasks, &head.root, &logs, both.guardian).await?;
        let first = usize::from(both.head_first);
        let first_side = Side::start(first, scenario, plan, &both, &logs).await?;
        let other_side = Side::start(1 - first, scenario, plan, &both, &logs).await?;
        let mut sides = [first_side, other_side];
        if both.head_first {
            sides.reverse();
        }
        Ok(InTurns { scenario: scenario.clone(), workload, sides })
    }

    /// The instances of both clusters, for people: side, name, process id, URL.
    pub fn instances(&self) -> Vec<String> {
        let of = |side: &Side| {
            let instances = side.cluster.instances();
            instances.map(|instance| format!("{} {instance}", side.name)).collect::<Vec<_>>()
        };
        self.sides.iter().flat_map(of).collect()
    }

    /// Warms up, runs so many blocks, and ends both clusters. A task that comes to no end is the
    /// end of all.
    ///
    /// # Errors
    /// A server or an instance fails.
    pub async fn run(self, blocks: u64, progress: impl Fn(u64)) -> Result<Turns, RunError> {
        let driven = async {
            self.drive(0..WARMUP_BLOCKS, &|_| {}).await?;
            for side in &self.sides {
                side.seen.borrow_mut().warm = true;
            }
            self.drive(WARMUP_BLOCKS..WARMUP_BLOCKS + blocks, &progress).await
        };
        let blocks = match driven.await {
            Ok(blocks) => blocks,
            Err(error) if error.is_of_the_environment() => return Err(error),
            Err(error) => {
                let of = |side: &Side| {
                    let faults = side.cluster.faults().all().into_iter();
                    faults.map(|fault| format!("{}: {fault}", side.name)).collect::<Vec<_>>()
                };
                let mut problems: Vec<String> = self.sides.iter().flat_map(of).collect();
                problems.push(error.to_string());
                return Ok(Turns { problems, ..Turns::default() });
            }
        };
        let [base, head] = self.sides;
        let (base_times, mut problems) = base.end(&self.scenario, &self.workload).await?;
        let (head_times, heads_problems) = head.end(&self.scenario, &self.workload).await?;
        problems.extend(heads_problems);
        Ok(Turns { pairs: vec![blocks], times: [base_times, head_times], problems })
    }

    async fn drive(
        &self,
        blocks: Range<u64>,
        progress: &dyn Fn(u64),
    ) -> Result<Vec<Block>, RunError> {
        let mut found = Vec::new();
        for block in blocks {
            let mut latencies = [[0.0; 2]; 2];
            let (outer, inner) = if rand::random() { (0, 1) } else { (1, 0) };
            out_of_step().await;
            for (side, nth) in [(outer, 0), (inner, 0), (inner, 1), (outer, 1)] {
                let number = 2 * block + nth as u64;
                match self.sides[side].one(&self.scenario, &self.workload, number).await? {
                    Some(ms) => latencies[side][nth] = ms,
                    None => return Ok(found),
                }
            }
            found.push(latencies);
            progress(4);
        }
        Ok(found)
    }
}

/// Waits for a moment that is drawn, so that what both sides do by timers keeps no step with them.
pub(super) async fn out_of_step() {
    sleep(PAUSE_MAX.mul_f64(rand::random())).await;
}

fn make_folder(path: &Path) -> Result<(), RunError> {
    std::fs::create_dir_all(path)
        .map_err(|error| RunError::File { path: path.to_path_buf(), error })
}

impl Side {
    async fn start(
        which: usize,
        scenario: &Scenario,
        plan: Plan,
        both: &Both<'_>,
        logs: &Path,
    ) -> Result<Side, RunError> {
        let (name, database) = (SIDES[which], both.databases[which].clone());
        let logs = logs.join(name);
        make_folder(&logs)?;
        let rabbitmq = both.servers.rabbitmq.as_ref();
        let connections = Connections::to(&database, plan.broker, rabbitmq);
        let binaries = &both.binaries[which];
        let topology = plan.topology(scenario);
        let cluster =
            Cluster::start(binaries, &topology, &connections, &logs, both.guardian).await?;
        let client = Client::new(cluster.orchestrator_urls());
        let (run_id, seen) = (Uuid::new_v4().simple().to_string(), RefCell::new(Seen::default()));
        Ok(Side { name, cluster, database, client, run_id, seen })
    }

    /// Runs a sample, and returns its latency in ms; nothing when a task has come to no end.
    async fn one(
        &self,
        scenario: &Scenario,
        workload: &Workload,
        number: u64,
    ) -> Result<Option<f64>, RunError> {
        let load = load(&self.client, scenario, workload, &self.run_id, 1);
        let sample = load.run_sample(number, scenario.tasks_a_sample.into());
        let (timed, tasks) = unless_given_up(self.cluster.faults(), sample).await?;
        let ended = tasks.iter().all(|task| task.outcome.is_ok());
        self.seen.borrow_mut().take(workload, timed, tasks);
        Ok(ended.then_some(timed.latency().as_micros() as f64 / 1e3))
    }

    /// Ends the cluster, and judges every task by what its database holds.
    async fn end(
        self,
        scenario: &Scenario,
        workload: &Workload,
    ) -> Result<(RunTimes, Vec<String>), RunError> {
        let faults = self.cluster.stop().await;
        let seen = self.seen.into_inner();
        let asked = Asked {
            workload,
            numbers: &seen.asked,
            tasks_a_sample: scenario.tasks_a_sample.into(),
            measured_from: u64::MAX,
        };
        let mut connection = self.database.connect_to_engine().await?;
        // The clocks of both sides are apart by the same, which no difference has in it.
        let clocks = Clocks { by_task: &seen.clocks, ahead_us: 0 };
        let findings = audit::examine(&mut connection, &[asked], clocks).await?;
        let wrong = seen.wrong.into_iter().chain(findings.wrong);
        let wrong = wrong.map(|(task, wrong)| format!("task {task}: {wrong}"));
        let problems = wrong.chain(seen.unfinished).chain(faults);
        let problems = problems.map(|problem| format!("{}: {problem}", self.name)).collect();
        Ok((findings.times, problems))
    }
}
