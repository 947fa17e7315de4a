//! The life of a task through random graphs, orders of delivery, and failures. A failing case is
//! written to `life.regressions` beside this folder, to be kept: it is run first from then on.
#![allow(clippy::unwrap_used, clippy::panic)]

mod claims;
mod world;

use std::fmt::Write as _;

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
    let mut world = World::new(template, script);
    world.run_out(1_000, together);
    check_end(&world);
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

/// A random graph without cycles of up to `steps_max` steps, numbered in any order, written as a
/// template with 1 to 3 attempts a step.
fn templates(steps_max: usize) -> impl Strategy<Value = Template> {
    let steps = proptest::collection::vec((any::<u32>(), 1..=3_u32), 1..=steps_max);
    let shuffled = steps.prop_flat_map(|steps| {
        let order: Vec<usize> = (0..steps.len()).collect();
        (Just(steps), Just(order).prop_shuffle(), 0..4_u32)
    });
    shuffled.prop_map(|(steps, order, sparseness)| {
        let mut text = String::from("namespace: n\nname: t\nsteps:\n");
        for (no, (bits, attempts)) in steps.iter().enumerate() {
            // A bit of the number decides on each possible parent; fewer of them when sparse.
            let bits = (0..sparseness).fold(*bits, |bits, turn| bits & bits.rotate_left(7 + turn));
            let is_parent =
                |other: &usize| order[*other] < order[no] && bits >> (other % 32) & 1 == 1;
            let parents: Vec<String> =
                (0..steps.len()).filter(is_parent).map(|parent| format!("s{parent}")).collect();
            let parents = parents.join(", ");
            writeln!(
                text,
                "  - {{name: s{no}, handler: h, depends_on: [{parents}], \
                 retry: {{max_attempts: {attempts}}}}}"
            )
            .unwrap();
        }
        parse(&text)
    })
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
    ) {
        let mut world = World::new(&template, script);
        for event in events {
            world.happens(event);
        }
        world.run_out(1_000, together);
        check_end(&world);
    }

    #[test]
    fn without_mishaps_the_work_is_that_of_the_graph_whatever_the_order(
        template in templates(30),
        events in events(),
        together in any::<bool>(),
    ) {
        let mut world = World::new(&template, nothing_special(&template));
        for event in events {
            if let Event::Dispatch { pick, .. } = event {
                world.happens(Event::Dispatch { pick, keep: false });
            } else if let Event::Report { pick, .. } = event {
                world.happens(Event::Report { pick, again: false });
            } else if let Event::Complete { pick, count, .. } = event {
                world.happens(Event::Complete { pick, count, keep: false });
            }
        }
        world.run_out(template.stages(), together);
        check_end(&world);
        let steps = template.steps.len();
        prop_assert_eq!(world.model().state(), TaskState::Complete);
        prop_assert_eq!(step_transitions(&world), 4 * steps);
        prop_assert_eq!(world.messages, 2 * steps);
        prop_assert_eq!(world.model().evaluations(), steps as u64);
    }
}
