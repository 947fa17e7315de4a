//! The process that removes the containers of an owner that is gone.
//!
//! Destructors do not run in a process that is killed, and containers are no children of it. So
//! the owner's program is started once more and holds the read end of a pipe: the kernel closes
//! the write end whatever the owner dies of. Dropping a [`Reaper`] takes the same road.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::time::Duration;

use testcontainers::bollard::query_parameters::{
    ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use crate::Daemon;
use crate::container::RUN_LABEL;

/// The first argument of a program that is to be the reaper; the run's id is the second.
const ASKED: &str = "docker-reaper";
const READY: &str = "docker-reaper is ready";
/// What the owner says last when no start is under way.
const SETTLED: &str = "settled";
/// How long a start may take effect after its owner is gone: the daemon had its request.
const UNSETTLED: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(200);
/// A daemon that does not answer is asked again for so long: it may be on its way up.
const GIVE_UP: Duration = Duration::from_secs(20);

/// The owner's side.
#[derive(Debug)]
pub(crate) struct Reaper {
    process: Child,
    /// None once it was told to end.
    input: Option<ChildStdin>,
    run: String,
    is_settled: bool,
}

impl Reaper {
    /// In a process group of its own, so that Ctrl-C in a terminal reaches the owner alone.
    pub(crate) fn start(program: &Path, run: &str) -> io::Result<Reaper> {
        let mut process = Command::new(program)
            .args([ASKED, run])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let input = process.stdin.take();
        let mut said = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut said)?;
        }
        let reaper = Reaper { process, input, run: run.to_owned(), is_settled: true };
        if said.trim_end() == READY {
            return Ok(reaper);
        }
        let message = format!("{} does not become one", program.display());
        Err(io::Error::other(message))
    }

    /// A container is being started: if nothing more is heard, it may appear late.
    pub(crate) fn starting(&mut self) {
        self.is_settled = false;
    }

    pub(crate) fn started(&mut self) {
        self.is_settled = true;
    }

    fn end(&mut self) -> io::Result<bool> {
        if let Some(mut input) = self.input.take()
            && self.is_settled
        {
            // If it is gone, its status says so.
            let _ = writeln!(input, "{SETTLED}");
        }
        Ok(self.process.wait()?.success())
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        let run = &self.run.clone();
        match self.end() {
            Ok(true) => {}
            Ok(false) => {
                tracing::error!("containers with the label {RUN_LABEL}={run} may still be there");
            }
            Err(error) => tracing::error!(%error, "containers of {run} may still be there"),
        }
    }
}

/// Makes this process the reaper, if it was started as one; then its exit code is returned once its
/// owner and the containers are gone. To be called before all else.
pub fn reap_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let is_asked = arguments.next().is_some_and(|argument| argument == ASKED);
    let run = arguments.next().filter(|_| is_asked)?;
    Some(if reap(&run).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn reap(run: &str) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Caught and not looked at: only the owner's end counts.
        let kinds = [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit()];
        let _caught = kinds.map(signal);
        let _caught_too = signal(SignalKind::terminate())?;
        println!("{READY}");
        let mut said = String::new();
        // Nothing else is to be done until then.
        io::stdin().read_to_string(&mut said)?;
        remove_all(run, said.trim_end() == SETTLED).await
    })
}

async fn remove_all(run: &str, is_settled: bool) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match remove_those_there(run).await {
            Ok(0) if is_settled || begun.elapsed() > UNSETTLED => return Ok(()),
            Err(error) if begun.elapsed() > GIVE_UP => return Err(io::Error::other(error)),
            Ok(0) | Err(_) => sleep(PAUSE).await,
            Ok(_) => {} // they are gone now; whether others have come is seen at once
        }
    }
}

/// Removes the run's containers and their volumes, and tells how many there were.
async fn remove_those_there(run: &str) -> Result<usize, String> {
    let client = Daemon::connect().await.map_err(|error| error.to_string())?.client;
    let filters = HashMap::from([("label", vec![format!("{RUN_LABEL}={run}")])]);
    let all = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let found = client.list_containers(Some(all)).await.map_err(|error| error.to_string())?;
    for id in found.iter().filter_map(|container| container.id.as_deref()) {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        client.remove_container(id, Some(options)).await.map_err(|error| error.to_string())?;
    }
    Ok(found.len())
}
