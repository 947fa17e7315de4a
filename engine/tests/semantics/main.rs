//! What the engine promises of workflows, end to end: an orchestrator's process, workers, a broker.
#![allow(clippy::unwrap_used, clippy::panic)]

mod breaker;
mod bridge;
#[path = "../api/client.rs"]
mod client;
mod cluster;
mod crashes;
mod ends;
mod heartbeats;
mod namespaces;
mod pruning;
mod races;
mod reader;
mod requests;
mod shapes;
#[path = "../support/mod.rs"]
mod support;
mod time;
mod traces;
