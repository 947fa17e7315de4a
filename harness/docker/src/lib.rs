//! Servers in containers of a Docker daemon on this machine: published on loopback ports only, and
//! gone when their owner is, whatever it died of.
//!
//! # Layout
//! - [`Daemon`]: the daemon that answers, and the images that it has.
//! - [`Containers`]: the containers of one run, each a [`Container`] made from a [`Server`].
//! - [`reap_if_asked`]: the process that removes them once the owner is gone; it is the owner's own
//!   program, started once more.

mod container;
mod daemon;
mod error;
mod reaper;

pub use container::{Container, Containers, Server};
pub use daemon::Daemon;
pub use error::DockerError;
pub use reaper::reap_if_asked;
