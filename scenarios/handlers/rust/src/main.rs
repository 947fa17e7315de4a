//! The scenarios' step handlers in Rust, as a worker program.

mod numbers;

use std::process::ExitCode;

use stepmark_engine::worker::Worker;

fn main() -> ExitCode {
    numbers::register(Worker::new()).main()
}
