//! Owners as processes of their own, and looking whether something is gone.
#![allow(dead_code, reason = "each test program uses a part")]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write, stdin, stdout};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const MARK: &str = "owner:";

/// This test program, run once more for one ignored test that owns something.
pub struct Owner {
    pub process: Child,
    pub pids: Vec<u32>,
    pub directory: PathBuf,
    /// Kept open, or the owner's last words would fail it.
    _output: BufReader<ChildStdout>,
}

impl Owner {
    /// With the signals as a shell leaves them: under nohup or in the background of a script some
    /// are ignored, and whoever is started inherits that.
    pub fn start(test: &str) -> Owner {
        let mut command = Command::new("env");
        command.arg("--default-signal").arg(env::current_exe().unwrap());
        Owner::from(command, test)
    }

    pub fn from(mut command: Command, test: &str) -> Owner {
        let mut process = command
            .args(["--exact", test, "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut lines = output.by_ref().lines().map_while(Result::ok);
        let line = lines.find_map(|line| Some(line.split_once(MARK)?.1.to_owned()));
        let line = line.expect("the owner says what it owns");
        let mut words = line.split_whitespace();
        let directory = PathBuf::from(words.next().unwrap());
        let pids = words.map(|pid| pid.parse().unwrap()).collect();
        Owner { process, pids, directory, _output: output }
    }

    pub fn tell(&mut self, way: &str) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{way}").unwrap();
    }

    pub fn signal_group(&self, signal: &str) {
        let group = format!("-{}", self.process.id());
        let kill = Command::new("kill").args(["-s", signal, "--", &group]).status().unwrap();
        assert!(kill.success());
    }
}

/// Called by the owner: what it owns.
pub fn announce(pids: &[u32], directory: &Path) {
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    println!("{MARK}{} {}", directory.display(), pids.join(" "));
    stdout().flush().unwrap();
}

/// Called by the owner: how it shall end.
pub fn told() -> String {
    let mut line = String::new();
    stdin().read_line(&mut line).unwrap();
    line.trim().to_owned()
}

/// A new empty directory.
pub fn private_dir() -> PathBuf {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let name =
        format!("stepmark-test-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    let path = env::temp_dir().join(name);
    fs::create_dir(&path).unwrap();
    path
}

pub fn runs(pid: u32) -> bool {
    !gone(pid)
}

/// A zombie is gone: nobody may be there to wait for it.
pub fn gone(pid: u32) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.rsplit(')').next().is_some_and(|rest| rest.trim().starts_with('Z')),
        Err(_) => true,
    }
}

/// All processes below `pid`.
pub fn descendants(pid: u32) -> Vec<u32> {
    let all: Vec<(u32, u32)> = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let parent = stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(all.iter().filter(|&&(_, of)| of == parent).map(|&(pid, _)| pid));
        next += 1;
    }
    found.remove(0);
    found
}

/// Looks until it is so; a minute is far more than anything here takes.
pub fn wait_until(mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < deadline, "not so within a minute");
        thread::sleep(Duration::from_millis(10));
    }
}
