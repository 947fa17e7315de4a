use std::collections::BTreeSet;

use serde_json::json;
use stepmark_harness::oracle::{Wrong, judge_answer, judge_presence, judge_record};
use stepmark_workflow::state::{StepState, TaskState};

use crate::played::{answer, expected, history, record};

#[test]
fn a_right_task_is_right_in_the_answer_and_in_the_database() {
    let expected = expected();
    assert_eq!(judge_record(&expected, &record()), []);
    assert_eq!(judge_answer(&expected, &answer()), []);
}

#[test]
fn one_wrong_digit_in_one_result_is_found_on_both_sides() {
    let expected = expected();
    let (mut task, mut told) = (record(), answer());
    task.steps[2].result = Some(json!({"value": "1679617"}));
    told.steps[2].result = task.steps[2].result.clone();
    let wrong = Wrong::StepResult {
        step: "linear_step_3".to_owned(),
        expected: json!({"value": "1679616"}),
        actual: json!({"value": "1679617"}),
    };
    assert_eq!(judge_record(&expected, &task), std::slice::from_ref(&wrong));
    assert_eq!(judge_answer(&expected, &told), [wrong]);
}

#[test]
fn a_number_is_not_taken_for_the_decimal_string() {
    let mut told = answer();
    told.steps[0].result = Some(json!({"value": 36}));
    assert_eq!(judge_answer(&expected(), &told).len(), 1);
}

#[test]
fn a_missing_and_a_stray_step_are_both_named() {
    let mut task = record();
    task.steps[3].name = "linear_step_5".to_owned();
    let wrong = judge_record(&expected(), &task);
    assert!(wrong.contains(&Wrong::StepMissing("linear_step_4".to_owned())));
    assert!(wrong.contains(&Wrong::StepStray("linear_step_5".to_owned())));
}

#[test]
fn a_task_that_is_not_complete_is_wrong_even_if_all_its_steps_are() {
    let mut told = answer();
    told.state = TaskState::Error;
    let wrong = Wrong::TaskState { expected: TaskState::Complete, actual: TaskState::Error };
    assert_eq!(judge_answer(&expected(), &told), [wrong]);
}

#[test]
fn a_gap_in_the_audit_is_found() {
    let mut task = record();
    task.steps[1].transitions.remove(1);
    let of = "linear_step_2".to_owned();
    let wrong = Wrong::AuditGap { of, found: 3, expected: 2 };
    assert_eq!(judge_record(&expected(), &task), [wrong]);
}

#[test]
fn a_transition_that_starts_elsewhere_is_found() {
    let mut task = record();
    task.transitions[5].from = TaskState::Initializing;
    let wrong = judge_record(&expected(), &task);
    assert!(matches!(&wrong[..], [Wrong::AuditBroken { of, .. }] if of == "task"), "{wrong:?}");
}

#[test]
fn a_transition_that_the_table_of_states_does_not_have_is_found() {
    let mut task = record();
    task.steps[0].transitions = history(&[StepState::Pending, StepState::Complete]);
    let wrong = judge_record(&expected(), &task);
    assert!(matches!(&wrong[..], [Wrong::AuditForbidden { .. }]), "{wrong:?}");
}

#[test]
fn an_audit_that_does_not_lead_to_the_current_state_is_found() {
    let mut task = record();
    task.steps[0].transitions.pop();
    let wrong = judge_record(&expected(), &task);
    assert!(matches!(&wrong[..], [Wrong::AuditBroken { .. }]), "{wrong:?}");
}

#[test]
fn a_step_whose_retry_is_in_the_audit_is_right_all_the_same() {
    use StepState::{
        Complete, Enqueued, EnqueuedForOrchestration, InProgress, Pending, WaitingForRetry,
    };
    let mut task = record();
    task.steps[0].transitions = history(&[
        Pending,
        Enqueued,
        InProgress,
        Enqueued,
        InProgress,
        EnqueuedForOrchestration,
        WaitingForRetry,
        Enqueued,
        InProgress,
        EnqueuedForOrchestration,
        Complete,
    ]);
    assert_eq!(judge_record(&expected(), &task), []);
}

#[test]
fn lost_and_stray_tasks_are_told_apart() {
    let astray = judge_presence(&BTreeSet::from(["a", "b"]), &BTreeSet::from(["b", "c"]));
    assert_eq!(astray, [("a", Wrong::Lost), ("c", Wrong::Stray)]);
}
