//! The orchestrator: an HTTP API in front, and one lane a phase behind it.
//!
//! A request becomes a task in [`create`]; its completions are evaluated in `process`; what time
//! brings about is done in `recover`; [`crate::waiters`] tells who waits. All are stateless:
//! any number of orchestrators can work on one database.

pub mod create;
mod metrics;
mod process;
pub mod read;
pub mod recover;
pub mod templates;

use std::sync::Arc;

use sqlx::Connection;
use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::create::{Backlog, Creating};
use self::metrics::OrchestratorMetrics;
use self::process::ProcessLane;
use self::read::Reads;
use self::recover::{Alarm, RecoverLane};
use self::templates::Templates;
use crate::config::OrchestratorConfig;
use crate::database::{self, DatabaseError, Lane};
use crate::http::{self, status::Health, tasks::Api};
use crate::program::{self, StartError};
use crate::traces::Traces;
use crate::waiters::Waiters;

/// Runs an orchestrator until `shutdown`, then drains: requests are answered, and what has been
/// taken is processed.
///
/// # Errors
/// Templates that can't be used; the database, the broker or the port can't be had.
pub async fn run(
    config: OrchestratorConfig,
    shutdown: CancellationToken,
) -> Result<(), StartError> {
    let engine = &config.engine;
    let loaded = templates::load(&config.templates).map_err(StartError::Templates)?;
    let (listener, address) = program::bind(engine).await?;
    let options = program::prepare_database(engine).await?;
    let templates = register(&loaded, &options).await.map_err(DatabaseError::Sql)?;
    info!(templates = loaded.len(), namespaces = ?templates.namespaces(), "templates are loaded");
    let pool = database::read_pool(options.clone(), 2);
    let reads = Reads::start(&options, config.read_connections);
    let messaging = program::start_messaging(engine, &options, &pool).await?;
    messaging.declare(templates.namespaces()).await.map_err(StartError::Broker)?;

    let registry = prometheus::Registry::new();
    let metrics = OrchestratorMetrics::register(&registry)?;
    let traces = Traces::start(engine, "stepmark-orchestrator")?;
    let waiters = Arc::new(Waiters::default());
    let alarm = Arc::new(Alarm::default());
    let creating = Creating {
        messaging: Arc::clone(&messaging),
        database: Lane::new(options.clone()),
        batch_max: engine.batch_max as usize,
        backlog: Backlog::new(config.backlog_max),
        waiters: Arc::clone(&waiters),
        alarm: Arc::clone(&alarm),
        metrics: metrics.clone(),
        traces: traces.clone(),
    };
    let processing = ProcessLane {
        config: engine.clone(),
        messaging: Arc::clone(&messaging),
        waiters: Arc::clone(&waiters),
        alarm: Arc::clone(&alarm),
        metrics: metrics.clone(),
        traces: traces.clone(),
    };
    let recovering = RecoverLane {
        config: engine.clone(),
        lease_expiries_max: config.lease_expiries_max,
        messaging: Arc::clone(&messaging),
        database: Lane::new(options),
        waiters: Arc::clone(&waiters),
        alarm: Arc::clone(&alarm),
        metrics,
    };
    let (create, creating) = creating.start();
    let api = Api {
        create,
        templates: Arc::new(templates),
        waiters,
        reads,
        pool: pool.clone(),
        messaging: Arc::clone(&messaging),
        alarm,
        shutdown: shutdown.clone(),
    };
    let health = Health { pool, messaging: Arc::clone(&messaging), registry };
    let routes = http::routes(api, health, engine.token.as_deref(), config.body_bytes_max);
    let listener = axum::serve::ListenerExt::tap_io(listener, |connection| {
        let _ = connection.set_nodelay(true); // axum doesn't by itself, and 40 ms are lost
    });
    let server =
        axum::serve(listener, routes).with_graceful_shutdown(shutdown.clone().cancelled_owned());

    let lanes = [
        tokio::spawn(processing.run(shutdown.clone())),
        tokio::spawn(recovering.run(shutdown.clone())),
        creating,
    ];
    let server = tokio::spawn(server.into_future());
    program::announce(address);
    shutdown.cancelled().await;
    let drained = async {
        let _ = server.await; // it drops the routes, and with them the way to the creating lane
        for lane in lanes {
            let _ = lane.await; // a lane that has panicked has said so
        }
        messaging.close().await;
    };
    match tokio::time::timeout(engine.drain(), drained).await {
        Ok(()) => info!("drained"),
        Err(_) => warn!("ending before everything was drained; others take it over"),
    }
    traces.close().await;
    Ok(())
}

async fn register(
    templates: &[stepmark_workflow::Template],
    options: &sqlx::postgres::PgConnectOptions,
) -> Result<Templates, sqlx::Error> {
    let mut connection = PgConnection::connect_with(options).await?;
    let registered = Templates::register(templates, &mut connection).await?;
    connection.close().await?;
    Ok(registered)
}
