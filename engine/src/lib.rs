//! A lean durable workflow engine on PostgreSQL, with PGMQ or RabbitMQ as its transport.
//!
//! An **orchestrator** takes tasks over HTTP, evaluates their dependency graphs and dispatches
//! steps; **workers**, which embed this crate, claim the steps, run their handlers and store the
//! outcomes. What decides lies in SQL functions (`migrations/`) that move any number of tasks or
//! steps in one statement, each change guarded by the state that it starts from and left in the
//! audit; what is here calls them, one lane a phase, and carries the messages in between.
//!
//! # Layout
//! The way of one step, top to bottom:
//! - [`http::tasks`] reads the request, [`orchestrator::create`] makes the task
//!   (`create_tasks`), and its roots' dispatch messages go out through [`messaging`];
//! - [`worker`] claims the step (`claim_steps`), runs the handler, stores the outcome
//!   (`complete_steps`) and sends the completion message;
//! - [`orchestrator`] processes it (`process_completions`): children are enqueued, or the task
//!   ends and who waits for it is told.
//!
//! Around it: [`config`], [`database`] (sessions, migrations), [`calls`] (what instances tell each
//! other), [`program`] (signals, exit codes), [`traces`] (OpenTelemetry).

pub mod calls;
pub mod config;
pub mod database;
pub mod failpoint;
pub mod http;
pub mod json;
pub mod messaging;
pub mod orchestrator;
pub mod program;
pub mod traces;
pub mod waiters;
pub mod worker;
