//! The scenarios' step handlers in Rust, as a worker program.

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod answers;
mod numbers;
mod own;

use std::process::ExitCode;

use stepmark_engine::worker::Worker;

fn main() -> ExitCode {
    own::register(numbers::register(Worker::new())).main()
}
