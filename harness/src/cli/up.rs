//! `stepmark up`.
use super::EnvironmentArgs;
use clap::Args;
#[derive(Debug, Args)]
pub(super) struct UpArgs {
    #[command(flatten)]
    environment: EnvironmentArgs,
}
pub(super) async fn run(args: UpArgs) -> u8 {
    let _ = args;
    0
}
