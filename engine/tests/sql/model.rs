//! The SQL functions against the pure model: the same random life, the same rows.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use stepmark_engine::messaging::StepId;
use stepmark_workflow::Template;
use stepmark_workflow::model::{Change, Model, Outcome, Token};
use stepmark_workflow::retry::Failure;
use stepmark_workflow::state::StepState;

use crate::engine::{Claim, Engine, Request, Stored, step};
use crate::random;
use crate::support::{Database, execute, seeds};

/// What a step has come to: state, attempts, expired leases, parents that aren't Complete.
type StepRow = (String, i32, i32, i32);
/// A transition of the audit: step, sort key, from, to, attempt; the task's own has no step.
type AuditRow = (Option<i32>, i32, String, String, i32);

/// One task twice: in the database and in the model.
struct Twins {
    engine: Engine,
    task_id: i64,
    model: Model,
    /// All claims ever made; a claim's token in the model is its place here.
    claims: Vec<Claim>,
    messages: (usize, usize),
}

impl Twins {
    async fn create(mut engine: Engine, template: &Template) -> Self {
        execute(&mut engine.connection, "DELETE FROM message_outbox").await;
        let template_id = engine.register(template).await;
        let created = engine.create(&[Request::of(template, template_id)]).await;
        let task_id = engine.task_id(created.unwrap()[0].task_uuid).await;
        let (model, change) = Model::create(template);
        let mut twins = Self { engine, task_id, model, claims: Vec::new(), messages: (0, 0) };
        twins.compare("created", &change).await;
        twins
    }

    async fn happens(&mut self, random: &mut StdRng) {
        let all: Vec<u16> = (0..u16::try_from(self.model.steps().len()).unwrap()).collect();
        match random.random_range(0..20) {
            0..6 => self.claim(&random::some(random, &all, 6)).await,
            6..11 => self.store(random).await,
            11..15 => self.process(&random::some(random, &all, 6)).await,
            15 => self.release(random).await,
            16 | 17 => self.expire(random).await,
            _ => self.retry(random).await,
        }
    }

    fn steps(&self, step_nos: &[u16]) -> Vec<StepId> {
        step_nos.iter().map(|no| step(self.task_id, *no)).collect()
    }

    async fn claim(&mut self, step_nos: &[u16]) {
        let steps = self.steps(step_nos);
        let mut made = self.engine.claim(&steps).await.unwrap();
        made.sort_unstable_by_key(|claim| claim.step.step_no());
        let mut change = Change::default();
        let mut claimed = Vec::new();
        for step_no in BTreeSet::from_iter(step_nos) {
            let token = Token((self.claims.len() + claimed.len()) as u64);
            let one = self.model.claim(usize::from(*step_no), token);
            if !one.is_empty() {
                claimed.push(*step_no);
            }
            add(&mut change, one);
        }
        let in_sql: Vec<u16> = made.iter().map(|claim| claim.step.step_no()).collect();
        assert_eq!(in_sql, claimed, "the steps claimed");
        self.claims.extend(made);
        self.compare("claimed", &change).await;
    }

    /// Some of all claims ever made: late ones are among them.
    async fn store(&mut self, random: &mut StdRng) {
        let places = self.pick_claims(random);
        let outcomes = places.iter().map(|place| {
            let outcome = match random.random_range(0..10) {
                0..2 => "Retry",
                2 => "Fail",
                _ => "Complete",
            };
            Stored::new(&self.claims[*place], outcome)
        });
        let outcomes: Vec<Stored> = outcomes.collect();
        let accepted = self.engine.complete(&outcomes).await.unwrap();
        let mut change = Change::default();
        for ((place, stored), accepted) in places.iter().zip(&outcomes).zip(accepted) {
            let step_no = usize::from(stored.step.step_no());
            let outcome = match stored.outcome {
                "Complete" => Outcome::Complete,
                "Retry" => Outcome::Failed(Failure::Retryable),
                _ => Outcome::Failed(Failure::Permanent),
            };
            let one = self.model.store_outcome(step_no, Token(*place as u64), outcome);
            assert_eq!(accepted, !one.is_empty(), "accepted: {stored:?}");
            add(&mut change, one);
        }
        self.compare("stored", &change).await;
    }

    async fn process(&mut self, step_nos: &[u16]) {
        let steps = self.steps(step_nos);
        self.engine.process(&steps).await.unwrap();
        let completions: Vec<usize> = step_nos.iter().map(|no| usize::from(*no)).collect();
        let change = self.model.process(&completions);
        self.compare("processed", &change).await;
    }

    async fn release(&mut self, random: &mut StdRng) {
        let places = self.pick_claims(random);
        let claims: Vec<Claim> = places.iter().map(|place| self.claims[*place]).collect();
        let released = self.engine.release(&claims).await.unwrap();
        let mut change = Change::default();
        for place in places {
            let step_no = usize::from(self.claims[place].step.step_no());
            add(&mut change, self.model.release(step_no, Token(place as u64)));
        }
        assert_eq!(usize::try_from(released).unwrap(), change.steps.len());
        self.compare("released", &change).await;
    }

    async fn expire(&mut self, random: &mut StdRng) {
        let held = self.in_state(StepState::InProgress);
        for step_no in random::some(random, &held, 1) {
            self.engine.let_time_pass(step(self.task_id, step_no)).await;
            let (_, expired, _) = self.engine.recover().await.unwrap();
            assert_eq!(expired, 1);
            let change = self.model.lease_expired(usize::from(step_no));
            self.compare("expired", &change).await;
        }
    }

    async fn retry(&mut self, random: &mut StdRng) {
        let waiting = self.in_state(StepState::WaitingForRetry);
        let due = BTreeSet::from_iter(random::some(random, &waiting, 3));
        for step_no in &due {
            self.engine.let_time_pass(step(self.task_id, *step_no)).await;
        }
        let (retried, ..) = self.engine.recover().await.unwrap();
        assert_eq!(usize::try_from(retried).unwrap(), due.len());
        let due: Vec<usize> = due.iter().map(|no| usize::from(*no)).collect();
        let change = self.model.retry_due(&due);
        self.compare("retried", &change).await;
    }

    /// Different ones: of two outcomes for one claim, which one wins is nobody's promise.
    fn pick_claims(&self, random: &mut StdRng) -> Vec<usize> {
        // Rather the latest than long gone ones.
        let from = self.claims.len().saturating_sub(12);
        let places: Vec<usize> = (from..self.claims.len()).collect();
        let picked = BTreeSet::from_iter(random::some(random, &places, 6));
        picked.into_iter().collect()
    }

    fn in_state(&self, state: StepState) -> Vec<u16> {
        let steps = self.model.steps().iter().zip(0..);
        steps.filter(|(step, _)| step.state == state).map(|(_, no)| no).collect()
    }

    /// Rows, audit and messages are the model's.
    async fn compare(&mut self, what: &str, change: &Change) {
        let state = self.engine.task_state(self.task_id).await;
        assert_eq!(state, self.model.state().name(), "{what}: the task");
        assert_eq!(self.step_rows().await, self.step_rows_of_model(), "{what}: the steps");
        assert_eq!(self.audit().await, self.audit_of_model(), "{what}: the audit");
        self.messages.0 += change.dispatches.len();
        self.messages.1 += change.completions.len();
        let sent = (self.sent("dispatch.n").await, self.sent("completions").await);
        assert_eq!(sent, self.messages, "{what}: dispatch and completion messages");
    }

    async fn step_rows(&mut self) -> Vec<StepRow> {
        sqlx::query_as(
            "SELECT state::text, attempts, lease_expiries, parents_remaining \
             FROM workflow_steps WHERE step_id >> 16 = $1 ORDER BY step_id",
        )
        .bind(self.task_id)
        .fetch_all(&mut self.engine.connection)
        .await
        .unwrap()
    }

    fn step_rows_of_model(&self) -> Vec<StepRow> {
        let number = |number: u32| i32::try_from(number).unwrap();
        let row = |step: &stepmark_workflow::model::Step| {
            let remaining = i32::try_from(step.parents_remaining).unwrap();
            let expiries = number(step.lease_expiries);
            (step.state.to_string(), number(step.attempts), expiries, remaining)
        };
        self.model.steps().iter().map(row).collect()
    }

    async fn audit(&mut self) -> Vec<AuditRow> {
        sqlx::query_as(
            "SELECT NULL::int, sort_key, from_state::text, to_state::text, 0 \
             FROM task_transitions WHERE task_id = $1 UNION ALL \
             SELECT (step_id & 65535)::int, sort_key, from_state::text, to_state::text, attempt \
             FROM workflow_step_transitions WHERE step_id >> 16 = $1 ORDER BY 1 NULLS FIRST, 2",
        )
        .bind(self.task_id)
        .fetch_all(&mut self.engine.connection)
        .await
        .unwrap()
    }

    fn audit_of_model(&self) -> Vec<AuditRow> {
        let number = |number: u32| i32::try_from(number).unwrap();
        let task =
            self.model.audit().iter().map(|row| {
                (None, number(row.sort_key), row.from.to_string(), row.to.to_string(), 0)
            });
        let steps = self.model.steps().iter().flat_map(|step| step.audit()).map(|row| {
            let step_no = Some(i32::try_from(row.step_no).unwrap());
            let (from, to) = (row.from.to_string(), row.to.to_string());
            (step_no, number(row.sort_key), from, to, number(row.attempt))
        });
        task.chain(steps).collect()
    }

    async fn sent(&mut self, queue: &str) -> usize {
        let sent: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM message_outbox \
             WHERE queue = $1 AND (body ->> 'step_id')::bigint >> 16 = $2",
        )
        .bind(queue)
        .bind(self.task_id)
        .fetch_one(&mut self.engine.connection)
        .await
        .unwrap();
        usize::try_from(sent).unwrap()
    }
}

fn add(all: &mut Change, one: Change) {
    all.steps.extend(one.steps);
    all.task.extend(one.task);
    all.dispatches.extend(one.dispatches);
    all.completions.extend(one.completions);
}

#[tokio::test]
async fn whatever_happens_the_rows_are_those_of_the_model() {
    let database = Database::migrated();
    let (mut complete, mut error, mut operations) = (0, 0, 0);
    for seed in seeds(60) {
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let template = random::template(&mut random, 8);
        let mut twins = Twins::create(Engine::connect(&database).await, &template).await;
        for _ in 0..200 {
            twins.happens(&mut random).await;
            operations += 1;
            if twins.model.state().is_terminal() {
                break;
            }
        }
        match twins.engine.task_state(twins.task_id).await.as_str() {
            "Complete" => complete += 1,
            "Error" => error += 1,
            _ => {}
        }
        let end = "UPDATE tasks SET state = 'Cancelled', finished_at = now() \
            WHERE finished_at IS NULL";
        execute(&mut twins.engine.connection, end).await;
    }
    println!("{operations} operations, {complete} tasks Complete, {error} in Error");
    assert!(complete >= 3 && error >= 3, "{complete} Complete, {error} in Error");
}
