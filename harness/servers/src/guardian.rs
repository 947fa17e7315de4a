//! A process that outlives its owner for a moment, to end what the owner started.
//!
//! Destructors do not run when a process is killed, so none of our servers relies on them: a
//! small shell script holds the read end of a pipe, and the kernel closes the write end whatever
//! the owner dies of. Dropping a [`Guardian`] takes the same road, so there is one way to end.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long the end waits for commands that are still held and could yet start something.
const HELD_LIMIT: Duration = Duration::from_secs(1);
const POLL_INTERVAL: Duration = Duration::from_millis(2);
const SCRIPT: &str = include_str!("guardian.sh");

/// The first signal that a watched process gets when its owner is gone.
///
/// After five seconds every process gets `SIGKILL`, with its whole process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// `SIGKILL`, to the process group led by the process as well: for processes whose state is
    /// thrown away, or that are built to be killed.
    Kill,
    /// `SIGTERM`.
    Terminate,
    /// `SIGQUIT`: PostgreSQL's immediate shutdown, which takes its backends and shared memory
    /// with it (as `SIGKILL` would not).
    Quit,
}

impl Ending {
    fn name(self) -> &'static str {
        match self {
            Ending::Kill => "KILL",
            Ending::Terminate => "TERM",
            Ending::Quit => "QUIT",
        }
    }
}

/// Ends watched processes and removes watched directories once its owner is gone, by any cause:
/// return, panic, a signal, `kill -9`. Dropping it does the same and waits until it is done.
///
/// It may live in a `static`: the end of the process is enough. A pid that was reused by another
/// process is left alone. The owner may not be in the group that `SIGKILL` goes to.
#[derive(Debug)]
pub struct Guardian {
    script: Child,
    /// None once it was told to end.
    lines: Option<ChildStdin>,
}

impl Guardian {
    /// Starts the guardian process, in a process group of its own, so that Ctrl-C in a terminal
    /// reaches the owner alone.
    ///
    /// # Errors
    /// When `/bin/sh` cannot be started.
    pub fn start() -> io::Result<Self> {
        let mut script = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "stepmark-guardian"])
            .current_dir("/")
            .stdin(Stdio::piped())
            // Nobody reads what it says, and an inherited stream would keep a reader of the
            // owner's output waiting.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let lines = script.stdin.take();
        Ok(Guardian { script, lines })
    }

    /// Ends the process `pid` when the owner is gone. For processes that are already running;
    /// [`Guardian::command`] leaves no moment in which a new one is unwatched.
    ///
    /// # Errors
    /// When the guardian process is gone.
    pub fn watch_pid(&self, pid: u32, ending: Ending) -> io::Result<()> {
        self.say(format!("pid {pid} {}\n", ending.name()).as_bytes())
    }

    /// Forgets a process, once the owner has waited for its end.
    ///
    /// # Errors
    /// When the guardian process is gone.
    pub fn forget_pid(&self, pid: u32) -> io::Result<()> {
        self.say(format!("forget-pid {pid}\n").as_bytes())
    }

    /// Removes the directory `path` and all in it when the owner is gone, after the processes.
    ///
    /// # Errors
    /// When the guardian process is gone, or the path is not absolute, is `/`, or has a line
    /// break in it.
    pub fn watch_dir(&self, path: &Path) -> io::Result<()> {
        self.say_path("dir ", path)
    }

    /// Lets the directory `path` live on.
    ///
    /// # Errors
    /// As [`Guardian::watch_dir`].
    pub fn forget_dir(&self, path: &Path) -> io::Result<()> {
        self.say_path("forget-dir ", path)
    }

    /// A command whose process tells the guardian its pid before it becomes `program`, so that
    /// no kill of the owner can come between. It leads a process group of its own and reads
    /// nothing on standard input (leave that as it is set).
    ///
    /// # Errors
    /// When the process is out of file descriptors.
    pub fn command(&self, program: impl AsRef<OsStr>, ending: Ending) -> io::Result<Command> {
        let announce = format!("echo pid $$ {} >&0 && exec \"$@\" </dev/null", ending.name());
        let mut command = Command::new("/bin/sh");
        command
            .arg("-c")
            .arg(announce)
            .arg("stepmark-announce")
            .arg(program)
            .stdin(Stdio::from(self.lines()?.as_fd().try_clone_to_owned()?))
            .process_group(0);
        Ok(command)
    }

    /// The guardian's own process id.
    pub fn pid(&self) -> u32 {
        self.script.id()
    }

    /// Ends and removes everything watched, and waits until it is gone. Later calls do nothing.
    ///
    /// A process started a moment ago has a copy of the pipe until it told its pid, so that none
    /// is missed. So has a command that is still held, for which this waits a second in vain.
    ///
    /// # Errors
    /// When the guardian process was gone already; what it watched is then still there.
    pub fn end(&mut self) -> io::Result<()> {
        let Some(lines) = self.lines.take() else {
            return Ok(());
        };
        drop(lines);
        let begun = Instant::now();
        let mut is_told = false;
        let status = loop {
            if let Some(status) = self.script.try_wait()? {
                break status;
            }
            if !is_told && begun.elapsed() > HELD_LIMIT {
                is_told = true;
                kill_process(Pid::from_child(&self.script), Signal::USR1)?;
            }
            thread::sleep(POLL_INTERVAL);
        };
        match status.signal() {
            Some(_) => Err(io::Error::from(io::ErrorKind::BrokenPipe)),
            None => Ok(()),
        }
    }

    fn say_path(&self, verb: &str, path: &Path) -> io::Result<()> {
        let path = path.as_os_str().as_bytes();
        if !path.starts_with(b"/") || path == b"/" || path.contains(&b'\n') {
            let message = "the guardian takes an absolute path without line breaks, and not /";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        self.say(&[verb.as_bytes(), path, b"\n"].concat())
    }

    /// One write a line: several threads, and the commands, may speak at once.
    fn say(&self, line: &[u8]) -> io::Result<()> {
        self.lines()?.write_all(line)
    }

    fn lines(&self) -> io::Result<&ChildStdin> {
        self.lines.as_ref().ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "the guardian was gone: what it watched may still be there");
        }
    }
}
