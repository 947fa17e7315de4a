//! The benchmark: it drives the engine's binaries as a black box and says what they do.
//!
//! # Layout, in the order of a run
//! - [`scenario`]: what to run, and what the right answer is.
//! - [`environment`]: servers; [`binaries`], [`cluster`]: the engine's processes.
//! - [`client`], [`load`], [`recorder`]: tasks, and how long each took.
//! - [`floor`], [`accounting`], [`audit`]: what the machine costs, what a task costs, what is true.
//! - [`oracle`], [`budget`], [`verdict`]: pure: from what was seen to what is said.
//! - [`measurement`]: all of these, for one run; [`suite`]: the runs of one report.
//! - [`report`]: what people and programs read; [`cli`]: the program `stepmark`.
//!
//! Beside runs: [`task`], tasks as the API tells them and as people read them.
//! And [`authoring`]: new workflows.

pub mod accounting;
pub mod audit;
pub mod authoring;
pub mod binaries;
pub mod broker;
pub mod budget;
pub mod cli;
pub mod client;
pub mod cluster;
pub mod difference;
pub mod environment;
pub mod floor;
pub mod formula;
pub mod language;
pub mod load;
pub mod measurement;
pub mod oracle;
pub mod products;
pub mod progress;
pub mod recorder;
pub mod report;
pub mod scenario;
pub mod step_time;
pub mod suite;
pub mod task;
pub mod topology;
pub mod verdict;
pub mod work;
pub mod workload;
