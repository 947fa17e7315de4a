//! The engine's processes: started, watched, started again when one dies, and ended in order.

mod instance;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use stepmark_servers::Guardian;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::binaries::Binaries;
use crate::broker::Broker;
use crate::environment::{RabbitMqServer, RunDatabase};
use crate::language::WorkerProgram;
use crate::topology::Topology;

use instance::Program;
pub use instance::{ClusterError, Instance};
pub(crate) use instance::{describe, without_own_variables};

/// What the processes are told of the servers.
#[derive(Debug, Clone)]
pub struct Connections {
    /// The engine's own database, with its own role.
    pub database_url: String,
    /// The broker that messages travel through.
    pub broker: Broker,
    /// RabbitMQ's URL; needed where it is the broker.
    pub rabbitmq_url: Option<String>,
    /// Settings of the engine that differ from its defaults: environment variables.
    pub settings: BTreeMap<&'static str, String>,
}

impl Connections {
    /// To a run's database, and to RabbitMQ where it is the broker.
    pub fn to(
        database: &RunDatabase,
        broker: Broker,
        rabbitmq: Option<&RabbitMqServer>,
    ) -> Connections {
        Connections {
            database_url: database.engine_url.clone(),
            broker,
            rabbitmq_url: rabbitmq.map(|server| server.amqp_url.clone()),
            settings: BTreeMap::from([("STEPMARK_QUEUE_PREFIX", database.queue_prefix())]),
        }
    }
}

/// A running cluster. Dropping it kills its processes; [`Cluster::stop`] ends them in order.
#[derive(Debug)]
pub struct Cluster {
    orchestrators: Vec<Instance>,
    workers: Vec<Instance>,
    faults: Faults,
}

/// What happened to instances that must not happen in a measured run.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    all: Arc<Mutex<Vec<String>>>,
    given_up: CancellationToken,
    /// An instance has ended, or is there again.
    changed: Arc<Notify>,
}

impl Faults {
    /// All faults so far, in order.
    pub fn all(&self) -> Vec<String> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until an instance is given up: no task can be counted on to end then.
    pub async fn given_up(&self) {
        self.given_up.cancelled().await;
    }

    /// Waits until an instance has ended or is there again; what has happened before the call and
    /// was not waited for counts once.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    fn add(&self, fault: String) {
        tracing::warn!("{fault}");
        self.all.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
        self.changed.notify_one();
    }
}

impl Cluster {
    /// Starts the topology's processes and waits until each is ready. Logs go to `logs`, a file
    /// an instance.
    ///
    /// # Errors
    /// A process does not start or does not get ready; the error has the end of its log.
    pub async fn start(
        binaries: &Binaries,
        topology: &Topology,
        connections: &Connections,
        logs: &Path,
        guardian: &Arc<Guardian>,
    ) -> Result<Cluster, ClusterError> {
        let faults = Faults::default();
        let launch = |name: String, program: &WorkerProgram| {
            let mut environment = environment(connections, &binaries.root, &name);
            environment.extend(program.environment.clone());
            let log = logs.join(format!("{name}.log"));
            let folder = binaries.root.clone();
            let WorkerProgram { path, arguments, .. } = program.clone();
            let program = Program { name, path, arguments, folder, environment, log };
            Instance::start(program, Arc::clone(guardian), faults.clone())
        };
        // Workers need the schema, which the first orchestrator makes.
        let orchestrator = WorkerProgram::native(binaries.orchestrator.clone());
        let orchestrators = (1..=topology.orchestrators)
            .map(|n| launch(format!("orchestrator-{n}"), &orchestrator));
        let orchestrators = try_join_all(orchestrators).await?;
        let mut workers = Vec::new();
        for (language, count) in &topology.workers {
            let program = binaries.workers.get(language);
            let program = program.ok_or(ClusterError::NotBuilt(language.name()))?;
            workers.extend(
                (1..=*count).map(|n| launch(format!("worker-{}-{n}", language.name()), program)),
            );
        }
        let workers = try_join_all(workers).await?;
        Ok(Cluster { orchestrators, workers, faults })
    }

    /// The base URLs of the orchestrators.
    pub fn orchestrator_urls(&self) -> Vec<String> {
        self.orchestrators.iter().map(Instance::url).collect()
    }

    /// The base URLs of the workers.
    pub fn worker_urls(&self) -> Vec<String> {
        self.workers.iter().map(Instance::url).collect()
    }

    /// All instances, orchestrators first.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.orchestrators.iter().chain(&self.workers)
    }

    /// What happened to the instances so far.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Ends every instance: SIGTERM, and SIGKILL for one that does not go. Returns what was not
    /// as it has to be.
    pub async fn stop(self) -> Vec<String> {
        let instances = self.workers.into_iter().chain(self.orchestrators);
        futures_util::future::join_all(instances.map(Instance::stop)).await;
        self.faults.all()
    }
}

fn environment(
    connections: &Connections,
    root: &Path,
    name: &str,
) -> BTreeMap<&'static str, String> {
    let mut environment = BTreeMap::from([
        ("STEPMARK_DATABASE_URL", connections.database_url.clone()),
        ("STEPMARK_BROKER", connections.broker.name().to_owned()),
        ("STEPMARK_LISTEN", "127.0.0.1:0".to_owned()),
        ("STEPMARK_TEMPLATES", root.join("fixtures/workflows").display().to_string()),
        ("STEPMARK_INSTANCE", name.to_owned()),
    ]);
    environment.extend(connections.settings.clone());
    if let Some(url) = &connections.rabbitmq_url {
        environment.insert("STEPMARK_RABBITMQ_URL", url.clone());
    }
    environment
}

/// How long an instance may take to say that it listens.
pub const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an instance may take to end after SIGTERM.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// How often an instance is started again before it is given up.
pub const RESTARTS_MAX: u32 = 5;
