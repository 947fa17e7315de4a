//! Which steps can run, from snapshots of a task.
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use stepmark_workflow::StepType;
use stepmark_workflow::readiness::{
    ExecutionStatus, StepSnapshot, TaskSnapshot, execution_status, next_ready_tasks, step_readiness,
};
use stepmark_workflow::state::{StepState, TaskState};

const NOW_MS: i64 = 1_000;
const DIAMOND: &[(usize, usize)] = &[(0, 1), (0, 2), (1, 3), (2, 3)];

fn step(state: StepState) -> StepSnapshot {
    StepSnapshot {
        state,
        attempts: 0,
        max_attempts: 3,
        retry_at_ms: None,
        step_type: StepType::Standard,
        is_tolerated: false,
    }
}

fn retry(attempts: u32, retry_at_ms: Option<i64>) -> StepSnapshot {
    StepSnapshot { attempts, retry_at_ms, ..step(StepState::WaitingForRetry) }
}

fn task(steps: Vec<StepSnapshot>, edges: &[(usize, usize)]) -> TaskSnapshot {
    let edges = edges.to_vec();
    TaskSnapshot { task_id: 1, state: TaskState::StepsInProcess, steps, edges }
}

fn diamond(states: [StepState; 4]) -> TaskSnapshot {
    task(states.map(step).to_vec(), DIAMOND)
}

fn ready(task: &TaskSnapshot) -> Vec<usize> {
    next_ready_tasks(std::slice::from_ref(task), NOW_MS, 1)
        .pop()
        .map_or_else(Vec::new, |task| task.ready_steps)
}

#[test]
fn a_convergence_is_ready_once_both_parents_are_complete() {
    use StepState::{Complete, InProgress, Pending};
    let half = diamond([Complete, Complete, InProgress, Pending]);
    let end = step_readiness(&half, NOW_MS)[3];
    assert_eq!((end.total_parents, end.completed_parents), (2, 1));
    assert!(!end.dependencies_satisfied && !end.ready_for_execution);
    assert_eq!(execution_status(&half, NOW_MS), ExecutionStatus::Processing);

    let both = diamond([Complete, Complete, Complete, Pending]);
    assert_eq!(ready(&both), [3]);
    assert_eq!(execution_status(&both, NOW_MS), ExecutionStatus::HasReadySteps);
}

#[test]
fn a_stored_outcome_is_not_yet_a_completed_parent() {
    use StepState::{EnqueuedForOrchestration, Pending};
    let stored = diamond([EnqueuedForOrchestration, Pending, Pending, Pending]);
    assert_eq!(ready(&stored), Vec::<usize>::new());
}

#[test]
fn a_retry_is_ready_when_it_is_due_and_has_attempts_left() {
    for (step, is_ready, status) in [
        (retry(1, Some(NOW_MS)), true, ExecutionStatus::HasReadySteps),
        (retry(1, None), true, ExecutionStatus::HasReadySteps),
        (retry(1, Some(NOW_MS + 1)), false, ExecutionStatus::WaitingForRetry),
        (retry(3, Some(NOW_MS)), false, ExecutionStatus::BlockedByFailures),
    ] {
        let task = task(vec![step], &[]);
        assert_eq!(step_readiness(&task, NOW_MS)[0].retry_eligible, is_ready, "{step:?}");
        assert_eq!(!ready(&task).is_empty(), is_ready, "{step:?}");
        assert_eq!(execution_status(&task, NOW_MS), status, "{step:?}");
    }
}

#[test]
fn a_failure_blocks_a_task_only_when_nothing_else_can_run() {
    use StepState::{Complete, Enqueued, Error, Pending};
    let runs_on = diamond([Complete, Error, Enqueued, Pending]);
    assert_eq!(execution_status(&runs_on, NOW_MS), ExecutionStatus::Processing);
    let blocked = diamond([Complete, Error, Complete, Pending]);
    assert_eq!(execution_status(&blocked, NOW_MS), ExecutionStatus::BlockedByFailures);
}

#[test]
fn a_deferred_convergence_waits_for_those_that_run_and_for_no_others() {
    use StepState::{Complete, Error, InProgress, Pending, Skipped};
    let convergence = StepSnapshot { step_type: StepType::DeferredConvergence, ..step(Pending) };
    let tolerated = StepSnapshot { is_tolerated: true, ..step(Error) };
    for (parents, is_ready) in [
        (vec![step(Complete), step(Skipped)], true),
        (vec![step(Complete), tolerated], true),
        (vec![tolerated, step(Skipped)], true),
        (vec![step(InProgress), step(Skipped)], false),
        (vec![step(Complete), step(Error)], false),
        (vec![step(Skipped), step(Skipped)], false),
        (vec![], true),
    ] {
        let edges: Vec<_> = (0..parents.len()).map(|parent| (parent, parents.len())).collect();
        let steps: Vec<_> = parents.into_iter().chain([convergence]).collect();
        let last = steps.len() - 1;
        let readiness = step_readiness(&task(steps.clone(), &edges), NOW_MS)[last];
        assert_eq!(readiness.dependencies_satisfied, is_ready, "{steps:?}");
    }
}

#[test]
fn a_failure_that_is_gone_on_without_blocks_nothing() {
    use StepState::{Complete, Error};
    let tolerated = StepSnapshot { is_tolerated: true, ..step(Error) };
    let task = task(vec![step(Complete), tolerated], &[(0, 1)]);
    assert_eq!(execution_status(&task, NOW_MS), ExecutionStatus::AllComplete);
}

#[test]
fn the_ends_of_a_task_have_their_names() {
    use StepState::{Cancelled, Complete, Pending, Skipped};
    for (states, status) in [
        (vec![], "all_complete"),
        (vec![Complete, Skipped], "all_complete"),
        (vec![Complete, Cancelled], "cancelled"),
        (vec![Skipped, Pending], "stalled"),
    ] {
        let task = task(states.iter().copied().map(step).collect(), &[(0, 1)]);
        assert_eq!(execution_status(&task, NOW_MS).to_string(), status, "{states:?}");
    }
}

#[test]
fn ready_tasks_come_by_number_without_terminal_ones_and_up_to_the_limit() {
    let numbered = |task_id, state| {
        let task = task(vec![step(StepState::Pending)], &[]);
        TaskSnapshot { task_id, state, ..task }
    };
    let tasks = [
        numbered(3, TaskState::Initializing),
        numbered(1, TaskState::Cancelled),
        numbered(2, TaskState::StepsInProcess),
        numbered(4, TaskState::Error),
        numbered(5, TaskState::Pending),
    ];
    let ids = |limit| -> Vec<i64> {
        next_ready_tasks(&tasks, NOW_MS, limit).iter().map(|task| task.task_id).collect()
    };
    assert_eq!(ids(10), [2, 3, 5]);
    assert_eq!(ids(2), [2, 3]);
    assert_eq!(ids(0), Vec::<i64>::new());
}

fn snapshots() -> impl Strategy<Value = TaskSnapshot> {
    let state = proptest::sample::select(StepState::ALL);
    let retry_at_ms = proptest::option::of(NOW_MS - 1..=NOW_MS + 1);
    let step = (state, 0..4_u32, retry_at_ms).prop_map(|(state, attempts, retry_at_ms)| {
        StepSnapshot { attempts, retry_at_ms, ..step(state) }
    });
    let steps = proptest::collection::vec(step, 0..8);
    (steps, proptest::collection::btree_set((0..8_usize, 0..8_usize), 0..16)).prop_map(
        |(steps, edges)| {
            let edges: Vec<_> = edges.into_iter().filter(|(from, to)| from < to).collect();
            task(steps, &edges)
        },
    )
}

proptest! {
    #[test]
    fn a_step_is_ready_exactly_when_the_table_lets_it_be_enqueued_and_nothing_is_awaited(
        task in snapshots()
    ) {
        for (no, found) in step_readiness(&task, NOW_MS).iter().enumerate() {
            let step = task.steps[no];
            let parents = task.edges.iter().filter(|(from, to)| {
                *to == no && *from < task.steps.len()
            });
            let awaited = parents
                .filter(|(from, _)| task.steps[*from].state != StepState::Complete)
                .count();
            prop_assert_eq!(found.total_parents - found.completed_parents, awaited);
            let due = step.retry_at_ms.unwrap_or(i64::MIN) <= NOW_MS && step.attempts < 3;
            let expected = match step.state {
                StepState::Pending => awaited == 0,
                StepState::WaitingForRetry => due,
                _ => false,
            };
            prop_assert_eq!(found.ready_for_execution, expected);
            if expected {
                prop_assert!(step.state.can_become(StepState::Enqueued));
            }
        }
    }

    #[test]
    fn a_task_is_listed_exactly_when_its_status_says_that_it_has_ready_steps(
        task in snapshots()
    ) {
        let listed = !next_ready_tasks(std::slice::from_ref(&task), NOW_MS, 1).is_empty();
        let status = execution_status(&task, NOW_MS);
        prop_assert_eq!(listed, status == ExecutionStatus::HasReadySteps);
    }
}
