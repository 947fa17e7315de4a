//! What this machine has for private servers, what is missing, and how to get it.

use std::process::{Command, Stdio};

use crate::{PostgresBinaries, RabbitMqBinaries, ServerError};

/// How packages can be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// This process is root.
    Root,
    /// `sudo` works without a password.
    Sudo,
    /// Neither.
    None,
}

/// The answers of this machine.
#[derive(Debug)]
pub struct Survey {
    /// The PostgreSQL that would be used.
    pub postgres: Result<PostgresBinaries, ServerError>,
    /// All that are installed.
    pub postgres_installed: Vec<PostgresBinaries>,
    /// The RabbitMQ that would be used.
    pub rabbitmq: Result<RabbitMqBinaries, ServerError>,
    /// Whether packages can be installed by command.
    pub has_apt_get: bool,
    /// With what right.
    pub privilege: Privilege,
    /// Whether python3 with pip is there, which fetches embedded PostgreSQL.
    pub has_pip: bool,
}

/// One line of a survey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What it is about.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub good: bool,
    /// What was found.
    pub found: String,
    /// The exact command that helps, where one does.
    pub remedy: Option<String>,
}

impl Survey {
    /// Looks at the machine: about half a second, most of it Python's.
    pub fn take(explicit_postgres: Option<&std::path::Path>) -> Survey {
        Survey {
            postgres: PostgresBinaries::find(explicit_postgres),
            postgres_installed: PostgresBinaries::installed(),
            rabbitmq: RabbitMqBinaries::find(None),
            has_apt_get: succeeds("apt-get", &["--version"]),
            privilege: privilege(),
            has_pip: succeeds("python3", &["-m", "pip", "--version"]),
        }
    }

    /// The survey in lines for people.
    pub fn facts(&self) -> Vec<Fact> {
        let mut facts = vec![self.postgres_fact()];
        facts.extend(self.statements_fact());
        facts.push(self.rabbitmq_fact());
        facts.push(self.packages_fact());
        facts.push(fact("python3 with pip", self.has_pip, "fetches embedded PostgreSQL", || {
            self.apt_get("python3-pip")
        }));
        facts
    }

    fn postgres_fact(&self) -> Fact {
        let found = match &self.postgres {
            Ok(binaries) => {
                let PostgresBinaries { version, origin, directory, .. } = binaries;
                let others: Vec<String> = self
                    .postgres_installed
                    .iter()
                    .filter(|other| other.directory != *directory)
                    .map(|other| {
                        format!("; also {} in {}", other.version, other.directory.display())
                    })
                    .collect();
                let place = directory.display();
                format!("{version} in {place} ({origin:?}){}", others.concat())
            }
            Err(error) => error.to_string(),
        };
        fact("PostgreSQL", self.postgres.is_ok(), &found, || self.apt_get("postgresql"))
    }

    fn statements_fact(&self) -> Option<Fact> {
        let has = self.postgres.as_ref().ok()?.has_statement_statistics;
        let found = if has { "is there" } else { "is not there: SQL cannot be counted" };
        Some(fact("pg_stat_statements", has, found, || self.apt_get("postgresql")))
    }

    fn rabbitmq_fact(&self) -> Fact {
        let found = match &self.rabbitmq {
            Ok(binaries) => format!("{} in {}", binaries.version, binaries.server.display()),
            Err(error) => error.to_string(),
        };
        fact("RabbitMQ", self.rabbitmq.is_ok(), &found, || self.apt_get("rabbitmq-server"))
    }

    fn packages_fact(&self) -> Fact {
        let (good, found) = match (self.has_apt_get, self.privilege) {
            (false, _) => (false, "no apt-get: install PostgreSQL and RabbitMQ by other means"),
            (true, Privilege::Root) => (true, "apt-get, as root"),
            (true, Privilege::Sudo) => (true, "apt-get, through sudo"),
            (true, Privilege::None) => (false, "apt-get, but neither root nor sudo"),
        };
        Fact { name: "packages", good, found: found.to_owned(), remedy: None }
    }

    fn apt_get(&self, package: &str) -> String {
        let sudo = if self.privilege == Privilege::Root { "" } else { "sudo " };
        format!("{sudo}apt-get install -y --no-install-recommends {package}")
    }
}

fn fact(name: &'static str, good: bool, found: &str, remedy: impl FnOnce() -> String) -> Fact {
    let remedy = (!good).then(remedy);
    Fact { name, good, found: found.to_owned(), remedy }
}

fn privilege() -> Privilege {
    if rustix::process::geteuid().is_root() {
        Privilege::Root
    } else if succeeds("sudo", &["-n", "true"]) {
        Privilege::Sudo
    } else {
        Privilege::None
    }
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let silent = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    silent.is_ok_and(|status| status.success())
}
