//! The orchestrator as a program.

use std::process::ExitCode;

use clap::Parser;
use stepmark_engine::config::OrchestratorConfig;
use stepmark_engine::{http, orchestrator, program};

fn main() -> ExitCode {
    // Before the other flags: the document needs none of them.
    if std::env::args().nth(1).as_deref() == Some("--openapi") {
        println!("{}", http::openapi());
        return ExitCode::SUCCESS;
    }
    let config = OrchestratorConfig::parse();
    let run = |shutdown| orchestrator::run(config.clone(), shutdown);
    ExitCode::from(program::run(&config.engine, 1, run))
}
