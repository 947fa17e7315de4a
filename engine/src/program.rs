//! What the orchestrator and the workers do alike as programs: logging, signals, the way to the
//! servers, exit codes.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use tracing_subscriber::EnvFilter;

use crate::config::{self, Broker, ConfigError, EngineConfig, LogFormat};
use crate::database::{self, DatabaseError};
use crate::messaging::{MessagingError, MessagingService, Pgmq, RabbitMq, RabbitMqOptions};
use crate::traces;

/// What is logged when RUST_LOG says nothing: sqlx tells of each notice that PostgreSQL gives.
const LOG_FILTER: &str = "info,sqlx=warn";

/// Why a program can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What it was told doesn't fit.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// Templates that can't be used, each with its place.
    #[error("{0}")]
    Templates(String),
    /// The database.
    #[error("{0}")]
    Database(#[from] DatabaseError),
    /// The broker.
    #[error("RabbitMQ can't be reached: {0}; is it running, and is STEPMARK_RABBITMQ_URL right?")]
    Broker(#[source] MessagingError),
    /// The port.
    #[error("can't listen on {address}: {source}; choose another with --listen, or port 0")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The receiver of traces is no URL.
    #[error("STEPMARK_OTLP_ENDPOINT (--otlp-endpoint): {0}")]
    Traces(#[from] opentelemetry_otlp::ExporterBuildError),
    /// A metric registered twice.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl StartError {
    /// 2 when what the program was told is at fault, 3 when its surroundings are.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::Templates(_)
            | Self::Traces(_)
            | Self::Metrics(_)
            | Self::Database(DatabaseError::Url(_)) => 2,
            Self::Database(_) | Self::Broker(_) | Self::Listen { .. } => 3,
        }
    }
}

/// Runs a program, on this many threads, until it ends by itself or SIGTERM or SIGINT tells it to.
/// Returns the exit code.
pub fn run<F, Fut>(config: &EngineConfig, threads: u32, program: F) -> u8
where
    F: FnOnce(CancellationToken) -> Fut,
    Fut: Future<Output = Result<(), StartError>>,
{
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOG_FILTER));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A process may run more than one program, one after the other; the first one's log stays.
    let _ = match config.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    // On one thread, a lane's wake-up is a function call and not another thread's.
    let mut runtime = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime
        .worker_threads(threads as usize)
        .enable_all()
        .build()
        .expect("the system lets a program have threads");
    let ended = runtime.block_on(async {
        config::check_environment(std::env::vars().map(|(name, _)| name))?;
        config.check()?;
        let shutdown = CancellationToken::new();
        tokio::spawn(cancel_on_signal(shutdown.clone()));
        program(shutdown).await
    });
    runtime.shutdown_timeout(Duration::from_millis(200));
    match ended {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("error: {error}");
            error.exit_code()
        }
    }
}

async fn cancel_on_signal(shutdown: CancellationToken) {
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be handled");
    let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be handled");
    tokio::select! {
        _ = terminate.recv() => info!("SIGTERM: draining"),
        _ = interrupt.recv() => info!("SIGINT: draining"),
    }
    shutdown.cancel();
    // A second one means now.
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    error!("told twice: ending without a drain");
    std::process::exit(1);
}

/// The database, reached and migrated.
///
/// # Errors
/// See [`database::prepare`].
pub async fn prepare_database(config: &EngineConfig) -> Result<PgConnectOptions, DatabaseError> {
    let name = format!("stepmark {}", config.instance);
    let mut options = database::options(&config.database_url, &name)?;
    if config.otlp_endpoint.is_some() {
        options = options.options([traces::SETTING]);
    }
    database::prepare(&options, Duration::from_millis(config.connect_ms.into())).await?;
    Ok(options)
}

/// The provider that the configuration names, connected.
///
/// # Errors
/// The broker can't be reached.
pub async fn start_messaging(
    config: &EngineConfig,
    options: &PgConnectOptions,
    pool: &PgPool,
) -> Result<Arc<dyn MessagingService>, StartError> {
    Ok(match config.broker {
        Broker::Pgmq => Arc::new(Pgmq::new(options.clone(), pool.clone())),
        Broker::Rabbitmq => {
            let rabbitmq = RabbitMqOptions {
                url: config.rabbitmq_url.clone().ok_or(ConfigError::NoRabbitmqUrl)?,
                queue_prefix: config.queue_prefix.clone(),
                queue_type: config.queue_type,
                connection_name: format!("stepmark {}", config.instance),
            };
            let patience = Duration::from_millis(config.connect_ms.into());
            let started = RabbitMq::start(rabbitmq, options.clone(), pool.clone(), patience).await;
            Arc::new(started.map_err(StartError::Broker)?)
        }
    })
}

/// The socket of the HTTP endpoint, and the address that it got.
///
/// # Errors
/// The address is taken or not this machine's.
pub async fn bind(config: &EngineConfig) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Tells on standard output that the program is ready, and where; whoever started it waits for it.
pub fn announce(address: SocketAddr) {
    println!("listening on http://{address}");
    info!(%address, "ready");
}
