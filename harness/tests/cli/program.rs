//! The program under test, and the scripted cluster in the engine's place.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::Once;

use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The program with a folder of its own, in which the report goes to `report`.
pub struct Program {
    pub folder: PathBuf,
    pub command: Command,
}

/// `stepmark bench` of linear on PGMQ with the cluster that plays `script`.
pub fn bench(name: &str, script: &str) -> Program {
    let mut program = stepmark(name);
    let report = program.folder.join("report");
    // The scenarios without the list of the engine's statements: the script has others.
    let scenarios = program.folder.join("scenarios");
    fs::create_dir_all(&scenarios).unwrap();
    for tier in fs::read_dir(Path::new(ROOT).join("scenarios")).unwrap() {
        let tier = tier.unwrap();
        if tier.file_name().to_str().unwrap().starts_with("tier") {
            symlink(tier.path(), scenarios.join(tier.file_name())).unwrap();
        }
    }
    program
        .command
        .args(["bench", "--scenario", "linear_rust", "--broker", "pgmq"])
        .args(["--samples", "200", "--warmup", "5", "--backend", "process"])
        .arg("--scenarios")
        .arg(scenarios)
        .arg("--report")
        .arg(report)
        .env("SCRIPTED_FAULT", script);
    program
}

/// `stepmark`, still without arguments.
pub fn stepmark(name: &str) -> Program {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    let binaries = folder.join("bin");
    fs::create_dir_all(&binaries).unwrap();
    for engine in ["stepmark-orchestrator", "stepmark-worker-rust"] {
        symlink(scripted_cluster(), binaries.join(engine)).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_stepmark"));
    command
        .env("STEPMARK_BIN_DIR", binaries)
        .env("STEPMARK_ROOT", ROOT)
        .env("SCRIPTED_ROOT", ROOT)
        // A backtrace would push what the cluster says out of its log's last lines.
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Program { folder, command }
}

impl Program {
    pub fn output(mut self) -> Finished {
        let output = self.command.output().unwrap();
        Finished::of(&self.folder, &output)
    }

    /// Starts the program and reads its standard error up to the line with `mark`.
    pub fn start_until(mut self, mark: &str) -> Running {
        let mut child = self.command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains(mark) {
            assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "it ended with: {said}");
        }
        Running { folder: self.folder, child, stderr, said }
    }
}

/// The program under way.
pub struct Running {
    pub folder: PathBuf,
    pub child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Running {
    /// The process id of an instance, as the program has said it.
    pub fn pid_of(&self, instance: &str) -> u32 {
        let line = self.said.lines().find(|line| line.contains(instance)).unwrap();
        let pid = line.split_once("(pid ").unwrap().1.split_once(')').unwrap().0;
        pid.parse().unwrap()
    }

    /// Waits for the program's end.
    pub fn finish(mut self) -> Finished {
        for line in (&mut self.stderr).lines() {
            self.said.push_str(&line.unwrap());
            self.said.push('\n');
        }
        let mut output = self.child.wait_with_output().unwrap();
        output.stderr = self.said.into_bytes();
        Finished::of(&self.folder, &output)
    }
}

/// What a program that has ended has said.
#[derive(Debug)]
pub struct Finished {
    pub folder: PathBuf,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    fn of(folder: &Path, output: &Output) -> Finished {
        Finished {
            folder: folder.to_path_buf(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The runs of the report.
    pub fn runs(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.join("report/report.json")).unwrap();
        let mut report: Value = serde_json::from_str(&text).unwrap();
        serde_json::from_value(report["runs"].take()).unwrap()
    }

    /// The first of them.
    pub fn run(&self) -> Value {
        self.runs().remove(0)
    }

    /// Asserts that the run is invalid, shows no figure anywhere, and names `why`.
    pub fn assert_invalid(&self, why: &str) {
        assert_eq!(self.code, Some(2), "{self:?}");
        let run = self.run();
        assert_eq!((&run["status"], &run["correct"]), (&"invalid".into(), &false.into()));
        assert!(run["latency_ms"]["p50"].is_null() && run["throughput_per_s"].is_null(), "{run}");
        assert!(run["work"]["step_transitions"].is_null() && run["hlog"].is_null(), "{run}");
        let problems = run["problems"].to_string();
        assert!(problems.contains(why), "{problems}");
        assert!(self.stdout.contains(why), "{}", self.stdout);
        let row = self.stdout.lines().find(|line| line.contains("INVALID")).unwrap();
        assert_eq!(row.matches('–').count(), 7, "{row}");
        assert!(!self.folder.join("report/linear_rust-pgmq.hlog").exists());
    }
}

/// Whether a process is there and no zombie.
pub fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// The processes below `pid`, at any depth.
pub fn descendants(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut open = vec![pid];
    while let Some(pid) = open.pop() {
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            let children = children.split_whitespace().map(|child| child.parse::<u32>().unwrap());
            open.extend(children.clone());
            found.extend(children);
        }
    }
    found
}

/// Builds these packages or targets once, beside the program under test: cargo builds no other
/// package's programs for a test, and examples only with all tests.
pub fn build(once: &Once, arguments: &[&str]) {
    once.call_once(|| {
        let mut cargo = Command::new(env!("CARGO"));
        assert!(cargo.args(["build", "-q"]).args(arguments).status().unwrap().success());
    });
}

fn scripted_cluster() -> PathBuf {
    static BUILT: Once = Once::new();
    build(&BUILT, &["--workspace", "--example", "scripted_cluster"]);
    Path::new(env!("CARGO_BIN_EXE_stepmark")).with_file_name("examples/scripted_cluster")
}
