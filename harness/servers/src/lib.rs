//! Private PostgreSQL and RabbitMQ servers as local processes: each with its own directory,
//! ports and password, under an unprivileged account when the owner is root, and gone when the
//! owner is, whatever it died of.
//!
//! ```no_run
//! use stepmark_servers::{Postgres, PostgresBinaries, PostgresOptions};
//!
//! let binaries = PostgresBinaries::find(None)?;
//! let postgres = Postgres::start(&binaries, PostgresOptions::default())?;
//! postgres.create_role_and_database("engine", "bench")?;
//! println!("{}", postgres.url("bench", "engine"));
//! # Ok::<(), stepmark_servers::ServerError>(())
//! ```
//!
//! # Layout
//! - [`Guardian`]: ends processes and removes directories once their owner is gone.
//! - [`Postgres`], [`RabbitMq`]: the servers, on top of it.
//! - [`PostgresBinaries`], [`RabbitMqBinaries`]: where the programs are; [`Survey`]: what a machine
//!   has and lacks, with the commands that help.
//! - [`postgres_settings`], [`RABBITMQ_SETTINGS`]: for servers that others start.
//!
//! All calls block; from async code call them on a thread for blocking work.

mod account;
mod directory;
mod error;
mod guardian;
mod home;
mod port;
mod postgres;
mod process;
mod rabbitmq;
mod secret;
mod survey;

pub use error::{Missing, ServerError};
pub use guardian::{Ending, Guardian};
pub use postgres::{
    Origin, Postgres, PostgresBinaries, PostgresOptions, cache_dir, postgres_settings,
};
pub use rabbitmq::{RABBITMQ_SETTINGS, RabbitMq, RabbitMqBinaries, RabbitMqOptions};
pub use survey::{Fact, Privilege, Survey};
