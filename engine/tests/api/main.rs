//! The HTTP API as its clients see it, and the programs as those who run them do.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bad_input;
mod client;
mod crashes;
mod create;
mod in_memory;
#[path = "../support/kinds.rs"]
mod kinds;
mod limits;
mod outages;
mod program;
mod steps;
#[path = "../support/mod.rs"]
mod support;
mod wait;
