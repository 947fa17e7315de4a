//! The program `stepmark`: see [`stepmark_harness::cli`].

fn main() -> std::process::ExitCode {
    stepmark_harness::cli::main()
}
