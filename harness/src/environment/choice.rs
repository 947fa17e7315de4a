//! Which backend it is, and why.

use std::path::{Path, PathBuf};

use stepmark_docker::Daemon;
use stepmark_servers::{PostgresBinaries, ServerError};

use super::{Backend, Docker, EnvironmentError, External, Images, Process};

/// What the user tells of servers: those that are there already, and where others come from.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// `--database-url`: a superuser of PostgreSQL.
    pub database_url: Option<String>,
    /// `--rabbitmq-url`.
    pub rabbitmq_url: Option<String>,
    /// `--rabbitmq-prometheus-url`.
    pub prometheus_url: Option<String>,
    /// `--pg-bin`: the folder with PostgreSQL's binaries.
    pub postgres_binaries: Option<PathBuf>,
    /// `--postgres-image` and `--rabbitmq-image`.
    pub images: Images,
}

impl Told {
    /// What the environment tells, under the names that `stepmark --help` gives.
    pub fn from_environment() -> Told {
        let told = |name| std::env::var(name).ok();
        let Images { postgres_image, rabbitmq_image } = Images::default();
        Told {
            database_url: told("STEPMARK_EXTERNAL_DATABASE_URL"),
            rabbitmq_url: told("STEPMARK_EXTERNAL_RABBITMQ_URL"),
            prometheus_url: told("STEPMARK_EXTERNAL_RABBITMQ_PROMETHEUS_URL"),
            postgres_binaries: told("STEPMARK_PG_BIN").map(PathBuf::from),
            images: Images {
                postgres_image: told("STEPMARK_POSTGRES_IMAGE").unwrap_or(postgres_image),
                rabbitmq_image: told("STEPMARK_RABBITMQ_IMAGE").unwrap_or(rabbitmq_image),
            },
        }
    }
}

/// A backend, and why it is the one.
pub struct Choice {
    /// The backend.
    pub backend: Box<dyn Backend>,
    /// Why it was taken, for people.
    pub why: String,
}

/// A backend by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum BackendName {
    /// The first that works: external with a URL, process with binaries, docker with a daemon.
    Auto,
    /// Private servers from binaries of this machine.
    Process,
    /// Private servers in containers of this machine's Docker daemon.
    Docker,
    /// Servers that run already, by URL.
    External,
}

/// Takes the backend asked for, or the first that can work.
///
/// # Errors
/// None can: the error says what each lacks.
pub async fn choose(name: BackendName, told: Told) -> Result<Choice, EnvironmentError> {
    let (name, why) = match name {
        BackendName::Process => (name, "asked for with --backend process".to_owned()),
        BackendName::Docker => (name, "asked for with --backend docker".to_owned()),
        BackendName::External => (name, "asked for with --backend external".to_owned()),
        BackendName::Auto => first_that_works(&told).await?,
    };
    let backend: Box<dyn Backend> = match name {
        BackendName::Docker => {
            let program = std::env::current_exe().map_err(EnvironmentError::OwnPath)?;
            Box::new(Docker::new(told.images, program))
        }
        BackendName::External => Box::new(External::new(told)),
        BackendName::Auto | BackendName::Process => Box::new(Process::new(told.postgres_binaries)),
    };
    Ok(Choice { backend, why })
}

async fn first_that_works(told: &Told) -> Result<(BackendName, String), EnvironmentError> {
    if told.database_url.is_some() {
        return Ok((BackendName::External, "--database-url names a server".to_owned()));
    }
    let process = match find_binaries(told.postgres_binaries.as_deref()).await {
        Ok(binaries) => {
            let (version, place) = (binaries.version, binaries.directory.display());
            let why =
                format!("no --database-url was given, and PostgreSQL {version} is in {place}");
            return Ok((BackendName::Process, why));
        }
        Err(error @ ServerError::Missing(_)) => Box::new(error),
        // Binaries that are there, or told, and do not work are not replaced in silence.
        Err(error) => return Err(error.into()),
    };
    match Daemon::connect().await {
        Ok(daemon) => {
            let why = format!(
                "no --database-url was given, there are no binaries of PostgreSQL, and Docker {} \
                 answers",
                daemon.version()
            );
            Ok((BackendName::Docker, why))
        }
        Err(error) => Err(EnvironmentError::Nothing { process, docker: Box::new(error) }),
    }
}

/// On a thread for blocking work: the program is asked for its version.
async fn find_binaries(explicit: Option<&Path>) -> Result<PostgresBinaries, ServerError> {
    let explicit = explicit.map(Path::to_path_buf);
    super::process::blocking(move || PostgresBinaries::find(explicit.as_deref())).await
}
