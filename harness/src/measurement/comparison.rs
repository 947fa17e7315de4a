//! The other scenario of a comparison, beside the one that is measured.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use stepmark_servers::Guardian;
use uuid::Uuid;

use super::in_turns::out_of_step;
use super::seen::Seen;
use super::{RunError, load, unless_given_up};
use crate::audit::{self, Asked, Clocks};
use crate::binaries::Binaries;
use crate::client::Client;
use crate::cluster::{Cluster, Connections, Faults};
use crate::difference::{Difference, Words};
use crate::environment::RunDatabase;
use crate::load::Load;
use crate::oracle::Wrong;
use crate::scenario::{Compare, CompareOn, Scenario};
use crate::traces;
use crate::workload::Workload;

/// The other scenario, ready for its tasks.
pub(super) struct Other {
    scenario: Scenario,
    pub(super) workload: Workload,
    client: Client,
    run_id: String,
    pub(super) seen: RefCell<Seen>,
    /// Where it has a cluster of its own.
    own: Option<(Cluster, RunDatabase)>,
    pub(super) had_own_cluster: bool,
}

/// A comparison that has been made.
pub(super) struct Compared {
    pub(super) other: Other,
    pub(super) difference: Option<Difference>,
    /// Of the other scenario's own cluster.
    pub(super) faults: Vec<String>,
    pub(super) wrong: Vec<(String, Wrong)>,
}

/// The scenario that is measured, on its cluster.
pub(super) struct Own<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) compare: &'a Compare,
    pub(super) load: &'a Load<'a>,
    pub(super) workload: &'a Workload,
    pub(super) seen: &'a RefCell<Seen>,
    pub(super) faults: &'a Faults,
}

impl Own<'_> {
    /// Runs a sample, and returns its latency in ms; nothing when a task has come to no end.
    async fn one(&self, number: u64) -> Result<Option<f64>, RunError> {
        let sample = self.load.run_sample(number, self.scenario.tasks_a_sample.into());
        let (timed, tasks) = unless_given_up(self.faults, sample).await?;
        let ended = tasks.iter().all(|task| task.outcome.is_ok());
        self.seen.borrow_mut().take(self.workload, timed, tasks);
        Ok(ended.then_some(timed.latency().as_secs_f64() * 1e3))
    }

    fn difference(&self, pairs: &[(f64, f64)]) -> Option<Difference> {
        let Self { scenario, compare, .. } = self;
        let on = match compare.on {
            CompareOn::Same => "same",
            CompareOn::Own => "own",
        };
        let words = Words { called: compare.called.clone(), with: compare.with.clone(), on };
        Difference::of(words, pairs, scenario.sequential_stages, compare.aim)
    }
}

/// What is the same for both scenarios.
pub(super) struct Beside<'a> {
    pub(super) binaries: &'a Binaries,
    pub(super) connections: &'a Connections,
    pub(super) logs: &'a Path,
    pub(super) guardian: &'a Arc<Guardian>,
    pub(super) orchestrators: Vec<String>,
}

impl Other {
    /// Brings up what it needs. `database` is there when it runs on a cluster of its own.
    pub(super) async fn start(
        scenario: &Scenario,
        tasks: u64,
        database: Option<RunDatabase>,
        beside: Beside<'_>,
    ) -> Result<Other, RunError> {
        let Beside { binaries, connections, logs, guardian, orchestrators } = beside;
        let logs = logs.join("compared");
        std::fs::create_dir_all(&logs)
            .map_err(|error| RunError::File { path: logs.clone(), error })?;
        let workload = Workload::prepare(scenario, tasks, &binaries.root, &logs, guardian).await?;
        let (own, client) = match database {
            None => (None, Client::new(orchestrators)),
            Some(database) => {
                let mut connections = connections.clone();
                connections.database_url.clone_from(&database.engine_url);
                connections.settings.insert("STEPMARK_QUEUE_PREFIX", database.queue_prefix());
                connections.settings.remove(traces::ENDPOINT); // its cost is in the difference
                let topology = &scenario.topology;
                let cluster =
                    Cluster::start(binaries, topology, &connections, &logs, guardian).await?;
                let client = Client::new(cluster.orchestrator_urls());
                (Some((cluster, database)), client)
            }
        };
        let (run_id, seen) = (Uuid::new_v4().simple().to_string(), RefCell::new(Seen::default()));
        let (scenario, had_own_cluster) = (scenario.clone(), own.is_some());
        Ok(Other { scenario, workload, client, run_id, seen, own, had_own_cluster })
    }

    /// Runs samples of both in turns, drawing which of the two begins, and makes the
    /// difference; of the first tenth it is not made, in which the other's processes are still
    /// cold. A task that comes to no end is the end of all. Then its own cluster is ended, if it
    /// has one, and judged by what its database holds.
    pub(super) async fn compared(
        mut self,
        own: Own<'_>,
        numbers: Range<u64>,
    ) -> Result<Compared, RunError> {
        let load = load(&self.client, &self.scenario, &self.workload, &self.run_id, 1);
        let cold = (numbers.end - numbers.start) / 10;
        let mut pairs = Vec::new();
        for number in numbers {
            let is_first = rand::random();
            out_of_step().await;
            let mut first = None;
            if is_first {
                first = own.one(number).await?;
            }
            let second = self.one(&load, number, own.faults).await?;
            if !is_first {
                first = own.one(number).await?;
            }
            let Some(pair) = first.zip(second) else {
                break;
            };
            pairs.push(pair);
        }
        pairs.drain(..pairs.len().min(usize::try_from(cold).unwrap_or(usize::MAX)));
        let (mut faults, mut wrong) = (Vec::new(), Vec::new());
        if let Some((cluster, database)) = self.own.take() {
            faults = cluster.stop().await;
            let mut connection = database.connect_to_engine().await?;
            let seen = self.seen.take();
            let asked = [self.asked(&seen)];
            wrong = audit::examine(&mut connection, &asked, Clocks::UNKNOWN).await?.wrong;
            self.seen.replace(seen);
        }
        Ok(Compared { other: self, difference: own.difference(&pairs), faults, wrong })
    }

    async fn one(
        &self,
        load: &Load<'_>,
        number: u64,
        faults: &Faults,
    ) -> Result<Option<f64>, RunError> {
        let own = self.own.as_ref().map(|(cluster, _)| cluster.faults());
        let sample = load.run_sample(number, self.scenario.tasks_a_sample.into());
        let sample = unless_given_up(own.unwrap_or(faults), sample);
        let (timed, tasks) = unless_given_up(faults, sample).await??;
        let ended = tasks.iter().all(|task| task.outcome.is_ok());
        tasks.into_iter().for_each(|task| self.seen.borrow_mut().check(&self.workload, task));
        Ok(ended.then_some(timed.latency().as_secs_f64() * 1e3))
    }

    /// The tasks that its database has to hold.
    pub(super) fn asked<'a>(&'a self, seen: &'a Seen) -> Asked<'a> {
        Asked {
            workload: &self.workload,
            numbers: &seen.asked,
            tasks_a_sample: self.scenario.tasks_a_sample.into(),
            measured_from: u64::MAX,
        }
    }
}
