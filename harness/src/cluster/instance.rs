//! One process of the cluster, from its start to its end.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use stepmark_servers::{Ending, Guardian};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{Faults, RESTARTS_MAX, START_TIMEOUT, STOP_TIMEOUT};

/// How many lines of a log an error repeats.
const LOG_TAIL_LINES: usize = 12;
const READY_LINE: &str = "listening on ";

/// Why the cluster did not come up. Trying again can help only when a port was taken.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The topology has a worker in a language that was not built.
    #[error("no worker in {0} was built")]
    NotBuilt(&'static str),
    /// The program cannot be executed.
    #[error("{name}: cannot start {path}: {error}")]
    Spawn {
        /// The instance.
        name: String,
        /// Its program.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The log cannot be written.
    #[error("{name}: cannot write its log {path}: {error}")]
    Log {
        /// The instance.
        name: String,
        /// Its log.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The process ended before it was ready.
    #[error("{name} ended before it was ready ({status}); its log {log} ends with:\n{tail}")]
    Ended {
        /// The instance.
        name: String,
        /// How it ended.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// The process did not get ready in time.
    #[error("{name} was not ready within {} s; its log {log} ends with:\n{tail}",
            START_TIMEOUT.as_secs())]
    Late {
        /// The instance.
        name: String,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
}

/// What an instance runs.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub name: String,
    pub path: PathBuf,
    pub arguments: Vec<String>,
    /// Its working directory, so that a task can name files of the project.
    pub folder: PathBuf,
    pub environment: BTreeMap<&'static str, String>,
    pub log: PathBuf,
}

/// A running instance. Dropping it kills its process.
#[derive(Debug)]
pub struct Instance {
    name: String,
    url: String,
    log: PathBuf,
    pid: Arc<Mutex<Option<u32>>>,
    restarts: Arc<AtomicU32>,
    stopping: CancellationToken,
    supervisor: JoinHandle<()>,
}

impl Instance {
    pub(super) async fn start(
        mut program: Program,
        guardian: Arc<Guardian>,
        faults: Faults,
    ) -> Result<Instance, ClusterError> {
        let (child, url) = launch(&program, &guardian).await?;
        // Started again it has to be found where it was.
        let address = url.trim_start_matches("http://").to_owned();
        program.environment.insert("STEPMARK_LISTEN", address);
        let name = program.name.clone();
        let pid = Arc::new(Mutex::new(child.id()));
        let restarts = Arc::<AtomicU32>::default();
        let (log, stopping) = (program.log.clone(), CancellationToken::new());
        let watch = Supervisor {
            program,
            guardian,
            faults,
            pid: pid.clone(),
            restarts: restarts.clone(),
            stop: stopping.clone(),
        };
        let supervisor = tokio::spawn(watch.run(child));
        Ok(Instance { name, url, log, pid, restarts, stopping, supervisor })
    }

    /// The instance's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its base URL, which stays the same when it is started again.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Its process id; none while it is being started again.
    pub fn pid(&self) -> Option<u32> {
        *self.pid.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often it was started again.
    pub fn restarts(&self) -> u32 {
        self.restarts.load(Ordering::Relaxed)
    }

    pub(super) async fn stop(mut self) {
        self.stopping.cancel();
        // A supervisor that panicked has dropped its child, which kills it.
        if let Err(error) = (&mut self.supervisor).await {
            tracing::error!(name = self.name, %error, "the supervisor failed");
        }
    }
}

impl std::fmt::Display for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match self.pid() {
            Some(pid) => format!("ready (pid {pid})"),
            None => "starting".to_owned(),
        };
        write!(
            f,
            "{:<20} {state:<18} restarts {}  {}  {}",
            self.name,
            self.restarts(),
            self.url,
            self.log.display()
        )
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // The child dies with the supervisor that owns it.
        self.supervisor.abort();
    }
}

struct Supervisor {
    program: Program,
    guardian: Arc<Guardian>,
    faults: Faults,
    pid: Arc<Mutex<Option<u32>>>,
    restarts: Arc<AtomicU32>,
    stop: CancellationToken,
}

impl Supervisor {
    async fn run(self, mut child: Child) {
        let started = Instant::now();
        loop {
            let pid = child.id();
            let status = tokio::select! {
                status = child.wait() => status,
                () = self.stop.cancelled() => return self.end(child).await,
            };
            self.forget(pid);
            let how = status.map_or_else(|error| error.to_string(), describe);
            self.faults.add(format!(
                "{} (pid {}) ended by {how}, {:.1} s after the cluster's start; the harness \
                 started it again (log: {})",
                self.program.name,
                pid.unwrap_or_default(),
                started.elapsed().as_secs_f64(),
                self.program.log.display(),
            ));
            child = loop {
                let restarts = self.restarts.fetch_add(1, Ordering::Relaxed) + 1;
                if restarts > RESTARTS_MAX {
                    let name = &self.program.name;
                    let given_up = format!("{name} was given up after {RESTARTS_MAX} restarts");
                    self.faults.add(given_up);
                    return self.faults.given_up.cancel();
                }
                let launched = tokio::select! {
                    launched = launch(&self.program, &self.guardian) => launched,
                    () = self.stop.cancelled() => return,
                };
                match launched {
                    Ok((child, _)) => break child,
                    Err(error) => self.faults.add(error.to_string()),
                }
            };
            *self.pid.lock().unwrap_or_else(PoisonError::into_inner) = child.id();
            self.faults.changed.notify_one();
        }
    }

    async fn end(&self, mut child: Child) {
        let pid = child.id();
        if let Some(raw) = pid.and_then(|pid| Pid::from_raw(pid.cast_signed())) {
            // It may have ended by itself in between; the wait below sees that.
            let _ = kill_process(raw, Signal::TERM);
        }
        match timeout(STOP_TIMEOUT, child.wait()).await {
            Ok(Ok(status)) if status.success() => {}
            Ok(Ok(status)) => {
                let how = describe(status);
                self.faults.add(format!("{} ended by {how} at SIGTERM", self.program.name));
            }
            Ok(Err(error)) => self.faults.add(format!("{}: {error}", self.program.name)),
            Err(_) => {
                let (name, seconds) = (&self.program.name, STOP_TIMEOUT.as_secs());
                self.faults.add(format!("{name} did not end within {seconds} s of SIGTERM"));
                if let Err(error) = child.kill().await {
                    tracing::error!(name, %error, "cannot kill it");
                }
            }
        }
        self.forget(pid);
    }

    fn forget(&self, pid: Option<u32>) {
        *self.pid.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Some(Err(error)) = pid.map(|pid| self.guardian.forget_pid(pid)) {
            tracing::error!(%error, "the guardian is gone");
        }
    }
}

/// Takes the variables of stepmark from what a program is given: what a user has set for the
/// harness, or forgotten, must not change what it does, and may hold the passwords of servers.
pub(crate) fn without_own_variables(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"STEPMARK_") {
            command.env_remove(name);
        }
    }
}

/// Starts the program and waits for the line that says where it listens. Of the variables of
/// stepmark it is given its own and no others.
async fn launch(program: &Program, guardian: &Guardian) -> Result<(Child, String), ClusterError> {
    let name = || program.name.clone();
    let log =
        File::options().create(true).append(true).open(&program.log).map_err(|error| {
            ClusterError::Log { name: name(), path: program.log.clone(), error }
        })?;
    let spawn_error =
        |error| ClusterError::Spawn { name: name(), path: program.path.clone(), error };
    let command = guardian.command(&program.path, Ending::Kill).map_err(spawn_error)?;
    let mut command = Command::from(command);
    without_own_variables(&mut command);
    let mut child = command
        .args(&program.arguments)
        .envs(&program.environment)
        .current_dir(&program.folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::from(log))
        .kill_on_drop(true)
        .spawn()
        .map_err(spawn_error)?;
    let stdout = child.stdout.take().expect("standard output is piped");
    let mut lines = BufReader::new(stdout).lines();
    match timeout(START_TIMEOUT, ready_url(&mut lines)).await {
        Ok(Some(url)) => {
            // An unread pipe would block the process once it is full.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            Ok((child, url))
        }
        Ok(None) => {
            let status = child.wait().await.map_or_else(|e| e.to_string(), describe);
            let (log, tail) = (program.log.clone(), log_tail(program));
            Err(ClusterError::Ended { name: name(), status, log, tail })
        }
        Err(_) => {
            let (log, tail) = (program.log.clone(), log_tail(program));
            Err(ClusterError::Late { name: name(), log, tail })
        }
    }
}

async fn ready_url(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<String> {
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(url) = line.strip_prefix(READY_LINE) {
            return Some(url.trim().to_owned());
        }
    }
    None
}

fn log_tail(program: &Program) -> String {
    let text = OpenOptions::new().read(true).open(&program.log).and_then(io::read_to_string);
    let text = text.unwrap_or_else(|error| error.to_string());
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}

/// How a process has ended.
pub(crate) fn describe(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("signal {signal}"),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => status.to_string(),
    }
}
