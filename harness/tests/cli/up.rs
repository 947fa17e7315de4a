//! `stepmark up` with the real engine, for commands that talk to it.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::engine::with_engine;
use crate::program::{Finished, Program, stepmark};

/// A running cluster, ended in order when dropped.
pub struct Up {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    said: String,
    pub url: String,
    name: String,
    runs: AtomicU32,
}

impl Up {
    /// Starts one that has the project's own templates and handlers.
    pub fn start(name: &str) -> Up {
        let mut program = with_engine(stepmark(&format!("{name}_up")));
        let logs = program.folder.join("logs");
        program.command.args(["up", "--backend", "process", "--logs"]).arg(logs);
        let mut child = program.command.stderr(Stdio::inherit()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        while !said.contains("Ctrl-C ends everything") {
            assert_ne!(stdout.read_line(&mut said).unwrap(), 0, "it ended with: {said}");
        }
        let line = said.lines().find_map(|line| line.strip_prefix("export STEPMARK_URL="));
        let url = line.unwrap().to_owned();
        Up { child, _stdout: stdout, said, url, name: name.to_owned(), runs: AtomicU32::new(0) }
    }

    /// `stepmark` with these arguments, for this cluster.
    pub fn program(&self, args: &[&str]) -> Program {
        let nr = self.runs.fetch_add(1, Ordering::Relaxed);
        told(&format!("{}_{nr}", self.name), &self.url, args)
    }

    /// What it says.
    pub fn run(&self, args: &[&str]) -> Finished {
        self.program(args).output()
    }

    /// What it says where it has to succeed, without the line's end.
    pub fn good(&self, args: &[&str]) -> String {
        let finished = self.run(args);
        assert_eq!(finished.code, Some(0), "{finished:?}");
        finished.stdout.trim_end().to_owned()
    }

    /// The document that it prints.
    pub fn json(&self, args: &[&str]) -> Value {
        let all = [args, &["--json"]].concat();
        serde_json::from_str(&self.good(&all)).unwrap()
    }

    /// Asserts that it is refused in these words.
    pub fn refused(&self, args: &[&str], why: &str) {
        let finished = self.run(args);
        assert_eq!((finished.code, &*finished.stdout), (Some(2), ""), "{finished:?}");
        assert!(finished.stderr.contains(why), "{why}: {finished:?}");
    }

    /// Kills the orchestrator, which the cluster starts again.
    pub fn kill_orchestrator(&self) {
        let line = self.said.lines().find(|line| line.starts_with("orchestrator-1 ")).unwrap();
        let pid = line.split_once("(pid ").unwrap().1.split_once(')').unwrap().0;
        signal(pid.parse().unwrap(), Signal::KILL);
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        signal(self.child.id(), Signal::INT);
        let _ = self.child.wait(); // it has no more to tell
    }
}

/// `stepmark` with these arguments, for the orchestrator at this URL.
pub fn told(name: &str, url: &str, args: &[&str]) -> Program {
    let mut program = stepmark(name);
    program.command.args(args).env("STEPMARK_URL", url).env_remove("STEPMARK_TOKEN");
    program
}

pub fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}
