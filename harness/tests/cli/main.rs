//! The program `stepmark` as a process: exit codes, messages, and what it leaves behind.
//!
//! The servers are real. In the engine's place is, but for what says otherwise, a scripted cluster,
//! which can be told to do what the engine must not.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod authoring;
mod ends;
mod engine;
mod forms;
mod gate;
mod input;
mod instrument;
mod open_loop;
mod over_time;
mod program;
mod runs;
#[path = "../sample/mod.rs"]
mod sample;
mod scenario;
mod shapes;
mod statements;
mod task;
mod task_answers;
mod traces;
mod up;
mod watch;
mod workflow;
