//! `stepmark task` and `stepmark namespace` with answers that an orchestrator rarely gives.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::up::told;

const ID: &str = "01a210c1-2055-73e6-80ec-e163b540eca3";

/// One of each command, with all that it needs.
const COMMANDS: [&[&str]; 12] = [
    &["task", "start", "n/t"],
    &["task", "start", "n/t", "--wait", "1"],
    &["task", "get", ID],
    &["task", "get", ID, "--audit"],
    &["task", "list"],
    &["task", "watch", ID],
    &["task", "cancel", ID],
    &["task", "redrive", ID],
    &["task", "prune", "--older-than", "1d"],
    &["namespace", "list"],
    &["namespace", "pause", "n"],
    &["namespace", "resume", "n"],
];

/// A server that gives these answers in turn, and the last one for ever.
struct Script {
    url: String,
    /// Method, path and query, Authorization, body.
    asked: Arc<Mutex<Vec<[String; 4]>>>,
    _runtime: Runtime,
}

impl Script {
    fn start(answers: Vec<(u16, String)>) -> Script {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&asked);
        let answer = async move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let token = headers.get("authorization").map(|it| it.to_str().unwrap().to_owned());
            let body = String::from_utf8(body.to_vec()).unwrap();
            let mut asked = told.lock().unwrap();
            let (status, answer) = answers[asked.len().min(answers.len() - 1)].clone();
            let asks = [method.to_string(), uri.to_string(), token.unwrap_or_default(), body];
            asked.push(asks);
            (StatusCode::from_u16(status).unwrap(), answer)
        };
        runtime.spawn(async { axum::serve(listener, Router::new().fallback(answer)).await });
        Script { url, asked, _runtime: runtime }
    }

    fn asked(&self) -> Vec<[String; 4]> {
        self.asked.lock().unwrap().clone()
    }
}

fn problem(status: u16, detail: &str) -> (u16, String) {
    (status, json!({"status": status, "title": "t", "type": "x", "detail": detail}).to_string())
}

fn graph(state: &str) -> (u16, String) {
    let step = json!({
        "step_no": 0, "name": "a", "type": "standard", "state": "Pending", "attempts": 0,
        "started_at": null, "since": null, "parents": [],
    });
    let ended = (state == "Complete").then_some("2026-11-25T12:00:01Z");
    let graph = json!({
        "task_uuid": ID, "namespace": "n", "template": "t", "state": state, "steps": [step],
        "created_at": "2026-11-25T12:00:00Z", "finished_at": ended,
    });
    (200, graph.to_string())
}

#[test]
fn an_orchestrator_that_cannot_be_reached_is_the_environment_s_fault_and_is_named() {
    for command in COMMANDS {
        let finished = told("unreachable", "http://127.0.0.1:9", command).output();
        assert_eq!((finished.code, &*finished.stdout), (Some(3), ""), "{finished:?}");
        for word in ["http://127.0.0.1:9/v1/", "Connection refused", "STEPMARK_URL"] {
            assert!(finished.stderr.contains(word), "{finished:?}");
        }
    }
}

#[test]
fn what_is_not_an_orchestrator_is_told_from_one() {
    let pages = [(404, "<h1>Not found</h1>", "404"), (200, "<h1>Hello</h1>", "not an answer of")];
    for (status, page, word) in pages {
        let script = Script::start(vec![(status, page.to_owned())]);
        for command in COMMANDS {
            let finished = told("stranger", &script.url, command).output();
            assert_eq!((finished.code, &*finished.stdout), (Some(3), ""), "{finished:?}");
            assert!(finished.stderr.contains(word), "{finished:?}");
        }
    }
    for url in ["", "localhost:8080", "https://localhost", "http://"] {
        let finished = told("no_url", url, &["task", "list"]).output();
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.stderr.contains("--url"), "{finished:?}");
    }
}

#[test]
fn the_token_goes_with_every_request_and_into_no_help() {
    let script = Script::start(vec![problem(401, "send the header")]);
    for command in COMMANDS {
        let mut program = told("token", &script.url, command);
        program.command.env("STEPMARK_TOKEN", "sesame");
        let finished = program.output();
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.stderr.contains("send the header: --token, STEPMARK_TOKEN"));
        assert!(!finished.stderr.contains("sesame"));
    }
    let asked = script.asked();
    assert_eq!(asked.len(), COMMANDS.len());
    assert!(asked.iter().all(|[_, _, token, _]| token == "Bearer sesame"), "{asked:?}");
    let unspeakable = told("token", &script.url, &["task", "list", "--token", "a\nb"]).output();
    assert_eq!(unspeakable.code, Some(2), "{unspeakable:?}");
    assert_eq!(script.asked().len(), COMMANDS.len());
}

#[test]
fn help_tells_flags_variables_and_exit_codes_and_no_secret() {
    for command in COMMANDS {
        let mut program = told("help", "http://user:hidden@localhost", &command[..2]);
        program.command.arg("--help").env("STEPMARK_TOKEN", "sesame");
        let finished = program.output();
        assert_eq!(finished.code, Some(0), "{finished:?}");
        let says = ["Exit code: 0 ", "STEPMARK_URL", "STEPMARK_TOKEN", "127.0.0.1:8080", "--json"];
        for word in says {
            assert!(finished.stdout.contains(word), "{word}: {}", finished.stdout);
        }
        let secret = ["sesame", "hidden"].iter().find(|it| finished.stdout.contains(*it));
        assert_eq!(secret, None, "{}", finished.stdout);
    }
}

#[test]
fn a_base_with_a_path_is_kept_and_names_are_encoded() {
    let script = Script::start(vec![problem(404, "no such thing")]);
    let base = format!("{}/stepmark/", script.url);
    told("encoded", &base, &["namespace", "pause", "a/b c?"]).output();
    told("encoded", &base, &["task", "list", "--template", "a&b=c"]).output();
    let asked = script.asked();
    assert_eq!(asked[0][1], "/stepmark/v1/namespaces/a%2Fb%20c%3F/pause");
    assert_eq!(asked[1][1], "/stepmark/v1/tasks?template=a%26b%3Dc&limit=50");
}

#[test]
fn a_watch_lasts_through_outages_and_ends_when_the_task_is_gone() {
    let away = || problem(503, "the database can't answer now; try again");
    let script = Script::start(vec![graph("Pending"), away(), away(), graph("Complete")]);
    let finished = told("outage", &script.url, &["task", "watch", ID]).output();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let notices: Vec<&str> = finished.stderr.lines().collect();
    assert_eq!(notices.len(), 2, "{notices:?}");
    assert!(notices[0].starts_with("stepmark: no answer, trying again: http://"), "{notices:?}");
    assert!(notices[0].ends_with(": the database can't answer now; try again"), "{notices:?}");
    assert_eq!(notices[1], "stepmark: the orchestrator is back");
    assert!(finished.stdout.ends_with("1.0 s  the task is Complete\n"), "{finished:?}");

    let script = Script::start(vec![graph("Pending"), problem(404, "there is no such task")]);
    let finished = told("gone", &script.url, &["task", "watch", ID]).output();
    assert_eq!((finished.code, script.asked().len()), (Some(2), 2), "{finished:?}");
    assert_eq!(finished.stderr, "stepmark: there is no such task\n");
}

#[test]
fn a_wait_lasts_through_an_outage() {
    let task = json!({
        "task_uuid": ID, "namespace": "n", "template": "t", "version": 1, "state": "Complete",
        "context": {}, "priority": 0, "created_at": "2026-11-25T12:00:00Z", "steps": [],
        "finished_at": "2026-11-25T12:00:01Z",
    });
    let created = json!({"task_uuid": ID, "state": "StepsInProcess"});
    let away = problem(503, "try again");
    let script = Script::start(vec![(201, created.to_string()), away, (200, task.to_string())]);
    let finished = told("wait", &script.url, &["task", "start", "n/t", "--wait", "60"]).output();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.contains("state     Complete"), "{finished:?}");
    assert!(finished.stderr.contains("no answer, trying again: "), "{finished:?}");
    // Nothing was told that was not given, and nothing was started twice.
    assert_eq!(script.asked()[0][3], r#"{"namespace":"n","template":"t"}"#);
    assert!(script.asked()[1..].iter().all(|[method, ..]| method == "GET"));
}

#[test]
fn prune_goes_on_until_all_is_looked_at_or_the_limit_is_reached() {
    let batch =
        |pruned: u64, next: Value| (200, json!({"pruned": pruned, "next": next}).to_string());
    let answers = || vec![batch(1000, 77.into()), batch(0, 99.into()), batch(5, Value::Null)];
    let script = Script::start(answers());
    let all = ["task", "prune", "--older-than", "2h"];
    let finished = told("prune_all", &script.url, &all).output();
    assert_eq!(finished.stdout, "1005 tasks pruned\n", "{finished:?}");
    assert_eq!(finished.stderr, "pruned so far: 1000\npruned so far: 1000\n");
    let bodies: Vec<String> = script.asked().into_iter().map(|[.., body]| body).collect();
    assert_eq!(bodies[0], r#"{"older_than_ms":7200000,"limit":1000}"#);
    assert_eq!(bodies[2], r#"{"older_than_ms":7200000,"limit":1000,"after":99}"#);

    let script = Script::start(answers());
    let some = [&all[..], &["--limit", "1500", "--state", "Error", "--json"]].concat();
    let finished = told("prune_some", &script.url, &some).output();
    assert_eq!(finished.stdout, "{\"next\":99,\"pruned\":1000}\n", "{finished:?}");
    let bodies: Vec<String> = script.asked().into_iter().map(|[.., body]| body).collect();
    assert_eq!(bodies.len(), 2);
    let last = r#"{"older_than_ms":7200000,"states":["Error"],"limit":500,"after":77}"#;
    assert_eq!(bodies[1], last);
}

#[test]
fn a_reader_that_has_read_enough_is_no_failure() {
    let list = json!({"tasks": [], "next": 7}).to_string();
    let script = Script::start(vec![(200, list)]);
    let mut program = told("read_enough", &script.url, &["task", "list", "--all", "--json"]);
    let mut child = program.command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
}
