//! A private RabbitMQ server.

mod binaries;
mod settings;

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::account::Account;
use crate::home::Home;
use crate::process::ServerProcess;
use crate::{Ending, ServerError, secret};

pub use binaries::RabbitMqBinaries;
use settings::Ports;
pub use settings::{RABBITMQ_SETTINGS, RabbitMqOptions};

const SERVER: &str = "RabbitMQ";
const USER: &str = "stepmark";
/// 4 s on two idle cores; several starts and builds may share them.
const START_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(60);
const PORT_ATTEMPTS_MAX: u32 = 3;
/// A broker that takes a connection answers its header at once.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(1);

/// A private RabbitMQ broker. Dropping it ends the broker and removes its directory, as does the
/// end of this process by any cause.
///
/// It listens on 127.0.0.1, where its one user has a password (it is in the URL), and has an epmd
/// of its own. Its Prometheus plugin answers on [`RabbitMq::prometheus_url`].
#[derive(Debug)]
pub struct RabbitMq {
    binaries: RabbitMqBinaries,
    ports: Ports,
    password: String,
    epmd: Option<ServerProcess>,
    process: Option<ServerProcess>,
    home: Home,
}

impl RabbitMq {
    /// Starts a new, empty broker: about 4 s, most of it Erlang loading code.
    ///
    /// # Errors
    /// When the directory or the binaries cannot be used, or the broker does not start; the error
    /// has the end of its log.
    pub fn start(
        binaries: &RabbitMqBinaries,
        options: RabbitMqOptions,
    ) -> Result<RabbitMq, ServerError> {
        let begun = Instant::now();
        let account = Account::to_drop_to("rabbitmq")?;
        let home = Home::make(SERVER, account, options.base_dir.as_deref())?;
        settings::link_home(&home.directory, &binaries.server, &binaries.plugins)
            .map_err(|source| ServerError::Directory { path: home.directory.clone(), source })?;
        // The secret of Erlang's distribution, whose holder can run code in the broker. The one
        // that Erlang would make is drawn from the clock.
        let cookie = secret::password().map_err(|source| home.error(source))?;
        home.write(".erlang.cookie", &cookie)?;
        home.write("enabled_plugins", "[rabbitmq_prometheus].\n")?;
        let mut broker = RabbitMq {
            binaries: binaries.clone(),
            ports: Ports::reserve()?,
            password: secret::password().map_err(|source| home.error(source))?,
            epmd: None,
            process: None,
            home,
        };
        broker.start_on_free_ports(&options)?;
        tracing::info!(
            port = broker.ports.amqp.number(),
            pid = broker.pid(),
            version = %binaries.version,
            elapsed_ms = begun.elapsed().as_millis(),
            "RabbitMQ started"
        );
        Ok(broker)
    }

    /// `amqp://user:password@127.0.0.1:port/%2f`, of an administrator.
    pub fn amqp_url(&self) -> String {
        let port = self.ports.amqp.number();
        format!("amqp://{USER}:{}@{}:{port}/%2f", self.password, Ipv4Addr::LOCALHOST)
    }

    /// The broker's metrics in Prometheus text.
    ///
    /// `rabbitmq_global_messages_received_total` counts a publish as the broker takes it, and
    /// `rabbitmq_global_messages_delivered_total` (with `_consume_auto_ack_total` and its like)
    /// a delivery: counters that are read at the scrape, not sampled.
    pub fn prometheus_url(&self) -> String {
        format!("http://{}:{}/metrics", Ipv4Addr::LOCALHOST, self.ports.prometheus.number())
    }

    /// The port of AMQP; it stays the same for the broker's whole life.
    pub fn port(&self) -> u16 {
        self.ports.amqp.number()
    }

    /// The broker's process id, or `None` while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.child.id())
    }

    /// The broker's log, of all starts.
    pub fn log_path(&self) -> PathBuf {
        self.home.path("rabbitmq.log")
    }

    /// The binaries that it runs.
    pub fn binaries(&self) -> &RabbitMqBinaries {
        &self.binaries
    }

    /// Stops the broker in order; durable queues keep their persistent messages.
    ///
    /// # Errors
    /// When it does not stop within 60 s.
    pub fn stop(&mut self) -> Result<(), ServerError> {
        self.home.stop(&mut self.process, Signal::TERM, STOP_LIMIT)
    }

    /// Kills the broker as a crash would.
    ///
    /// # Errors
    /// When the process does not end.
    pub fn kill(&mut self) -> Result<(), ServerError> {
        self.home.stop(&mut self.process, Signal::KILL, STOP_LIMIT)
    }

    /// Starts it again after a stop, on the same ports and data.
    ///
    /// # Errors
    /// When it runs already, or does not start within 120 s.
    pub fn start_again(&mut self) -> Result<(), ServerError> {
        match self.process {
            None => self.launch(),
            Some(_) => Err(ServerError::State { server: SERVER, state: "running already" }),
        }
    }

    /// [`RabbitMq::stop`], then [`RabbitMq::start_again`].
    ///
    /// # Errors
    /// As these.
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.stop()?;
        self.start_again()
    }

    /// Another program may take a port between the look and the start: then other ones.
    fn start_on_free_ports(&mut self, options: &RabbitMqOptions) -> Result<(), ServerError> {
        let mut attempt = 1;
        loop {
            let config = settings::config(options, &self.ports, USER, &self.password);
            self.home.write("rabbitmq.conf", &config)?;
            match self.launch_epmd().and_then(|()| self.launch()) {
                Err(ServerError::Start { log, .. })
                    if attempt < PORT_ATTEMPTS_MAX && tells_of_a_taken_port(&log) =>
                {
                    tracing::info!("a port was taken: other ones");
                    attempt += 1;
                    self.ports = Ports::reserve()?;
                }
                outcome => return outcome,
            }
        }
    }

    /// In the foreground and watched: Erlang would start it as a daemon that outlives everything.
    fn launch_epmd(&mut self) -> Result<(), ServerError> {
        self.home.stop(&mut self.epmd, Signal::KILL, STOP_LIMIT)?;
        let port = self.ports.epmd.number();
        let mut command = self.command(&self.binaries.epmd)?;
        command.args(["-address", "127.0.0.1", "-port", &port.to_string()]);
        let mut epmd = self.home.spawn(command, self.home.path("epmd.log"))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        epmd.wait_until_ready(START_LIMIT, || TcpStream::connect(address).is_ok())?;
        self.epmd = Some(epmd);
        Ok(())
    }

    fn launch(&mut self) -> Result<(), ServerError> {
        let command = self.command(&self.binaries.server)?;
        let mut process = self.home.spawn(command, self.log_path())?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports.amqp.number()));
        if let Err(error) = process.wait_until_ready(START_LIMIT, || speaks_amqp(address)) {
            // Ended with the guardian if even that fails; the first error says more.
            let _ = process.stop(Signal::KILL, STOP_LIMIT);
            return Err(error);
        }
        self.process = Some(process);
        Ok(())
    }

    fn command(&self, program: &Path) -> Result<Command, ServerError> {
        let mut command = self.home.command(program, Ending::Kill)?;
        command.envs(settings::environment(&self.home.directory, &self.ports));
        Ok(command)
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        self.home.end(self.process.take().into_iter().chain(self.epmd.take()));
    }
}

/// Whether an AMQP 0-9-1 broker answers with the first frame of a connection (`Connection.Start`:
/// a method frame on channel 0). RabbitMQ opens its listener as the last thing of its start.
fn speaks_amqp(address: SocketAddr) -> bool {
    let handshake = || -> io::Result<[u8; 3]> {
        let mut stream = TcpStream::connect_timeout(&address, HANDSHAKE_LIMIT)?;
        stream.set_read_timeout(Some(HANDSHAKE_LIMIT))?;
        stream.write_all(b"AMQP\x00\x00\x09\x01")?;
        let mut start = [0; 3];
        stream.read_exact(&mut start)?;
        Ok(start)
    };
    handshake().is_ok_and(|start| start == [1, 0, 0])
}

fn tells_of_a_taken_port(log: &Path) -> bool {
    fs::read_to_string(log).is_ok_and(|text| text.contains("eaddrinuse") || text.contains("in use"))
}
