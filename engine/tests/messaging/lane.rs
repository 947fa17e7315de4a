//! A lane as the worker has it: takes dispatch messages and claims their steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Row};
use stepmark_engine::messaging::{
    MessagingError, MessagingService, Phase, Queue, Source, SourceQueue, Statement, StepId,
};

use stepmark_engine::waiters::Waiters;

use crate::support::PATIENCE;

/// Claims steps, and counts the messages that a broker has delivered for it.
#[derive(Default)]
pub struct Claiming {
    namespaces: Vec<String>,
    delivered: AtomicUsize,
}

impl Phase for Claiming {
    fn taking<'a>(&'a self, namespaces: &'a [String], max: i32) -> Statement<'a> {
        sqlx::query(include_str!("../../sql/claim_taken.sql"))
            .bind(namespaces)
            .bind(max)
            .bind("tester")
            .bind(30_000_i64)
    }

    fn delivered(&self, steps: &[StepId]) -> Statement<'_> {
        self.delivered.fetch_add(steps.len(), Ordering::Relaxed);
        sqlx::query(include_str!("../../sql/claim_delivered.sql"))
            .bind(steps.to_vec())
            .bind("tester")
            .bind(30_000_i64)
    }
}

/// Claims steps, and then its transaction fails.
struct Failing;

impl Phase for Failing {
    fn taking<'a>(&'a self, namespaces: &'a [String], max: i32) -> Statement<'a> {
        failing(include_str!("../../sql/claim_taken.sql"))
            .bind(namespaces)
            .bind(max)
            .bind("tester")
            .bind(30_000_i64)
    }

    fn delivered(&self, steps: &[StepId]) -> Statement<'_> {
        failing(include_str!("../../sql/claim_delivered.sql"))
            .bind(steps.to_vec())
            .bind("tester")
            .bind(30_000_i64)
    }
}

/// What an orchestrator does to completions.
pub struct Processing;

impl Phase for Processing {
    fn taking<'a>(&'a self, _namespaces: &'a [String], max: i32) -> Statement<'a> {
        sqlx::query(include_str!("../../sql/process_taken.sql")).bind(max)
    }

    fn delivered(&self, steps: &[StepId]) -> Statement<'_> {
        sqlx::query(include_str!("../../sql/process_delivered.sql")).bind(steps.to_vec())
    }
}

fn failing<'q>(claim: &str) -> Statement<'q> {
    let divide = format!("SELECT 1 / (attempt - attempt) FROM (\n{claim}\n) AS claimed");
    sqlx::query(AssertSqlSafe(divide))
}

/// Dispatch messages of these namespaces; calls are heard and nothing comes of them.
pub fn dispatches(namespaces: Vec<String>) -> Source {
    Source { queue: SourceQueue::Dispatches(namespaces), calls: Arc::new(Waiters::default()) }
}

/// Completion messages.
pub fn completions() -> Source {
    Source { queue: SourceQueue::Completions, calls: Arc::new(Waiters::default()) }
}

/// A lane's queue, and what it does to the steps.
pub struct Lane {
    service: Arc<dyn MessagingService>,
    claiming: Claiming,
    pub queue: Box<dyn Queue>,
}

impl Lane {
    pub async fn open(service: Arc<dyn MessagingService>, namespaces: Vec<String>) -> Self {
        let source = dispatches(namespaces.clone());
        let queue = service.open(source, 200).await.unwrap();
        let claiming = Claiming { namespaces, ..Claiming::default() };
        Self { service, claiming, queue }
    }

    /// Messages that a broker has delivered to it.
    pub fn delivered(&self) -> usize {
        self.claiming.delivered.load(Ordering::Relaxed)
    }

    /// Waits for messages.
    pub async fn wait(&mut self) {
        self.queue.wait(PATIENCE).await.unwrap();
    }

    /// Waits for longer than an acknowledgement does, while no message comes.
    pub async fn settle(&mut self) {
        self.queue.wait(Duration::from_millis(200)).await.unwrap();
    }

    /// Takes messages and claims the steps that they name.
    pub async fn claim(&mut self, max: usize) -> Result<Vec<StepId>, MessagingError> {
        let rows = self.queue.act(&self.claiming, max).await?;
        let steps = rows.iter().map(|row| row.get("step_id"));
        Ok(steps.collect())
    }

    /// The same, but the transaction fails. Whether there was anything to fail for.
    pub async fn claim_in_vain(&mut self, max: usize) -> bool {
        self.queue.act(&Failing, max).await.is_err()
    }

    /// Claims steps until there are `count`; a wait follows only when nothing is left.
    pub async fn collect(&mut self, count: usize, max: usize) -> Vec<StepId> {
        let mut claimed = Vec::new();
        let collected = async {
            while claimed.len() < count {
                let some = self.claim(max).await.unwrap();
                if some.len() < max && claimed.len() + some.len() < count {
                    self.wait().await;
                }
                claimed.extend(some);
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, collected).await.is_ok();
        assert!(in_time, "only {} of {count} came", claimed.len());
        claimed
    }

    /// The same where servers come and go: after an error the queue is opened anew, as the
    /// engine's lanes do.
    pub async fn collect_through_outages(&mut self, count: usize) -> Vec<StepId> {
        let mut claimed = Vec::new();
        let collected = async {
            while claimed.len() < count {
                if self.round(&mut claimed).await.is_err() {
                    let source = dispatches(self.claiming.namespaces.clone());
                    if let Ok(queue) = self.service.open(source, 200).await {
                        self.queue = queue;
                    }
                    self.service.tend().await;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, collected).await.is_ok();
        assert!(in_time, "only {} of {count} came", claimed.len());
        claimed
    }

    async fn round(&mut self, claimed: &mut Vec<StepId>) -> Result<(), MessagingError> {
        self.queue.wait(Duration::from_millis(200)).await?;
        claimed.extend(self.claim(100).await?);
        Ok(())
    }
}
