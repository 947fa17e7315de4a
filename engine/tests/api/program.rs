//! The orchestrator's program: how it starts, why it doesn't, and how it ends.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::client::Client;
use crate::support::{
    Database, Orchestrator, Program, eventually, number, postgres, signal, template_folder,
};

fn linear() -> Value {
    json!({"namespace": "rust_e2e_linear", "template": "mathematical_sequence"})
}

/// Starts it in vain: its exit code, and what it says.
fn refused(database: &Database, arguments: &[&str]) -> (i32, String) {
    let (status, log) = Orchestrator::launch(database, arguments).ended();
    (status.code().unwrap(), log)
}

#[tokio::test]
async fn a_configuration_that_does_not_fit_is_refused_with_2_and_the_remedy() {
    let database = Database::migrated();
    for (arguments, says) in [
        (&["--no-such-flag"][..], "--no-such-flag"),
        (&["--broker", "kafka"], "rabbitmq"),
        (&["--sweep-ms", "0"], "at least 1"),
        (&["--backlog-max", "many"], "backlog-max"),
        (&["--listen", "0.0.0.0:0"], "STEPMARK_TOKEN"),
        (&["--token", ""], "token is empty"),
        (&["--broker", "rabbitmq"], "STEPMARK_RABBITMQ_URL"),
        (&["--templates", "/no/such/folder"], "/no/such/folder"),
    ] {
        // A flag that is given twice would be another error.
        let mut all = vec!["--database-url", &database.url];
        all.extend(arguments);
        let (status, log) = Program::start(&all, &[]).ended();
        assert_eq!(status.code(), Some(2), "{arguments:?}: {log}");
        assert!(log.contains(says), "{arguments:?}: {log}");
    }
    let (status, log) = Program::start(&[], &[]).ended();
    assert_eq!(status.code(), Some(2));
    assert!(log.contains("--database-url"), "{log}");
    for (arguments, says) in [
        (&["--database-url", "no url"][..], "postgres://"),
        (&["--database-url", "mysql://me:hunter2@localhost/x"], "postgres://"),
        (&["--database-url", &database.url, "--rabbitmq-url", "http://me:hunter2@h/"], "amqp://"),
        (&["--database-url", &database.url, "--rabbitmq-url", "amqps://me:hunter2@h/"], "amqps://"),
        (&["--database-url", &database.url, "--rabbitmq-url", "amqp://me:hunter2@h:no/"], "PORT"),
    ] {
        let (status, log) = Program::start(arguments, &[]).ended();
        assert_eq!(status.code(), Some(2), "{arguments:?}: {log}");
        assert!(log.contains(says) && !log.contains("hunter2"), "{arguments:?}: {log}");
    }
    let variables = [("STEPMARK_DATABASE_URL", &*database.url), ("STEPMARK_BACKLOG", "1")];
    let (status, log) = Program::start(&[], &variables).ended();
    assert_eq!(status.code(), Some(2));
    assert!(log.contains("STEPMARK_BACKLOG"), "{log}");
}

#[tokio::test]
async fn broken_templates_are_all_told_with_file_line_and_column() {
    let database = Database::migrated();
    let cyclic = "namespace: n\nname: t\nsteps:\n  - {name: a, handler: h, depends_on: [b]}\n  \
        - {name: b, handler: h, depends_on: [a]}\n";
    let dangling =
        "namespace: n\nname: u\nsteps:\n  - {name: a, handler: h, depends_on: [nobody]}\n";
    let twice =
        "namespace: n\nname: v\nsteps:\n  - {name: a, handler: h}\n  - {name: a, handler: h}\n";
    let folder = template_folder(&[cyclic, dangling, twice, "namespace: Ö\n"]);
    let (code, log) = refused(&database, &["--templates", folder.to_str().unwrap()]);
    assert_eq!(code, 2, "{log}");
    for says in ["0.yaml:5:40: a cycle", "1.yaml:4:40", "nobody", "2.yaml:5:12", "3.yaml:1:12"] {
        assert!(log.contains(says), "{says}: {log}");
    }
    let same = "{namespace: n, name: t, steps: [{name: a, handler: h}]}";
    let folder = template_folder(&[same, same]);
    let (code, log) = refused(&database, &["--templates", folder.to_str().unwrap()]);
    assert_eq!(code, 2);
    assert!(log.contains("1.yaml") && log.contains("already"), "{log}");
}

#[tokio::test]
async fn surroundings_that_are_not_there_are_told_with_3_and_without_passwords() {
    let database = Database::migrated();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/workflows");
    let url = |port: u16, database: &str| {
        format!("postgres://stepmark:hunter2@127.0.0.1:{port}/{database}")
    };
    // A port on which nobody listens: given by the system, and given back.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // One that takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let server: u16 = postgres().port();
    let password = database.url.split([':', '@']).nth(2).unwrap().to_owned();
    let missing = database.url.rsplit_once('/').unwrap().0.to_owned() + "/nowhere";
    let amqp = format!("amqp://guest:hunter2@127.0.0.1:{closed}/%2f");
    let broker = ["--broker", "rabbitmq", "--rabbitmq-url", &amqp];
    for (url, arguments, says) in [
        (&database.url, &["--listen", &port][..], &*port),
        (&url(closed, "x"), &[], "STEPMARK_DATABASE_URL"),
        (&url(silent_port, "x"), &[], "timed out"),
        (&url(server, "x"), &[], "password"),
        (&missing, &[], "nowhere"),
        (&database.url, &broker, "STEPMARK_RABBITMQ_URL"),
    ] {
        let mut all = vec!["--database-url", url, "--connect-ms", "200", "--templates", fixtures];
        all.extend(arguments);
        if !arguments.contains(&"--listen") {
            all.extend(["--listen", "127.0.0.1:0"]);
        }
        let (status, log) = Program::start(&all, &[]).ended();
        assert_eq!(status.code(), Some(3), "{arguments:?}: {log}");
        assert!(log.contains(says), "{says}: {log}");
        assert!(!log.contains("hunter2") && !log.contains(&password), "a password: {log}");
    }
}

#[tokio::test]
async fn it_tells_its_version_its_settings_and_its_api_without_a_database() {
    let lines = |argument: &str| {
        let program = Program::start(&[argument], &[]);
        let lines: Vec<String> = std::iter::from_fn(|| program.line()).collect();
        assert!(program.ended().0.success());
        lines
    };
    let version = lines("--version").join("\n");
    let (name, revision) = version.split_once(" (").unwrap();
    assert_eq!(name, "stepmark-orchestrator 0.1.0");
    assert!(revision.len() > 10 && revision.ends_with(')'), "{version}");
    let help = lines("--help").join("\n");
    for variable in ["DATABASE_URL", "BROKER", "LISTEN", "TEMPLATES", "TOKEN", "BACKLOG_MAX"] {
        assert!(help.contains(&format!("STEPMARK_{variable}")), "{variable}: {help}");
    }
    let document: Value = serde_json::from_str(&lines("--openapi").join("\n")).unwrap();
    assert!(document["paths"]["/v1/tasks"]["post"].is_object());
}

#[tokio::test]
async fn told_to_end_it_answers_who_waits_drains_and_ends_with_0() {
    for name in ["TERM", "INT"] {
        let database = Database::migrated();
        // Created elsewhere: of its own tasks an orchestrator knows that they are unfinished, and
        // doesn't look. And no sweep may make it look.
        let other = Orchestrator::start(&database, &[]);
        let task = Client::of(&other).create(&linear()).await;
        let orchestrator = Orchestrator::start(&database, &["--sweep-ms", "600000"]);
        let client = Client::of(&orchestrator);
        let path = format!("/v1/tasks/{task}?wait=300");
        let waiting = tokio::spawn(async move { client.get(&path).await });
        let mut watcher = database.superuser().await;
        eventually("the wait has looked, and waits", async || {
            let looks = "SELECT count(*) FROM pg_stat_activity \
                WHERE datname = current_database() AND query LIKE '%finished_only%' \
                    AND state = 'idle' AND pid <> pg_backend_pid()";
            // On one lane or, called up by the start of another lane, on two.
            (number(&mut watcher, looks).await >= 1).then_some(())
        })
        .await;
        signal(orchestrator.program.pid(), name);
        let (status, log) = orchestrator.program.ended();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains(&format!("SIG{name}: draining")), "{log}");
        assert!(log.contains("drained"), "{log}");
        let answer = waiting.await.unwrap();
        assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("StepsInProcess")));
    }
}

#[tokio::test]
async fn several_start_at_once_on_an_empty_database() {
    let database = Database::empty();
    let programs: Vec<Program> = (0..4).map(|_| Orchestrator::launch(&database, &[])).collect();
    let orchestrators: Vec<Orchestrator> = programs.into_iter().map(Orchestrator::ready).collect();
    for orchestrator in &orchestrators {
        Client::of(orchestrator).create(&linear()).await;
    }
}
