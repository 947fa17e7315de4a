//! The benchmark: it drives the engine's binaries as a black box and says what they do.
//!
//! # Layout, in the order of a run
//! - [`scenario`]: what to run, and what the right answer is.
//! - [`environment`]: servers; [`binaries`], [`cluster`]: the engine's processes.
//! - [`client`], [`load`], [`arrivals`], [`recorder`]: tasks, and how long each took.
//! - [`floor`], [`accounting`], [`audit`]: what the machine costs, what a task costs, what is true.
//! - [`oracle`], [`budget`], [`statements`], [`statistics`], [`distribution`], [`breakdown`],
//!   [`ladder`], [`verdict`]: pure: from what was seen to what is said.
//! - [`traces`]: where a task's time goes by the engine's own word, on demand.
//! - [`plan`], [`measurement`]: all of these, for one run, and [`subject`], [`raw`], what is kept
//!   of it; [`suite`]: the runs of one report.
//! - [`report`]: what people and programs read; [`cli`]: the program `stepmark`.
//!
//! Of two revisions: [`checkout`], the base beside the head; [`gate`], whether it is slower. Pure.
//!
//! From one report to the next: [`compare`], [`baseline`], [`history`], which ask [`fingerprint`]
//! whether milliseconds can be compared, and draw their tables by [`grid`].
//!
//! Beside runs: [`selftest`], the instrument held against a system whose latencies are known;
//! [`task`], tasks as the API tells them and as people read them.
//! And [`authoring`]: new workflows.

pub mod accounting;
pub mod arrivals;
pub mod audit;
pub mod authoring;
pub mod baseline;
pub mod binaries;
pub mod breakdown;
pub mod broker;
pub mod budget;
pub mod checkout;
pub mod cli;
pub mod client;
pub mod cluster;
pub mod compare;
pub mod difference;
pub mod distribution;
pub mod environment;
pub mod fingerprint;
pub mod floor;
pub mod formula;
pub mod gate;
pub mod grid;
pub mod history;
pub mod ladder;
pub mod language;
pub mod load;
pub mod measurement;
pub mod oracle;
pub mod plan;
pub mod products;
pub mod progress;
pub mod raw;
pub mod recorder;
pub mod report;
pub mod scenario;
pub mod selftest;
pub mod statements;
pub mod statistics;
pub mod step_time;
pub mod subject;
pub mod suite;
pub mod task;
pub mod topology;
pub mod traces;
pub mod verdict;
pub mod work;
pub mod workload;
