//! The engine's images, and the compose file that runs them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use crate::daemon::{self, BASE, Daemon, POSTGRES, RABBITMQ};
use crate::docker::{STEPMARK, build_engine};
use crate::owner::wait_until;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const PROJECT: &str = "stepmark-test";
const TOKEN: &str = "secret";
const PORTS: [u16; 2] = [21_808, 21_809];

/// The compose file's services, gone when dropped.
struct Compose<'a>(&'a Daemon);

impl Compose<'_> {
    fn command(&self) -> Command {
        let plugin = self.0.docker().args(["compose", "version"]).output();
        let mut compose = match plugin.is_ok_and(|output| output.status.success()) {
            true => self.0.docker(),
            false => self.0.command("docker-compose"),
        };
        if compose.get_program() == "docker" {
            compose.arg("compose");
        }
        let folder = Path::new(ROOT).join("deploy");
        compose.args(["--project-name", PROJECT, "--project-directory"]).arg(&folder);
        compose.arg("--file").arg(folder.join("compose.yaml"));
        compose.envs([("POSTGRES_IMAGE", POSTGRES), ("RABBITMQ_IMAGE", RABBITMQ), ("TAG", "test")]);
        compose.envs([("POSTGRES_PASSWORD", "p"), ("RABBITMQ_PASSWORD", "r")]);
        compose
            .env("STEPMARK_TOKEN", TOKEN)
            .env("PORTS", PORTS.map(|port| port.to_string()).join("-"));
        compose
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = self.command().args(arguments).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {said} {}",
            String::from_utf8_lossy(&output.stderr)
        );
        said
    }
}

impl Drop for Compose<'_> {
    fn drop(&mut self) {
        let down = self.command().args(["down", "--volumes", "--timeout", "5"]).output();
        assert!(std::thread::panicking() || down.unwrap().status.success());
    }
}

/// By the API of either orchestrator; with the token only.
#[test]
fn the_compose_file_runs_a_task_to_complete_in_containers() {
    let Some(daemon) = daemon::get() else { return };
    build_engine();
    daemon.make_image("base", BASE);
    let programs = Path::new(STEPMARK).parent().unwrap();
    let script = Path::new(ROOT).join("deploy/image.sh");
    let mut build = daemon.command("sh");
    build.arg(script).arg(programs).envs([("BASE", BASE), ("TAG", "test")]);
    assert!(build.status().unwrap().success());

    let compose = Compose(&daemon);
    compose.run(&["up", "-d"]);
    let task = |port: u16, arguments: &[&str]| {
        let mut task = Command::new(STEPMARK);
        task.arg("task").args(arguments).env("STEPMARK_TOKEN", TOKEN);
        let output = task.env("STEPMARK_URL", format!("http://127.0.0.1:{port}")).output();
        output.unwrap()
    };
    let linear = "rust_e2e_linear/mathematical_sequence";
    let start = ["start", linear, "--context", r#"{"even_number": 6}"#, "--wait", "60"];
    for port in PORTS {
        let output = task(port, &start);
        assert!(output.status.success(), "{output:?}\n{}", compose.run(&["logs", "--tail", "20"]));
    }
    assert!(request(PORTS[0], "GET /v1/tasks").starts_with("HTTP/1.0 401"));

    // As the broker says: quorum queues, and nobody runs as root.
    let rabbitmq = compose.run(&["ps", "-q", "rabbitmq"]);
    let queues = ["exec", rabbitmq.trim(), "rabbitmqctl", "-q", "list_queues", "name", "type"];
    let queues = daemon.lines(&queues);
    let ours: Vec<_> = queues.iter().filter(|line| line.starts_with("stepmark.")).collect();
    assert!(ours.len() > 1 && ours.iter().all(|line| line.ends_with("quorum")), "{queues:?}");
    for service in ["orchestrator", "worker-rust"] {
        let containers = compose.run(&["ps", "-q", service]);
        assert_eq!(containers.lines().count(), 2);
        for container in containers.lines() {
            let health = || daemon.lines(&["inspect", "-f", "{{.State.Health.Status}}", container]);
            wait_until(|| health() == ["healthy"]);
            let user = daemon.lines(&["exec", container, "bash", "-c", "echo $UID"]);
            assert_eq!(user, ["65532"]);
        }
    }
    // As docs/running.md says, which is what max_connections is set by.
    let postgres = compose.run(&["ps", "-q", "postgres"]);
    let most = "SELECT max(n) FROM (SELECT count(*) AS n FROM pg_stat_activity
        WHERE application_name LIKE 'stepmark %' GROUP BY application_name) AS instances";
    let psql = ["exec", postgres.trim(), "psql", "-U", "stepmark", "-Atc", most];
    let most: u32 = daemon.lines(&psql)[0].parse().unwrap();
    assert!((1..=8).contains(&most), "{most} connections of an instance");
    let stopped = compose.command().args(["stop", "orchestrator", "worker-rust"]).output().unwrap();
    assert!(stopped.status.success());
    let ended = ["ps", "-a", "--filter", "name=worker-rust", "--format", "{{.Status}}"];
    let ended = daemon.lines(&ended);
    assert!(ended.iter().all(|status| status.starts_with("Exited (0)")), "{ended:?}");
}

/// The answer to a request that carries no token.
fn request(port: u16, what: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "{what} HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
