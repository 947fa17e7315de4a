//! Oracles that are programs: what they are asked, what is made of their answers, and that nothing
//! of them is left running.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use stepmark_harness::scenario::Program;
use stepmark_harness::workload::{Inputs, ProgramError, Told, ask};
use stepmark_servers::Guardian;

const RIGHT: &str = r#"{"task_state": "Complete", "steps": {"a": {"state": "Complete"}}}"#;

struct Rig {
    folder: PathBuf,
    guardian: Guardian,
}

impl Rig {
    fn new(name: &str) -> Rig {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("oracle_{name}"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Rig { folder, guardian: Guardian::start().unwrap() }
    }

    /// Asks a shell script for the answers to three inputs.
    async fn ask(&self, script: &str) -> Result<Told, ProgramError> {
        self.ask_within(script, Duration::from_secs(20)).await
    }

    async fn ask_within(&self, script: &str, timeout: Duration) -> Result<Told, ProgramError> {
        let command = vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()];
        let inputs = Inputs::list(vec![json!({"n": 1}), json!({"n": 2}), json!(["a\nb"])]);
        let program = Program { command, timeout };
        ask(&program, &inputs, &self.folder, &self.folder, &self.guardian).await
    }

    async fn complaint(&self, script: &str) -> String {
        self.ask(script).await.unwrap_err().to_string()
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder.join(file)).unwrap()
    }

    /// Asserts that the process whose id is in `file` ends at once.
    fn assert_ended(&self, file: &str) {
        let pid = self.read(file).trim().to_owned();
        let begun = Instant::now();
        let is_alive = || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
        };
        while is_alive() {
            assert!(begun.elapsed() < Duration::from_secs(5), "process {pid} is still there");
            std::thread::yield_now();
        }
    }
}

#[tokio::test]
async fn a_program_is_asked_a_line_an_input_in_its_own_folder_and_told_no_secrets() {
    let rig = Rig::new("right");
    let script = format!(
        "pwd > folder; env > environment; while IFS= read -r line; do \
         printf '%s\\n' \"$line\" >> asked; echo '{RIGHT}'; done"
    );
    let told = rig.ask(&script).await.unwrap();
    assert_eq!(rig.read("asked"), "{\"n\":1}\n{\"n\":2}\n[\"a\\nb\"]\n");
    assert_eq!(Path::new(rig.read("folder").trim()), fs::canonicalize(&rig.folder).unwrap());
    assert!(!rig.read("environment").contains("STEPMARK_"));
    // What was asked and said stays beside the run's logs.
    assert_eq!(rig.read("oracle-inputs.jsonl"), rig.read("asked"));
    assert_eq!(rig.read("oracle-answers.jsonl"), format!("{RIGHT}\n").repeat(3));
    drop(told);
}

#[tokio::test]
async fn a_program_that_fails_is_shown_with_its_last_words() {
    let rig = Rig::new("fails");
    let failed = rig.complaint(&format!("echo '{RIGHT}'; echo no such thing >&2; exit 3")).await;
    assert!(
        failed.ends_with("ended with exit code 3; its standard error ends with:\nno such thing")
    );
    let killed = rig.complaint("kill -KILL $$").await;
    assert!(killed.ends_with("ended with signal 9"), "{killed}");
    let command = vec!["stepmark-no-such-program".to_owned()];
    let program = Program { command, timeout: Duration::from_secs(20) };
    let inputs = Inputs::list(vec![json!(1)]);
    let missing = ask(&program, &inputs, &rig.folder, &rig.folder, &rig.guardian).await;
    let missing = missing.unwrap_err().to_string();
    assert!(missing.contains("exit code 127") && missing.contains("not found"), "{missing}");
}

#[tokio::test]
async fn too_few_and_too_many_answers_are_counted() {
    let rig = Rig::new("counts");
    let few = rig.complaint(&format!("echo '{RIGHT}'; echo hm >&2")).await;
    assert!(few.contains("gave 1 answers to 3 inputs; its standard error ends with:\nhm"), "{few}");
    // It would go on for ever, and is not waited for.
    let many = rig.complaint(&format!("echo $$ > pid; while true; do echo '{RIGHT}'; done")).await;
    assert!(many.contains("gave more than 3 answers to 3 inputs"), "{many}");
    rig.assert_ended("pid");
}

#[tokio::test]
async fn a_malformed_answer_is_named_by_its_line() {
    let rig = Rig::new("malformed");
    for (answer, why) in [
        ("", "EOF while parsing a value"),
        ("[]", "invalid length 0"),
        (r#"{"task_state": "Complete"}"#, "missing field `steps`"),
        (r#"{"task_state": "Done", "steps": {}}"#, "unknown variant `Done`"),
        (r#"{"task_state": "Complete", "steps": {}, "x": 1}"#, "unknown field `x`"),
        (r#"{"task_state": "Complete", "steps": {"a": {"state": 1}}}"#, "expected value"),
        (&format!("{RIGHT} {RIGHT}"), "trailing characters"),
    ] {
        let script = format!("echo $$ > pid; echo '{RIGHT}'; echo '{answer}'; sleep 1000");
        let told = rig.complaint(&script).await;
        assert!(told.contains("line 2 of its answers: ") && told.contains(why), "{answer}: {told}");
        rig.assert_ended("pid");
    }
    let endless = rig.complaint("echo $$ > pid; tr '\\0' x < /dev/zero").await;
    assert!(endless.ends_with("line 1 of its answers: more than 1048576 bytes"), "{endless}");
    rig.assert_ended("pid");
}

#[tokio::test]
async fn a_program_that_takes_too_long_is_ended_with_all_that_it_started() {
    let rig = Rig::new("late");
    let script = "echo hm >&2; sleep 1000 & echo $! > child; echo $$ > pid; wait";
    let begun = Instant::now();
    let late = rig.ask_within(script, Duration::from_millis(300)).await.unwrap_err().to_string();
    assert!(late.contains("was not done after 0.3 s; its standard error ends with:\nhm"), "{late}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    rig.assert_ended("pid");
    rig.assert_ended("child");
}

#[tokio::test]
async fn what_a_program_leaves_behind_is_ended_and_not_waited_for() {
    let rig = Rig::new("leaves");
    // The one left behind holds standard output.
    let script = format!("sleep 1000 & echo $! > child; for n in 1 2 3; do echo '{RIGHT}'; done");
    let begun = Instant::now();
    rig.ask(&script).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10));
    rig.assert_ended("child");
}

#[tokio::test]
async fn asking_that_is_broken_off_ends_the_program() {
    let rig = Rig::new("broken_off");
    let asking = rig.ask("sleep 1000 & echo $! > child; echo $$ > pid; wait");
    let started = async {
        while !fs::read_to_string(rig.folder.join("pid")).is_ok_and(|pid| pid.ends_with('\n')) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        told = asking => panic!("{told:?}"),
        () = started => {}
    }
    rig.assert_ended("pid");
    rig.assert_ended("child");
}
