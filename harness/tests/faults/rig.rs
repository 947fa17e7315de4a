//! A cluster of this build on servers of its own, under load, with its answers checked.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Once};
use std::time::Duration;

use futures_util::future::join_all;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use stepmark_harness::audit::{self, Asked, Clocks};
use stepmark_harness::binaries::Binaries;
use stepmark_harness::broker::Broker;
use stepmark_harness::client::Client;
use stepmark_harness::cluster::{Cluster, Connections};
use stepmark_harness::environment::RunDatabase;
use stepmark_harness::language::Language;
use stepmark_harness::load::{Load, Sample};
use stepmark_harness::oracle;
use stepmark_harness::scenario::{self, Scenario};
use stepmark_harness::topology::Topology;
use stepmark_harness::workload::Workload;
use stepmark_servers::{
    Ending, Guardian, Postgres, PostgresBinaries, PostgresOptions, RabbitMq, RabbitMqBinaries,
    RabbitMqOptions,
};

/// Tasks of one load at least: it goes on until the fault is over.
const TASKS: u64 = 1_200;

/// Tasks that have ended before a fault happens, so that it happens under load.
const TASKS_BEFORE_FAULT: usize = 150;

/// Tasks under way at any moment.
const CONCURRENCY: usize = 32;

pub struct Rig {
    pub postgres: RefCell<Option<Postgres>>,
    pub rabbitmq: RefCell<Option<RabbitMq>>,
    pub cluster: Cluster,
    pub database: RunDatabase,
    connections: Connections,
    binaries: Binaries,
    loads: Vec<OneLoad>,
    folder: PathBuf,
    guardian: Arc<Guardian>,
}

/// The tasks of one workflow.
struct OneLoad {
    scenario: Scenario,
    workload: Workload,
    ended: RefCell<Vec<Sample>>,
}

impl Rig {
    /// One orchestrator and one worker of this build. Leases last 2 s and sweeps come each 0.5 s,
    /// so that what a fault leaves behind is taken over within the test.
    pub async fn start(name: &str, broker: Broker) -> Rig {
        let topology =
            Topology { orchestrators: 1, workers: BTreeMap::from([(Language::Rust, 1)]) };
        Rig::start_as(name, broker, topology, &["diamond_rust"]).await
    }

    /// The ten instances, under load in all four languages.
    pub async fn start_ten(name: &str, broker: Broker) -> Rig {
        let scenarios = ["linear_rust", "ffi_linear_ruby", "ffi_linear_python"];
        let scenarios = [&scenarios[..], &["ffi_linear_typescript"]].concat();
        Rig::start_as(name, broker, Topology::ten(), &scenarios).await
    }

    async fn start_as(name: &str, broker: Broker, topology: Topology, names: &[&str]) -> Rig {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("faults_{name}"));
        let _ = std::fs::remove_dir_all(&folder); // of an earlier run
        std::fs::create_dir_all(&folder).unwrap();
        let guardian = Arc::new(Guardian::start().unwrap());
        let postgres = PostgresBinaries::find(None).unwrap();
        let postgres = Postgres::start(&postgres, PostgresOptions::default()).unwrap();
        let rabbitmq = (broker == Broker::Rabbitmq).then(|| {
            let binaries = RabbitMqBinaries::find(None).unwrap();
            RabbitMq::start(&binaries, RabbitMqOptions::default()).unwrap()
        });
        let admin = postgres.superuser_url("postgres");
        let database = RunDatabase::create(&admin, None).await.unwrap();
        let connections = Connections {
            database_url: database.engine_url.clone(),
            broker,
            rabbitmq_url: rabbitmq.as_ref().map(RabbitMq::amqp_url),
            settings: BTreeMap::from([
                ("STEPMARK_LEASE_MS", "2000".to_owned()),
                ("STEPMARK_SWEEP_MS", "500".to_owned()),
            ]),
        };
        let binaries = build(&topology.languages().collect());
        let scenarios = scenario::load_all(&binaries.root, &binaries.root.join("scenarios"));
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut loads = Vec::new();
        for scenario in scenario::select(scenarios.unwrap(), None, &names).unwrap() {
            let workload = Workload::prepare(&scenario, TASKS, &binaries.root, &folder, &guardian);
            let workload = workload.await.unwrap();
            loads.push(OneLoad { scenario, workload, ended: RefCell::default() });
        }
        let started = Cluster::start(&binaries, &topology, &connections, &folder, &guardian);
        Rig {
            cluster: started.await.unwrap(),
            postgres: RefCell::new(Some(postgres)),
            rabbitmq: RefCell::new(rabbitmq),
            database,
            connections,
            binaries,
            loads,
            folder,
            guardian,
        }
    }

    /// Loads the cluster, lets `fault` happen meanwhile, and checks every answer and every audit
    /// row: all tasks Complete and right, each outcome applied once, no deadlock.
    pub async fn survives(&self, fault: impl Future<Output = ()>) {
        let client = Client::new(self.cluster.orchestrator_urls());
        let tasks_each = TASKS / self.loads.len() as u64;
        let over = Cell::new(false);
        let faulty = async {
            let ended = || self.loads.iter().map(|load| load.ended.borrow().len()).sum::<usize>();
            self.until(|| ended() >= TASKS_BEFORE_FAULT).await;
            fault.await;
            over.set(true);
        };
        let driven = self.loads.iter().map(async |one| {
            let load = Load {
                client: &client,
                workflow: &one.scenario.workflow,
                inputs: one.workload.inputs(),
                run_id: &one.scenario.name,
                concurrency: CONCURRENCY / self.loads.len(),
            };
            let numbers = (0..).take_while(|&number| number < tasks_each || !over.get());
            load.drive(numbers, |sample| one.ended.borrow_mut().push(sample)).await
        });
        tokio::join!(join_all(driven), faulty);
        self.check(tasks_each).await;
    }

    async fn check(&self, tasks_each: u64) {
        let mut all = Vec::new();
        for OneLoad { workload, ended, .. } in &self.loads {
            let ended = ended.take();
            assert!(ended.len() as u64 >= tasks_each, "{} tasks ended", ended.len());
            for sample in &ended {
                let answer = sample.outcome.as_ref().unwrap_or_else(|error| panic!("{error}"));
                let expected = workload.expected(sample.number).unwrap();
                let wrong = oracle::judge_answer(&expected, answer);
                assert!(wrong.is_empty(), "{wrong:?}");
            }
            let numbered = |sample: &Sample| Some((sample.task_uuid.clone()?, sample.number));
            all.push((workload, ended.iter().filter_map(numbered).collect::<BTreeMap<_, _>>()));
        }
        let asked = all.iter().map(|(workload, numbers)| Asked {
            workload,
            numbers,
            tasks_a_sample: 1,
            measured_from: 0,
        });
        let asked: Vec<Asked<'_>> = asked.collect();
        let mut sql = self.sql().await;
        let findings = audit::examine(&mut sql, &asked, Clocks::UNKNOWN);
        assert_eq!(findings.await.unwrap().wrong, vec![]);
        // Each accepted outcome is applied once, and no step has more than one.
        let steps = self.count("workflow_steps").await;
        let tasks: usize = all.iter().map(|(_, numbers)| numbers.len()).sum();
        assert_eq!(steps as usize, tasks * 4);
        for state in ["EnqueuedForOrchestration", "Complete"] {
            let reached = format!("workflow_step_transitions WHERE to_state = '{state}'");
            assert_eq!(self.count(&reached).await, steps, "{state}");
        }
        let log = self.postgres.borrow().as_ref().unwrap().log_path();
        let log = std::fs::read_to_string(log).unwrap();
        assert!(!log.contains("deadlock detected"), "{log}");
        self.wait_for("no message in the outbox", async || self.count("message_outbox").await == 0)
            .await;
    }

    /// Starts one more process of the engine, which ends itself at this point of its code.
    pub fn start_failing(&self, program: &Path, failpoint: &str) -> Child {
        let log = std::fs::File::create(self.folder.join(format!("{failpoint}.log"))).unwrap();
        let mut command = self.guardian.command(program, Ending::Kill).unwrap();
        let templates = self.binaries.root.join("fixtures/workflows");
        command
            .env("STEPMARK_DATABASE_URL", &self.connections.database_url)
            .env("STEPMARK_BROKER", self.connections.broker.name())
            .env("STEPMARK_TEMPLATES", templates)
            .env("STEPMARK_INSTANCE", failpoint)
            .env("STEPMARK_FAILPOINT", failpoint)
            .envs(&self.connections.settings)
            .stdout(std::process::Stdio::null())
            .stderr(log);
        if let Some(url) = &self.connections.rabbitmq_url {
            command.env("STEPMARK_RABBITMQ_URL", url);
        }
        command.spawn().unwrap()
    }

    pub fn orchestrator(&self) -> &Path {
        &self.binaries.orchestrator
    }

    pub fn worker(&self) -> &Path {
        &self.binaries.workers[&Language::Rust].path
    }

    pub async fn sql(&self) -> PgConnection {
        let name = &self.database.names.engine_database;
        let url = self.postgres.borrow().as_ref().unwrap().superuser_url(name);
        let mut sql = PgConnection::connect(&url).await.unwrap();
        sqlx::query("SET search_path = stepmark, pg_catalog").execute(&mut sql).await.unwrap();
        sql
    }

    pub async fn count(&self, from: &str) -> i64 {
        let query = AssertSqlSafe(format!("SELECT count(*) FROM {from}"));
        sqlx::query_scalar(query).fetch_one(&mut self.sql().await).await.unwrap()
    }

    /// Waits for a condition; fails when it does not come about.
    pub async fn wait_for(&self, what: &str, mut condition: impl AsyncFnMut() -> bool) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        while !condition().await {
            assert!(tokio::time::Instant::now() < deadline, "waited 30 s for: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn until(&self, condition: impl Fn() -> bool) {
        self.wait_for("the load to be under way", async || condition()).await;
    }
}

/// The engine's programs as the tests are built, with their failpoints: with all packages'
/// features, or what is there would be built anew.
fn build(languages: &BTreeSet<Language>) -> Binaries {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "-q", "--workspace", "--lib", "--bins"]);
        assert!(cargo.status().unwrap().success());
    });
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = Path::new(env!("CARGO_BIN_EXE_stepmark")).parent().unwrap();
    Binaries::in_folder(root, folder, languages).unwrap()
}
