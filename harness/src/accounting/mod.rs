//! Work accounting from outside the engine: what stands behind a task, by the servers' own word.
//!
//! Two kinds of counters need two kinds of care:
//! - *Immediate* ones (statements, log position, sequences, CPU time, RabbitMQ's counter) are read
//!   where load starts and pauses; with one task at a time the first three after every task too.
//! - *Settling* ones (commits, WAL flushes): a PostgreSQL backend hands its counts over at most
//!   once a second, and an idle one after ten ([`SETTLE`]). So the baseline is read that long
//!   after the warm-up, and the end when the cluster is gone: a backend that ends hands over all.

mod cpu;
mod files;
mod postgres;
mod prometheus;

use std::collections::BTreeMap;
use std::ops::Add;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::broker::Broker;
use crate::client::Client;
use crate::environment::{EnvironmentError, PostgresFacts, RunDatabase};
use crate::statements::StatementCalls;
use crate::work::{Accounts, Spread, Work};

use cpu::Busy;
pub use cpu::Processes;
use files::FileReads;
use postgres::{Counters, Reading, Settled, Texts};
pub use prometheus::{label, sum_where};

/// How long the engine has to be idle before PostgreSQL's statistics hold all it did: the idle
/// flush of a backend (PGSTAT_IDLE_INTERVAL, 10 s) and some slack.
pub const SETTLE: Duration = Duration::from_millis(10_500);

/// A reading stands once nothing has changed for this long: what the engine does after it said
/// Complete belongs to the task. On PGMQ that follows at once.
const QUIET_PGMQ: Duration = Duration::from_millis(1);
/// On RabbitMQ the engine acknowledges messages, and clears the outbox of them, each up to 50 ms
/// after its task.
const QUIET_RABBITMQ: Duration = Duration::from_millis(110);
/// A reading is not waited for any longer: servers have work of their own.
const QUIET_WAIT_MAX: Duration = Duration::from_secs(1);

/// Keeps the accounts of one run.
#[derive(Debug)]
pub struct Accountant {
    counters: Counters,
    broker: Broker,
    rabbitmq_url: Option<String>,
    orchestrators: Vec<String>,
    processes: Processes,
    baseline: Settled,
    evaluations: Option<f64>,
    http_calls: u64,
    since: Option<Mark>,
    last: Reading,
    total: Totals,
    each: BTreeMap<String, Vec<u64>>,
}

/// Where a stretch of load began.
#[derive(Debug)]
struct Mark {
    reading: Reading,
    texts: Texts,
    published: Option<f64>,
    cpu: BTreeMap<String, Option<f64>>,
    reads: Option<FileReads>,
    busy: Busy,
}

/// What was spent in all stretches. A count that fails in one of them fails for the run.
#[derive(Debug)]
struct Totals {
    statements: Option<i64>,
    texts: Texts,
    wal_bytes: i64,
    messages: Option<f64>,
    cpu_ms: BTreeMap<String, Option<f64>>,
    reads: Option<FileReads>,
    others_ms: f64,
    given_ms: f64,
}

/// What the accounts say in the end.
#[derive(Debug)]
pub struct Balance {
    /// The counts.
    pub accounts: Accounts,
    /// What could not be counted.
    pub gaps: Vec<String>,
    /// The share of the machine's CPU that other processes took while load was on, 0 to 1.
    pub others_share: f64,
}

impl Totals {
    fn new() -> Totals {
        Totals {
            statements: Some(0),
            texts: Texts::new(),
            wal_bytes: 0,
            messages: Some(0.0),
            cpu_ms: BTreeMap::new(),
            reads: Some(FileReads::default()),
            others_ms: 0.0,
            given_ms: 0.0,
        }
    }
}

impl Accountant {
    /// Opens the accounts, once the warm-up has settled.
    ///
    /// # Errors
    /// PostgreSQL does not answer.
    pub async fn open(
        database: &RunDatabase,
        facts: &PostgresFacts,
        broker: Broker,
        rabbitmq_url: Option<String>,
        processes: Processes,
        client: &Client,
    ) -> Result<Accountant, EnvironmentError> {
        let mut counters = Counters::open(database, facts, broker).await?;
        let last = counters.read().await?;
        let baseline = counters.settled().await?;
        let orchestrators = client.orchestrators().to_vec();
        let evaluations = evaluations(client, &orchestrators).await;
        Ok(Accountant {
            counters,
            broker,
            rabbitmq_url,
            orchestrators,
            processes,
            baseline,
            evaluations,
            http_calls: client.calls(),
            since: None,
            last,
            total: Totals::new(),
            each: BTreeMap::new(),
        })
    }

    /// A stretch of load begins.
    ///
    /// # Errors
    /// PostgreSQL does not answer.
    pub async fn resume(&mut self, client: &Client) -> Result<(), EnvironmentError> {
        let published = self.published(client).await;
        let texts = self.counters.texts().await?;
        self.last = self.stable().await?;
        let (cpu, busy) = (self.processes.cpu_ms(), self.processes.busy());
        let reads = self.processes.file_reads();
        self.since = Some(Mark { reading: self.last, texts, published, cpu, reads, busy });
        Ok(())
    }

    /// One task has ended, and no other is under way: what was counted since is its work.
    ///
    /// # Errors
    /// PostgreSQL does not answer.
    pub async fn task_ended(&mut self) -> Result<(), EnvironmentError> {
        let now = self.stable().await?;
        let spent = now.since(self.last);
        self.last = now;
        let counts = [("sql_statements", spent.statements), ("messages", spent.messages)];
        for (name, count) in counts {
            if let Some(count) = count {
                self.each.entry(name.to_owned()).or_default().push(count.unsigned_abs());
            }
        }
        self.each
            .entry("wal_bytes".to_owned())
            .or_default()
            .push(spent.wal_position.unsigned_abs());
        Ok(())
    }

    /// A stretch of load is over.
    ///
    /// # Errors
    /// PostgreSQL does not answer.
    pub async fn pause(&mut self, client: &Client) -> Result<(), EnvironmentError> {
        let Some(mark) = self.since.take() else {
            return Ok(());
        };
        let (cpu, reads) = (self.processes.cpu_ms(), self.processes.file_reads());
        let (others, given) = self.processes.busy().others_since(mark.busy);
        let spent = self.stable().await?.since(mark.reading);
        let published = self.published(client).await;
        let messages = match self.broker {
            Broker::Pgmq => spent.messages.map(|count| count as f64),
            Broker::Rabbitmq => published.zip(mark.published).map(|(now, then)| now - then),
        };
        let total = &mut self.total;
        total.others_ms += others;
        total.given_ms += given;
        total.statements = sum(total.statements, spent.statements);
        for (text, now) in self.counters.texts().await? {
            let calls = now - mark.texts.get(&text).copied().unwrap_or(0);
            *total.texts.entry(text).or_default() += calls;
        }
        total.wal_bytes += spent.wal_position;
        total.messages = sum(total.messages, messages);
        let reads = reads.zip(mark.reads).map(|(now, then)| now - then);
        total.reads = total.reads.zip(reads).map(|(sum, more)| sum + more);
        for (name, now) in cpu {
            let then = mark.cpu.get(&name).copied().flatten();
            let total = total.cpu_ms.entry(name).or_insert(Some(0.0));
            *total = sum(*total, now.zip(then).map(|(now, then)| now - then));
        }
        Ok(())
    }

    /// Reads what has to be read while the orchestrators are still there.
    pub async fn before_stop(&mut self, client: &Client) {
        let now = evaluations(client, &self.orchestrators).await;
        self.evaluations = now.zip(self.evaluations).map(|(now, then)| now - then);
        self.http_calls = client.calls() - self.http_calls;
    }

    /// Closes the accounts of `tasks` tasks, once the cluster is gone. `own_flushes` is the number
    /// of WAL flushes that the harness itself caused in between; without it the baseline has not
    /// settled, and what takes its time to settle is not told.
    ///
    /// # Errors
    /// PostgreSQL does not answer.
    pub async fn close(
        mut self,
        tasks: u64,
        own_flushes: Option<u64>,
    ) -> Result<Balance, EnvironmentError> {
        let settles = own_flushes.is_some();
        let gone = self.counters.sessions_gone().await?;
        let end = self.counters.settled().await?;
        self.counters.close().await?;
        let a_task = |count: f64| count / tasks.max(1) as f64;
        let own_flushes = own_flushes.unwrap_or_default().cast_signed();
        let flushes = end.wal_flushes - self.baseline.wal_flushes - own_flushes;
        let by_process: BTreeMap<String, Option<f64>> =
            self.total.cpu_ms.into_iter().map(|(name, ms)| (name, ms.map(a_task))).collect();
        let mean = Work {
            messages: self.total.messages.map(a_task),
            dependency_evaluations: self.evaluations.map(a_task),
            sql_statements: self.total.statements.map(|count| a_task(count as f64)),
            commits: (gone && settles)
                .then(|| a_task((end.commits - self.baseline.commits) as f64)),
            wal_flushes: (gone && settles).then(|| a_task(flushes as f64)),
            wal_bytes: Some(a_task(self.total.wal_bytes as f64)),
            cpu_ms: Some(by_process.values().flatten().sum()),
            file_reads: self.total.reads.map(|reads| a_task(reads.calls)),
            file_read_bytes: self.total.reads.map(|reads| a_task(reads.bytes)),
            http_calls: Some(a_task(self.http_calls as f64)),
            ..Work::default()
        };
        let each = self.each.into_iter();
        let each = each.filter_map(|(name, counts)| Some((name, Spread::of(counts)?))).collect();
        let mut gaps = gaps(&mean, self.broker);
        if !gone {
            gaps.push("commits and WAL flushes: sessions of the engine outlive its cluster".into());
        }
        let messages = self.total.messages.filter(|messages| *messages > 0.0);
        let called = self.total.texts.into_iter().filter(|(_, calls)| *calls > 0);
        let statements = called.map(|((text, is_nested), calls)| StatementCalls {
            text,
            is_nested,
            calls_a_task: a_task(calls as f64),
            calls_a_message: messages.map(|messages| calls as f64 / messages),
        });
        let statements = statements.collect();
        let accounts = Accounts { mean, each, statements, cpu_ms_by_process: by_process };
        let others_share = self.total.others_ms / self.total.given_ms.max(1.0);
        Ok(Balance { accounts, gaps, others_share })
    }

    async fn stable(&mut self) -> Result<Reading, EnvironmentError> {
        let quiet = match self.broker {
            Broker::Pgmq => QUIET_PGMQ,
            Broker::Rabbitmq => QUIET_RABBITMQ,
        };
        let began = Instant::now();
        let mut last = self.counters.read().await?;
        let mut since = Instant::now();
        while since.elapsed() < quiet && began.elapsed() < QUIET_WAIT_MAX {
            sleep(Duration::from_millis(1)).await;
            let now = self.counters.read().await?;
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        Ok(last)
    }

    async fn published(&self, client: &Client) -> Option<f64> {
        let page = client.page(self.rabbitmq_url.as_deref()?).await;
        let page = page.inspect_err(|error| tracing::warn!(%error, "RabbitMQ's metrics")).ok()?;
        prometheus::sum(&page, "rabbitmq_global_messages_received_total")
    }
}

async fn evaluations(client: &Client, orchestrators: &[String]) -> Option<f64> {
    let mut total = 0.0;
    for url in orchestrators {
        let page = client.page(&format!("{url}/metrics")).await;
        let page = page.inspect_err(|error| tracing::warn!(%error, "metrics")).ok()?;
        // A counter that was never raised may not be there yet.
        total += prometheus::sum(&page, "stepmark_dependency_evaluations_total").unwrap_or(0.0);
    }
    Some(total)
}

fn gaps(mean: &Work, broker: Broker) -> Vec<String> {
    let mut gaps = Vec::new();
    if mean.sql_statements.is_none() {
        gaps.push(
            "SQL statements were not counted: the PostgreSQL server has no pg_stat_statements \
             (install postgresql-contrib, or the distribution's postgresql, and preload it)"
                .to_owned(),
        );
    }
    if mean.messages.is_none() {
        gaps.push(
            match broker {
                Broker::Pgmq => "messages were not counted: PGMQ's queue sequences are not there",
                Broker::Rabbitmq => {
                    "messages were not counted: RabbitMQ's Prometheus page cannot be read (plugin \
                 rabbitmq_prometheus; --rabbitmq-prometheus-url)"
                }
            }
            .to_owned(),
        );
    }
    if mean.dependency_evaluations.is_none() {
        gaps.push("dependency evaluations: an orchestrator's /metrics cannot be read".to_owned());
    }
    gaps
}

/// Nothing where either is missing, so that a gap stays one however much follows it.
fn sum<T: Add<Output = T>>(a: Option<T>, b: Option<T>) -> Option<T> {
    Some(a? + b?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_failed_in_one_stretch_is_not_taken_up_again_by_the_next() {
        let stretches = [Some(3), None, Some(4)];
        assert_eq!(stretches.into_iter().fold(Totals::new().statements, sum), None);
        assert_eq!([Some(3), Some(4)].into_iter().fold(Totals::new().statements, sum), Some(7));
    }
}
