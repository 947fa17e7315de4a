//! Private servers start side by side, keep their data over a crash, and leave nothing behind.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::HashSet;
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use stepmark_servers::{
    Postgres, PostgresBinaries, PostgresOptions, RabbitMq, RabbitMqBinaries, RabbitMqOptions,
};
use support::{Owner, descendants, gone, private_dir, wait_until};

fn postgres() -> Postgres {
    let binaries = PostgresBinaries::find(None).unwrap();
    Postgres::start(&binaries, PostgresOptions::default()).unwrap()
}

fn rabbitmq() -> RabbitMq {
    let binaries = RabbitMqBinaries::find(None).unwrap();
    RabbitMq::start(&binaries, RabbitMqOptions::default()).unwrap()
}

#[test]
fn several_of_both_run_side_by_side_and_are_gone_when_dropped() {
    let (databases, brokers) = thread::scope(|scope| {
        let databases: Vec<_> = (0..3).map(|_| scope.spawn(postgres)).collect();
        let brokers: Vec<_> = (0..2).map(|_| scope.spawn(rabbitmq)).collect();
        let databases: Vec<_> = databases.into_iter().map(|t| t.join().unwrap()).collect();
        let brokers: Vec<_> = brokers.into_iter().map(|t| t.join().unwrap()).collect();
        (databases, brokers)
    });
    let ports: HashSet<u16> =
        databases.iter().map(Postgres::port).chain(brokers.iter().map(RabbitMq::port)).collect();
    assert_eq!(ports.len(), 5);
    let roots = databases.iter().map(Postgres::pid).chain(brokers.iter().map(RabbitMq::pid));
    let pids: Vec<u32> =
        roots.flatten().flat_map(|pid| descendants(pid).into_iter().chain([pid])).collect();
    let directories: Vec<_> = databases
        .iter()
        .map(Postgres::log_path)
        .chain(brokers.iter().map(RabbitMq::log_path))
        .map(|log| log.parent().unwrap().to_path_buf())
        .collect();
    assert!(directories.iter().all(|directory| directory.is_dir()));
    drop((databases, brokers));
    assert!(directories.iter().all(|directory| !directory.exists()));
    // Erlang's helpers notice the end of their input a moment later.
    wait_until(|| pids.iter().all(|&pid| gone(pid)));
}

/// Run as a process of its own: owns both servers.
#[test]
#[ignore = "the owner that other tests start and kill"]
fn owner() {
    let (database, broker) = (postgres(), rabbitmq());
    let directory = database.data_dir().parent().unwrap().to_path_buf();
    database.create_role_and_database("engine", "bench").unwrap();
    let _ = broker.pid().unwrap();
    support::announce(&descendants(std::process::id()), &directory);
    support::told();
}

#[test]
fn a_killed_owner_leaves_no_server() {
    let mut owner = Owner::start("owner");
    assert!(owner.pids.len() >= 10, "both servers with all their processes: {:?}", owner.pids);
    owner.process.kill().unwrap();
    owner.process.wait().unwrap();
    wait_until(|| owner.pids.iter().all(|&pid| gone(pid)) && !owner.directory.exists());
}

/// Copies a program by a process of its own: a file that this one has open to write is open in
/// what another thread starts meanwhile too, and cannot be run until that is under way.
fn install(from: &Path, to: &Path) {
    let installed = Command::new("install").args(["-m", "755"]).args([from, to]).status();
    assert!(installed.unwrap().success());
}

#[test]
fn an_ordinary_user_starts_both_servers() {
    const NOBODY: u32 = 65_534;
    let is_root = rustix::process::geteuid().is_root();
    // Where nobody can run it, whatever the modes of the build's own folders are.
    let directory = private_dir();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    let program = directory.join("servers-test");
    install(&env::current_exe().unwrap(), &program);
    let mut command = Command::new(&program);
    command.current_dir("/").env_remove("HOME");
    if is_root {
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut owner = Owner::from(command, "owner");
    owner.tell("return");
    assert!(owner.process.wait().unwrap().success());
    assert!(owner.pids.iter().all(|&pid| gone(pid)) && !owner.directory.exists());
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn committed_rows_survive_a_crash_of_postgresql() {
    let mut database = postgres();
    database.create_role_and_database("engine", "bench").unwrap();
    let create = "CREATE TABLE kept (n int);\nINSERT INTO kept VALUES (7);\n";
    database.psql("bench", create, &[]).unwrap();
    database.stop_immediate().unwrap();
    assert_eq!(database.pid(), None);
    assert!(database.psql("bench", "SELECT 1;\n", &[]).is_err());
    database.start_again().unwrap();
    let check = "DO $$BEGIN ASSERT (SELECT sum(n) FROM kept) = 7; END$$;\n";
    database.psql("bench", check, &[]).unwrap();
    let log = fs::read_to_string(database.log_path()).unwrap();
    assert!(log.contains("was not properly shut down"), "{log}");
    database.stop_fast().unwrap();
    database.start_again().unwrap();
    database.psql("bench", check, &[]).unwrap();
}

#[test]
fn postgresql_is_durable_and_counts_statements() {
    let database = postgres();
    let check = "DO $$BEGIN
        ASSERT current_setting('fsync') = 'on';
        ASSERT current_setting('full_page_writes') = 'on';
        ASSERT current_setting('synchronous_commit') = 'on';
        ASSERT current_setting('track_wal_io_timing') = 'on';
        ASSERT current_setting('max_connections') = '200';
        ASSERT (SELECT count(*) FROM pg_stat_statements) > 0;
        END$$;\n";
    database.psql("postgres", check, &[]).unwrap();
    let refused = database.psql("postgres", "SELECT 1/0;\n", &[]).unwrap_err().to_string();
    assert!(refused.contains("division by zero"), "{refused}");
}

#[test]
fn a_deadlock_is_in_the_log() {
    let database = postgres();
    let lock = |first: u32, second: u32| {
        format!(
            "BEGIN;\nSELECT pg_advisory_xact_lock({first});\n\
             SELECT pg_advisory_xact_lock_shared(9);\n\
             DO $$BEGIN WHILE (SELECT count(*) FROM pg_locks WHERE objid = 9) < 2 LOOP END LOOP; \
             END$$;\nSELECT pg_advisory_xact_lock({second});\nCOMMIT;\n"
        )
    };
    let outcomes = thread::scope(|scope| {
        let one = scope.spawn(|| database.psql("postgres", &lock(1, 2), &[]).is_ok());
        let other = scope.spawn(|| database.psql("postgres", &lock(2, 1), &[]).is_ok());
        [one.join().unwrap(), other.join().unwrap()]
    });
    assert_ne!(outcomes[0], outcomes[1], "one of the two is the victim");
    assert!(fs::read_to_string(database.log_path()).unwrap().contains("deadlock detected"));
}

#[test]
fn broken_binaries_are_named_with_the_remedy_and_never_replaced() {
    let directory = private_dir();
    let error = PostgresBinaries::find(Some(&directory)).unwrap_err().to_string();
    assert!(error.contains("no initdb in") && error.contains("STEPMARK_PG_BIN"), "{error}");
    let damaged = directory.join("damaged");
    fs::write(&damaged, "#!/bin/sh\necho damaged >&2\nexit 1\n").unwrap();
    for program in ["initdb", "postgres", "psql"] {
        install(&damaged, &directory.join(program));
    }
    let error = PostgresBinaries::find(Some(&directory)).unwrap_err().to_string();
    assert!(error.contains("damaged") && error.contains("STEPMARK_PG_BIN"), "{error}");
    fs::remove_dir_all(directory).unwrap();
    let error = RabbitMqBinaries::find(Some(Path::new("/nowhere"))).unwrap_err().to_string();
    assert!(error.contains("/nowhere") && error.contains("apt-get install"), "{error}");
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let binaries = PostgresBinaries::find(None).unwrap();
    let start = |base: &Path| {
        let base_dir = Some(base.to_path_buf());
        let options = PostgresOptions { base_dir, ..PostgresOptions::default() };
        Postgres::start(&binaries, options).unwrap_err().to_string()
    };
    let error = start(Path::new("/nowhere/at/all"));
    assert!(error.contains("/nowhere/at/all") && error.contains("STEPMARK_TMP"), "{error}");
    let long = private_dir().join("x".repeat(100));
    fs::create_dir(&long).unwrap();
    let error = start(&long);
    assert!(error.contains("107 bytes"), "{error}");
    fs::remove_dir_all(long.parent().unwrap()).unwrap();
    if rustix::process::geteuid().is_root() {
        let closed = private_dir();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        let error = start(&closed);
        assert!(error.contains("chmod o+x"), "{error}");
        assert_eq!(fs::read_dir(&closed).unwrap().count(), 0);
        fs::remove_dir_all(closed).unwrap();
    }
}
