//! The backend `docker`, on a real daemon.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::daemon::{self, Daemon};
use crate::owner::{Owner, gone, wait_until};

pub const STEPMARK: &str = env!("CARGO_BIN_EXE_stepmark");

/// The engine of this tree and its languages' libraries, beside the program under test: cargo
/// builds nothing of another package for a test.
pub fn build_engine() {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "-q", "--workspace", "--lib", "--bins"]);
        assert!(cargo.status().unwrap().success());
    });
}

/// `stepmark up` of this daemon.
fn up(daemon: &Daemon) -> Command {
    build_engine();
    let mut up = daemon.command(STEPMARK);
    up.args(["up", "--backend=docker", "--logs", concat!(env!("CARGO_TARGET_TMPDIR"), "/up")]);
    up.env("STEPMARK_BIN_DIR", Path::new(STEPMARK).parent().unwrap());
    up.env("STEPMARK_ROOT", concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    up
}

#[test]
fn servers_of_docker_pass_and_are_gone_when_dropped() {
    let Some(daemon) = daemon::get() else { return };
    let [_, before] = daemon.containers_and_volumes();
    let owner = Owner::start("docker", &daemon.variables());
    let [containers, volumes] = daemon.containers_and_volumes();
    assert_eq!((containers.len(), volumes.len()), (2, before.len() + 2));
    for container in &containers {
        let published = daemon.lines(&["port", container]);
        let is_loopback = |line: &String| line.contains("-> 127.0.0.1:");
        assert!(!published.is_empty() && published.iter().all(is_loopback), "{published:?}");
    }
    let owned = owner.return_now();
    assert_eq!(owned.pids.len(), 2, "their CPU time can be accounted");
    assert!(owned.pids.iter().all(|&pid| gone(pid)));
    assert_eq!(daemon.containers_and_volumes(), [Vec::new(), before]);
}

#[test]
fn servers_of_docker_are_gone_after_a_kill() {
    let Some(daemon) = daemon::get() else { return };
    let [_, before] = daemon.containers_and_volumes();
    Owner::start("docker", &daemon.variables()).kill();
    let nothing_new = [Vec::new(), before];
    wait_until(|| daemon.containers_and_volumes() == nothing_new);
}

/// Also while the daemon is at work on it.
#[test]
fn no_container_outlives_a_start_that_is_interrupted_or_killed() {
    let Some(daemon) = daemon::get() else { return };
    let [_, before] = daemon.containers_and_volumes();
    let nothing_new = [Vec::new(), before];
    let ends = [(Signal::INT, 2, Some(0)), (Signal::KILL, 1, None), (Signal::KILL, 2, None)];
    for (signal, containers, code) in ends {
        let mut up = up(&daemon).arg("--broker=rabbitmq").stdout(Stdio::null()).spawn().unwrap();
        wait_until(|| daemon.containers_and_volumes()[0].len() >= containers);
        kill_process(Pid::from_child(&up), signal).unwrap();
        assert_eq!(up.wait().unwrap().code(), code);
        wait_until(|| daemon.containers_and_volumes() == nothing_new);
    }
}

/// By a registry that does not exist, and by one that takes connections and says nothing.
#[test]
fn an_image_that_cannot_be_had_is_named_within_half_a_minute() {
    let Some(daemon) = daemon::get() else { return };
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    let ups = [("registry.invalid", up(&daemon)), (&silent, up(&daemon))];
    drop(daemon); // no container comes of it that others could see
    for (registry, mut up) in ups {
        let image = format!("{registry}/stepmark/nothing:1");
        let begun = Instant::now();
        let output = up.args(["--postgres-image", &image]).output().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(30));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains(&image) && said.contains("--postgres-image"), "{said}");
    }
}

#[test]
fn an_image_that_holds_no_server_is_named_and_leaves_nothing() {
    let Some(daemon) = daemon::get() else { return };
    daemon.make_image("base", daemon::BASE);
    let says = [("postgres", "no container of the image"), ("rabbitmq", "ended with exit code 0")];
    for (server, says) in says {
        let mut up = up(&daemon);
        up.args(["--broker=rabbitmq", &format!("--{server}-image={}", daemon::BASE)]);
        let output = up.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains(says) && said.contains(daemon::BASE), "{said}");
        assert!(daemon.containers_and_volumes()[0].is_empty());
    }
}

#[test]
fn a_private_daemon_leaves_nothing() {
    if daemon::get().is_none() {
        return;
    }
    let daemon = Daemon::start();
    let root = daemon.lines(&["info", "--format", "{{.DockerRootDir}}"]).remove(0);
    assert!(fs::exists(&root).unwrap());
    let folder = daemon.end();
    assert!(!folder.exists());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(&folder.display().to_string()));
}

#[test]
fn a_machine_without_a_daemon_is_told_so() {
    let mut doctor = Command::new(STEPMARK);
    doctor.args(["doctor", "--backend=docker"]).env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let output = doctor.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("no Docker daemon answers at unix:///nowhere/docker.sock"), "{said}");
}

/// `stepmark doctor` where no binaries of PostgreSQL are to be seen.
fn doctor_without_binaries(daemon: &Daemon) -> Command {
    let hide = "mount -t tmpfs none /usr/lib/postgresql && exec \"$@\"";
    let mut doctor = daemon.command("unshare");
    doctor.args(["--map-root-user", "--mount", "sh", "-c", hide, "sh", STEPMARK, "doctor"]);
    doctor.env("STEPMARK_CACHE", "/nowhere").env_remove("STEPMARK_PG_BIN");
    doctor.env_remove("STEPMARK_EXTERNAL_DATABASE_URL");
    doctor
}

#[test]
fn auto_takes_docker_where_there_are_no_binaries() {
    let Some(daemon) = daemon::get() else { return };
    let output = doctor_without_binaries(&daemon).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("With --backend auto it is docker: no --database-url"), "{said}");
    assert!(said.contains(&format!("{} is here", daemon::POSTGRES)), "{said}");
}

#[test]
fn auto_says_what_each_backend_lacks_when_none_works() {
    let Some(daemon) = daemon::get() else { return };
    let mut doctor = doctor_without_binaries(&daemon);
    let output = doctor.env("DOCKER_HOST", "unix:///nowhere/docker.sock").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    for lacks in ["process   PostgreSQL not found", "docker    no Docker daemon", "--database-url"]
    {
        assert!(said.contains(lacks), "{said}");
    }
}
