use std::collections::BTreeMap;

use stepmark_harness::report::{
    Disk, Environment, Format, Git, Json, Machine, Markdown, Report, SCHEMA_VERSION, ServerFacts,
    Terminal,
};
use stepmark_harness::verdict::{Observations, judge};

use crate::played::{PLAN, linear, observations};

/// One good run and one that a killed worker has spoiled.
fn report() -> Report {
    let settings = [("fsync", "on"), ("synchronous_commit", "on")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let fault = "worker-rust-1 (pid 7) ended by signal 9".to_owned();
    Report {
        schema_version: SCHEMA_VERSION,
        stepmark_version: "0.1.0",
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
        runs: vec![
            judge(&linear(), PLAN, &observations(200)),
            judge(&linear(), PLAN, &Observations::failed(vec![fault])),
        ],
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
fn the_worst_run_decides_the_exit_code() {
    let mut report = report();
    assert_eq!(report.exit_code(), 2);
    report.runs.truncate(1);
    assert_eq!(report.exit_code(), 0);
    report.runs.clear();
    assert_eq!(report.exit_code(), 2);
}
