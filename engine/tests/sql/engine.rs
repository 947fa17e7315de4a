//! The engine's statements, called as its lanes call them but one by one, on one connection.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use stepmark_engine::messaging::StepId;
use stepmark_workflow::Template;
use uuid::Uuid;

pub use crate::records::{Claim, Created, Recovered, Request, Stored};
use crate::support::Database;

/// A connection with the engine's statements on it.
pub struct Engine {
    pub connection: PgConnection,
    /// RabbitMQ unless told: messages are then counted where they wait to be published.
    pub broker: &'static str,
}

impl Engine {
    pub async fn connect(database: &Database) -> Self {
        let connection = database.connect().await;
        let broker = "rabbitmq";
        Self { connection, broker }
    }

    pub async fn register(&mut self, template: &Template) -> i32 {
        sqlx::query_scalar(include_str!("../../sql/register_template.sql"))
            .bind(&template.namespace)
            .bind(&template.name)
            .bind(template.version)
            .bind(template.content_hash())
            .bind(template.definition())
            .bind(template.rows())
            .fetch_one(&mut self.connection)
            .await
            .unwrap()
    }

    /// Registers a template and creates a task of it.
    pub async fn start(&mut self, template: &str) -> i64 {
        let template = Template::parse("test.yaml", template).unwrap();
        let template_id = self.register(&template).await;
        let made = self.create(&[Request::of(&template, template_id)]).await;
        self.task_id(made.unwrap()[0].task_uuid).await
    }

    pub async fn task_id(&mut self, task_uuid: Uuid) -> i64 {
        sqlx::query_scalar("SELECT task_id FROM tasks WHERE task_uuid = $1")
            .bind(task_uuid)
            .fetch_one(&mut self.connection)
            .await
            .unwrap()
    }

    pub async fn create(&mut self, requests: &[Request]) -> Result<Vec<Created>, sqlx::Error> {
        let each = |of: fn(&Request) -> &str| -> Vec<String> {
            requests.iter().map(|one| of(one).to_owned()).collect()
        };
        let keys: Vec<_> = requests.iter().map(|one| one.key.clone()).collect();
        let row = sqlx::query(include_str!("../../sql/create_tasks.sql"))
            .bind(self.broker)
            .bind(requests.iter().map(|_| Uuid::now_v7()).collect::<Vec<_>>())
            .bind(requests.iter().map(|one| one.template_id).collect::<Vec<_>>())
            .bind(each(|one| &one.namespace))
            .bind(each(|one| &one.context))
            .bind(keys)
            .bind(requests.iter().map(|one| one.version_asked).collect::<Vec<_>>())
            .bind(requests.iter().map(|one| one.priority).collect::<Vec<_>>())
            .bind(requests.iter().map(|one| one.delay_ms).collect::<Vec<_>>())
            .bind(requests.iter().map(|one| one.deadline_ms).collect::<Vec<_>>())
            .fetch_one(&mut self.connection)
            .await?;
        let uuids: Vec<Uuid> = row.get("task_uuids");
        let (new, same): (Vec<bool>, Vec<bool>) = (row.get("created"), row.get("same_request"));
        let answers = uuids.into_iter().zip(new.into_iter().zip(same));
        Ok(answers
            .map(|(task_uuid, (new, same_request))| Created { task_uuid, new, same_request })
            .collect())
    }

    /// Claims for half a minute.
    pub async fn claim(&mut self, steps: &[StepId]) -> Result<Vec<Claim>, sqlx::Error> {
        self.claim_for(30_000, steps).await
    }

    pub async fn claim_for(
        &mut self,
        lease_ms: i64,
        steps: &[StepId],
    ) -> Result<Vec<Claim>, sqlx::Error> {
        let rows = sqlx::query(include_str!("../../sql/claim_delivered.sql"))
            .bind(steps.to_vec())
            .bind("tester")
            .bind(lease_ms)
            .fetch_all(&mut self.connection)
            .await?;
        self.begin(&rows, lease_ms).await?;
        Ok(rows.iter().map(Claim::from_row).collect())
    }

    /// Claims steps as a worker does that dies before it begins any of those that are held back.
    pub async fn claim_and_hold(&mut self, steps: &[StepId]) -> Vec<Claim> {
        let claimed = sqlx::query(include_str!("../../sql/claim_delivered.sql"))
            .bind(steps.to_vec())
            .bind("tester")
            .bind(30_000_i64);
        let rows = claimed.fetch_all(&mut self.connection).await.unwrap();
        rows.iter().map(Claim::from_row).collect()
    }

    /// Begins the steps that were held back.
    async fn begin(&mut self, rows: &[PgRow], lease_ms: i64) -> Result<(), sqlx::Error> {
        for row in rows.iter().filter(|row| row.get("is_held_back")) {
            let Claim { step, token, .. } = Claim::from_row(row);
            assert!(self.begin_step(step, token, lease_ms).await?);
        }
        Ok(())
    }

    pub async fn begin_step(
        &mut self,
        step: StepId,
        token: Uuid,
        lease_ms: i64,
    ) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar(include_str!("../../sql/begin_step.sql"))
            .bind(step)
            .bind(token)
            .bind(lease_ms)
            .fetch_one(&mut self.connection)
            .await
    }

    /// Takes messages of namespace `n` from PGMQ and claims their steps.
    pub async fn take_and_claim(&mut self) -> Vec<Claim> {
        let taken = sqlx::query(include_str!("../../sql/claim_taken.sql"))
            .bind(vec!["n"])
            .bind(10_i32)
            .bind("tester")
            .bind(30_000_i64);
        let rows = taken.fetch_all(&mut self.connection).await.unwrap();
        self.begin(&rows, 30_000).await.unwrap();
        rows.iter().map(Claim::from_row).collect()
    }

    /// Takes messages from PGMQ and processes the outcomes of their steps.
    pub async fn take_and_process(&mut self) -> i32 {
        let taken = sqlx::query(include_str!("../../sql/process_taken.sql")).bind(10_i32);
        let row = taken.fetch_one(&mut self.connection).await.unwrap();
        row.get("steps_processed")
    }

    /// Which of the outcomes were accepted.
    pub async fn complete(&mut self, outcomes: &[Stored]) -> Result<Vec<bool>, sqlx::Error> {
        if outcomes.is_empty() {
            return Ok(Vec::new());
        }
        let steps: Vec<StepId> = outcomes.iter().map(|one| one.step).collect();
        let text = |one: &Stored, complete| {
            let is_complete = !matches!(one.outcome, "Retry" | "Fail");
            (is_complete == complete).then(|| format!(r#"{{"of": "{}"}}"#, one.token))
        };
        let row = sqlx::query(include_str!("../../sql/complete_steps.sql"))
            .bind(self.broker)
            .bind(steps)
            .bind(outcomes.iter().map(|one| one.token).collect::<Vec<_>>())
            .bind(outcomes.iter().map(|one| one.outcome).collect::<Vec<_>>())
            .bind(outcomes.iter().map(|one| text(one, true)).collect::<Vec<_>>())
            .bind(outcomes.iter().map(|one| one.expansion.clone()).collect::<Vec<_>>())
            .bind(outcomes.iter().map(|one| text(one, false)).collect::<Vec<_>>())
            .bind(outcomes.iter().map(|one| one.retry_after_ms).collect::<Vec<_>>())
            .fetch_one(&mut self.connection)
            .await?;
        Ok(row.get("accepted"))
    }

    /// How many outcomes were processed.
    pub async fn process(&mut self, steps: &[StepId]) -> Result<i32, sqlx::Error> {
        let row = sqlx::query(include_str!("../../sql/process_delivered.sql"))
            .bind(steps.to_vec())
            .fetch_one(&mut self.connection)
            .await?;
        Ok(row.get("steps_processed"))
    }

    /// How many steps were given back.
    pub async fn release(&mut self, claims: &[Claim]) -> Result<i64, sqlx::Error> {
        let steps: Vec<StepId> = claims.iter().map(|claim| claim.step).collect();
        let row = sqlx::query(include_str!("../../sql/release_steps.sql"))
            .bind(self.broker)
            .bind(steps)
            .bind(claims.iter().map(|claim| claim.token).collect::<Vec<_>>())
            .fetch_one(&mut self.connection)
            .await?;
        Ok(row.get("released"))
    }

    /// Everything that time brings about.
    pub async fn recover(&mut self) -> Result<Recovered, sqlx::Error> {
        let due = sqlx::query(include_str!("../../sql/run_due_tasks.sql"))
            .bind(self.broker)
            .bind(1_000_i32)
            .fetch_one(&mut self.connection)
            .await?;
        let retried = sqlx::query(include_str!("../../sql/retry_steps.sql"))
            .bind(self.broker)
            .bind(1_000_i32)
            .fetch_one(&mut self.connection)
            .await?;
        let expiries_max = i32::try_from(stepmark_workflow::retry::LEASE_EXPIRIES_MAX).unwrap();
        let rescued = sqlx::query(include_str!("../../sql/rescue_steps.sql"))
            .bind(self.broker)
            .bind(expiries_max)
            .bind(1_000_i32)
            .fetch_one(&mut self.connection)
            .await?;
        Ok(Recovered {
            started: due.get("tasks_started"),
            retried: retried.get("steps_retried"),
            expired: rescued.get("leases_expired"),
            failed: rescued.get("steps_failed"),
            timed_out: rescued.get("steps_timed_out"),
        })
    }

    /// Whether the task was ended by this.
    pub async fn cancel(&mut self, task_uuid: Uuid) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar(include_str!("../../sql/cancel_task.sql"))
            .bind(task_uuid)
            .bind("tested")
            .fetch_one(&mut self.connection)
            .await
    }

    /// Whether the task was in Error.
    pub async fn redrive(&mut self, task_uuid: Uuid) -> Result<bool, sqlx::Error> {
        let row = sqlx::query(include_str!("../../sql/redrive_task.sql"))
            .bind(self.broker)
            .bind(task_uuid)
            .fetch_one(&mut self.connection)
            .await?;
        Ok(row.get("redriven"))
    }

    /// Which of the claims still hold.
    pub async fn heartbeat(
        &mut self,
        claims: &[Claim],
        checkpoint: Option<&str>,
    ) -> Result<Vec<bool>, sqlx::Error> {
        sqlx::query_scalar(include_str!("../../sql/heartbeat_steps.sql"))
            .bind(claims.iter().map(|claim| claim.step).collect::<Vec<_>>())
            .bind(claims.iter().map(|claim| claim.token).collect::<Vec<_>>())
            .bind(claims.iter().map(|_| checkpoint).collect::<Vec<_>>())
            .bind(30_000_i64)
            .fetch_one(&mut self.connection)
            .await
    }

    pub async fn task_uuid(&mut self, task_id: i64) -> Uuid {
        sqlx::query_scalar("SELECT task_uuid FROM tasks WHERE task_id = $1")
            .bind(task_id)
            .fetch_one(&mut self.connection)
            .await
            .unwrap()
    }

    /// Claims a step, stores an outcome and processes it.
    pub async fn run(&mut self, step: StepId, outcome: &'static str) {
        let claims = self.claim(&[step]).await.unwrap();
        assert_eq!(claims.len(), 1, "{step:?} can't be claimed");
        let stored = self.complete(&[Stored::new(&claims[0], outcome)]).await;
        assert_eq!(stored.unwrap(), [true]);
        assert_eq!(self.process(&[step]).await.unwrap(), 1);
    }

    /// State, attempts and expired leases of a task's steps, by number.
    pub async fn steps(&mut self, task_id: i64) -> Vec<(String, i32, i32)> {
        sqlx::query_as(
            "SELECT state::text, attempts, lease_expiries FROM workflow_steps \
             WHERE step_id >> 16 = $1 ORDER BY step_id",
        )
        .bind(task_id)
        .fetch_all(&mut self.connection)
        .await
        .unwrap()
    }

    /// Only the states.
    pub async fn step_states(&mut self, task_id: i64) -> Vec<String> {
        let steps = self.steps(task_id).await;
        steps.into_iter().map(|(state, ..)| state).collect()
    }

    pub async fn task_state(&mut self, task_id: i64) -> String {
        sqlx::query_scalar("SELECT state::text FROM tasks WHERE task_id = $1")
            .bind(task_id)
            .fetch_one(&mut self.connection)
            .await
            .unwrap()
    }

    /// What time would do: the step's attempt has taken too long.
    pub async fn let_it_take_long(&mut self, step: StepId) {
        sqlx::query(
            "UPDATE workflow_steps SET timeout_at = timeout_at - interval '1 day' \
             WHERE step_id = $1",
        )
        .bind(step)
        .execute(&mut self.connection)
        .await
        .unwrap();
    }

    /// What time would do: the step's lease has expired, its retry is due.
    pub async fn let_time_pass(&mut self, step: StepId) {
        sqlx::query(
            "UPDATE workflow_steps SET lease_expires_at = lease_expires_at - interval '1 day', \
             retry_at = retry_at - interval '1 day' WHERE step_id = $1",
        )
        .bind(step)
        .execute(&mut self.connection)
        .await
        .unwrap();
    }
}

/// A step by its numbers.
pub fn step(task_id: i64, step_no: u16) -> StepId {
    StepId::new(task_id, step_no)
}
