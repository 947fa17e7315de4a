//! The Docker daemon of this machine.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use testcontainers::GenericImage;
use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error;
use testcontainers::core::client::docker_client_instance;
use testcontainers::runners::AsyncRunner;
use tokio::time::timeout;

use crate::DockerError;

const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";
/// A daemon that runs answers within milliseconds.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// The daemon itself would wait longer for a registry that is out of reach, several times over.
const REGISTRY_LIMIT: Duration = Duration::from_secs(20);
const PULL_LIMIT: Duration = Duration::from_secs(15 * 60);
const NOT_FOUND: u16 = 404;
const SERVER_ERRORS: u16 = 500;

/// A Docker daemon on this machine that has answered.
#[derive(Debug)]
pub struct Daemon {
    pub(crate) client: Docker,
    version: String,
    root: Option<PathBuf>,
}

impl Daemon {
    /// Asks the daemon that `DOCKER_HOST` names, else the one at Docker's usual sockets.
    ///
    /// # Errors
    /// None answers within 5 s, or it is on another machine.
    pub async fn connect() -> Result<Daemon, DockerError> {
        let host = env::var("DOCKER_HOST").unwrap_or_else(|_| DEFAULT_HOST.to_owned());
        if is_remote(&host) {
            return Err(DockerError::Remote { host });
        }
        let asked = async {
            let client = docker_client_instance().await.map_err(|error| error.to_string())?;
            let info = client.info().await.map_err(|error| error.to_string())?;
            Ok((client, info))
        };
        let late = || Err(format!("not within {} s", ANSWER_LIMIT.as_secs()));
        let answer = timeout(ANSWER_LIMIT, asked).await.unwrap_or_else(|_| late());
        let (client, info) = answer.map_err(|reason| DockerError::NoDaemon { host, reason })?;
        let version = info.server_version.unwrap_or_else(|| "of unknown version".to_owned());
        let root = info.docker_root_dir.map(PathBuf::from).filter(|root| root.exists());
        Ok(Daemon { client, version, root })
    }

    /// The daemon's version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The folder with the data of all containers, where this machine has it.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// Whether the image is on this machine.
    ///
    /// # Errors
    /// What the daemon answers instead.
    pub async fn has(&self, image: &str) -> Result<bool, String> {
        match self.client.inspect_image(image).await {
            Ok(_) => Ok(true),
            Err(Error::DockerResponseServerError { status_code: NOT_FOUND, .. }) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Pulls the image, unless it is on this machine.
    ///
    /// # Errors
    /// It cannot be had; within half a minute when its registry cannot be reached.
    pub(crate) async fn pull_missing(
        &self,
        image: &str,
        flag: &'static str,
    ) -> Result<(), DockerError> {
        let failed = |reason| DockerError::Image { image: image.to_owned(), flag, reason };
        if self.has(image).await.map_err(failed)? {
            return Ok(());
        }
        tracing::warn!(image, "is not on this machine: pulling it");
        // Only for whether the registry answers: what it refuses may be open to the user's login,
        // which the pull takes along. (Podman does not know the question.)
        let asked = self.client.inspect_registry_image(image, None);
        let limit = REGISTRY_LIMIT.as_secs();
        match timeout(REGISTRY_LIMIT, asked).await {
            Err(_) => return Err(failed(format!("its registry does not answer within {limit} s"))),
            Ok(Err(Error::DockerResponseServerError { status_code, message }))
                if status_code >= SERVER_ERRORS =>
            {
                return Err(failed(message));
            }
            Ok(_) => {}
        }
        match timeout(PULL_LIMIT, generic(image).pull_image()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!("not within {} minutes", PULL_LIMIT.as_secs() / 60))),
        }
    }
}

/// The image by its name, as testcontainers takes it.
pub(crate) fn generic(image: &str) -> GenericImage {
    // A colon before a slash is the port of a registry.
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => GenericImage::new(name, tag),
        _ => GenericImage::new(image, "latest"),
    }
}

/// Whether the daemon at this URL is on another machine.
fn is_remote(host: &str) -> bool {
    let Some((scheme, rest)) = host.split_once("://") else {
        return false;
    };
    let address = rest.split('/').next().unwrap_or_default();
    let name = address.rsplit_once(':').map_or(address, |(name, _)| name);
    scheme != "unix" && !["localhost", "127.0.0.1", "[::1]"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use testcontainers::Image;

    #[test]
    fn an_images_name_is_taken_as_docker_does() {
        let parts = |image| {
            let generic = generic(image);
            (generic.name().to_owned(), generic.tag().to_owned())
        };
        let both = |name: &str, tag: &str| (name.to_owned(), tag.to_owned());
        assert_eq!(parts("postgres:15"), both("postgres", "15"));
        assert_eq!(parts("postgres"), both("postgres", "latest"));
        assert_eq!(parts("host:5000/a/b"), both("host:5000/a/b", "latest"));
        assert_eq!(parts("host:5000/a/b:1"), both("host:5000/a/b", "1"));
    }

    #[test]
    fn a_daemon_is_remote_unless_its_address_is_this_machines() {
        for local in ["unix:///var/run/docker.sock", "tcp://127.0.0.1:2375", "tcp://localhost:1"] {
            assert!(!is_remote(local), "{local}");
        }
        for remote in ["tcp://10.0.0.7:2375", "ssh://host", "https://docker.example:2376"] {
            assert!(is_remote(remote), "{remote}");
        }
    }
}
