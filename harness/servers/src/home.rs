//! What a private server lives in: a directory, an account, and a guardian over both.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::account::Account;
use crate::process::ServerProcess;
use crate::{Ending, Guardian, ServerError, directory};

const END_LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Home {
    server: &'static str,
    pub(crate) directory: PathBuf,
    pub(crate) account: Option<Account>,
    guardian: Guardian,
}

impl Home {
    /// Makes the directory, in `base` or the usual place, for `account` or the owner itself.
    pub(crate) fn make(
        server: &'static str,
        account: Option<Account>,
        base: Option<&Path>,
    ) -> Result<Home, ServerError> {
        let guardian =
            Guardian::start().map_err(|source| ServerError::Process { server, source })?;
        let directory = directory::create(base, &server.to_lowercase(), account.as_ref())?;
        let home = Home { server, directory, account, guardian };
        home.guardian.watch_dir(&home.directory).map_err(|source| home.error(source))?;
        Ok(home)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes a file that only the server's account reads.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, ServerError> {
        let path = self.path(name);
        // An earlier one is read-only, for an ordinary user too.
        let written = match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::write(&path, text),
        };
        let written = written
            .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o400)))
            .and_then(|()| self.account.as_ref().map_or(Ok(()), |account| account.own(&path)));
        match written {
            Ok(()) => Ok(path),
            Err(source) => Err(ServerError::Directory { path, source }),
        }
    }

    /// A command under the server's account, watched, in an empty environment.
    pub(crate) fn command(&self, program: &Path, ending: Ending) -> Result<Command, ServerError> {
        let mut command =
            self.guardian.command(program, ending).map_err(|source| self.error(source))?;
        command.env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
        if let Some(account) = &self.account {
            account.apply(&mut command);
        }
        Ok(command)
    }

    /// Starts `command` with its output going to the end of `log`.
    pub(crate) fn spawn(
        &self,
        mut command: Command,
        log: PathBuf,
    ) -> Result<ServerProcess, ServerError> {
        let output = OpenOptions::new().append(true).create(true).open(&log);
        let output =
            output.map_err(|source| ServerError::Directory { path: log.clone(), source })?;
        let errors = output.try_clone().map_err(|source| self.error(source))?;
        let child = command
            .stdout(Stdio::from(output))
            .stderr(Stdio::from(errors))
            .spawn()
            .map_err(|source| self.error(source))?;
        Ok(ServerProcess { child, server: self.server, log })
    }

    /// Stops the process in `slot` and empties it; does nothing when it is empty.
    pub(crate) fn stop(
        &self,
        slot: &mut Option<ServerProcess>,
        signal: Signal,
        limit: Duration,
    ) -> Result<(), ServerError> {
        let Some(process) = slot else { return Ok(()) };
        process.stop(signal, limit)?;
        let forgotten = self.guardian.forget_pid(process.child.id());
        *slot = None;
        forgotten.map_err(|source| self.error(source))
    }

    /// Ends everything through the guardian, then waits for `processes`, its own children. Should
    /// the guardian be gone, does its work.
    pub(crate) fn end(&mut self, processes: impl IntoIterator<Item = ServerProcess>) {
        let ended = self.guardian.end();
        for mut process in processes {
            if let Err(error) = process.stop(Signal::KILL, END_LIMIT) {
                tracing::error!(%error, "{} may still run", self.server);
            }
        }
        if ended.is_err()
            && let Err(error) = fs::remove_dir_all(&self.directory)
        {
            tracing::error!(%error, directory = %self.directory.display(), "not removed");
        }
    }

    pub(crate) fn error(&self, source: io::Error) -> ServerError {
        ServerError::Process { server: self.server, source }
    }
}
