//! `stepmark up`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use stepmark_servers::Guardian;

use super::{ENVIRONMENT, EnvironmentArgs, GOOD, INVALID, complain, interrupted, new_folder, root};
use crate::binaries::BinariesError;
use crate::broker::Broker;
use crate::cluster::{Cluster, Connections};
use crate::environment::{EnvironmentError, RunDatabase};
use crate::language::Language;
use crate::topology::{On, Topology, UnknownTopology};

const QUEUE_PREFIX: &str = "STEPMARK_QUEUE_PREFIX";

/// Flags of `stepmark up`.
#[derive(Debug, Args)]
pub(super) struct UpArgs {
    /// The broker that messages travel through.
    #[arg(long, value_enum, default_value = "pgmq")]
    broker: Broker,
    /// The cluster: `ten` has two orchestrators and two workers in each language; `2x4` has two
    /// orchestrators and four workers in Rust.
    #[arg(long, value_name = "CLUSTER", default_value = "1x1", value_parser = cluster)]
    topology: On,
    /// Leaves out the workers in this language; may be given several times.
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    without: Vec<Language>,
    /// Folder of workflow templates of your own, instead of the scenarios' own. Their handlers are
    /// in your worker: it joins with the variables that are printed.
    #[arg(long, value_name = "DIR")]
    templates: Option<PathBuf>,
    /// Where the instances' logs go [default: a new folder in reports/runs].
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
    #[command(flatten)]
    environment: EnvironmentArgs,
}

/// Here is no scenario that could have one of its own.
fn cluster(text: &str) -> Result<On, UnknownTopology> {
    text.parse().ok().filter(|on| *on != On::Own).ok_or(UnknownTopology)
}

pub(super) async fn run(args: UpArgs) -> u8 {
    match stay_up(&args).await {
        Ok(()) => GOOD,
        Err(error) => {
            let runtime = matches!(error.downcast_ref(), Some(BinariesError::Runtime(_)));
            complain(if runtime { INVALID } else { ENVIRONMENT }, &format!("{error:#}"))
        }
    }
}

/// The processes that the flags ask for.
fn topology(args: &UpArgs) -> Topology {
    let topology = match args.topology {
        On::Own | On::Ten => Topology::ten(),
        On::Grid { orchestrators, workers } => {
            Topology { orchestrators, workers: BTreeMap::from([(Language::Rust, workers)]) }
        }
    };
    topology.without(args.without.iter().copied().collect())
}

async fn stay_up(args: &UpArgs) -> anyhow::Result<()> {
    let mut settings = settings(args)?;
    let environment = args.environment.clone();
    let topology = topology(args);
    let languages = topology.languages().collect();
    let binaries = tokio::task::spawn_blocking(move || environment.binaries(&languages)).await??;
    let logs = args.logs.clone().unwrap_or_else(|| new_folder(&root()).join("logs"));
    std::fs::create_dir_all(&logs)
        .map_err(|error| anyhow::anyhow!("cannot write logs to {}: {error}", logs.display()))?;
    let guardian = Arc::new(Guardian::start().map_err(EnvironmentError::Guardian)?);
    let mut choice = args.environment.choice().await?;
    println!("backend     {} ({})", choice.backend.name(), choice.why);
    // Outside of the future, so that it is removed even when that is broken off.
    let mut database = None;
    let up = async {
        let postgres = choice.backend.postgres().await?;
        let amqp_url = match args.broker {
            Broker::Pgmq => None,
            Broker::Rabbitmq => Some(choice.backend.rabbitmq().await?.amqp_url),
        };
        let made = RunDatabase::create(&postgres.admin_url, amqp_url.clone()).await?;
        let database = database.insert(made);
        settings.insert(QUEUE_PREFIX, database.queue_prefix());
        let connections = Connections {
            database_url: database.engine_url.clone(),
            broker: args.broker,
            rabbitmq_url: amqp_url,
            settings,
        };
        let cluster = Cluster::start(&binaries, &topology, &connections, &logs, &guardian).await?;
        anyhow::Ok((connections, cluster))
    };
    let up = tokio::select! {
        up = up => up.map(Some),
        () = interrupted() => Ok(None),
    };
    let ended = match up {
        Ok(Some((connections, cluster))) => {
            introduce(&cluster, &connections, &logs);
            show_request(&cluster, args.templates.is_some());
            println!("\nCtrl-C ends everything.");
            tokio::select! {
                () = interrupted() => {}
                () = tell_changes(&cluster) => {}
            }
            eprintln!("stopping");
            cluster.stop().await;
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    if let Some(database) = database {
        database.remove().await?;
    }
    ended
}

/// What the instances are told beyond their connections.
fn settings(args: &UpArgs) -> anyhow::Result<BTreeMap<&'static str, String>> {
    let Some(templates) = &args.templates else {
        return Ok(BTreeMap::new());
    };
    let folder = templates
        .canonicalize()
        .map_err(|error| anyhow::anyhow!("--templates {}: {error}", templates.display()))?;
    Ok(BTreeMap::from([("STEPMARK_TEMPLATES", folder.display().to_string())]))
}

/// Says whenever an instance has ended or is there again, for as long as it is asked to.
async fn tell_changes(cluster: &Cluster) {
    let lines = || cluster.instances().map(ToString::to_string).collect::<Vec<_>>();
    let mut told = lines();
    loop {
        cluster.faults().changed().await;
        let now = lines();
        for line in now.iter().filter(|line| !told.contains(line)) {
            println!("{line}");
        }
        told = now;
    }
}

fn introduce(cluster: &Cluster, connections: &Connections, logs: &std::path::Path) {
    for instance in cluster.instances() {
        println!("{instance}");
    }
    println!("logs        {}", logs.display());
    println!("\nA worker of your own joins with these variables:\n");
    println!("export STEPMARK_DATABASE_URL='{}'", connections.database_url);
    if let Some(url) = &connections.rabbitmq_url {
        println!("export STEPMARK_BROKER=rabbitmq STEPMARK_RABBITMQ_URL='{url}'");
        let prefix = connections.settings.get(QUEUE_PREFIX).map_or("", String::as_str);
        println!("export {QUEUE_PREFIX}='{prefix}'");
    }
}

/// How a task is started and watched; of the scenarios' own templates, with a line to paste.
fn show_request(cluster: &Cluster, has_own_templates: bool) {
    let orchestrators = cluster.orchestrator_urls();
    let Some(url) = orchestrators.first() else {
        return;
    };
    let stepmark = std::env::current_exe().map_or_else(
        |_| "stepmark".to_owned(), // it is gone, or /proc is
        |path| path.display().to_string(),
    );
    println!("\nStart a task, and watch it to its end:\n");
    println!("export STEPMARK_URL={url}");
    if has_own_templates {
        println!("{stepmark} task watch $({stepmark} task start NAMESPACE/TEMPLATE)");
        return;
    }
    println!(
        "{stepmark} task watch $({stepmark} task start rust_e2e_linear/mathematical_sequence \
         --context '{{\"even_number\": 6}}')"
    );
    println!("\nThe same by the API alone:\n");
    println!(
        "curl -s {url}/v1/tasks/$(curl -s {url}/v1/tasks -H 'content-type: application/json' \
         -d '{{\"namespace\": \"rust_e2e_linear\", \"template\": \"mathematical_sequence\", \
         \"context\": {{\"even_number\": 6}}}}' | sed 's/.*\"task_uuid\":\"\\([^\"]*\\).*/\\1/')\
         '?wait=10'"
    );
}
