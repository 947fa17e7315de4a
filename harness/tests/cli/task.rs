//! `stepmark task` and `stepmark namespace` with the real engine.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::up::Up;

const LINEAR: &str = "rust_e2e_linear/mathematical_sequence";
const DIAMOND: &str = "rust_e2e_diamond/diamond_pattern";
const NO_TASK: &str = "01a210c1-2055-73e6-80ec-e163b540eca3";

fn fails<'a>() -> [&'a str; 2] {
    ["--context", r#"{"even_number": "none"}"#]
}

/// The ids of a list, as its document has them.
fn ids(list: &Value) -> Vec<&str> {
    let tasks = list["tasks"].as_array().unwrap().iter();
    tasks.map(|task| task["task_uuid"].as_str().unwrap()).collect()
}

#[test]
fn a_task_is_started_waited_for_and_shown() {
    let up = Up::start("task_start");
    let six = r#"{"even_number": 6}"#;
    let start = ["task", "start", LINEAR];
    let told = up.good(&[&start[..], &["--context", six, "--wait", "60"]].concat());
    let (id, outcome) = told.split_once('\n').unwrap();
    for line in
        ["state     Complete", "linear_step_4  standard  Complete  1         {\"value\": \"2"]
    {
        assert!(outcome.contains(line), "{outcome}");
    }

    // The same context from a file and from standard input.
    let mut program = up.program(&[]);
    let file = program.folder.join("six.json");
    fs::write(&file, six).unwrap();
    let file = format!("@{}", file.display());
    let args = ["--context", &file, "--wait", "60", "--json"];
    let task = program.command.args(start).args(args).output().unwrap();
    let task: Value = serde_json::from_slice(&task.stdout).unwrap();
    assert_eq!(task["steps"][3]["result"]["value"], "2821109907456", "{task}");
    let mut program = up.program(&[&start[..], &["--context", "-"]].concat());
    let mut child = program.command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(six.as_bytes()).unwrap();
    let finished = child.wait_with_output().unwrap();
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    let from_stdin = String::from_utf8(finished.stdout).unwrap();
    assert_eq!(up.json(&["task", "get", from_stdin.trim()])["context"], task["context"]);

    // All that a task may be told, and a key that stands for it.
    let all = ["--version", "1", "--key", "k", "--priority", "7", "--delay-ms", "3600000"];
    let all = [&start[..], &all, &["--deadline-ms", "7200000"]].concat();
    let created = up.json(&all);
    assert_eq!(created["state"], "Pending");
    let later = created["task_uuid"].as_str().unwrap();
    assert_eq!(up.good(&all), later);
    let shown = up.good(&["task", "get", later]);
    for fact in ["starts ", "deadline ", "priority  7", "key       k", "state     Pending"] {
        assert!(shown.contains(fact), "{fact}: {shown}");
    }
    let waited = [&all[..], &["--wait", "0.05"]].concat();
    let waited = up.run(&waited);
    assert_eq!(waited.code, Some(2), "{waited:?}");
    assert!(waited.stderr.contains("the task is Pending after 0.05 s"), "{waited:?}");
    let other = [&all[..], &["--context", "{}", "--version", "1"]].concat();
    up.refused(&[&other[..], &["--context", six]].concat(), "idempotency_key stands for");

    let audit = up.good(&["task", "get", id, "--audit"]);
    for line in ["(task)         Pending                   Initializing", "linear_step_1  Enqueued"]
    {
        assert!(audit.contains(line), "{audit}");
    }
    let document = up.json(&["task", "get", id, "--audit"]);
    assert_eq!(document["transitions"].as_array().unwrap().len(), audit.lines().count() - 1);
}

#[test]
fn what_is_wrong_with_a_task_is_told_in_the_api_s_words() {
    let up = Up::start("task_bad");
    let start = |args: &[&str], why: &str| {
        up.refused(&[&["task", "start"], args].concat(), why);
    };
    start(&["linear"], "not of the form NAMESPACE/TEMPLATE");
    start(&["rust_e2e_linear/nothing"], "there is no template \"nothing\"");
    start(&[LINEAR, "--version", "9"], "9");
    start(&[LINEAR, "--version", "one"], "--version");
    start(&[LINEAR, "--context", "{even"], "--context: key must be a string at line 1 column 2");
    start(&[LINEAR, "--context", "[1]"], "context must be a JSON object");
    start(&[LINEAR, "--context", "@/nowhere/at/all"], "/nowhere/at/all: No such file");
    start(&[LINEAR, "--context", "-"], "standard input: EOF");
    start(&[LINEAR, "--key", ""], "idempotency_key must have 1 to 255 characters");
    start(&[LINEAR, "--priority", "10"], "priority must be 0 to 9");
    start(&[LINEAR, "--delay-ms", "0"], "delay_ms must be 1 to");
    start(&[LINEAR, "--deadline-ms", "0"], "deadline_ms must be 1 to");
    for wait in ["soon", "-1", "inf", "1e300"] {
        start(&[LINEAR, &format!("--wait={wait}")], "--wait");
    }
    let no_task = format!("there is no task {NO_TASK}");
    for command in ["get", "watch", "cancel", "redrive"] {
        up.refused(&["task", command, "7"], "invalid value '7' for '<ID>'");
        up.refused(&["task", command, NO_TASK], &no_task);
    }
    up.refused(&["task", "get", NO_TASK, "--audit"], &no_task);
    up.refused(&["task", "cancel", NO_TASK, "--reason", ""], "reason must have");
    up.refused(&["task", "list", "--state", "Failed"], "is none of Pending");
    up.refused(&["task", "list", "--limit", "0"], "limit must be 1 to 1000");
    let prune = |args: &[&str], why: &str| {
        up.refused(&[&["task", "prune"], args].concat(), why);
    };
    prune(&[], "--older-than");
    prune(&["--older-than", "30"], "--older-than");
    prune(&["--older-than", "1d", "--state", "Pending"], "has not ended and can't be pruned");
    prune(&["--older-than", "1d", "--state", "Gone"], "is none of Pending");
    prune(&["--older-than", "1d", "--limit", "0"], "--limit");
    for verb in ["pause", "resume"] {
        up.refused(&["namespace", verb, "no/where?"], "no/where?");
    }
}

#[test]
fn tasks_are_listed_by_state_and_page_by_page_and_pruned() {
    let up = Up::start("task_list");
    let start = |template| {
        let args = [&["task", "start", template, "--wait", "60", "--json"], &fails()[..]].concat();
        let finished = up.run(&args);
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.stderr.contains("the task is Error"), "{finished:?}");
        let task: Value = serde_json::from_str(&finished.stdout).unwrap();
        task["task_uuid"].as_str().unwrap().to_owned()
    };
    let failed = [start(LINEAR), start(DIAMOND), start(LINEAR)];
    let later = ["task", "start", DIAMOND, "--delay-ms", "3600000"];
    let cancelled = up.good(&later);
    let cancel = ["task", "cancel", &cancelled, "--reason", "wrong\u{1b}[2J year"];
    assert_eq!(up.good(&cancel), format!("{cancelled} is Cancelled"));
    assert_eq!(up.json(&cancel)["state"], "Cancelled");

    let failures = up.good(&["task", "list", "--state", "Error"]);
    assert_eq!(failures.lines().count(), 4, "{failures}");
    assert!(failures.contains("linear_step_1 (1 attempt): invalid type: string"), "{failures}");
    let linear = ["task", "list", "--template", "mathematical_sequence"];
    assert_eq!(ids(&up.json(&linear)), [&failed[2], &failed[0]]);
    let diamond = ["task", "list", "--namespace", "rust_e2e_diamond", "--state", "Error"];
    assert_eq!(ids(&up.json(&diamond)), [&failed[1]]);
    let reasons = up.good(&["task", "list", "--state", "Cancelled"]);
    assert!(reasons.contains("wrong [2J year"), "{reasons:?}");

    // Three pages, one by one and all together.
    let page = ["task", "list", "--limit", "2"];
    let first = up.json(&page);
    assert_eq!(ids(&first), [&cancelled, &failed[2]]);
    let next = first["next"].to_string();
    let told = up.good(&page);
    assert!(told.ends_with(&format!("There may be more: --after {next}, or --all.")), "{told}");
    let second = up.json(&[&page[..], &["--after", &next]].concat());
    assert_eq!(ids(&second), [&failed[1], &failed[0]]);
    let all = up.good(&[&page[..], &["--all", "--json"]].concat());
    let all: Vec<Value> = all.lines().map(|page| serde_json::from_str(page).unwrap()).collect();
    assert_eq!(all[..2], [first, second]);
    assert!(all[2]["tasks"].as_array().unwrap().is_empty() && all[2]["next"].is_null());

    // Pruned are those that are asked for, and no others.
    let prune = |args: &[&str]| up.good(&[&["task", "prune", "--older-than"], args].concat());
    assert_eq!(prune(&["1h", "--state", "Error", "--state", "Cancelled"]), "0 tasks pruned");
    assert_eq!(prune(&["0s"]), "1 task pruned");
    assert_eq!(prune(&["0s", "--state", "Error", "--limit", "1"]), "1 task pruned");
    let left = up.json(&["task", "list"]);
    assert_eq!(ids(&left), [&failed[2], &failed[1]]);
    let rest = up.json(&["task", "prune", "--older-than", "0s", "--state", "Error"]);
    assert_eq!(rest, json!({"pruned": 2, "next": null}));
}

#[test]
fn tasks_are_cancelled_and_redriven_and_namespaces_paused() {
    let up = Up::start("task_ends");
    let args = [&["task", "start", LINEAR, "--wait", "60"], &fails()[..]].concat();
    let failed = up.run(&args);
    assert_eq!(failed.code, Some(2), "{failed:?}");
    let id = failed.stdout.lines().next().unwrap();
    let redrive = ["task", "redrive", id];
    let paused = up.json(&["namespace", "pause", "rust_e2e_linear"]);
    assert!(paused["paused_at"].is_string(), "{paused}");
    let redriven = format!("{id} is StepsInProcess");
    assert_eq!(up.good(&redrive), redriven);
    up.refused(&redrive, "only a task in Error can be redriven");

    let namespaces = up.good(&["namespace", "list"]);
    let line = |name| namespaces.lines().find(|line| line.contains(name)).unwrap();
    assert!(line("rust_e2e_linear").contains("20"), "{namespaces}");
    assert!(line("rust_e2e_diamond").trim_end().ends_with("diamond"), "{namespaces}");
    let pause = up.good(&["namespace", "pause", "rust_e2e_linear"]);
    assert!(pause.starts_with("rust_e2e_linear is paused since 20"), "{pause}");
    // Nothing of it is begun, until it is resumed.
    let running = up.json(&["task", "get", id]);
    assert_eq!(running["steps"][0]["state"], "Enqueued", "{running}");
    let resume = up.good(&["namespace", "resume", "rust_e2e_linear"]);
    assert_eq!(resume, "rust_e2e_linear is not paused");
    assert_eq!(up.run(&["task", "watch", id]).code, Some(2));
    let audit = up.json(&["task", "get", id, "--audit"]);
    let entered = |it: &&Value| it["step"] == "linear_step_1" && it["to"] == "Error";
    assert_eq!(audit["transitions"].as_array().unwrap().iter().filter(entered).count(), 2);

    let six = ["--context", r#"{"even_number": 6}"#, "--wait", "60"];
    let told = up.good(&[&["task", "start", LINEAR], &six[..]].concat());
    let complete = told.lines().next().unwrap();
    up.refused(&["task", "cancel", complete], "can't be cancelled");
}
