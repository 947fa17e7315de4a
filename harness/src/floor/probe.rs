//! Measures the floor over kept connections of the same kind as the engine's.

use std::time::{Duration, Instant, SystemTime};

use amqprs::BasicProperties;
use amqprs::channel::{
    BasicConsumeArguments, BasicPublishArguments, Channel, ConsumerMessage, QueueDeclareArguments,
};
use amqprs::connection::Connection as AmqpConnection;
use sqlx::postgres::{PgConnection, PgListener};
use sqlx::{Connection, Executor};
use tokio::sync::mpsc::UnboundedReceiver;

use super::{Floor, median};
use crate::client::{Client, ClientError};
use crate::environment::{EnvironmentError, RunDatabase, amqp};

/// Repetitions of one measurement in one round.
const REPETITIONS: usize = 200;
/// What is measured before that is thrown away: after a pause, the system's scheduler and the
/// virtual machine take some milliseconds to come back to their pace.
const WARM_UP: Duration = Duration::from_millis(200);
/// Looks at the database's clock, of which the quickest counts.
const CLOCK_LOOKS: usize = 50;
/// A hop that takes longer than this has lost its message.
const HOP_TIMEOUT: Duration = Duration::from_secs(10);
const CHANNEL: &str = "stepmark_floor";
/// AMQP's delivery mode of a persistent message.
const PERSISTENT: u8 = 2;

const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS floor (id bigint GENERATED ALWAYS AS \
     IDENTITY PRIMARY KEY, body text NOT NULL)";
const READ_CLOCK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
const INSERT: &str = "INSERT INTO floor (body) VALUES ($1)";

/// Why the floor could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum FloorError {
    /// PostgreSQL does not answer.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// A statement failed.
    #[error("measuring the floor: {0}")]
    Sql(#[from] sqlx::Error),
    /// RabbitMQ refused something.
    #[error("measuring the floor on RabbitMQ: {0}")]
    Amqp(#[from] amqprs::error::Error),
    /// An orchestrator does not answer.
    #[error("measuring the floor: {0}")]
    Http(#[from] ClientError),
    /// A message never came.
    #[error("measuring the floor: a message of the broker did not arrive within 10 s")]
    HopLost,
}

/// Connections that the floor is measured over, kept for the whole run.
pub struct Probe {
    sql: PgConnection,
    hop: Hop,
    healthz: String,
    commits: u64,
}

enum Hop {
    Notify(Box<PgListener>),
    Amqp(Box<Amqp>),
}

struct Amqp {
    channel: Channel,
    queue: String,
    consumer: UnboundedReceiver<ConsumerMessage>,
    /// The channel lives as long as it.
    _connection: AmqpConnection,
}

impl Probe {
    /// Opens the connections. The broker is RabbitMQ where `amqp_url` is given, else PGMQ's
    /// NOTIFY; `healthz` is the URL of an orchestrator's page.
    ///
    /// # Errors
    /// A server does not answer.
    pub async fn open(
        database: &RunDatabase,
        amqp_url: Option<&str>,
        healthz: String,
    ) -> Result<Probe, FloorError> {
        let mut sql = database.connect_to_harness().await?;
        sql.execute(CREATE_TABLE).await?;
        let hop = match amqp_url {
            Some(url) => open_amqp(url).await?,
            None => {
                let mut listener = PgListener::connect(&database.harness_url()).await?;
                listener.listen(CHANNEL).await?;
                Hop::Notify(Box::new(listener))
            }
        };
        Ok(Probe { sql, hop, healthz, commits: 0 })
    }

    /// How far the database's clock is ahead of ours, in microseconds; 0 where they differ by less
    /// than can be told. Of several looks, the one with the shortest round trip counts (Mills,
    /// RFC 5905, section 8: the offset, half a round trip on either side).
    ///
    /// # Errors
    /// PostgreSQL does not answer.
    pub async fn clock_ahead_us(&mut self) -> Result<i64, FloorError> {
        let mut best: Option<(i64, i64)> = None;
        for _ in 0..CLOCK_LOOKS {
            let before = unix_us();
            let look = sqlx::query_scalar::<_, i64>(READ_CLOCK);
            let theirs = look.fetch_one(&mut self.sql).await?;
            let after = unix_us();
            let look = (after - before, theirs - i64::midpoint(before, after));
            best = Some(best.map_or(look, |best| best.min(look)));
        }
        let (round_trip, ahead) = best.unwrap_or_default();
        Ok(if ahead.abs() > round_trip / 2 { ahead } else { 0 })
    }

    /// WAL flushes that the probe has caused so far: one a durable commit.
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// Starts counting the commits anew.
    pub fn reset_commits(&mut self) {
        self.commits = 0;
    }

    /// Closes the connections.
    ///
    /// # Errors
    /// A server does not answer.
    pub async fn close(self) -> Result<(), FloorError> {
        self.sql.close().await?;
        Ok(())
    }

    /// One round: the medians of [`Floor`].
    ///
    /// # Errors
    /// A server does not answer.
    pub async fn measure(&mut self, client: &Client) -> Result<Floor, FloorError> {
        let mut floor = Floor::default();
        let mut samples = Samples::new();
        while samples.wanted() {
            let started = Instant::now();
            sqlx::query(INSERT).bind("floor").execute(&mut self.sql).await?;
            samples.add(started);
            self.commits += 1;
        }
        floor.commit_ms = samples.median_ms();
        while samples.wanted() {
            let started = Instant::now();
            sqlx::query("SELECT 1").execute(&mut self.sql).await?;
            samples.add(started);
        }
        floor.sql_round_trip_ms = samples.median_ms();
        while samples.wanted() {
            let started = Instant::now();
            self.hop.once(&mut self.sql).await?;
            samples.add(started);
        }
        floor.broker_hop_ms = samples.median_ms();
        while samples.wanted() {
            let started = Instant::now();
            client.page(&self.healthz).await?;
            samples.add(started);
        }
        floor.http_ms = samples.median_ms();
        // What this session did must be in the statistics before somebody reads them.
        sqlx::query("SELECT pg_stat_force_next_flush()").execute(&mut self.sql).await?;
        Ok(floor)
    }
}

impl Hop {
    async fn once(&mut self, sql: &mut PgConnection) -> Result<(), FloorError> {
        match self {
            Hop::Notify(listener) => {
                sql.execute(sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL)).await?;
                let received = tokio::time::timeout(HOP_TIMEOUT, listener.recv()).await;
                received.map_err(|_| FloorError::HopLost)??;
            }
            Hop::Amqp(amqp) => {
                let persistent = BasicProperties::default().with_delivery_mode(PERSISTENT).finish();
                let arguments = BasicPublishArguments::new("", &amqp.queue);
                amqp.channel.basic_publish(persistent, b"floor".to_vec(), arguments).await?;
                let received = tokio::time::timeout(HOP_TIMEOUT, amqp.consumer.recv()).await;
                received.ok().flatten().ok_or(FloorError::HopLost)?;
            }
        }
        Ok(())
    }
}

async fn open_amqp(url: &str) -> Result<Hop, FloorError> {
    let connection = amqp::open(url).await?;
    let channel = connection.open_channel(None).await?;
    // Durable, so that messages are written; exclusive, so that it goes with the connection.
    let arguments = QueueDeclareArguments::exclusive_server_named().durable(true).finish();
    let declared = channel.queue_declare(arguments).await?;
    let (queue, ..) = declared.ok_or(FloorError::HopLost)?;
    let arguments = BasicConsumeArguments::new(&queue, "floor").manual_ack(false).finish();
    let (_, consumer) = channel.basic_consume_rx(arguments).await?;
    Ok(Hop::Amqp(Box::new(Amqp { channel, queue, consumer, _connection: connection })))
}

fn unix_us() -> i64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// The times of one measurement, without its warm-up.
struct Samples {
    began: Instant,
    ms: Vec<f64>,
}

impl Samples {
    fn new() -> Samples {
        Samples { began: Instant::now(), ms: Vec::new() }
    }

    fn wanted(&self) -> bool {
        self.ms.len() < REPETITIONS
    }

    fn add(&mut self, started: Instant) {
        if self.began.elapsed() > WARM_UP {
            self.ms.push(started.elapsed().as_secs_f64() * 1_000.0);
        }
    }

    /// The median since the last one was asked for.
    fn median_ms(&mut self) -> Option<f64> {
        let measured = median(&mut self.ms);
        *self = Samples::new();
        measured
    }
}
