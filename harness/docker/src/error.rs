//! What can go wrong, each with the thing by name and what to do about it.

use std::io;

/// Why there is no container.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// No daemon answers.
    #[error(
        "no Docker daemon answers at {host}: {reason}; start one, or have DOCKER_HOST name another"
    )]
    NoDaemon {
        /// Where it was looked for.
        host: String,
        /// The answer, or why there was none.
        reason: String,
    },
    /// The daemon is not on this machine.
    #[error(
        "the Docker daemon at {host} is on another machine, whose loopback ports cannot be reached \
         from here; have DOCKER_HOST name a local one"
    )]
    Remote {
        /// DOCKER_HOST.
        host: String,
    },
    /// The image is not there, and cannot be had.
    #[error(
        "the image {image} is not on this machine and cannot be pulled: {reason}; `docker pull \
         {image}` where its registry can be reached, or name an image that is here with {flag}"
    )]
    Image {
        /// The image.
        image: String,
        /// The flag that names another.
        flag: &'static str,
        /// What the daemon or the registry answered.
        reason: String,
    },
    /// The container could not be made or started.
    #[error("no container of the image {image} starts: {reason}")]
    Start {
        /// The image.
        image: String,
        /// What the daemon answered.
        reason: String,
    },
    /// The container's program ended, or never got ready.
    #[error("the container of the image {image} {what}; its log ends with:\n{last_lines}")]
    NotReady {
        /// The image.
        image: String,
        /// What happened.
        what: String,
        /// The end of its log.
        last_lines: String,
    },
    /// The process that removes the containers does not start.
    #[error("cannot start the process that removes the containers of a killed owner: {source}")]
    Reaper {
        /// The operating system's answer.
        source: io::Error,
    },
}
