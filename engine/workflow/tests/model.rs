//! Single operations of the model: who wins, who is refused, what is counted.
#![allow(clippy::unwrap_used, clippy::panic)]

use stepmark_workflow::Template;
use stepmark_workflow::model::{Change, Model, Outcome, Token};
use stepmark_workflow::retry::Failure;
use stepmark_workflow::state::{StepState, TaskState};

const RETRYABLE: Outcome = Outcome::Failed(Failure::Retryable);

/// Two steps side by side, without any dependency.
fn two_steps() -> Model {
    let text = "{namespace: n, name: t, steps: [{name: a, handler: h}, {name: b, handler: h}]}";
    Model::create(&Template::parse("t.yaml", text).unwrap()).0
}

fn entered(change: &Change) -> Vec<TaskState> {
    change.task.iter().map(|row| row.to).collect()
}

#[test]
fn of_two_workers_with_the_same_message_one_gets_the_step() {
    let mut model = two_steps();
    assert!(!model.claim(0, Token(1)).is_empty());
    assert!(model.claim(0, Token(2)).is_empty());
    assert_eq!(model.steps()[0].attempts, 1);
}

#[test]
fn a_result_from_a_lost_lease_is_refused_and_the_new_holders_is_taken() {
    let mut model = two_steps();
    model.claim(0, Token(1));
    assert_eq!(model.lease_expired(0).dispatches, [0]);
    model.claim(0, Token(2));
    assert!(model.store_outcome(0, Token(1), Outcome::Complete).is_empty());
    assert_eq!(model.store_outcome(0, Token(2), Outcome::Complete).completions, [0]);
    assert!(model.store_outcome(0, Token(2), Outcome::Complete).is_empty());
    model.process(&[0]);
    assert_eq!(model.steps()[0].result_of, Some(Token(2)));
}

#[test]
fn neither_a_release_nor_an_expired_lease_consumes_an_attempt() {
    let mut model = two_steps();
    model.claim(0, Token(1));
    assert!(model.release(0, Token(9)).is_empty());
    assert_eq!(model.release(0, Token(1)).dispatches, [0]);
    model.claim(0, Token(2));
    model.lease_expired(0);
    let step = &model.steps()[0];
    assert_eq!((step.state, step.attempts, step.lease_expiries), (StepState::Enqueued, 0, 1));
}

#[test]
fn a_completion_delivered_twice_or_too_early_changes_nothing() {
    let mut model = two_steps();
    assert!(model.process(&[0]).is_empty());
    model.claim(0, Token(1));
    model.store_outcome(0, Token(1), Outcome::Complete);
    let change = model.process(&[0, 0]);
    assert_eq!(change.steps.len(), 1);
    assert!(model.process(&[0]).is_empty());
    assert_eq!(model.evaluations(), 1);
}

#[test]
fn a_retry_that_falls_due_while_others_run_goes_through_an_evaluation() {
    use TaskState::{EnqueuingSteps, EvaluatingResults, StepsInProcess};
    let mut model = two_steps();
    model.claim(0, Token(1));
    model.store_outcome(0, Token(1), RETRYABLE);
    assert_eq!(entered(&model.process(&[0])), [EvaluatingResults, StepsInProcess]);
    let due = model.retry_due(&[0]);
    assert_eq!(entered(&due), [EvaluatingResults, EnqueuingSteps, StepsInProcess]);
    assert_eq!(due.dispatches, [0]);
    assert!(model.retry_due(&[0]).is_empty());
}

#[test]
fn a_retry_that_falls_due_when_nothing_runs_is_enqueued_straight_away() {
    use TaskState::{EnqueuingSteps, EvaluatingResults, StepsInProcess, WaitingForRetry};
    let mut model = two_steps();
    for (step_no, token) in [(0, Token(1)), (1, Token(2))] {
        model.claim(step_no, token);
        model.store_outcome(step_no, token, RETRYABLE);
    }
    assert_eq!(entered(&model.process(&[0, 1])), [EvaluatingResults, WaitingForRetry]);
    assert_eq!(entered(&model.retry_due(&[0])), [EnqueuingSteps, StepsInProcess]);
}
