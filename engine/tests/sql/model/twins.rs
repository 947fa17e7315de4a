//! One task twice, in the database and in the model, to which the same happens.

use std::collections::BTreeSet;

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::json;
use stepmark_engine::messaging::StepId;
use stepmark_workflow::model::{Change, Model, Outcome, Token};
use stepmark_workflow::retry::Failure;
use stepmark_workflow::state::StepState;
use stepmark_workflow::{StepType, Template};
use uuid::Uuid;

use crate::engine::{Claim, Engine, Request, Stored, step};
use crate::random;
use crate::support::execute;

/// What a step has come to: state, type, attempts, expired leases, parents that it waits for, and
/// how many were skipped or have failed; and its parents' numbers.
type StepRow = (String, String, i32, i32, i32, i32, i32, Vec<i32>);
/// A transition of the audit: step, sort key, from, to, attempt; the task's own has no step.
type AuditRow = (Option<i32>, i32, String, String, i32);

/// One task twice: in the database and in the model.
pub struct Twins {
    pub engine: Engine,
    task_id: i64,
    pub task_uuid: Uuid,
    pub model: Model,
    template: Template,
    /// All claims ever made; a claim's token in the model is its place here.
    claims: Vec<Claim>,
    messages: (usize, usize),
}

impl Twins {
    pub async fn create(mut engine: Engine, template: Template, delayed: bool) -> Self {
        execute(&mut engine.connection, "DELETE FROM message_outbox").await;
        let template_id = engine.register(&template).await;
        let delay_ms = delayed.then_some(3_600_000);
        let request = Request { delay_ms, ..Request::of(&template, template_id) };
        let task_uuid = engine.create(&[request]).await.unwrap()[0].task_uuid;
        let task_id = engine.task_id(task_uuid).await;
        let (model, change) = match delayed {
            true => (Model::create_delayed(&template), Change::default()),
            false => Model::create(&template),
        };
        let (claims, messages) = (Vec::new(), (0, 0));
        let mut twins = Self { engine, task_id, task_uuid, model, template, claims, messages };
        twins.compare("created", &change).await;
        twins
    }

    pub async fn happens(&mut self, random: &mut StdRng) {
        let all: Vec<u16> = (0..u16::try_from(self.model.steps().len()).unwrap()).collect();
        match random.random_range(0..800) {
            0..240 => self.claim(&random::some(random, &all, 6)).await,
            240..440 => self.store(random).await,
            440..600 => self.process(&random::some(random, &all, 6)).await,
            600..620 => self.release(random).await,
            620..660 => self.expire(random).await,
            660..680 => self.take_long(random).await,
            680..683 => self.cancel().await,
            683..703 => self.redrive().await,
            703..711 => self.start().await,
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
        let outcomes = places.iter().map(|place| self.outcome(*place, random));
        let (outcomes, in_model): (Vec<Stored>, Vec<Outcome>) = outcomes.unzip();
        let accepted = self.engine.complete(&outcomes).await.unwrap();
        let mut change = Change::default();
        for ((place, accepted), outcome) in places.iter().zip(accepted).zip(in_model) {
            let step_no = usize::from(self.claims[*place].step.step_no());
            let one = self.model.store_outcome(step_no, Token(*place as u64), outcome);
            assert_eq!(accepted, !one.is_empty(), "accepted: step {step_no}");
            add(&mut change, one);
        }
        self.compare("stored", &change).await;
    }

    /// What comes of a claim, in the database and in the model.
    fn outcome(&self, place: usize, random: &mut StdRng) -> (Stored, Outcome) {
        let claim = &self.claims[place];
        match random.random_range(0..10) {
            0 => return (Stored::new(claim, "Retry"), Outcome::Failed(Failure::Retryable)),
            1 => return (Stored::new(claim, "Fail"), Outcome::Failed(Failure::Permanent)),
            _ => {}
        }
        let step = &self.model.steps()[usize::from(claim.step.step_no())];
        match step.step_type {
            StepType::Decision => {
                let chosen = random::some(random, step.branches(), 2);
                let chosen = if random.random_bool(0.2) { vec![] } else { chosen };
                let names = chosen.iter().map(|no| &*self.template.steps[*no].name);
                let names = json!(names.collect::<Vec<_>>());
                (Stored::expanding(claim, "Branch", &names), Outcome::Branch(chosen))
            }
            StepType::Batchable => {
                let batches = random.random_range(0..4);
                let inputs = json!((0..batches).collect::<Vec<_>>());
                (Stored::expanding(claim, "FanOut", &inputs), Outcome::FanOut(batches))
            }
            _ => (Stored::complete(claim), Outcome::Complete),
        }
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
            assert_eq!(self.engine.recover().await.unwrap().expired, 1);
            let change = self.model.lease_expired(usize::from(step_no));
            self.compare("expired", &change).await;
        }
    }

    async fn take_long(&mut self, random: &mut StdRng) {
        let held = self.in_state(StepState::InProgress);
        for step_no in random::some(random, &held, 1) {
            self.engine.let_it_take_long(step(self.task_id, step_no)).await;
            assert_eq!(self.engine.recover().await.unwrap().timed_out, 1);
            let later = "UPDATE workflow_steps SET retry_after_ms = 3600000 \
                WHERE state = 'EnqueuedForOrchestration' AND outcome = 'Retry'";
            execute(&mut self.engine.connection, later).await;
            let change = self.model.timed_out(usize::from(step_no));
            self.compare("timed out", &change).await;
        }
    }

    async fn cancel(&mut self) {
        let change = self.model.cancel();
        let cancelled = self.engine.cancel(self.task_uuid).await.unwrap();
        assert_eq!(cancelled, !change.is_empty());
        self.compare("cancelled", &change).await;
    }

    async fn redrive(&mut self) {
        let change = self.model.redrive();
        let redriven = self.engine.redrive(self.task_uuid).await.unwrap();
        assert_eq!(redriven, !change.is_empty());
        self.compare("redriven", &change).await;
    }

    /// The delay is over, if there was one.
    async fn start(&mut self) {
        let due = "UPDATE tasks SET due_at = now() WHERE due_at > now()";
        execute(&mut self.engine.connection, due).await;
        let started = self.engine.recover().await.unwrap().started;
        let change = self.model.start();
        assert_eq!(started == 1, !change.is_empty());
        self.compare("started", &change).await;
    }

    async fn retry(&mut self, random: &mut StdRng) {
        let waiting = self.in_state(StepState::WaitingForRetry);
        let due = BTreeSet::from_iter(random::some(random, &waiting, 3));
        for step_no in &due {
            self.engine.let_time_pass(step(self.task_id, *step_no)).await;
        }
        let retried = self.engine.recover().await.unwrap().retried;
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
            "SELECT state::text, type::text, attempts, lease_expiries, parents_remaining, \
                 parents_skipped, parents_failed, \
                 ARRAY(SELECT (p.step_id & 65535)::integer FROM unnest(parents) AS p (step_id)) \
             FROM workflow_steps WHERE step_id >> 16 = $1 ORDER BY step_id",
        )
        .bind(self.task_id)
        .fetch_all(&mut self.engine.connection)
        .await
        .unwrap()
    }

    fn step_rows_of_model(&self) -> Vec<StepRow> {
        let number = |number: u32| i32::try_from(number).unwrap();
        let size = |size: usize| i32::try_from(size).unwrap();
        let row = |step: &stepmark_workflow::model::Step| {
            (
                step.state.to_string(),
                step.step_type.to_string(),
                number(step.attempts),
                number(step.lease_expiries),
                size(step.parents_remaining),
                size(step.parents_skipped),
                size(step.parents_failed),
                step.parents.iter().copied().map(size).collect(),
            )
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
