//! `stepmark doctor`.
use super::EnvironmentArgs;
pub(super) async fn run(args: &EnvironmentArgs) -> u8 {
    let _ = args;
    0
}
