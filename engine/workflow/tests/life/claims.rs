//! What must hold after every event, and at the end.

use stepmark_workflow::model::{Change, Model, Outcome};
use stepmark_workflow::readiness::{ExecutionStatus, execution_status, step_readiness};
use stepmark_workflow::state::{StepState, TaskState};

use crate::world::World;

/// A step is enqueued for the first time only when all its parents are Complete, and what is
/// enqueued has a message.
pub fn check_change(model: &Model, change: &Change) {
    let readiness = step_readiness(&model.snapshot(1), 0);
    for row in change.steps.iter().filter(|row| row.to == StepState::Enqueued) {
        assert!(change.dispatches.contains(&row.step_no), "no message for {row:?}");
        assert!(readiness[row.step_no].dependencies_satisfied, "too early: {row:?}");
    }
    for row in change.steps.iter().filter(|row| row.to == StepState::EnqueuedForOrchestration) {
        assert!(change.completions.contains(&row.step_no), "no message for {row:?}");
    }
}

/// Nothing ready is left behind, the task's state says what its steps are doing, and what workers
/// were told stays true.
pub fn check_world(world: &World) {
    let model = world.model();
    let snapshot = model.snapshot(1);
    let expected = match model.state() {
        TaskState::StepsInProcess => ExecutionStatus::Processing,
        TaskState::WaitingForRetry => ExecutionStatus::WaitingForRetry,
        TaskState::Complete => ExecutionStatus::AllComplete,
        TaskState::Error => ExecutionStatus::BlockedByFailures,
        passing => panic!("a transaction ended with its task {passing}"),
    };
    assert_eq!(execution_status(&snapshot, 0), expected, "{snapshot:?}");
    if model.state().is_terminal() {
        assert_eq!(world.durable_state(), model.state(), "an end that a crash could undo");
    }
    for (step_no, readiness) in step_readiness(&snapshot, 0).iter().enumerate() {
        let remaining = readiness.total_parents - readiness.completed_parents;
        assert_eq!(model.steps()[step_no].remaining_parents, remaining);
    }
    for accepted in world.accepted.iter().filter(|it| it.outcome == Outcome::Complete) {
        let step = &model.steps()[accepted.step_no];
        let kept = step.token == Some(accepted.token) || step.result_of == Some(accepted.token);
        assert!(kept, "a stored result is lost: {accepted:?} {step:?}");
    }
}

/// The task has ended as it should, and its audit tells how without a gap.
pub fn check_end(world: &World) {
    let model = world.model();
    check_audit(model);
    for (step_no, step) in model.steps().iter().enumerate() {
        let results = world.accepted.iter().filter(|accepted| {
            accepted.step_no == step_no && accepted.outcome == Outcome::Complete
        });
        let entered = |state| step.audit().iter().filter(|row| row.to == state).count();
        let is_complete = step.state == StepState::Complete;
        assert_eq!(results.count(), usize::from(is_complete), "results of step {step_no}");
        assert_eq!(entered(StepState::Complete), usize::from(is_complete), "step {step_no}");
        assert_eq!(step.result_of.is_some(), is_complete, "step {step_no}");
        let first = step.audit().iter().filter(|row| row.from == StepState::Pending).count();
        assert!(first <= 1, "step {step_no} left Pending {first} times");
        // What does not hang on a failure has run.
        let could_run = step.remaining_parents == 0;
        assert_eq!(could_run, step.state.is_terminal(), "step {step_no}: {step:?}");
        assert!(step.attempts <= step.max_attempts);
    }
    let all_complete = model.steps().iter().all(|step| step.state == StepState::Complete);
    let end = if all_complete { TaskState::Complete } else { TaskState::Error };
    assert_eq!(model.state(), end);
    let completed = model.steps().iter().filter(|step| step.state == StepState::Complete).count();
    assert_eq!(model.evaluations(), completed as u64);
}

fn check_audit(model: &Model) {
    let mut state = TaskState::Pending;
    for (row, sort_key) in model.audit().iter().zip(1..) {
        assert_eq!((row.sort_key, row.from), (sort_key, state));
        assert!(row.from.can_become(row.to), "{row:?}");
        state = row.to;
    }
    assert_eq!(state, model.state());
    for step in model.steps() {
        let mut state = StepState::Pending;
        for (row, sort_key) in step.audit().iter().zip(1..) {
            assert_eq!((row.sort_key, row.from), (sort_key, state));
            assert!(row.from.can_become(row.to), "{row:?}");
            state = row.to;
        }
        assert_eq!(state, step.state);
    }
}
