//! Asks a program for the right answers: one JSON input a line on its standard input, one JSON
//! answer a line on its standard output.
//!
//! It is asked for all inputs of a run at once, with a time limit, and leads a process group of its
//! own, which is killed at the end, however that comes about: by the guardian, if the harness dies.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use futures_util::future::try_join;
use rustix::process::{Pid, Signal, kill_process_group};
use stepmark_servers::{Ending, Guardian};
use stepmark_workflow::yaml::quoted;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{Inputs, NoAnswer};
use crate::cluster::{describe, without_own_variables};
use crate::scenario::{Expected, Program};

/// Longest answer to one input, in bytes.
pub const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// Longest of all answers together, in bytes: a bound on the disk that they take.
pub const ANSWERS_BYTES_MAX: u64 = 1 << 30;
/// How many last lines of its standard error an error repeats.
const LOG_LINES: usize = 8;
/// Longest part of the standard error that is looked at, in bytes.
const LOG_BYTES: u64 = 16 << 10;

/// The files in which a run keeps what the program was asked, said, and complained of.
const INPUTS: &str = "oracle-inputs.jsonl";
const ANSWERS: &str = "oracle-answers.jsonl";
const LOG: &str = "oracle.log";

/// Runs the program with the inputs in `$1`: the guardian's own commands read nothing.
const WITH_INPUTS: &str = "inputs=$1; shift; exec \"$@\" <\"$inputs\"";

/// Why a program did not give the right answers. Trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// A file of the run cannot be written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The program cannot be started or read from.
    #[error("the oracle's program {command}: {error}")]
    Io {
        /// The program with its arguments, shortened.
        command: String,
        /// Why.
        error: io::Error,
    },
    /// The program failed.
    #[error("the oracle's program {command} ended with {how}{log}")]
    Failed {
        /// The program with its arguments, shortened.
        command: String,
        /// Its exit code or signal.
        how: String,
        /// The last lines of its standard error.
        log: String,
    },
    /// The program took too long.
    #[error("the oracle's program {command} was not done after {timeout_s} s{log}")]
    Late {
        /// The program with its arguments, shortened.
        command: String,
        /// The time that it had, in seconds.
        timeout_s: f64,
        /// The last lines of its standard error.
        log: String,
    },
    /// The program said too little or too much.
    #[error("the oracle's program {command} gave {answers} answers to {inputs} inputs{log}")]
    Count {
        /// The program with its arguments, shortened.
        command: String,
        /// How many answers; `more than` so many when the rest was not waited for.
        answers: String,
        /// How many inputs.
        inputs: u64,
        /// The last lines of its standard error.
        log: String,
    },
    /// An answer is none.
    #[error("the oracle's program {command}: line {line} of its answers: {why}")]
    Malformed {
        /// The program with its arguments, shortened.
        command: String,
        /// The line, from 1 on: that of its input as well.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// What a program has said, on disk: only the lines' ends are kept in memory.
#[derive(Debug)]
pub struct Told {
    file: File,
    /// Where each answer ends in the file, in bytes.
    ends: Vec<u64>,
}

impl Told {
    /// The answer to the input at this place, from 0 on.
    pub(super) fn answer(&self, place: u64) -> Result<Expected, NoAnswer> {
        let place = usize::try_from(place).map_err(|_| NoAnswer::Missing)?;
        let end = *self.ends.get(place).ok_or(NoAnswer::Missing)?;
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        let mut line = vec![0; usize::try_from(end - start).unwrap_or_default()];
        self.file.read_exact_at(&mut line, start)?;
        serde_json::from_slice(&line).map_err(|error| NoAnswer::Unreadable(error.into()))
    }
}

/// Asks `program` for the right answers to all of `inputs`.
///
/// # Errors
/// It does not start, fails, takes too long, or does not give one well-formed answer an input.
pub async fn ask(
    program: &Program,
    inputs: &Inputs,
    root: &Path,
    folder: &Path,
    guardian: &Guardian,
) -> Result<Told, ProgramError> {
    let count = inputs.count().unwrap_or_default();
    let asked = folder.join(INPUTS);
    write_inputs(inputs, count, &asked)
        .map_err(|error| ProgramError::File { path: asked.clone(), error })?;
    let question = Question { program, count, log: folder.join(LOG) };
    let log = File::create(&question.log)
        .map_err(|error| ProgramError::File { path: question.log.clone(), error })?;

    let failed = |error| question.io(error);
    let command = guardian.command("/bin/sh", Ending::Kill).map_err(failed)?;
    let mut command = Command::from(command);
    without_own_variables(&mut command);
    command.args(["-c", WITH_INPUTS, "stepmark-oracle"]).arg(&asked).args(&program.command);
    command.current_dir(root).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
    let mut child = command.spawn().map_err(failed)?;
    let stdout = child.stdout.take().expect("standard output is piped");
    let group = Group { id: child.id(), guardian };

    let answers = question.read(BufReader::new(stdout), folder.join(ANSWERS));
    let done = timeout(program.timeout, try_join(answers, question.end(&mut child, &group))).await;
    drop(group);
    let Ok(done) = done else {
        return Err(ProgramError::Late {
            command: question.command(),
            timeout_s: program.timeout.as_secs_f64(),
            log: question.log_tail(),
        });
    };
    let (told, ()) = done?;
    if told.ends.len() as u64 == count {
        return Ok(told);
    }
    Err(question.miscounted(told.ends.len().to_string()))
}

/// The process group that the program leads. Dropping it kills what is left of the group.
struct Group<'g> {
    id: Option<u32>,
    guardian: &'g Guardian,
}

impl Group<'_> {
    fn kill(&self) {
        if let Some(group) = self.id.and_then(|id| Pid::from_raw(id.cast_signed())) {
            // There is none when all of it has ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        self.kill();
        if let Some(Err(error)) = self.id.map(|id| self.guardian.forget_pid(id)) {
            tracing::error!(%error, "the guardian is gone");
        }
    }
}

struct Question<'p> {
    program: &'p Program,
    count: u64,
    log: PathBuf,
}

impl Question<'_> {
    /// Takes the answers, checks each, and keeps them in the file at `path`.
    async fn read(
        &self,
        mut stdout: impl AsyncBufRead + Unpin,
        path: PathBuf,
    ) -> Result<Told, ProgramError> {
        let on_disk = |error| ProgramError::File { path: path.clone(), error };
        let options =
            File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let mut file = BufWriter::new(options.map_err(on_disk)?);
        let (mut ends, mut end) = (Vec::new(), 0);
        let mut line = Vec::new();
        loop {
            line.clear();
            let bytes = (&mut stdout).take(ANSWER_BYTES_MAX + 1).read_until(b'\n', &mut line).await;
            if bytes.map_err(|error| self.io(error))? == 0 {
                break;
            }
            let number = ends.len() as u64 + 1;
            if number > self.count {
                return Err(self.miscounted(format!("more than {}", self.count)));
            }
            let malformed =
                |why| ProgramError::Malformed { command: self.command(), line: number, why };
            let bytes = line.len() as u64;
            if bytes > ANSWER_BYTES_MAX {
                return Err(malformed(format!("more than {ANSWER_BYTES_MAX} bytes")));
            }
            if end + bytes > ANSWERS_BYTES_MAX {
                return Err(malformed(format!("{ANSWERS_BYTES_MAX} bytes in all are exceeded")));
            }
            let answer = serde_json::from_slice::<Expected>(&line);
            answer.map_err(|error| malformed(error.to_string()))?;
            file.write_all(&line).map_err(on_disk)?;
            end += bytes;
            ends.push(end);
        }
        let file = file.into_inner().map_err(|error| on_disk(error.into_error()))?;
        Ok(Told { file, ends })
    }

    /// Waits for the program's end, and ends what it has left behind.
    async fn end(&self, child: &mut Child, group: &Group<'_>) -> Result<(), ProgramError> {
        let status = child.wait().await.map_err(|error| self.io(error))?;
        // Else a process that holds standard output would keep its reader waiting. The group's id,
        // free again just now if nobody is left in it, cannot be another group's already.
        group.kill();
        if status.success() {
            return Ok(());
        }
        let log = self.log_tail();
        Err(ProgramError::Failed { command: self.command(), how: describe(status), log })
    }

    fn miscounted(&self, answers: String) -> ProgramError {
        let (command, inputs, log) = (self.command(), self.count, self.log_tail());
        ProgramError::Count { command, answers, inputs, log }
    }

    fn io(&self, error: io::Error) -> ProgramError {
        ProgramError::Io { command: self.command(), error }
    }

    fn command(&self) -> String {
        quoted(&self.program.command.join(" "))
    }

    /// The last lines that the program has written to standard error, ready to follow a message.
    fn log_tail(&self) -> String {
        let tail = File::open(&self.log).and_then(|file| {
            let from = file.metadata()?.len().saturating_sub(LOG_BYTES);
            let mut bytes = vec![0; LOG_BYTES as usize];
            let read = file.read_at(&mut bytes, from)?;
            Ok(String::from_utf8_lossy(&bytes[..read]).into_owned())
        });
        let tail = tail.unwrap_or_default();
        let lines: Vec<&str> = tail.lines().collect();
        match &lines[lines.len().saturating_sub(LOG_LINES)..] {
            [] => String::new(),
            lines => format!("; its standard error ends with:\n{}", lines.join("\n")),
        }
    }
}

fn write_inputs(inputs: &Inputs, count: u64, path: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for number in 0..count {
        serde_json::to_writer(&mut file, &*inputs.of(number))?;
        file.write_all(b"\n")?;
    }
    file.into_inner().map(drop).map_err(|error| error.into_error())
}
