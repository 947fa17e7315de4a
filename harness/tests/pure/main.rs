//! What decides, with values alone: no server, no clock.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod baseline;
mod calibration;
mod compare;
mod formats;
mod formula;
mod gates;
mod history;
mod house;
mod oracle;
mod played;
mod reports;
#[path = "../sample/mod.rs"]
mod sample;
mod scenarios;
mod tasks;
mod verdicts;
mod workload;
