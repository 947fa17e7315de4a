//! The transports: one set of assertions for both providers, then what only servers that stop can
//! show.
#![allow(clippy::unwrap_used, clippy::panic)]

mod conformance;
mod idle;
mod lane;
mod outages;
#[path = "../support/mod.rs"]
mod support;
mod transport;
