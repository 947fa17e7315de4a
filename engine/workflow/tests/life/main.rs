//! The life of a task through random graphs, orders of delivery, and failures. A failing case is
//! written to `life.regressions` beside this folder, to be kept: it is run first from then on.
#![allow(clippy::unwrap_used, clippy::panic)]

mod claims;
#[path = "../shapes/mod.rs"]
mod shapes;
mod world;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use stepmark_workflow::Template;
use stepmark_workflow::state::{StepState, TaskState};

use claims::check_end;
use world::{Event, Run, World};

const LINEAR: &str = include_str!("../../../../fixtures/workflows/mathematical_sequence.yaml");
const DIAMOND: &str = include_str!("../../../../fixtures/workflows/diamond_pattern.yaml");

fn parse(text: &str) -> Template {
    Template::parse("life.yaml", text).unwrap()
}

/// Runs without any mishap; `together` drains waiting completions in one go.
fn run(template: &Template, script: Vec<Vec<Run>>, together: bool) -> World {
    let mut world = World::new(template, script, u32::MAX);
    world.run_out(1_000, together);
    check_end(&world, template);
    world
}

fn nothing_special(template: &Template) -> Vec<Vec<Run>> {
    vec![Vec::new(); template.steps.len()]
}

fn step_transitions(world: &World) -> usize {
    world.model().steps().iter().map(|step| step.audit().len()).sum()
}

#[test]
fn a_linear_task_takes_16_step_and_14_task_transitions_and_8_messages() {
    let template = parse(LINEAR);
    let world = run(&template, nothing_special(&template), true);
    assert_eq!((step_transitions(&world), world.model().audit().len()), (16, 14));
    assert_eq!((world.messages, world.model().evaluations()), (8, 4));
    assert_eq!(world.model().state(), TaskState::Complete);
}

#[test]
fn a_diamond_takes_as_many_task_transitions_as_its_branches_are_drained_in_goes() {
    let template = parse(DIAMOND);
    for (together, task_transitions) in [(true, 11), (false, 13)] {
        let world = run(&template, nothing_special(&template), together);
        assert_eq!((step_transitions(&world), world.messages), (16, 8));
        assert_eq!(world.model().audit().len(), task_transitions, "together: {together}");
    }
}

#[test]
fn a_task_waits_for_its_retry_and_then_completes() {
    let template = parse(LINEAR);
    let mut script = nothing_special(&template);
    script[1] = vec![Run::FailsForNow, Run::FailsForNow];
    let world = run(&template, script, true);
    assert_eq!(world.model().state(), TaskState::Complete);
    assert_eq!(world.model().steps()[1].attempts, 3);
    let waits = world.model().audit().iter().filter(|row| row.to == TaskState::WaitingForRetry);
    assert_eq!(waits.count(), 2);
}

#[test]
fn a_branch_runs_on_beside_a_failed_one_and_then_the_task_is_in_error() {
    let template = parse(DIAMOND);
    let mut script = nothing_special(&template);
    script[1] = vec![Run::FailsForGood];
    script[2] = vec![Run::FailsForNow];
    for together in [true, false] {
        let world = run(&template, script.clone(), together);
        assert_eq!(world.model().state(), TaskState::Error);
        let states = world.model().steps().iter().map(|step| step.state).collect::<Vec<_>>();
        use StepState::{Complete, Error, Pending};
        assert_eq!(states, [Complete, Error, Complete, Pending]);
    }
}

#[test]
fn a_handler_that_kills_its_worker_ends_in_error_without_using_up_attempts() {
    let template = parse(LINEAR);
    let mut script = nothing_special(&template);
    script[0] = vec![Run::KillsItsWorker; 10];
    let world = run(&template, script, true);
    assert_eq!(world.model().state(), TaskState::Error);
    let step = &world.model().steps()[0];
    assert_eq!((step.state, step.lease_expiries, step.attempts), (StepState::Error, 5, 0));
}

/// A random template of up to `steps_max` steps and batch workers of all types.
fn templates(steps_max: usize) -> impl Strategy<Value = Template> {
    proptest::collection::vec(any::<u16>(), 0..300).prop_map(move |entropy| {
        let mut entropy = entropy.into_iter();
        shapes::template(steps_max, &mut |n| usize::from(entropy.next().unwrap_or(0)) % n)
    })
}

#[test]
fn random_tasks_come_to_every_kind_of_end() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut ends = std::collections::BTreeMap::new();
    for _ in 0..1_000 {
        let strategy = (templates(12), scripts(), any::<u32>());
        let (template, script, choices) = strategy.new_tree(&mut runner).unwrap().current();
        let mut world = World::new(&template, script, choices);
        world.run_out(1_000, true);
        for step in world.model().steps() {
            *ends.entry((step.step_type.name(), step.state)).or_insert(0) += 1;
        }
    }
    use StepState::{Cancelled, Complete, Error, Pending, Skipped};
    for (step_type, state) in [
        ("standard", Complete),
        ("standard", Skipped),
        ("decision", Complete),
        ("batchable", Complete),
        ("batchable", Skipped),
        ("batch_worker", Complete),
        ("batch_worker", Error),
        ("batch_worker", Cancelled),
        ("deferred_convergence", Complete),
        ("deferred_convergence", Skipped),
        ("deferred_convergence", Pending),
    ] {
        let count = ends.get(&(step_type, state)).copied().unwrap_or(0);
        assert!(count >= 10, "{step_type} {state}: {count}; {ends:?}");
    }
}

fn scripts() -> impl Strategy<Value = Vec<Vec<Run>>> {
    let run = prop_oneof![
        6 => Just(Run::Completes),
        3 => Just(Run::FailsForNow),
        1 => Just(Run::FailsForGood),
        2 => Just(Run::KillsItsWorker),
    ];
    proptest::collection::vec(proptest::collection::vec(run, 0..6), 30)
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let pick = 0..1_000_usize;
    let mostly_not = prop::bool::weighted(0.2);
    let event = prop_oneof![
        8 => (pick.clone(), mostly_not).prop_map(|(pick, keep)| Event::Dispatch { pick, keep }),
        8 => (pick.clone(), mostly_not).prop_map(|(pick, again)| Event::Report { pick, again }),
        8 => (pick.clone(), 1..5_usize, mostly_not)
            .prop_map(|(pick, count, keep)| Event::Complete { pick, count, keep }),
        3 => pick.clone().prop_map(|pick| Event::RetryDue { pick }),
        2 => pick.clone().prop_map(|pick| Event::LeaseExpires { pick }),
        1 => pick.clone().prop_map(|pick| Event::TimesOut { pick }),
        1 => prop::bool::weighted(0.05)
            .prop_map(|now| if now { Event::Cancel } else { Event::Flush }),
        1 => Just(Event::Redrive),
        1 => pick.clone().prop_map(|pick| Event::WorkerDies { pick }),
        1 => pick.prop_map(|pick| Event::Release { pick }),
        1 => Just(Event::Flush),
        2 => Just(Event::DatabaseCrashes),
    ];
    proptest::collection::vec(event, 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"), "/tests/life.regressions"
        )))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_the_task_ends_and_each_step_took_effect_once(
        template in templates(30),
        script in scripts(),
        events in events(),
        together in any::<bool>(),
        choices in any::<u32>(),
    ) {
        let mut world = World::new(&template, script, choices);
        for event in events {
            world.happens(event);
        }
        world.run_out(1_000, together);
        check_end(&world, &template);
        world.happens(Event::Redrive);
        world.run_out(1_000, together);
        check_end(&world, &template);
    }

    #[test]
    fn without_mishaps_the_work_is_that_of_the_graph_whatever_the_order(
        template in templates(30),
        events in events(),
        together in any::<bool>(),
        choices in any::<u32>(),
    ) {
        let mut world = World::new(&template, nothing_special(&template), choices);
        for event in events {
            if let Event::Dispatch { pick, .. } = event {
                world.happens(Event::Dispatch { pick, keep: false });
            } else if let Event::Report { pick, .. } = event {
                world.happens(Event::Report { pick, again: false });
            } else if let Event::Complete { pick, count, .. } = event {
                world.happens(Event::Complete { pick, count, keep: false });
            }
        }
        world.run_out(template.stages() + 1, together);
        check_end(&world, &template);
        prop_assert_eq!(world.model().state(), TaskState::Complete);
        let ended = |state| world.model().steps().iter().filter(|it| it.state == state).count();
        let (complete, skipped) = (ended(StepState::Complete), ended(StepState::Skipped));
        prop_assert_eq!(complete + skipped, world.model().steps().len());
        prop_assert_eq!(step_transitions(&world), 4 * complete + skipped);
        prop_assert_eq!(world.messages, 2 * complete);
        prop_assert_eq!(world.model().evaluations(), complete as u64);
    }
}
