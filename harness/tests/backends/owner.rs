//! This test program, run once more as the owner of one backend's servers.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write, stdin, stdout};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use stepmark_harness::environment::{Backend, Docker, External, Process, Told};

use crate::suite;

const BACKEND: &str = "STEPMARK_TEST_BACKEND";
const MARK: &str = "owner:";

/// An owner whose servers run, and whether they have passed the suite.
pub struct Owner {
    process: Child,
    owned: Owned,
    /// Kept open, or the owner's last words would fail it.
    _output: BufReader<ChildStdout>,
}

/// What an owner has, as far as it is of this machine.
pub struct Owned {
    pub pids: Vec<u32>,
    pub data_dir: PathBuf,
}

/// Run as a process of its own.
#[test]
#[ignore = "the owner that other tests start and end"]
fn owner() {
    let mut backend: Box<dyn Backend> = match env::var(BACKEND).unwrap().as_str() {
        "process" => Box::new(Process::new(None)),
        "external" => Box::new(External::new(Told::from_environment())),
        "docker" => {
            let program = PathBuf::from(env!("CARGO_BIN_EXE_stepmark"));
            Box::new(Docker::new(Told::from_environment().images, program))
        }
        other => unreachable!("{other}"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (postgres, rabbitmq) = runtime.block_on(suite::pass(&mut *backend));
    let data_dir = postgres.data_dir.unwrap_or_default();
    let pids: Vec<String> =
        postgres.pid.into_iter().chain(rabbitmq.pid).map(|pid| pid.to_string()).collect();
    println!("{MARK}{} {}", data_dir.display(), pids.join(" "));
    stdout().flush().unwrap();
    stdin().read_line(&mut String::new()).unwrap();
}

impl Owner {
    /// Starts one and waits until its servers have passed the suite.
    pub fn start(backend: &str, variables: &[(&str, String)]) -> Owner {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", "owner::owner", "--ignored", "--nocapture"])
            .env(BACKEND, backend)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut lines = output.by_ref().lines().map_while(Result::ok);
        let line = lines.find_map(|line| Some(line.split_once(MARK)?.1.to_owned()));
        let line = line.expect("its servers pass the suite");
        let (data_dir, pids) = line.split_once(' ').unwrap();
        let pids = pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
        let owned = Owned { pids, data_dir: PathBuf::from(data_dir) };
        Owner { process, owned, _output: output }
    }

    /// Lets it return, and waits for its end.
    pub fn return_now(mut self) -> Owned {
        writeln!(self.process.stdin.as_mut().unwrap()).unwrap();
        assert!(self.process.wait().unwrap().success());
        self.owned
    }

    /// Kills it, and waits for its end.
    pub fn kill(mut self) -> Owned {
        assert!(self.owned.pids.iter().all(|&pid| !gone(pid)) && !self.owned.pids.is_empty());
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.owned
    }
}

/// A zombie is gone: nobody may be there to wait for it.
pub fn gone(pid: u32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    stat.map_or(true, |stat| stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

/// Looks until it is so, for the half minute that a killed owner's servers have.
pub fn wait_until(mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !so() {
        assert!(Instant::now() < deadline, "not so within half a minute");
        thread::sleep(Duration::from_millis(20));
    }
}
