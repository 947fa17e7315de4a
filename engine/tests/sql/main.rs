//! The SQL of the engine on a real PostgreSQL: against the pure model, in races, and its cost.
#![allow(clippy::unwrap_used, clippy::panic)]

mod asynchronous;
mod convergence;
mod cost;
mod create;
mod deadlocks;
mod engine;
mod lifecycle;
mod model;
mod random;
mod readiness;
mod records;
mod schema;
#[path = "../../workflow/tests/shapes/mod.rs"]
mod shapes;
#[path = "../support/mod.rs"]
mod support;
