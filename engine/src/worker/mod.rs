//! The worker core, which handler programs embed.
//!
//! One lane claims steps and starts their handlers, each a task of its own; what they make of
//! their steps goes through one bounded channel to another lane, which stores it. Follow a step
//! from [`claim`](self) through `flight` and `handlers` to `complete`. [`testing`] runs handlers
//! without any of it; [`bridge`] is the way to handlers in other languages.

mod breaker;
pub mod bridge;
mod claim;
mod complete;
mod flight;
mod handlers;
mod heartbeat;
mod interrupts;
mod metrics;
mod outcome;
mod step;
mod suspects;
pub mod testing;

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches};
use sqlx::Row;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use self::breaker::Breaker;
use self::claim::{ClaimLane, Claiming};
use self::complete::CompleteLane;
use self::flight::Flight;
use self::handlers::Handlers;
pub use self::heartbeat::HeartbeatError;
use self::heartbeat::HeartbeatLane;
use self::interrupts::Interrupts;
use self::metrics::{BreakerGauge, WorkerMetrics};
pub use self::outcome::{Failure, Outcome, StepError};
use self::step::DeskEngine;
pub use self::step::Step;
use self::suspects::Suspects;
use crate::config::{VERSION, WorkerConfig};
use crate::database::{self, Lane};
use crate::http::status::{self, Health};
use crate::messaging::{MessagingService, Outgoing, StepId};
use crate::program::{self, StartError};
use crate::traces::Traces;

/// A worker: handlers, and the way to run them.
///
/// ```no_run
/// use serde_json::json;
/// use stepmark_engine::worker::{Step, StepError, Worker};
///
/// fn main() -> std::process::ExitCode {
///     Worker::new()
///         .handler("examples", "greet", |step: Step| async move {
///             let context: serde_json::Value = step.context()?;
///             Ok::<_, StepError>(json!({"greeting": format!("Hello, {}!", context["name"])}))
///         })
///         .main()
/// }
/// ```
#[derive(Default)]
pub struct Worker {
    handlers: Handlers,
    metrics: WorkerMetrics,
    /// Cancelled when the process must end because of a handler that doesn't.
    condemned: CancellationToken,
}

impl Worker {
    /// A worker without handlers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers the handler that templates of `namespace` call `name`. It may run more than once
    /// for a step, on any worker: what it does outside must be keyed by
    /// [`Step::idempotency_token`]. It must not block its thread, which by default is the worker's
    /// only one: long computations belong into `tokio::task::spawn_blocking`, or give the worker
    /// more `--threads`.
    #[must_use]
    pub fn handler<F, Fut, O>(mut self, namespace: &str, name: &str, handler: F) -> Self
    where
        F: Fn(Step) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, StepError>> + Send + 'static,
        O: Into<Outcome>,
    {
        self.handlers.add(namespace, name, handler);
        self
    }

    /// Runs the worker as a program: configuration from flags and environment, log on standard
    /// error, drained on SIGTERM and Ctrl-C. Exit codes: 0 drained, 2 bad configuration,
    /// 3 no database, broker or port.
    #[must_use]
    pub fn main(self) -> ExitCode {
        match self.configured(std::env::args()) {
            Ok(config) => ExitCode::from(self.run_as_program(config)),
            Err(exit_code) => ExitCode::from(exit_code),
        }
    }

    /// The configuration that the arguments and the environment tell; or the exit code of a program
    /// that has answered them already.
    fn configured(&self, arguments: impl IntoIterator<Item = String>) -> Result<WorkerConfig, u8> {
        let arguments: Vec<String> = arguments.into_iter().collect();
        if arguments.get(1).map(String::as_str) == Some("--list-handlers") {
            print!("{}", self.handlers.list());
            return Err(0);
        }
        let matches = WorkerConfig::command().version(VERSION).try_get_matches_from(arguments);
        matches.and_then(|matches| WorkerConfig::from_arg_matches(&matches)).map_err(|error| {
            let _ = error.print(); // nobody listens then
            u8::try_from(error.exit_code()).unwrap_or(2)
        })
    }

    fn run_as_program(self, config: WorkerConfig) -> u8 {
        program::run(&config.engine.clone(), config.threads, |shutdown| self.run(config, shutdown))
    }

    /// Runs the worker until `shutdown`, then drains: what is in flight ends and is stored, and
    /// what can't end in time is given back without counting as an attempt.
    ///
    /// # Errors
    /// The database or broker can't be reached at the start, or the port is taken.
    pub async fn run(
        self,
        config: WorkerConfig,
        shutdown: CancellationToken,
    ) -> Result<(), StartError> {
        let engine = &config.engine;
        let options = program::prepare_database(engine).await?;
        let pool = database::read_pool(options.clone(), 1);
        let messaging = program::start_messaging(engine, &options, &pool).await?;
        let registry = prometheus::Registry::new();
        self.metrics.register(&registry)?;
        let traces = Traces::start(engine, "stepmark-worker")?;
        let breaker_pause = Duration::from_millis(config.breaker_pause_ms.into());
        let breaker = Arc::new(Breaker::new(config.breaker_failures, breaker_pause));
        BreakerGauge::register(&registry, Arc::clone(&breaker))?;
        let (sender, attempted) = mpsc::channel(config.concurrency as usize);
        let (heartbeats, received) = mpsc::channel(config.concurrency as usize);
        let interrupts = Arc::new(Interrupts::default());
        let flight = Flight::new(
            self.handlers.clone(),
            sender,
            config.result_bytes_max,
            Arc::clone(&interrupts),
            Arc::clone(&breaker),
            self.metrics.clone(),
        );
        let claiming = ClaimLane {
            claiming: Claiming::new(&config),
            config: config.clone(),
            namespaces: self.handlers.namespaces(),
            messaging: Arc::clone(&messaging),
            interrupts: Arc::clone(&interrupts),
            breaker,
            engine: DeskEngine::Database { heartbeats, pool: pool.clone() },
            flight: flight.clone(),
            suspects: Suspects::new(
                pool.clone(),
                flight.clone(),
                config.lease_ms,
                shutdown.clone(),
            ),
            traces: traces.clone(),
        };
        let beating = HeartbeatLane {
            database: Lane::new(options.clone()),
            heartbeats: received,
            interrupts,
            batch_max: engine.batch_max as usize,
            lease_ms: config.lease_ms,
            sweep: engine.sweep(),
        };
        let completing = CompleteLane {
            messaging: Arc::clone(&messaging),
            database: Lane::new(options.clone()),
            attempted,
            batch_max: engine.batch_max as usize,
            metrics: self.metrics,
            traces: traces.clone(),
        };
        let health = Health { pool: pool.clone(), messaging: Arc::clone(&messaging), registry };
        let (listener, address) = program::bind(engine).await?;
        let server = tokio::spawn(
            axum::serve(listener, status::routes(health))
                .with_graceful_shutdown(shutdown.clone().cancelled_owned())
                .into_future(),
        );
        let completing = tokio::spawn(completing.run());
        let drained = CancellationToken::new();
        tokio::spawn(beating.run(drained.clone()));
        program::announce(address);
        claiming.run(shutdown).await; // until the shutdown begins

        let unfinished = flight.drain(engine.drain(), &self.condemned).await;
        drop(flight);
        drained.cancel();
        give_back(&options, &messaging, unfinished).await;
        // A database that is away must not hold the drain for ever; leases expire without us.
        let _ = tokio::time::timeout(engine.drain(), completing).await;
        messaging.close().await;
        server.abort();
        traces.close().await;
        info!("drained");
        Ok(())
    }
}

/// Gives back the steps of handlers that could not end in time.
async fn give_back(
    options: &PgConnectOptions,
    transport: &Arc<dyn MessagingService>,
    unfinished: Vec<(Uuid, StepId)>,
) {
    if unfinished.is_empty() {
        return;
    }
    let mut unfinished = unfinished;
    unfinished.sort_unstable_by_key(|(_, step)| *step);
    let (tokens, steps): (Vec<Uuid>, Vec<StepId>) = unfinished.into_iter().unzip();
    let released = async {
        let row = sqlx::query(include_str!("../../sql/release_steps.sql"))
            .bind(transport.broker().name())
            .bind(steps)
            .bind(tokens)
            .fetch_one(Lane::new(options.clone()).connection().await?)
            .await?;
        let released: i64 = row.try_get("released")?;
        Ok::<_, sqlx::Error>((released, Outgoing::from_row(&row)?))
    };
    match released.await {
        Ok((released, outgoing)) => {
            transport.publish(outgoing).await;
            info!(steps = released, "gave back steps whose handlers did not end in time");
        }
        Err(error) => warn!(%error, "steps can't be given back; their leases will expire"),
    }
}
