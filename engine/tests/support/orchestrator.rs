//! The orchestrator's program, as users run it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Instant;

use stepmark_servers::Ending;

use super::{Database, PATIENCE, guardian};

/// A running program, ended with this process at the latest.
pub struct Program {
    process: Child,
    log: Option<JoinHandle<String>>,
    lines: mpsc::Receiver<String>,
}

impl Program {
    /// Starts the orchestrator's program with these arguments and variables and no others.
    pub fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let program = env!("CARGO_BIN_EXE_stepmark-orchestrator");
        let mut command = guardian().command(program, Ending::Kill).unwrap();
        let mut process = command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = process.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = errors.read_to_string(&mut text);
            text
        });
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line); // the test may look no more
            }
        });
        Self { process, log: Some(log), lines }
    }

    /// The next line of its output; none when it has ended.
    pub fn line(&self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("no line within {PATIENCE:?}"),
        }
    }

    /// Waits for its end: how, and all that it wrote to standard error.
    pub fn ended(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it runs on after {PATIENCE:?}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        (status, self.log.take().unwrap().join().unwrap())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill(); // it may have ended
        let _ = self.process.wait();
        if let Some(log) = self.log.take()
            && std::thread::panicking()
        {
            println!("{}", log.join().unwrap_or_default());
        }
    }
}

/// A running orchestrator.
pub struct Orchestrator {
    /// Where its API is, without a slash at the end.
    pub url: String,
    /// The process.
    pub program: Program,
}

impl Orchestrator {
    /// Starts one on any port; it is ready when this returns.
    pub fn start(database: &Database, arguments: &[&str]) -> Self {
        Self::ready(Self::launch(database, arguments))
    }

    /// Starts one without waiting for it.
    pub fn launch(database: &Database, arguments: &[&str]) -> Program {
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/workflows");
        let mut all = vec!["--database-url", &database.url, "--listen", "127.0.0.1:0"];
        if !arguments.contains(&"--templates") {
            all.extend(["--templates", fixtures]);
        }
        all.extend(arguments);
        Program::start(&all, &[])
    }

    /// Waits until a program that has been started is ready.
    pub fn ready(program: Program) -> Self {
        let Some(line) = program.line() else {
            panic!("it ended: {}", program.ended().1);
        };
        let url = line.strip_prefix("listening on ").unwrap().to_owned();
        Self { url, program }
    }

    /// Tells it to end, and waits until it has.
    pub fn terminate(self) -> (ExitStatus, String) {
        signal(self.program.pid(), "TERM");
        self.program.ended()
    }
}

/// Sends a signal to a process.
pub fn signal(pid: u32, name: &str) {
    let sent = std::process::Command::new("kill").args(["-s", name, &pid.to_string()]).status();
    assert!(sent.unwrap().success(), "no process {pid}");
}
