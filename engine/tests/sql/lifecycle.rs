//! Leases, retries, failures, and calls that come twice.

use stepmark_engine::messaging::StepId;

use crate::engine::{Engine, Recovered, Stored, step};
use crate::support::{Database, number, template};

const NOTHING: Recovered =
    Recovered { started: 0, retried: 0, expired: 0, failed: 0, timed_out: 0 };

/// Two steps side by side.
const PAIR: &[(&str, &[&str])] = &[("a", &[]), ("b", &[])];
/// a → b → c beside d.
const LINE_AND_ONE: &[(&str, &[&str])] = &[("a", &[]), ("b", &["a"]), ("c", &["b"]), ("d", &[])];

async fn task_of(steps: &[(&str, &[&str])]) -> (Engine, i64) {
    let mut engine = Engine::connect(&Database::migrated()).await;
    let task_id = engine.start(&template("n", "t", steps)).await;
    (engine, task_id)
}

async fn expire(engine: &mut Engine, step: StepId) -> Recovered {
    assert_eq!(engine.claim(&[step]).await.unwrap().len(), 1);
    engine.let_time_pass(step).await;
    engine.recover().await.unwrap()
}

#[tokio::test]
async fn four_expired_leases_bring_a_step_back_and_the_fifth_ends_it() {
    let (mut engine, task_id) = task_of(&[("a", &[])]).await;
    let only = step(task_id, 0);
    for expiry in 1..=4 {
        assert_eq!(expire(&mut engine, only).await, Recovered { expired: 1, ..NOTHING });
        assert_eq!(engine.steps(task_id).await, [("Enqueued".to_owned(), 0, expiry)]);
        assert_eq!(engine.task_state(task_id).await, "StepsInProcess");
    }
    let last = expire(&mut engine, only).await;
    assert_eq!(last, Recovered { expired: 1, failed: 1, ..NOTHING });
    assert_eq!(engine.steps(task_id).await, [("Error".to_owned(), 0, 5)]);
    assert_eq!(engine.task_state(task_id).await, "Error");
    let error = "SELECT count(*) FROM workflow_steps WHERE error ->> 'kind' = 'lease_expired' \
        AND error ->> 'message' LIKE '%of tester expired%expiry 5 of 5%'";
    assert_eq!(number(&mut engine.connection, error).await, 1);
}

#[tokio::test]
async fn from_the_third_claim_on_a_lease_counts_only_once_its_step_has_begun() {
    let (mut engine, task_id) = task_of(&[("a", &[])]).await;
    let only = step(task_id, 0);
    for expiry in 1..=2 {
        engine.claim_and_hold(&[only]).await;
        engine.let_time_pass(only).await;
        assert_eq!(engine.recover().await.unwrap().expired, 1);
        assert_eq!(engine.steps(task_id).await, [("Enqueued".to_owned(), 0, expiry)]);
    }
    // Its worker died of something else, again and again.
    let mut held = Vec::new();
    for _ in 0..4 {
        held = engine.claim_and_hold(&[only]).await;
        engine.let_time_pass(only).await;
        assert_eq!(engine.recover().await.unwrap().expired, 1);
        assert_eq!(engine.steps(task_id).await, [("Enqueued".to_owned(), 0, 2)]);
    }
    let told = "SELECT count(*) FROM workflow_step_transitions \
        WHERE reason = 'lease expired while held back'";
    assert_eq!(number(&mut engine.connection, told).await, 4);
    assert!(!engine.begin_step(only, held[0].token, 30_000).await.unwrap(), "its claim is lost");
    assert_eq!(expire(&mut engine, only).await.expired, 1);
    assert_eq!(engine.steps(task_id).await, [("Enqueued".to_owned(), 0, 3)]);
}

#[tokio::test]
async fn steps_whose_last_leases_expire_together_end_their_task_once() {
    let (mut engine, task_id) = task_of(PAIR).await;
    let both = [step(task_id, 0), step(task_id, 1)];
    for _ in 0..5 {
        assert_eq!(engine.claim(&both).await.unwrap().len(), 2);
        for one in both {
            engine.let_time_pass(one).await;
        }
        engine.recover().await.unwrap();
    }
    assert_eq!(engine.step_states(task_id).await, ["Error", "Error"]);
    assert_eq!(engine.task_state(task_id).await, "Error");
    let ends = "SELECT count(*) FROM task_transitions WHERE to_state = 'Error'";
    assert_eq!(number(&mut engine.connection, ends).await, 1);
}

#[tokio::test]
async fn a_lease_that_has_not_expired_is_left_alone() {
    let (mut engine, task_id) = task_of(&[("a", &[])]).await;
    engine.claim(&[step(task_id, 0)]).await.unwrap();
    assert_eq!(engine.recover().await.unwrap(), NOTHING);
    assert_eq!(engine.step_states(task_id).await, ["InProgress"]);
}

#[tokio::test]
async fn a_step_is_tried_as_often_as_its_template_says_and_then_ends_in_error() {
    let (mut engine, task_id) = task_of(&[("a", &[])]).await;
    let only = step(task_id, 0);
    for attempt in 1..=2 {
        engine.run(only, "Retry").await;
        assert_eq!(engine.steps(task_id).await, [("WaitingForRetry".to_owned(), attempt, 0)]);
        assert_eq!(engine.task_state(task_id).await, "WaitingForRetry");
        assert_eq!(engine.recover().await.unwrap(), NOTHING, "it isn't due yet");
        engine.let_time_pass(only).await;
        assert_eq!(engine.recover().await.unwrap(), Recovered { retried: 1, ..NOTHING });
        assert_eq!(engine.task_state(task_id).await, "StepsInProcess");
    }
    engine.run(only, "Retry").await;
    assert_eq!(engine.steps(task_id).await, [("Error".to_owned(), 3, 0)]);
    assert_eq!(engine.task_state(task_id).await, "Error");
}

#[tokio::test]
async fn a_retry_is_due_after_the_time_that_the_worker_drew() {
    let (mut engine, task_id) = task_of(&[("a", &[])]).await;
    let claims = engine.claim(&[step(task_id, 0)]).await.unwrap();
    let mut retry = Stored::new(&claims[0], "Retry");
    retry.retry_after_ms = Some(86_400_000);
    engine.complete(&[retry]).await.unwrap();
    engine.process(&[step(task_id, 0)]).await.unwrap();
    let due_s = "SELECT round(extract(epoch FROM retry_at - at))::bigint FROM workflow_steps \
        JOIN workflow_step_transitions USING (step_id) \
        WHERE to_state = 'WaitingForRetry'";
    assert_eq!(number(&mut engine.connection, due_s).await, 86_400);
}

#[tokio::test]
async fn a_permanent_failure_is_not_tried_again_and_other_branches_run_on() {
    let (mut engine, task_id) = task_of(LINE_AND_ONE).await;
    engine.run(step(task_id, 0), "Fail").await;
    assert_eq!(engine.steps(task_id).await[0], ("Error".to_owned(), 1, 0));
    assert_eq!(engine.task_state(task_id).await, "StepsInProcess", "d is left to run");
    engine.run(step(task_id, 3), "Complete").await;
    let states = engine.step_states(task_id).await;
    assert_eq!(states, ["Error", "Pending", "Pending", "Complete"]);
    assert_eq!(engine.task_state(task_id).await, "Error");
}

#[tokio::test]
async fn a_task_waits_for_its_retry_only_when_nothing_else_runs() {
    let (mut engine, task_id) = task_of(PAIR).await;
    engine.run(step(task_id, 0), "Retry").await;
    assert_eq!(engine.task_state(task_id).await, "StepsInProcess");
    engine.run(step(task_id, 1), "Complete").await;
    assert_eq!(engine.task_state(task_id).await, "WaitingForRetry");
    engine.let_time_pass(step(task_id, 0)).await;
    engine.recover().await.unwrap();
    engine.run(step(task_id, 0), "Complete").await;
    assert_eq!(engine.task_state(task_id).await, "Complete");
}

#[tokio::test]
async fn a_late_outcome_of_a_lost_lease_is_fenced() {
    let (mut engine, task_id) = task_of(&[("a", &[])]).await;
    let only = step(task_id, 0);
    let late = engine.claim(&[only]).await.unwrap();
    engine.let_time_pass(only).await;
    engine.recover().await.unwrap();
    let outcome = [Stored::complete(&late[0])];
    assert_eq!(engine.complete(&outcome).await.unwrap(), [false], "it is Enqueued again");
    let holder = engine.claim(&[only]).await.unwrap();
    assert_eq!(engine.complete(&outcome).await.unwrap(), [false], "another holds it");
    let both = [Stored::complete(&late[0]), Stored::complete(&holder[0])];
    assert_eq!(engine.complete(&both).await.unwrap(), [false, true]);
    assert_eq!(engine.release(&late).await.unwrap(), 0);
    let result = format!(
        "SELECT count(*) FROM workflow_steps WHERE result ->> 'of' = '{}'",
        holder[0].token
    );
    assert_eq!(number(&mut engine.connection, &result).await, 1);
}

#[tokio::test]
async fn what_is_named_twice_or_done_already_changes_nothing() {
    let (mut engine, task_id) = task_of(LINE_AND_ONE).await;
    let steps = [step(task_id, 0), step(task_id, 3), step(task_id, 0), step(task_id + 1, 0)];
    let claims = engine.claim(&steps).await.unwrap();
    assert_eq!(claims.len(), 2);
    assert_eq!(engine.claim(&steps).await.unwrap(), []);

    let mut outcomes: Vec<Stored> = claims.iter().map(Stored::complete).collect();
    outcomes.push(outcomes[0].clone());
    let accepted = engine.complete(&outcomes).await.unwrap();
    assert_eq!(accepted.iter().filter(|accepted| **accepted).count(), 2, "{accepted:?}");
    assert_eq!(engine.complete(&outcomes).await.unwrap(), [false; 3]);

    assert_eq!(engine.process(&steps).await.unwrap(), 2);
    assert_eq!(engine.process(&steps).await.unwrap(), 0);
    let states = engine.step_states(task_id).await;
    assert_eq!(states, ["Complete", "Enqueued", "Pending", "Complete"]);
    let repeated = "SELECT count(*) FROM message_outbox GROUP BY queue, body HAVING count(*) > 1 \
        UNION ALL SELECT 0";
    assert_eq!(number(&mut engine.connection, repeated).await, 0);
}

#[tokio::test]
async fn empty_arrays_are_no_error() {
    let (mut engine, _) = task_of(PAIR).await;
    assert_eq!(engine.claim(&[]).await.unwrap(), []);
    assert_eq!(engine.process(&[]).await.unwrap(), 0);
    assert_eq!(engine.release(&[]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_step_given_back_counts_neither_an_attempt_nor_an_expiry() {
    let (mut engine, task_id) = task_of(&[("a", &[])]).await;
    let claims = engine.claim(&[step(task_id, 0)]).await.unwrap();
    assert_eq!(engine.release(&claims).await.unwrap(), 1);
    assert_eq!(engine.steps(task_id).await, [("Enqueued".to_owned(), 0, 0)]);
    assert_eq!(engine.claim(&[step(task_id, 0)]).await.unwrap()[0].attempt, 1);
}
