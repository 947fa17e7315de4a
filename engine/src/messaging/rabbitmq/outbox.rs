//! The outbox: rows of `message_outbox`, written by the SQL functions with each state change.

use std::time::Duration;

use sqlx::postgres::PgPool;
use uuid::Uuid;

use crate::messaging::Outgoing;

/// How old an unconfirmed message is before any instance sends it again.
const UNCONFIRMED_MAX: Duration = Duration::from_secs(10);

/// Most rows that are sent again by one statement.
const RESEND_MAX: i32 = 500;

/// Statements on the outbox.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    pool: PgPool,
}

impl Outbox {
    pub(super) const fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Removes messages that the broker has confirmed.
    pub(super) async fn remove(&self, message_ids: &[Uuid]) -> Result<(), sqlx::Error> {
        let sql = include_str!("../../../sql/outbox_remove.sql");
        sqlx::query(sql).bind(message_ids).execute(&self.pool).await.map(|_| ())
    }

    /// Marks messages that did not reach the broker, to be sent again by whoever is first.
    pub(super) async fn mark_unsent(&self, message_ids: &[Uuid]) -> Result<(), sqlx::Error> {
        let sql = include_str!("../../../sql/outbox_mark_unsent.sql");
        sqlx::query(sql).bind(message_ids).execute(&self.pool).await.map(|_| ())
    }

    /// Messages to be sent again now, marked as sent by this call.
    pub(super) async fn due(&self) -> Result<Outgoing, sqlx::Error> {
        let sql = include_str!("../../../sql/outbox_resend.sql");
        let age_ms = i64::try_from(UNCONFIRMED_MAX.as_millis()).expect("a short time");
        let row = sqlx::query(sql).bind(age_ms).bind(RESEND_MAX).fetch_one(&self.pool).await?;
        Outgoing::from_row(&row)
    }

    /// Writes the messages of every step that waits for one in a queue that was lost, as unsent.
    /// Returns how many.
    pub(super) async fn write_lost(&self, queue: &str) -> Result<i64, sqlx::Error> {
        let sql = include_str!("../../../sql/outbox_write_lost.sql");
        sqlx::query_scalar(sql).bind(queue).fetch_one(&self.pool).await
    }
}
