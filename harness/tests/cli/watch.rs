//! `stepmark task watch` with the real engine.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::up::{Up, signal};

const NAMESPACE: &str = "rust_e2e_mixed_dag";
const STEPS: [&str; 7] = [
    "dag_init",
    "dag_process_left",
    "dag_process_right",
    "dag_validate",
    "dag_transform",
    "dag_analyze",
    "dag_finalize",
];

/// A task whose first step waits for its namespace to be resumed.
fn paused(up: &Up) -> String {
    up.good(&["namespace", "pause", NAMESPACE]);
    start(up)
}

fn start(up: &Up) -> String {
    let template = format!("{NAMESPACE}/complex_dag");
    up.good(&["task", "start", &template, "--context", r#"{"even_number": 6}"#])
}

fn resume(up: &Up) {
    up.good(&["namespace", "resume", NAMESPACE]);
}

/// Reads on until a line has this.
fn until(lines: &mut impl BufRead, mark: &str) -> String {
    let mut said = String::new();
    while !said.contains(mark) {
        assert_ne!(lines.read_line(&mut said).unwrap(), 0, "it ended with: {said}");
    }
    said
}

fn rest(mut lines: impl BufRead, child: &mut Child) -> (Option<i32>, String) {
    let mut said = String::new();
    lines.read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

#[test]
fn each_change_is_a_line_even_when_the_orchestrator_is_killed_meanwhile() {
    let up = Up::start("watch_lines");
    let id = paused(&up);
    let mut program = up.program(&["task", "watch", &id]);
    let mut child = program.command.stderr(Stdio::inherit()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let begun = until(&mut lines, "dag_init");
    assert!(begun.starts_with(&format!("{id}  {NAMESPACE}/complex_dag\n")), "{begun}");
    assert!(begun.ends_with("  dag_init  Enqueued\n"), "{begun}");
    up.kill_orchestrator();
    // It is started again; until then nobody can be asked to resume.
    while up.run(&["namespace", "resume", NAMESPACE]).code != Some(0) {
        std::thread::yield_now();
    }
    let (code, said) = rest(lines, &mut child);
    assert_eq!(code, Some(0), "{said}");
    for step in STEPS {
        let complete = format!("  {step}  Complete  ");
        assert_eq!(said.matches(&complete).count(), 1, "{step}: {said}");
    }
    assert!(said.trim_end().ends_with("the task is Complete"), "{said}");
}

#[test]
fn json_is_a_document_for_each_change() {
    let up = Up::start("watch_json");
    let id = paused(&up);
    let mut program = up.program(&["task", "watch", &id, "--json"]);
    let mut child = program.command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let first: Value = serde_json::from_str(&until(&mut lines, "\n")).unwrap();
    assert_eq!(first["steps"][0]["state"], "Enqueued", "{first}");
    resume(&up);
    let (code, said) = rest(lines, &mut child);
    assert_eq!(code, Some(0), "{said}");
    let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!((&last["state"], &last["task_uuid"]), (&"Complete".into(), &id.into()));
}

#[test]
fn ctrl_c_ends_the_watching_and_not_the_task() {
    let up = Up::start("watch_interrupt");
    let id = paused(&up);
    let mut program = up.program(&["task", "watch", &id]);
    let mut child = program.command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    until(&mut lines, "dag_init");
    signal(child.id(), Signal::INT);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "stepmark: interrupted: the task goes on\n");
    resume(&up);
    assert_eq!(up.run(&["task", "watch", &id]).code, Some(0));
}

#[test]
fn on_a_terminal_the_drawing_is_renewed_in_place_and_keeps_to_its_size() {
    let up = Up::start("watch_terminal");
    for (colour, sgr) in [("", true), ("1", false)] {
        let id = paused(&up);
        let stepmark = env!("CARGO_BIN_EXE_stepmark");
        let command = format!("stty cols 60 rows 9; {stepmark} task watch {id}; echo code $?");
        let mut program = up.program(&[]);
        let mut script = std::process::Command::new("script");
        script.args(["-qec", &command, "/dev/null"]).env("STEPMARK_URL", &up.url);
        script.env("NO_COLOR", colour).env("TERM", "xterm").env_remove("STEPMARK_TOKEN");
        program.command = script;
        program.command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = program.command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        // Of seven steps there is room for three, and the drawing is made again over itself.
        let first = until(&mut lines, "↓ 4 more");
        assert!(first.contains("\u{1b}[?25l"), "{first:?}");
        let again = until(&mut lines, "↓ 4 more");
        assert!(again.contains("\u{1b}[6A\r"), "{again:?}");
        resume(&up);
        let (code, said) = rest(lines, &mut child);
        assert_eq!(code, Some(0));
        // The end is drawn whole, and the cursor is back.
        let end = said.rsplit_once("A\r").unwrap().1;
        assert!(end.contains("4 ─") && end.contains("dag_finalize"), "{end:?}");
        assert!(end.contains("\u{1b}[?25h") && end.contains("code 0"), "{end:?}");
        assert_eq!(end.contains("\u{1b}[32m"), sgr, "{end:?}");
        for line in first.lines().chain(end.lines()) {
            assert!(console::measure_text_width(line.trim_end()) <= 60, "{line:?}");
        }
    }
}
