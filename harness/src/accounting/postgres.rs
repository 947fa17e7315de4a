//! PostgreSQL's counters: statements, log position, queue sequences, commits, WAL flushes.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};
use tokio::time::sleep;

use crate::broker::Broker;
use crate::environment::{EnvironmentError, PostgresFacts, RunDatabase};
use crate::statements::normalised;

/// How often, and how many times, the end of the engine's sessions is looked for: 10 s in all.
const SESSION_LOOK: Duration = Duration::from_millis(5);
const SESSION_LOOKS_MAX: u32 = 2_000;

/// Texts are the same whatever plans and databases they have.
const READ_TEXTS: &str = "
    SELECT query, toplevel, sum(calls)::bigint FROM pg_stat_statements(true)
    WHERE userid = (SELECT oid FROM pg_roles WHERE rolname = $1) AND query IS NOT NULL
    GROUP BY query, toplevel";

/// `showtext` is off: only the numbers are wanted, and the texts live in a file.
const READ_STATEMENTS: &str = "
    SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements(false)
    WHERE userid = (SELECT oid FROM pg_roles WHERE rolname = $1) AND toplevel";

const READ_WAL_POSITION: &str = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint";

/// Each message of PGMQ takes its id from its queue's sequence.
const READ_MESSAGES: &str = r"
    SELECT sum(coalesce(last_value, 0))::bigint FROM pg_sequences
    WHERE schemaname = 'pgmq' AND sequencename LIKE 'q\_stepmark\_%\_msg\_id\_seq'";

const READ_COMMITS: &str = "SELECT xact_commit FROM pg_stat_database WHERE datname = $1";
const COUNT_SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1";
const READ_FLUSHES: &str = "SELECT wal_sync FROM pg_stat_wal";
/// PostgreSQL 18 moved the count.
const READ_FLUSHES_18: &str =
    "SELECT coalesce(sum(fsyncs), 0)::bigint FROM pg_stat_io WHERE object = 'wal'";

/// The immediate counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    pub statements: Option<i64>,
    pub wal_position: i64,
    pub messages: Option<i64>,
}

/// Calls by text, and whether a function made them.
pub(super) type Texts = BTreeMap<(String, bool), i64>;

impl Reading {
    /// What was counted between an earlier reading and this one.
    pub fn since(self, earlier: Reading) -> Reading {
        let minus = |a: Option<i64>, b: Option<i64>| a.zip(b).map(|(a, b)| a - b);
        Reading {
            statements: minus(self.statements, earlier.statements),
            wal_position: self.wal_position - earlier.wal_position,
            messages: minus(self.messages, earlier.messages),
        }
    }
}

/// The counters that settle, at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settled {
    pub commits: i64,
    pub wal_flushes: i64,
}

#[derive(Debug)]
pub(super) struct Counters {
    /// In the harness's own database, so that its commits are not the engine's.
    harness: PgConnection,
    /// In the engine's database, for the queues' sequences. It stays inside one read-only
    /// transaction from the baseline to the end, so that none of its reads is a commit there.
    engine: Option<PgConnection>,
    role: String,
    database: String,
    counts_statements: bool,
    read_flushes: &'static str,
}

impl Counters {
    pub async fn open(
        database: &RunDatabase,
        facts: &PostgresFacts,
        broker: Broker,
    ) -> Result<Counters, EnvironmentError> {
        let mut harness = database.connect_to_harness().await?;
        let engine = match broker {
            Broker::Rabbitmq => None,
            Broker::Pgmq => {
                let mut engine = database.connect_to_engine().await?;
                let begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY";
                engine.execute(begin).await.map_err(failed)?;
                Some(engine)
            }
        };
        let installed: Option<i32> =
            sqlx::query_scalar("SELECT 1 FROM pg_extension WHERE extname = 'pg_stat_statements'")
                .fetch_optional(&mut harness)
                .await
                .map_err(failed)?;
        Ok(Counters {
            harness,
            engine,
            role: database.names.role.clone(),
            database: database.names.engine_database.clone(),
            counts_statements: installed.is_some() && facts.counts_statements(),
            read_flushes: if facts.version_num >= 180_000 { READ_FLUSHES_18 } else { READ_FLUSHES },
        })
    }

    pub async fn read(&mut self) -> Result<Reading, EnvironmentError> {
        let messages = match &mut self.engine {
            None => None,
            Some(engine) => {
                sqlx::query_scalar(READ_MESSAGES).fetch_one(engine).await.map_err(failed)?
            }
        };
        let statements = match self.counts_statements {
            false => None,
            true => {
                let read = sqlx::query_scalar(READ_STATEMENTS).bind(&self.role);
                Some(read.fetch_one(&mut self.harness).await.map_err(failed)?)
            }
        };
        let read = sqlx::query_scalar(READ_WAL_POSITION);
        let wal_position = read.fetch_one(&mut self.harness).await.map_err(failed)?;
        Ok(Reading { statements, wal_position, messages })
    }

    /// Calls so far by text, and whether a function made them; nothing where they are not counted.
    pub async fn texts(&mut self) -> Result<Texts, EnvironmentError> {
        if !self.counts_statements {
            return Ok(Texts::new());
        }
        let read = sqlx::query_as(READ_TEXTS).bind(&self.role);
        let rows: Vec<(String, bool, i64)> =
            read.fetch_all(&mut self.harness).await.map_err(failed)?;
        let mut texts = Texts::new();
        for (text, is_top, calls) in rows {
            *texts.entry((normalised(&text), !is_top)).or_default() += calls;
        }
        Ok(texts)
    }

    pub async fn settled(&mut self) -> Result<Settled, EnvironmentError> {
        let read = sqlx::query_scalar(READ_COMMITS).bind(&self.database);
        let commits = read.fetch_one(&mut self.harness).await.map_err(failed)?;
        let read = sqlx::query_scalar(self.read_flushes);
        let wal_flushes = read.fetch_one(&mut self.harness).await.map_err(failed)?;
        Ok(Settled { commits, wal_flushes })
    }

    /// Waits until the engine has no session any more. A session keeps what it counted to itself
    /// for up to 10 s; one that ends hands it over first.
    pub async fn sessions_gone(&mut self) -> Result<bool, EnvironmentError> {
        for _ in 0..SESSION_LOOKS_MAX {
            let read = sqlx::query_scalar::<_, i64>(COUNT_SESSIONS).bind(&self.role);
            if read.fetch_one(&mut self.harness).await.map_err(failed)? == 0 {
                return Ok(true);
            }
            sleep(SESSION_LOOK).await;
        }
        Ok(false)
    }

    pub async fn close(self) -> Result<(), EnvironmentError> {
        if let Some(engine) = self.engine {
            engine.close().await.map_err(failed)?;
        }
        self.harness.close().await.map_err(failed)
    }
}

fn failed(error: sqlx::Error) -> EnvironmentError {
    EnvironmentError::Postgres { what: "reading PostgreSQL's counters", error }
}
