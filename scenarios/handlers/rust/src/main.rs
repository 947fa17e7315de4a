//! The scenarios' step handlers in Rust, as a worker program.

mod approval;
mod numbers;
mod products;

use std::process::ExitCode;

use stepmark_engine::worker::Worker;

fn main() -> ExitCode {
    let registers = [numbers::register, approval::register, products::register];
    registers.into_iter().fold(Worker::new(), |worker, register| register(worker)).main()
}
