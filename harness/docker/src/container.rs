//! The containers of one run.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use testcontainers::bollard::Docker;
use testcontainers::bollard::models::{HostConfig, PortBinding};
use testcontainers::bollard::query_parameters::{InspectContainerOptions, LogsOptionsBuilder};
use testcontainers::core::IntoContainerPort;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerRequest, GenericImage, ImageExt};
use uuid::Uuid;

use crate::daemon::generic;
use crate::reaper::Reaper;
use crate::{Daemon, DockerError};

/// Each container has this label, with the run's id.
pub(crate) const RUN_LABEL: &str = "stepmark.run";
const LOOPBACK: &str = "127.0.0.1";
const START_LIMIT: Duration = Duration::from_secs(25);
/// Many daemons allow a thousand million, for which Erlang takes memory in advance.
const OPEN_FILES_MAX: i64 = 16_384;
const LOG_LINES: &str = "20";

/// What a container is made from.
#[derive(Debug, Clone, Default)]
pub struct Server {
    /// The server's short name, which becomes part of the container's.
    pub name: &'static str,
    /// The image. It is pulled when it is not on this machine, and only then.
    pub image: String,
    /// The flag that names another image, for messages.
    pub image_flag: &'static str,
    /// The ports that are published, each on a free port of 127.0.0.1.
    pub ports: Vec<u16>,
    /// The environment.
    pub environment: Vec<(&'static str, String)>,
    /// The command with its arguments; the image's own when empty.
    pub command: Vec<String>,
    /// Files that are there when it starts: path and content.
    pub files: Vec<(&'static str, String)>,
    /// The size of /dev/shm in bytes; Docker's own when 0.
    pub shared_memory_bytes: u64,
}

/// The containers of one owner. Dropping it removes them with their data and waits until they are
/// gone, as does the end of this process by any cause.
#[derive(Debug)]
pub struct Containers {
    daemon: Daemon,
    run: String,
    reaper: Reaper,
}

impl Containers {
    /// Asks the daemon, and starts the process that removes the containers: `program`, which has
    /// to call [`crate::reap_if_asked`] before all else.
    ///
    /// # Errors
    /// No daemon answers, or the process does not start.
    pub async fn begin(program: &Path) -> Result<Containers, DockerError> {
        let daemon = Daemon::connect().await?;
        let run = Uuid::new_v4().simple().to_string();
        let reaper =
            Reaper::start(program, &run).map_err(|source| DockerError::Reaper { source })?;
        Ok(Containers { daemon, run, reaper })
    }

    /// The daemon.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// Starts a container, pulling its image when that is missing. Whether the server in it is
    /// ready is for the caller to see.
    ///
    /// # Errors
    /// There is no image, or no container comes of it.
    pub async fn start(&mut self, server: Server) -> Result<Container, DockerError> {
        let image = server.image.clone();
        self.daemon.pull_missing(&image, server.image_flag).await?;
        let failed = |reason| DockerError::Start { image: image.clone(), reason };
        let ports = server.ports.clone();
        let name = format!("stepmark-{}-{}", server.name, &self.run[..12]);
        let request = request(server).with_label(RUN_LABEL, &self.run).with_container_name(name);
        self.reaper.starting();
        let started = request.start().await.map_err(|error| failed(error.to_string()))?;
        self.reaper.started();
        let id = started.id().to_owned();
        // Its destructor would be a second way to end, and needs a runtime.
        std::mem::forget(started);
        let client = self.daemon.client.clone();
        let inspected = client.inspect_container(&id, None::<InspectContainerOptions>).await;
        let inspected = inspected.map_err(|error| failed(error.to_string()))?;
        let pid = inspected.state.and_then(|state| u32::try_from(state.pid?).ok());
        let pid = pid.filter(|pid| is_of(*pid, &id));
        let published = inspected.network_settings.and_then(|network| network.ports);
        let published = published.unwrap_or_default();
        let number = |port: u16| {
            let bindings = published.get(&format!("{port}/tcp"))?.as_ref()?;
            let number = bindings.first()?.host_port.as_ref()?.parse().ok()?;
            Some((port, number))
        };
        let numbers: HashMap<u16, u16> = ports.iter().filter_map(|port| number(*port)).collect();
        let container = Container { id, image: image.clone(), pid, ports: numbers, client };
        match ports.iter().find(|port| !container.ports.contains_key(port)) {
            None => Ok(container),
            Some(port) => {
                container.check().await?; // one that has ended has no ports any more
                Err(container.not_ready(&format!("has not published its port {port}")).await)
            }
        }
    }
}

/// A container that was started. It lives as long as its [`Containers`].
#[derive(Debug)]
pub struct Container {
    id: String,
    image: String,
    pid: Option<u32>,
    ports: HashMap<u16, u16>,
    client: Docker,
}

impl Container {
    /// The container's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The port of 127.0.0.1 at which the container's port is published.
    ///
    /// # Panics
    /// It is none of [`Server::ports`].
    pub fn port(&self, port: u16) -> u16 {
        self.ports[&port]
    }

    /// The process id of the container's program, where it is a process that this one can see.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// It does not; the error has the end of its log.
    pub async fn check(&self) -> Result<(), DockerError> {
        let inspected =
            self.client.inspect_container(&self.id, None::<InspectContainerOptions>).await;
        let state = match inspected {
            Ok(inspected) => inspected.state.unwrap_or_default(),
            Err(error) => return Err(self.not_ready(&format!("is gone: {error}")).await),
        };
        if state.running == Some(true) {
            return Ok(());
        }
        let code = state.exit_code.unwrap_or_default();
        Err(self.not_ready(&format!("ended with exit code {code}")).await)
    }

    /// The error that says so, with the end of the container's log.
    pub async fn not_ready(&self, what: &str) -> DockerError {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(LOG_LINES).build();
        let mut log = self.client.logs(&self.id, Some(options));
        let mut last_lines = String::new();
        while let Some(Ok(line)) = log.next().await {
            last_lines.push_str(&line.to_string());
        }
        DockerError::NotReady { image: self.image.clone(), what: what.to_owned(), last_lines }
    }
}

fn request(server: Server) -> ContainerRequest<GenericImage> {
    let ports = server.ports;
    let image = ports
        .iter()
        .fold(generic(&server.image), |image, port| image.with_exposed_port(port.tcp()));
    let mut request = image
        .with_startup_timeout(START_LIMIT)
        .with_ulimit("nofile", OPEN_FILES_MAX, Some(OPEN_FILES_MAX))
        .with_cmd(server.command)
        .with_host_config_modifier(move |host| publish_on_loopback(host, &ports));
    for (name, value) in server.environment {
        request = request.with_env_var(name, value);
    }
    for (path, content) in server.files {
        request = request.with_copy_to(path, content.into_bytes());
    }
    if server.shared_memory_bytes > 0 {
        request = request.with_shm_size(server.shared_memory_bytes);
    }
    request
}

/// The daemon chooses the ports, and holds them.
fn publish_on_loopback(host: &mut HostConfig, ports: &[u16]) {
    let binding = || PortBinding { host_ip: Some(LOOPBACK.to_owned()), host_port: None };
    let bindings = ports.iter().map(|port| (format!("{port}/tcp"), Some(vec![binding()])));
    host.port_bindings = Some(bindings.collect());
    host.publish_all_ports = Some(false);
}

/// Whether the process is the container's: the daemon may count in a process namespace of its own,
/// in a virtual machine for one. A container's control group has its id in its name.
fn is_of(pid: u32, id: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|groups| groups.contains(id))
}
