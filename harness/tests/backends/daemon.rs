//! A Docker daemon to test with: the machine's own, or else a private one for this program.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

const LOCAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docker/local");
/// Says that Docker is not to be tested.
const SWITCH: &str = "STEPMARK_TEST_DOCKER";
pub const POSTGRES: &str = "stepmark-test/postgres";
pub const BASE: &str = "stepmark-test/base";
pub const RABBITMQ: &str = "stepmark-test/rabbitmq";

/// One for the whole program, which a private one ends with. One test at a time has it, so that
/// it can see what that test has left.
static DAEMON: LazyLock<Mutex<Daemon>> = LazyLock::new(|| Mutex::new(Daemon::find()));

pub struct Daemon {
    /// Its URL, for DOCKER_HOST; none for the machine's own.
    pub host: Option<String>,
    /// Ends with its standard input, which the end of this process closes.
    _private: Option<Child>,
}

/// The daemon with the test images, unless the user has said that there is none to test with.
pub fn get() -> Option<MutexGuard<'static, Daemon>> {
    if std::env::var(SWITCH).is_ok_and(|switch| switch == "off") {
        // Past the capture of a test's output: this is to be seen.
        let said = "NOT TESTED: the backend docker and the image, as STEPMARK_TEST_DOCKER is off";
        let mut uncaptured = std::io::stderr();
        writeln!(uncaptured, "{said}").unwrap();
        return None;
    }
    Some(DAEMON.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Daemon {
    fn find() -> Daemon {
        let own = Daemon { host: None, _private: None };
        let answers = own.docker().arg("version").output().is_ok_and(|out| out.status.success());
        let daemon = if answers { own } else { Daemon::start() };
        for (kind, image) in [("postgres", POSTGRES), ("rabbitmq", RABBITMQ)] {
            daemon.make_image(kind, image);
        }
        daemon
    }

    /// Starts a private one.
    pub fn start() -> Daemon {
        let mut script = Command::new("sh")
            .arg(Path::new(LOCAL).join("daemon.sh"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut host = String::new();
        BufReader::new(script.stdout.take().unwrap()).read_line(&mut host).unwrap();
        assert!(
            host.starts_with("unix://"),
            "no Docker daemon answers, and none can be started (see above); to go without, set \
             {SWITCH}=off"
        );
        Daemon { host: Some(host.trim_end().to_owned()), _private: Some(script) }
    }

    /// Ends a private one, and returns the folder that it had.
    pub fn end(self) -> PathBuf {
        let mut script = self._private.unwrap();
        drop(script.stdin.take());
        assert!(script.wait().unwrap().success());
        let socket = self.host.unwrap();
        Path::new(socket.strip_prefix("unix://").unwrap()).parent().unwrap().to_path_buf()
    }

    /// A client of it.
    pub fn docker(&self) -> Command {
        self.command("docker")
    }

    /// A program that is told of it and of the test images.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.envs(self.variables());
        command
    }

    /// What a program is told by.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let images = [("STEPMARK_POSTGRES_IMAGE", POSTGRES), ("STEPMARK_RABBITMQ_IMAGE", RABBITMQ)];
        let images = images.map(|(name, image)| (name, image.to_owned()));
        self.host.clone().map(|host| ("DOCKER_HOST", host)).into_iter().chain(images).collect()
    }

    /// What the client says, line by line.
    pub fn lines(&self, arguments: &[&str]) -> Vec<String> {
        let output = self.docker().args(arguments).output().unwrap();
        assert!(output.status.success(), "docker {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    /// The containers of this harness, and the volumes of all.
    pub fn containers_and_volumes(&self) -> [Vec<String>; 2] {
        let ours = ["ps", "-aq", "--filter", "label=stepmark.run"];
        [self.lines(&ours), self.lines(&["volume", "ls", "-q"])]
    }

    /// Makes a test image out of this machine's packages.
    pub fn make_image(&self, kind: &str, name: &str) {
        let script = Path::new(LOCAL).join("image.sh");
        let made = self.command("sh").arg(script).args([kind, name]).status().unwrap();
        assert!(made.success(), "the image {name} is not made");
    }
}
