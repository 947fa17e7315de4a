//! A server's process: waiting until it is ready, and ending it.

use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::ServerError;
use crate::directory::last_lines;

const POLL_INTERVAL: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(crate) struct ServerProcess {
    pub(crate) child: Child,
    pub(crate) server: &'static str,
    pub(crate) log: PathBuf,
}

impl ServerProcess {
    /// Waits until `ready` says so; fails as soon as the process is gone, with the end of its log.
    pub(crate) fn wait_until_ready(
        &mut self,
        limit: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), ServerError> {
        let deadline = Instant::now() + limit;
        while !ready() {
            if let Some(status) = self.exited()? {
                return Err(ServerError::Start {
                    server: self.server,
                    status: status.to_string(),
                    log: self.log.clone(),
                    last_lines: last_lines(&self.log),
                });
            }
            if Instant::now() > deadline {
                return Err(self.timed_out("become ready", limit));
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Sends `signal` and waits for the end.
    pub(crate) fn stop(&mut self, signal: Signal, limit: Duration) -> Result<(), ServerError> {
        let deadline = Instant::now() + limit;
        if self.exited()?.is_none() {
            let pid = Pid::from_child(&self.child);
            kill_process(pid, signal).map_err(|source| ServerError::Process {
                server: self.server,
                source: source.into(),
            })?;
        }
        while self.exited()?.is_none() {
            if Instant::now() > deadline {
                return Err(self.timed_out("stop", limit));
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    fn exited(&mut self) -> Result<Option<ExitStatus>, ServerError> {
        self.child.try_wait().map_err(|source| ServerError::Process { server: self.server, source })
    }

    fn timed_out(&self, what: &'static str, limit: Duration) -> ServerError {
        ServerError::TimedOut {
            server: self.server,
            what,
            limit_s: limit.as_secs(),
            log: self.log.clone(),
            last_lines: last_lines(&self.log),
        }
    }
}
