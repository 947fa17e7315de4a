//! The scenarios' step handlers in Rust, as a worker program.

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod answers;
mod approval;
mod numbers;
mod own;
mod products;

use std::process::ExitCode;

use stepmark_engine::worker::Worker;

fn main() -> ExitCode {
    worker().main()
}

fn worker() -> Worker {
    let registers = [numbers::register, approval::register, products::register, own::register];
    registers.into_iter().fold(Worker::new(), |worker, register| register(worker))
}
