//! What a private broker is set to.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::ServerError;
use crate::port::Port;

/// The one that we need, with those that it and the broker need.
const PLUGINS: [&str; 4] = [
    "rabbitmq_management_agent-",
    "rabbitmq_prelaunch-",
    "rabbitmq_prometheus-",
    "rabbitmq_web_dispatch-",
];

/// What a broker for measurements is set to, wherever it runs: lines of rabbitmq.conf.
pub const RABBITMQ_SETTINGS: [&str; 2] =
    ["disk_free_limit.absolute = 50MB", "vm_memory_high_watermark.absolute = 1GB"];

/// How to start a [`super::RabbitMq`].
#[derive(Clone, Debug, Default)]
pub struct RabbitMqOptions {
    /// Further lines of rabbitmq.conf, such as `consumer_timeout = 60000`.
    pub settings: Vec<String>,
    /// Where the broker's directory is made; by default `STEPMARK_TMP`, else /tmp (or /var/tmp
    /// where /tmp is memory).
    pub base_dir: Option<PathBuf>,
}

/// The broker's ports, all on 127.0.0.1.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) amqp: Port,
    /// Of Erlang's own distribution.
    pub(super) distribution: Port,
    /// Of the daemon that tells Erlang nodes where to find each other.
    pub(super) epmd: Port,
    pub(super) prometheus: Port,
}

impl Ports {
    pub(super) fn reserve() -> Result<Ports, ServerError> {
        Ok(Ports {
            amqp: Port::reserve()?,
            distribution: Port::reserve()?,
            epmd: Port::reserve()?,
            prometheus: Port::reserve()?,
        })
    }
}

/// The text of rabbitmq.conf.
pub(super) fn config(
    options: &RabbitMqOptions,
    ports: &Ports,
    user: &str,
    password: &str,
) -> String {
    let mut lines = vec![
        format!("listeners.tcp.local = 127.0.0.1:{}", ports.amqp.number()),
        "prometheus.tcp.ip = 127.0.0.1".to_owned(),
        format!("prometheus.tcp.port = {}", ports.prometheus.number()),
        format!("default_user = {user}"),
        format!("default_pass = {password}"),
    ];
    lines.extend(RABBITMQ_SETTINGS.map(str::to_owned));
    lines.extend(options.settings.iter().cloned());
    lines.push(String::new());
    lines.join("\n")
}

/// Makes a home for RabbitMQ in `directory` with links to its own plugins, without those that are
/// of no use here. Erlang looks for each of some 1,500 modules in the folder of every plugin, one
/// after the other: with all of Debian's a start takes 4.9 s instead of 3.5.
pub(super) fn link_home(directory: &Path, server: &Path, plugins: &Path) -> io::Result<()> {
    let (scripts, links) = (directory.join("home/sbin"), directory.join("home/plugins"));
    fs::create_dir_all(&scripts)?;
    fs::create_dir_all(&links)?;
    let defaults = "rabbitmq-defaults";
    symlink(server.with_file_name(defaults), scripts.join(defaults))?;
    for entry in fs::read_dir(plugins)?.flatten() {
        let file_name = entry.file_name();
        let name = file_name.to_string_lossy();
        // What the broker itself is made of is not named like a plugin.
        if !name.starts_with("rabbitmq_") || PLUGINS.iter().any(|kept| name.starts_with(kept)) {
            symlink(entry.path(), links.join(&file_name))?;
        }
    }
    Ok(())
}

/// The broker's environment, over an empty one: nothing of the user's reaches it.
pub(super) fn environment(directory: &Path, ports: &Ports) -> Vec<(&'static str, OsString)> {
    let distribution = ports.distribution.number();
    let node = format!("stepmark{}@localhost", ports.amqp.number());
    // A node that has its name from the start spares RabbitMQ the start of a second Erlang, which
    // would only start an epmd. RabbitMQ's own defaults already keep idle schedulers from
    // spinning (+sbwt none).
    let erlang = format!(
        "-sname {node} -kernel inet_dist_use_interface {{127,0,0,1}} \
         inet_dist_listen_min {distribution} inet_dist_listen_max {distribution}"
    );
    let file = |name: &str| directory.join(name).into_os_string();
    vec![
        ("LC_ALL", "C.UTF-8".into()),
        // Where Erlang makes its cookie.
        ("HOME", file("")),
        ("ERL_EPMD_PORT", ports.epmd.number().to_string().into()),
        // Only ours: another one would be a daemon that nobody watches.
        ("ERL_FLAGS", "-start_epmd false".into()),
        // The script becomes the virtual machine instead of watching it.
        ("RUNNING_UNDER_SYSTEMD", "true".into()),
        ("RABBITMQ_NODENAME", node.into()),
        ("RABBITMQ_DIST_PORT", distribution.to_string().into()),
        ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", erlang.into()),
        ("RABBITMQ_SCRIPTS_DIR", file("home/sbin")),
        ("RABBITMQ_PLUGINS_DIR", file("home/plugins")),
        ("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf")),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", file("advanced.config")),
        ("RABBITMQ_CONF_ENV_FILE", file("none")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", file("enabled_plugins")),
        ("RABBITMQ_MNESIA_BASE", file("mnesia")),
        ("RABBITMQ_SCHEMA_DIR", file("schema")),
        ("RABBITMQ_GENERATED_CONFIG_DIR", file("config")),
        ("RABBITMQ_LOG_BASE", file("log")),
        ("RABBITMQ_LOGS", "-".into()),
        ("RABBITMQ_PID_FILE", file("pid")),
    ]
}
