use std::collections::BTreeMap;
use std::sync::Arc;

use stepmark_harness::difference::{Difference, Words};
use stepmark_harness::plan::Plan;
use stepmark_harness::report::{
    Disk, Environment, Format, Git, Json, Machine, Markdown, Report, SCHEMA_VERSION, ServerFacts,
    Terminal,
};
use stepmark_harness::scenario::{Compare, CompareOn, DifferenceAim, Items};
use stepmark_harness::step_time::StepTime;
use stepmark_harness::subject::Subject;
use stepmark_harness::topology::On;
use stepmark_harness::verdict::{Observations, judge};

use crate::played::{PLAN, linear, observations};

/// One good run and one that a killed worker has spoiled.
fn report() -> Report {
    let settings = [("fsync", "on"), ("synchronous_commit", "on")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let fault = "worker-rust-1 (pid 7) ended by signal 9".to_owned();
    Report {
        schema_version: SCHEMA_VERSION,
        stepmark_version: "0.1.0".to_owned(),
        created_at: "2026-11-23T12:00:00Z".to_owned(),
        git: Some(Git { revision: "4a38476".to_owned(), dirty: true }),
        source_hash: "0123456789abcdef".to_owned(),
        machine: Machine {
            cpu: "A CPU".to_owned(),
            cores: 2,
            memory_bytes: 24 << 30,
            kernel: "Linux 6.1".to_owned(),
            disk: Some(Disk {
                device: "/dev/vda".to_owned(),
                filesystem: "ext4".to_owned(),
                mounted_at: "/".into(),
            }),
        },
        environment: Environment {
            backend: "process".to_owned(),
            why: "asked for".to_owned(),
            postgres: ServerFacts {
                version: "15.18".to_owned(),
                settings: BTreeMap::from(settings),
            },
            postgres_transport: "unix socket".to_owned(),
            rabbitmq: None,
        },
        ladders: vec![],
        runs: vec![
            judge(&Subject::of(&linear(), PLAN), &observations(200)),
            judge(&Subject::of(&linear(), PLAN), &Observations::failed(vec![fault])),
        ],
        left_out: vec![],
    }
}

#[test]
fn the_terminal_shows_the_figures_that_stand_and_why_others_do_not() {
    insta::assert_snapshot!("report.txt", Terminal.render(&report()));
}

#[test]
fn markdown_shows_the_same() {
    insta::assert_snapshot!("report.md", Markdown.render(&report()));
}

#[test]
fn json_has_everything() {
    insta::assert_snapshot!("report.json", Json.render(&report()));
}

#[test]
fn items_and_several_concurrencies_are_told_apart_in_every_table() {
    let mut report = report();
    let under_load = Plan { concurrency: 64, ..PLAN };
    let mut scenario = linear();
    scenario.items = Some(Items { unit: "rows".to_owned(), a_task: 1_000 });
    report.runs.push(judge(&Subject::of(&scenario, under_load), &observations(200)));
    report.runs[2].notes.push("a note".to_owned());
    insta::assert_snapshot!("items.txt", Terminal.render(&report));
    let json = serde_json::to_value(&report.runs[2]).unwrap();
    assert_eq!(json["items"], serde_json::json!({"unit": "rows", "per_s": 200_000.0}));
    // The latency's budget is for one task at a time.
    let names: Vec<_> = report.runs[2].budget.iter().map(|line| line.name.as_str()).collect();
    assert!(!names.contains(&"p50_latency_commits"), "{names:?}");
}

#[test]
fn the_ten_instances_and_sizes_of_the_cluster_have_tables_of_their_own() {
    let mut report = report();
    report.runs.truncate(1);
    let grid = On::Grid { orchestrators: 2, workers: 4 };
    for (on, concurrency) in [(On::Ten, 1), (grid, 64)] {
        let plan = Plan { on, concurrency, ..PLAN };
        report.runs.push(judge(&Subject::of(&linear(), plan), &observations(200)));
    }
    report.left_out.push("ffi_linear_ruby-pgmq was left out: --without ruby".to_owned());
    insta::assert_snapshot!("clusters.txt", Terminal.render(&report));
    let ten = serde_json::to_value(&report.runs[1].topology).unwrap();
    assert_eq!(ten.as_object().unwrap().len(), 5, "{ten}");
}

#[test]
fn a_difference_and_a_step_s_time_are_shown_where_they_were_measured() {
    let mut scenario = linear();
    let aim = Some(DifferenceAim { percent: 10.0, ms_a_stage: 0.25 });
    let called = "FFI overhead".to_owned();
    let with = "linear_other".to_owned();
    let other = Some(Arc::new(linear()));
    scenario.compare = Some(Compare { with, other, on: CompareOn::Same, called, aim });
    let mut seen = observations(200);
    let words =
        Words { called: "FFI overhead".to_owned(), with: "linear_other".to_owned(), on: "same" };
    seen.difference = Difference::of(words, &[(6.5, 5.0); 40], 4, aim);
    seen.step_time = Some(StepTime {
        run_us: 220.0,
        handler_us: Some(90.0),
        serialisation_us: Some(30.0),
        bridge_us: Some(100.0),
        completion_us: 400.0,
    });
    let mut report = report();
    report.runs = vec![judge(&Subject::of(&scenario, PLAN), &seen)];
    insta::assert_snapshot!("difference.txt", Terminal.render(&report));
    // A comparison that could not be made is said.
    seen.difference = None;
    let without = judge(&Subject::of(&scenario, PLAN), &seen);
    assert_eq!(without.notes, ["no FFI overhead: it takes 20 pairs and more"]);
}

#[test]
fn an_invalid_run_has_no_items() {
    let mut scenario = linear();
    scenario.items = Some(Items { unit: "rows".to_owned(), a_task: 1_000 });
    let report =
        judge(&Subject::of(&scenario, PLAN), &Observations::failed(vec!["a fault".to_owned()]));
    assert_eq!(report.items, None);
}

#[test]
fn the_worst_run_decides_the_exit_code() {
    let mut report = report();
    assert_eq!(report.exit_code(), 2);
    report.runs.truncate(1);
    assert_eq!(report.exit_code(), 0);
    report.runs.clear();
    assert_eq!(report.exit_code(), 2);
}
