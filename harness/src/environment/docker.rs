//! Private servers in containers of this machine's Docker daemon, started when they are first asked
//! for.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use stepmark_docker::{Container, Containers, DockerError, Server};
use stepmark_servers::{RABBITMQ_SETTINGS, postgres_settings};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::{Backend, EnvironmentError, PostgresServer, RabbitMqServer, amqp};

const POSTGRES_PORT: u16 = 5_432;
const AMQP_PORT: u16 = 5_672;
const PROMETHEUS_PORT: u16 = 15_692;
/// PostgreSQL is ready within 2 s on two idle cores, and RabbitMQ within 7.
const READY_LIMIT: Duration = Duration::from_secs(120);
const READY_PAUSE: Duration = Duration::from_millis(50);
/// Of one attempt: a port answers before the server behind it does.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(5);
/// Parallel queries share memory there; Docker's own default is 64 MB.
const SHARED_MEMORY_BYTES: u64 = 256 << 20;

/// The images of the backend `docker`.
#[derive(Debug, Clone, clap::Args)]
pub struct Images {
    /// The image of PostgreSQL, for the backend docker.
    #[arg(long, value_name = "IMAGE", env = "STEPMARK_POSTGRES_IMAGE", default_value = POSTGRES)]
    pub postgres_image: String,
    /// The image of RabbitMQ, with its Prometheus plugin, for the backend docker.
    #[arg(long, value_name = "IMAGE", env = "STEPMARK_RABBITMQ_IMAGE", default_value = RABBITMQ)]
    pub rabbitmq_image: String,
}

const POSTGRES: &str = "postgres:15";
const RABBITMQ: &str = "rabbitmq:3-management";

impl Default for Images {
    fn default() -> Images {
        let [postgres_image, rabbitmq_image] = [POSTGRES, RABBITMQ].map(str::to_owned);
        Images { postgres_image, rabbitmq_image }
    }
}

/// The backend `docker`. Dropping it removes its containers and their data.
#[derive(Debug)]
pub struct Docker {
    images: Images,
    reaper: PathBuf,
    containers: Option<Containers>,
    postgres: Option<PostgresServer>,
    rabbitmq: Option<RabbitMqServer>,
}

impl Docker {
    /// A backend with these images. `reaper` is a program that calls
    /// [`stepmark_docker::reap_if_asked`].
    pub fn new(images: Images, reaper: PathBuf) -> Docker {
        Docker { images, reaper, containers: None, postgres: None, rabbitmq: None }
    }

    async fn start(&mut self, server: Server) -> Result<Container, DockerError> {
        let containers = match &mut self.containers {
            Some(containers) => containers,
            none => none.insert(Containers::begin(&self.reaper).await?),
        };
        containers.start(server).await
    }

    async fn start_postgres(&mut self) -> Result<PostgresServer, EnvironmentError> {
        let password = password();
        let settings =
            postgres_settings().flat_map(|(name, value)| ["-c".into(), format!("{name}={value}")]);
        let server = Server {
            name: "postgres",
            image: self.images.postgres_image.clone(),
            image_flag: "--postgres-image",
            ports: vec![POSTGRES_PORT],
            environment: vec![
                ("POSTGRES_PASSWORD", password.clone()),
                // In clear, to be checked against its hash, as the backend `process` has it.
                ("POSTGRES_HOST_AUTH_METHOD", "password".to_owned()),
                ("POSTGRES_INITDB_ARGS", "--encoding=UTF8 --locale=C".to_owned()),
            ],
            command: ["postgres".to_owned()].into_iter().chain(settings).collect(),
            files: Vec::new(),
            shared_memory_bytes: SHARED_MEMORY_BYTES,
        };
        let container = self.start(server).await?;
        let port = container.port(POSTGRES_PORT);
        let admin_url = format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres");
        let url = &admin_url;
        until_ready(&container, || postgres_answers(url)).await?;
        let root = self.containers.as_ref().and_then(|containers| containers.daemon().root());
        let data_dir = root.map(PathBuf::from);
        Ok(PostgresServer { admin_url, pid: container.pid(), data_dir })
    }

    async fn start_rabbitmq(&mut self) -> Result<RabbitMqServer, EnvironmentError> {
        let password = password();
        let user = ["default_user = stepmark".to_owned(), format!("default_pass = {password}\n")];
        let lines = RABBITMQ_SETTINGS.map(str::to_owned).into_iter().chain(user);
        let lines: Vec<String> = lines.collect();
        let server = Server {
            name: "rabbitmq",
            image: self.images.rabbitmq_image.clone(),
            image_flag: "--rabbitmq-image",
            ports: vec![AMQP_PORT, PROMETHEUS_PORT],
            files: vec![
                ("/etc/rabbitmq/conf.d/90-stepmark.conf", lines.join("\n")),
                ("/etc/rabbitmq/enabled_plugins", "[rabbitmq_prometheus].\n".to_owned()),
            ],
            ..Server::default()
        };
        let container = self.start(server).await?;
        let (amqp, prometheus) = (container.port(AMQP_PORT), container.port(PROMETHEUS_PORT));
        let amqp_url = format!("amqp://stepmark:{password}@127.0.0.1:{amqp}/%2f");
        let page = format!("http://127.0.0.1:{prometheus}/metrics");
        let (url, prometheus) = (&amqp_url, &page);
        until_ready(&container, || rabbitmq_answers(url, prometheus)).await?;
        Ok(RabbitMqServer { amqp_url, prometheus_url: Some(page), pid: container.pid() })
    }
}

impl Backend for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn postgres(&mut self) -> BoxFuture<'_, Result<PostgresServer, EnvironmentError>> {
        async {
            if let Some(server) = &self.postgres {
                return Ok(server.clone());
            }
            let server = self.start_postgres().await?;
            Ok(self.postgres.insert(server).clone())
        }
        .boxed()
    }

    fn rabbitmq(&mut self) -> BoxFuture<'_, Result<RabbitMqServer, EnvironmentError>> {
        async {
            if let Some(server) = &self.rabbitmq {
                return Ok(server.clone());
            }
            let server = self.start_rabbitmq().await?;
            Ok(self.rabbitmq.insert(server).clone())
        }
        .boxed()
    }
}

/// Tries until the server in the container answers.
async fn until_ready<A: Future<Output = anyhow::Result<()>> + Send>(
    container: &Container,
    attempt: impl Fn() -> A,
) -> Result<(), DockerError> {
    let begun = Instant::now();
    loop {
        let outcome = timeout(ATTEMPT_LIMIT, attempt()).await;
        let why = match outcome {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", ATTEMPT_LIMIT.as_secs()),
        };
        container.check().await?;
        if begun.elapsed() > READY_LIMIT {
            let limit = READY_LIMIT.as_secs();
            return Err(container
                .not_ready(&format!("is not ready after {limit} s ({why})"))
                .await);
        }
        sleep(READY_PAUSE).await;
    }
}

async fn postgres_answers(url: &str) -> anyhow::Result<()> {
    Ok(PgConnection::connect(url).await?.close().await?)
}

async fn rabbitmq_answers(url: &str, page: &str) -> anyhow::Result<()> {
    amqp::open(url).await?.close().await?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    http.get(page).send().await?.error_for_status()?;
    Ok(())
}

/// Other accounts of the machine reach 127.0.0.1 too.
fn password() -> String {
    Uuid::new_v4().simple().to_string()
}
