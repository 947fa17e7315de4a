//! Bad input, and environments that cannot be used: the exit code, the thing by name, the remedy.

use std::fs;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use stepmark_servers::{Postgres, PostgresBinaries, PostgresOptions};

use crate::program::{bench, stepmark};

#[test]
fn an_unknown_scenario_is_answered_with_those_that_exist() {
    let mut program = stepmark("unknown_scenario");
    program.command.args(["bench", "--scenario", "lineer_rust"]);
    let finished = program.output();
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.stderr.contains("no scenario named lineer_rust"), "{finished:?}");
    assert!(finished.stderr.contains("diamond_rust"), "{finished:?}");
}

#[test]
fn a_broken_scenario_file_is_refused_at_its_position() {
    let mut program = stepmark("broken_scenario");
    let tier = program.folder.join("scenarios/tier1");
    fs::create_dir_all(&tier).unwrap();
    let text = include_str!("../../../scenarios/tier1/linear_rust.yaml");
    fs::write(tier.join("x.yaml"), text.replace("\ntier: 1", "\ntiger: 1")).unwrap();
    let scenarios = program.folder.join("scenarios");
    program.command.arg("bench").arg("--scenarios").arg(scenarios);
    let finished = program.output();
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.stderr.contains("tier1/x.yaml:3:1: "), "{finished:?}");
}

#[test]
fn numbers_out_of_range_are_refused() {
    for flags in [["--concurrency", "0"], ["--samples", "0"], ["--samples", "many"]] {
        let mut program = stepmark("out_of_range");
        program.command.arg("bench").args(flags);
        let finished = program.output();
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.stderr.contains(flags[0]), "{finished:?}");
    }
}

#[test]
fn binaries_of_another_revision_are_refused() {
    let finished = bench("other_revision", "other_revision").output();
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stderr.contains("built from other sources"), "{finished:?}");
    assert!(finished.stderr.contains("0123456789abcdef"), "{finished:?}");
    assert!(finished.stderr.contains("cargo build --release"), "{finished:?}");
}

#[test]
fn a_cluster_that_does_not_start_is_shown_with_the_end_of_its_log() {
    let finished = bench("no_start", "no_start").output();
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stderr.contains("orchestrator-1 ended before it was ready"), "{finished:?}");
    assert!(finished.stderr.contains("the script says that this does not start"), "{finished:?}");
}

#[test]
fn a_report_folder_that_cannot_be_written_is_named_before_anything_is_measured() {
    let mut program = bench("no_folder", "");
    program.command.args(["--report", "/proc/stepmark"]);
    let finished = program.output();
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stderr.contains("/proc/stepmark"), "{finished:?}");
    assert!(finished.stderr.contains("--report"), "{finished:?}");
}

#[test]
fn an_external_server_that_does_not_answer_is_an_environment_error() {
    let mut program = bench("unreachable", "");
    program.command.args(["--backend", "external"]);
    program.command.args(["--database-url", "postgres://nobody@127.0.0.1:9/none"]);
    let finished = program.output();
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stderr.contains("connecting to PostgreSQL"), "{finished:?}");
}

#[test]
fn external_without_a_url_says_which_flag_is_missing() {
    let mut program = bench("no_url", "");
    program.command.args(["--backend", "external"]);
    let finished = program.output();
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stderr.contains("--database-url"), "{finished:?}");
}

#[test]
fn a_server_without_durability_is_refused_with_the_setting_by_name() {
    let postgres = start_postgres(PostgresOptions::default());
    let weaken = "ALTER SYSTEM SET fsync = off;\nSELECT pg_reload_conf();\n";
    assert!(psql(&postgres, weaken).status.success());
    let mut program = bench("weakened", "");
    let url = postgres.superuser_url("postgres");
    program.command.args(["--backend", "external", "--database-url", &url]);
    let finished = program.output();
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stderr.contains("fsync = off"), "{finished:?}");
}

#[test]
fn an_external_server_is_used_and_left_as_it_was_and_a_missing_broker_is_told() {
    let postgres = start_postgres(PostgresOptions::default());
    let mut program = bench("external", "");
    let url = postgres.superuser_url("postgres");
    program.command.args(["--backend", "auto", "--database-url", &url, "--broker", "both"]);
    let finished = program.output();
    assert!(finished.stdout.contains("external: --database-url names a server"), "{finished:?}");
    assert_nothing_left(&postgres);
    let [on_pgmq, on_rabbitmq] = &finished.runs()[..] else { panic!("{finished:?}") };
    assert_eq!(on_pgmq["correct"], true, "{on_pgmq}");
    assert_eq!(on_rabbitmq["status"], "incomplete", "{on_rabbitmq}");
    assert!(on_rabbitmq["problems"][0].as_str().unwrap().contains("--rabbitmq-url"));
    assert_eq!(finished.code, Some(2), "{finished:?}");
}

#[test]
fn up_leaves_an_external_server_as_it_was_however_it_ends() {
    let postgres = start_postgres(PostgresOptions::default());
    let url = postgres.superuser_url("postgres");
    let up = |fault: &str| {
        let mut program = stepmark("up_external");
        let logs = program.folder.join("logs");
        program.command.args(["up", "--database-url", &url, "--logs"]).arg(logs);
        program.command.env("SCRIPTED_FAULT", fault);
        program
    };
    let mut program = up("");
    program.command.args(["--templates", "/nowhere/at/all"]);
    assert_eq!(program.output().code, Some(3));
    assert_nothing_left(&postgres);

    assert_eq!(up("no_start").output().code, Some(3));
    assert_nothing_left(&postgres);

    let mut program = up("never_ready");
    let mut child = program.command.spawn().unwrap();
    // The log is there when the cluster is about to start.
    while !program.folder.join("logs/orchestrator-1.log").exists() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_nothing_left(&postgres);
}

#[test]
fn a_server_that_cannot_count_statements_makes_the_run_incomplete() {
    let settings = vec![("shared_preload_libraries".to_owned(), String::new())];
    let postgres = start_postgres(PostgresOptions { settings, ..PostgresOptions::default() });
    let mut program = bench("no_statements", "");
    let url = postgres.superuser_url("postgres");
    program.command.args(["--backend", "external", "--database-url", &url]);
    let finished = program.output();
    let run = finished.run();
    assert_eq!((finished.code, &run["status"]), (Some(2), &"incomplete".into()), "{finished:?}");
    assert!(run["work"]["sql_statements"].is_null() && run["latency_ms"]["p50"].is_f64(), "{run}");
    assert!(finished.stdout.contains("has no pg_stat_statements"), "{finished:?}");
}

#[test]
fn doctor_names_what_each_backend_would_use() {
    let mut program = stepmark("doctor");
    program.command.arg("doctor");
    let finished = program.output();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for word in ["PostgreSQL", "pg_stat_statements", "RabbitMQ", "process", "external", "auto"] {
        assert!(finished.stdout.contains(word), "{word}: {}", finished.stdout);
    }
}

fn start_postgres(options: PostgresOptions) -> Postgres {
    let binaries = PostgresBinaries::find(None).unwrap();
    Postgres::start(&binaries, options).unwrap()
}

/// Asserts that the harness has no database and no role on this server.
fn assert_nothing_left(postgres: &Postgres) {
    let leftovers = "SELECT datname FROM pg_database WHERE datname LIKE 'stepmark%' UNION ALL \
                     SELECT rolname FROM pg_roles WHERE rolname LIKE 'stepmark%';\n";
    let left = psql(postgres, leftovers);
    assert!(left.status.success());
    assert_eq!(String::from_utf8_lossy(&left.stdout).trim(), "");
}

fn psql(postgres: &Postgres, sql: &str) -> std::process::Output {
    let url = postgres.superuser_url("postgres");
    let program = postgres.binaries().directory.join("psql");
    let statements = sql.lines().flat_map(|statement| ["-c", statement]);
    Command::new(program).args(["-XAtq", &url]).args(statements).output().unwrap()
}
