//! The engine's images, and the compose file that runs them: the ten instances.
//!
//! The images below them are made of Debian's packages of Ruby and Python. The library for Ruby
//! has to be built with that Ruby: with another minor version (on the PATH, or in STEPMARK_RUBY)
//! its worker does not start, and the test fails.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::daemon::{self, BASE, Daemon, POSTGRES, RABBITMQ};
use crate::docker::{STEPMARK, build_engine};
use crate::owner::wait_until;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const RUBY: &str = "stepmark-test/ruby";
const PYTHON: &str = "stepmark-test/python";
const LANGUAGES: [&str; 4] = ["rust", "ruby", "python", "typescript"];
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

    fn containers<const N: usize>(&self, service: &str) -> [String; N] {
        let ids = self.run(&["ps", "-q", service]);
        let ids: Vec<_> = ids.lines().map(str::to_owned).collect();
        ids.try_into().unwrap()
    }

    /// Runs the language's linear task, and looks at its result.
    fn completes(&self, language: &str, port: u16) {
        let mut start = Command::new(STEPMARK);
        start.args(["task", "start", &format!("{language}_e2e_linear/mathematical_sequence")]);
        start.args(["--context", r#"{"even_number": 6}"#, "--wait", "60", "--json"]);
        start.env("STEPMARK_TOKEN", TOKEN);
        start.env("STEPMARK_URL", format!("http://127.0.0.1:{port}"));
        let output = start.output().unwrap();
        assert!(output.status.success(), "{output:?}\n{}", self.run(&["logs", "--tail", "20"]));
        let task: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(task["state"], "Complete", "{task}");
        assert_eq!(task["steps"][3]["result"]["value"], "2821109907456", "{task}");
    }
}

impl Drop for Compose<'_> {
    fn drop(&mut self) {
        let down = self.command().args(["down", "--volumes", "--timeout", "5"]).output();
        assert!(std::thread::panicking() || down.unwrap().status.success());
    }
}

/// Builds the images, over bases that are made here.
fn build_images(daemon: &Daemon) {
    build_engine();
    for (kind, image) in [("base", BASE), ("ruby", RUBY), ("python", PYTHON)] {
        daemon.make_image(kind, image);
    }
    let built = Path::new(STEPMARK).parent().unwrap();
    let mut build = daemon.command("sh");
    build.arg(Path::new(ROOT).join("deploy/image.sh")).arg(built);
    build.envs([("BASE", BASE), ("RUBY_BASE", RUBY), ("PYTHON_BASE", PYTHON), ("TAG", "test")]);
    assert!(build.status().unwrap().success());
}

/// By the API of either orchestrator; with the token only.
#[test]
fn the_compose_file_runs_tasks_of_every_language_to_complete_in_containers() {
    let Some(daemon) = daemon::get() else { return };
    build_images(&daemon);
    let compose = Compose(&daemon);
    compose.run(&["up", "-d"]);
    for (language, port) in LANGUAGES.into_iter().zip(PORTS.into_iter().cycle()) {
        compose.completes(language, port);
    }
    assert!(request(PORTS[0], "GET /v1/tasks").starts_with("HTTP/1.0 401"));

    // As the broker says: quorum queues, and nobody runs as root.
    let [rabbitmq] = compose.containers("rabbitmq");
    let queues = ["exec", &rabbitmq, "rabbitmqctl", "-q", "list_queues", "name", "type"];
    let queues = daemon.lines(&queues);
    let ours: Vec<_> = queues.iter().filter(|line| line.starts_with("stepmark.")).collect();
    assert!(ours.len() > 1 && ours.iter().all(|line| line.ends_with("quorum")), "{queues:?}");
    let workers = LANGUAGES.map(|language| format!("worker-{language}"));
    for service in workers.iter().map(String::as_str).chain(["orchestrator"]) {
        let containers: [String; 2] = compose.containers(service);
        for container in containers {
            wait_until(|| healthy(&daemon, &container));
            let user = daemon.lines(&["exec", &container, "bash", "-c", "echo $UID"]);
            assert_eq!(user, ["65532"]);
        }
    }
    // As docs/running.md says, which is what max_connections is set by.
    let [postgres] = compose.containers("postgres");
    let most = "SELECT max(n) FROM (SELECT count(*) AS n FROM pg_stat_activity
        WHERE application_name LIKE 'stepmark %' GROUP BY application_name) AS instances";
    let psql = ["exec", &postgres, "psql", "-U", "stepmark", "-Atc", most];
    let most: u32 = daemon.lines(&psql)[0].parse().unwrap();
    assert!((1..=8).contains(&most), "{most} connections of an instance");

    for language in LANGUAGES {
        it_comes_back(&compose, language);
    }
    compose.run(&["stop"]);
    let ended = ["ps", "-a", "--filter", "name=worker-", "--format", "{{.Status}}"];
    let ended = daemon.lines(&ended);
    assert!(ended.len() == 2 * LANGUAGES.len());
    assert!(ended.iter().all(|status| status.starts_with("Exited (0)")), "{ended:?}");
}

/// A worker that is killed; alone, it does what there is to do.
fn it_comes_back(compose: &Compose, language: &str) {
    let [killed, other] = compose.containers(&format!("worker-{language}"));
    let daemon = compose.0;
    let pid = inspect(daemon, &killed, "{{.State.Pid}}");
    // From outside: `docker kill` counts as a stop that is to last.
    let kill = format!("kill -KILL {pid}");
    daemon.lines(&["run", "--rm", "--pid=host", BASE, "bash", "-c", &kill]);
    wait_until(|| inspect(daemon, &killed, "{{.RestartCount}}") == "1");
    daemon.lines(&["stop", &other]);
    compose.completes(language, PORTS[0]);
    wait_until(|| healthy(daemon, &killed));
}

fn inspect(daemon: &Daemon, container: &str, what: &str) -> String {
    daemon.lines(&["inspect", "-f", what, container]).remove(0)
}

fn healthy(daemon: &Daemon, container: &str) -> bool {
    inspect(daemon, container, "{{.State.Health.Status}}") == "healthy"
}

/// The answer to a request that carries no token.
fn request(port: u16, what: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "{what} HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
