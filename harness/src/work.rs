//! The work behind one task: counts measured from outside the engine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::statements::StatementCalls;

/// Mean work of a task. What could not be measured is null, never zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// State transitions of steps, from the audit tables.
    pub step_transitions: Option<f64>,
    /// State transitions of the task, from the audit tables.
    pub task_transitions: Option<f64>,
    /// Messages sent: sequences of PGMQ's tables, or RabbitMQ's own counter.
    pub messages: Option<f64>,
    /// Dependency evaluations, from the orchestrators' metrics.
    pub dependency_evaluations: Option<f64>,
    /// Top-level SQL statements of the engine's role, from pg_stat_statements.
    pub sql_statements: Option<f64>,
    /// Transactions committed in the engine's database.
    pub commits: Option<f64>,
    /// WAL flushes (fsync or its like), the floor's own taken off.
    pub wal_flushes: Option<f64>,
    /// WAL bytes, by log position.
    pub wal_bytes: Option<f64>,
    /// CPU milliseconds of the engine's processes and the servers.
    pub cpu_ms: Option<f64>,
    /// Reads of files by the cluster's processes, in calls; sockets are not in it.
    pub file_reads: Option<f64>,
    /// Bytes of those reads.
    pub file_read_bytes: Option<f64>,
    /// HTTP calls of the client.
    pub http_calls: Option<f64>,
}

impl Work {
    /// Every figure by its name.
    pub fn figures(&self) -> [(&'static str, Option<f64>); 12] {
        [
            ("step_transitions", self.step_transitions),
            ("task_transitions", self.task_transitions),
            ("messages", self.messages),
            ("dependency_evaluations", self.dependency_evaluations),
            ("sql_statements", self.sql_statements),
            ("commits", self.commits),
            ("wal_flushes", self.wal_flushes),
            ("wal_bytes", self.wal_bytes),
            ("cpu_ms", self.cpu_ms),
            ("file_reads", self.file_reads),
            ("file_read_bytes", self.file_read_bytes),
            ("http_calls", self.http_calls),
        ]
    }
}

/// How a count spreads over the tasks of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The lowest.
    pub min: f64,
    /// The median (nearest rank).
    pub p50: f64,
    /// The highest.
    pub max: f64,
}

impl Spread {
    /// The spread of some values; nothing of no values.
    pub fn of(values: impl IntoIterator<Item = u64>) -> Option<Spread> {
        let mut values: Vec<u64> = values.into_iter().collect();
        values.sort_unstable();
        let (min, max) = (*values.first()?, *values.last()?);
        let p50 = values[(values.len() - 1) / 2];
        Some(Spread { min: min as f64, p50: p50 as f64, max: max as f64 })
    }
}

/// Everything that was counted in a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Accounts {
    /// Means over the measured tasks.
    pub mean: Work,
    /// Spreads of the counts that were taken task by task, by name.
    pub each: BTreeMap<String, Spread>,
    /// The engine's SQL by its texts, those that were called.
    pub statements: Vec<StatementCalls>,
    /// CPU milliseconds a task by process; null for a server whose process is out of reach.
    pub cpu_ms_by_process: BTreeMap<String, Option<f64>>,
}
