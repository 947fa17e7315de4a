//! What must hold after every event, and at the end.

use stepmark_workflow::model::{Change, Model, Outcome, Step};
use stepmark_workflow::readiness::{ExecutionStatus, execution_status, step_readiness};
use stepmark_workflow::state::{StepState, TaskState};
use stepmark_workflow::{StepType, Template};

use crate::world::World;

/// A step is enqueued for the first time only when it has nothing to wait for, and what is
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
    let status = execution_status(&snapshot, 0);
    match model.state() {
        TaskState::StepsInProcess => assert_eq!(status, ExecutionStatus::Processing),
        TaskState::WaitingForRetry => assert_eq!(status, ExecutionStatus::WaitingForRetry),
        TaskState::Complete => assert_eq!(status, ExecutionStatus::AllComplete),
        TaskState::Error => assert_eq!(status, ExecutionStatus::BlockedByFailures),
        TaskState::Cancelled => {
            assert!(model.steps().iter().all(|step| step.state.is_terminal()), "{snapshot:?}");
        }
        passing => panic!("a transaction ended with its task {passing}"),
    }
    if model.state().is_terminal() {
        assert_eq!(world.durable_state(), model.state(), "an end that a crash could undo");
    }
    for (step, readiness) in model.steps().iter().zip(step_readiness(&snapshot, 0)) {
        let parents = || step.parents.iter().map(|parent| &model.steps()[*parent]);
        let ended = parents().filter(|parent| has_ended(parent)).count();
        assert_eq!(readiness.total_parents, step.parents.len());
        if step.state == StepState::Pending {
            assert_eq!(step.parents_remaining, step.parents.len() - ended, "{step:?}");
            let skipped = parents().filter(|parent| parent.state == StepState::Skipped);
            assert_eq!(step.parents_skipped, skipped.count(), "{step:?}");
        }
        let failed = parents().filter(|parent| parent.is_tolerated()).count();
        assert_eq!(step.parents_failed, failed, "{step:?}");
    }
    for accepted in world.accepted.iter().filter(|it| is_result(&it.outcome)) {
        let step = &model.steps()[accepted.step_no];
        let kept = step.token == Some(accepted.token) || step.result_of == Some(accepted.token);
        let given_up = step.state == StepState::Cancelled;
        assert!(kept || given_up, "a stored result is lost: {accepted:?} {step:?}");
    }
}

/// In a way that its convergence can go on from.
fn has_ended(step: &Step) -> bool {
    matches!(step.state, StepState::Complete | StepState::Skipped) || step.is_tolerated()
}

fn is_result(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::Failed(_))
}

/// The task has ended as it should, and its audit tells how without a gap.
pub fn check_end(world: &World, template: &Template) {
    let model = world.model();
    check_audit(model);
    let wiring = template.wiring();
    for (step_no, step) in model.steps().iter().enumerate() {
        let results = world
            .accepted
            .iter()
            .filter(|accepted| accepted.step_no == step_no && is_result(&accepted.outcome));
        let entered = |state| step.audit().iter().filter(|row| row.to == state).count();
        let is_complete = step.state == StepState::Complete;
        if step.state != StepState::Cancelled {
            assert_eq!(results.count(), usize::from(is_complete), "results of step {step_no}");
        }
        assert_eq!(entered(StepState::Complete), usize::from(is_complete), "step {step_no}");
        assert_eq!(step.result_of.is_some(), is_complete, "step {step_no}");
        let failures = entered(StepState::Error);
        let first = step.audit().iter().filter(|row| row.from == StepState::Pending).count();
        assert!(first <= 1 + failures, "step {step_no} left Pending {first} times");
        assert!(step.attempts <= step.max_attempts);
        if model.state() != TaskState::Cancelled {
            let parents: Vec<&Step> = step.parents.iter().map(|no| &model.steps()[*no]).collect();
            let is_skipped = is_skipped(world, step_no, step, &parents);
            assert_eq!(step.state == StepState::Skipped, is_skipped, "step {step_no}: {step:?}");
            let could_run = !is_skipped && parents.iter().all(|parent| has_ended(parent));
            assert!(could_run || !is_complete, "step {step_no} ran too early");
            // What does not hang on a failure has run.
            assert_eq!(could_run || is_skipped, step.state.is_terminal(), "{step_no}: {step:?}");
        }
    }
    for (step_no, worker) in wiring.iter().enumerate().filter_map(|(no, it)| Some((no, it.worker?)))
    {
        let instances = model.steps().iter().filter(|it| {
            it.step_type == StepType::BatchWorker
                && it.template_no == worker
                && it.state != StepState::Cancelled
        });
        if let Some(Outcome::FanOut(batches)) = applied(world, step_no)
            && model.state() == TaskState::Complete
        {
            assert_eq!(instances.count(), *batches, "instances of step {step_no}");
        }
    }
    let ended_well = model.steps().iter().all(|step| has_ended(step) || made_anew(step));
    match model.state() {
        TaskState::Complete => assert!(ended_well),
        TaskState::Error => assert!(!ended_well),
        _ => {}
    }
    let completed = model.steps().iter().filter(|step| step.state == StepState::Complete).count();
    assert_eq!(model.evaluations(), completed as u64);
}

/// Cancelled with its batch, whose redrive has put another into its place.
fn made_anew(step: &Step) -> bool {
    step.state == StepState::Cancelled && step.step_type == StepType::BatchWorker
}

/// What a step's result was, of those that were stored.
fn applied(world: &World, step_no: usize) -> Option<&Outcome> {
    let token = world.model().steps()[step_no].result_of?;
    let of_it = world.accepted.iter().find(|it| it.step_no == step_no && it.token == token);
    of_it.map(|accepted| &accepted.outcome)
}

/// As the rules have it, from the parents' ends alone.
fn is_skipped(world: &World, step_no: usize, step: &Step, parents: &[&Step]) -> bool {
    let skipped = parents.iter().filter(|parent| parent.state == StepState::Skipped).count();
    if step.step_type == StepType::DeferredConvergence {
        return skipped > 0 && skipped == parents.len();
    }
    let not_chosen = step.parents.iter().any(|parent| {
        let is_branch = world.model().steps()[*parent].branches().contains(&step_no);
        let chosen = applied(world, *parent);
        is_branch && matches!(chosen, Some(Outcome::Branch(chosen)) if !chosen.contains(&step_no))
    });
    skipped > 0 || not_chosen
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
