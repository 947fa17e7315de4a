//! The way to PostgreSQL: session settings, migrations, and connections that come back.

use std::io;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, timeout};

/// Key of the advisory lock under which one instance at a time installs and migrates.
const MIGRATION_LOCK: i64 = 0x73_74_65_70_6d_61_72_6b; // "stepmark"

/// The least that an attempt to connect is given, however small the patience.
const ATTEMPT_MIN: Duration = Duration::from_secs(1);

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// Why the database can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Not a URL of PostgreSQL.
    #[error("the database URL is not valid: {0}")]
    Url(#[source] sqlx::Error),
    /// Nobody answers, or not in time.
    #[error(
        "PostgreSQL at {at} can't be reached: {source}; is it running, and is the database \
        URL (STEPMARK_DATABASE_URL) right?"
    )]
    Unreachable {
        /// Host, port and database.
        at: String,
        /// What the last attempt met.
        source: sqlx::Error,
    },
    /// PGMQ's SQL could not be installed.
    #[error("PGMQ can't be installed: {0}; the role must own the database")]
    Pgmq(#[from] pgmq::PgmqError),
    /// The schema could not be migrated.
    #[error("the schema can't be migrated: {0}")]
    Migrate(#[from] MigrateError),
    /// A statement of the set-up failed.
    #[error("the database can't be prepared: {0}")]
    Sql(#[from] sqlx::Error),
}

/// The session settings of every connection of the engine.
///
/// Plans are generic, because the statements inside the functions would otherwise be planned at
/// every call; and they use indexes, because a plan made while a table was empty would scan it for
/// ever.
///
/// # Errors
/// The URL is not one of PostgreSQL.
pub fn options(url: &str, application_name: &str) -> Result<PgConnectOptions, DatabaseError> {
    let options = PgConnectOptions::from_str(url).map_err(DatabaseError::Url)?;
    Ok(options.application_name(application_name).options([
        ("search_path", "stepmark,public"),
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("enable_bitmapscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("enable_memoize", "off"),
        ("enable_hashagg", "off"),
        // Rows are what counts: else reading a whole index of a few pages would look cheaper than
        // finding ten rows by their keys, and the plan would stay while the table grows.
        ("random_page_cost", "0"),
        ("cpu_operator_cost", "0"),
        ("jit", "off"),
        ("statement_timeout", "60s"),
    ]))
}

/// Reaches the database, waiting for it at most `patience`, and brings its schema up to date.
/// Any number of instances may do so at once.
///
/// # Errors
/// The database can't be reached or migrated.
pub async fn prepare(options: &PgConnectOptions, patience: Duration) -> Result<(), DatabaseError> {
    let mut lock = first_connection(options, patience).await?;
    sqlx::query("SELECT pg_advisory_lock($1)").bind(MIGRATION_LOCK).execute(&mut lock).await?;
    sqlx::query("CREATE SCHEMA IF NOT EXISTS stepmark").execute(&mut lock).await?;
    // PGMQ's installer and sqlx's look into their own tables by sequential scan; that is fine.
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
    pgmq::install::install_sql_from_embedded(&pool).await?;
    pool.close().await;
    // Not `run`: its future could not be spawned, for the lifetime in its `Acquire`.
    MIGRATIONS.run_direct(None, &mut lock, false).await?;
    lock.close().await?; // which gives the advisory lock back
    Ok(())
}

async fn first_connection(
    options: &PgConnectOptions,
    patience: Duration,
) -> Result<PgConnection, DatabaseError> {
    let deadline = Instant::now() + patience;
    let mut pause = Pause::default();
    loop {
        // A host that is cut off answers nothing, and no error comes of that for minutes.
        let limit = patience.max(ATTEMPT_MIN);
        let attempt = timeout(limit, PgConnection::connect_with(options)).await;
        let late = |_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()));
        match attempt.unwrap_or_else(late) {
            Ok(connection) => return Ok(connection),
            Err(source) if Instant::now() >= deadline || !may_pass(&source) => {
                let database = options.get_database().unwrap_or("the role's own database");
                let at = format!("{}:{}/{database}", options.get_host(), options.get_port());
                return Err(DatabaseError::Unreachable { at, source });
            }
            Err(_) => pause.wait().await,
        }
    }
}

/// Whether an error may go away by itself: the server restarts, is full, or chose a victim.
/// A statement that PostgreSQL refuses for its content does not.
#[must_use]
pub fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            matches!(&code[..2], "08" | "40" | "53" | "57" | "58") || code == "55P03"
        }),
        sqlx::Error::Configuration(_) | sqlx::Error::Tls(_) => false,
        _ => true,
    }
}

/// Whether PostgreSQL refused a value for its content (class 22, data exception).
#[must_use]
pub fn is_data_error(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code.starts_with("22"))
}

/// Flushes the log past all that has been committed before.
///
/// # Errors
/// The database's.
pub async fn flush_log(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let flush = sqlx::query(include_str!("../sql/flush_log.sql"));
    flush.execute(connection).await.map(|_| ())
}

/// A growing pause between two attempts, from 20 ms to 1 s.
#[derive(Debug)]
pub struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(Duration::from_millis(20))
    }
}

impl Pause {
    /// Waits, and makes the next pause longer.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(Duration::from_secs(1));
    }
}

/// One lane's own connection, made anew when it is lost.
#[derive(Debug)]
pub struct Lane {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
}

impl Lane {
    /// A lane that connects when it is first used.
    #[must_use]
    pub const fn new(options: PgConnectOptions) -> Self {
        Self { options, connection: None }
    }

    /// The connection, made now if there is none.
    ///
    /// # Errors
    /// The server can't be reached.
    pub async fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        if self.connection.is_none() {
            self.connection = Some(PgConnection::connect_with(&self.options).await?);
        }
        Ok(self.connection.as_mut().expect("it was just made"))
    }

    /// Forgets the connection after an error, whatever state it is in.
    pub fn reset(&mut self) {
        self.connection = None;
    }
}

/// A pool for reads, and for what happens rarely.
#[must_use]
pub fn read_pool(options: PgConnectOptions, connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with(options)
}
