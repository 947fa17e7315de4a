//! Points at which a test can end the process, to see what is left behind.

use std::sync::LazyLock;

/// The environment variable that names the point.
pub const VARIABLE: &str = "STEPMARK_FAILPOINT";

static CHOSEN: LazyLock<Option<String>> = LazyLock::new(|| std::env::var(VARIABLE).ok());

/// Ends the process as a crash would when [`VARIABLE`] names this point; debug builds only.
pub fn failpoint(name: &str) {
    if cfg!(debug_assertions) && CHOSEN.as_deref() == Some(name) {
        std::process::abort();
    }
}
