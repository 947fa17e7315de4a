//! Handlers in other languages that misbehave, each in its worker's process, on a real engine: no
//! step is lost, none of the others suffers, and what went wrong is told.
#![allow(clippy::unwrap_used, clippy::panic)]

#[allow(dead_code, reason = "these tests use a part")]
#[path = "../api/client.rs"]
mod client;
#[path = "../semantics/cluster.rs"]
mod cluster;
mod deaths;
mod outcomes;
mod process;
#[path = "../support/mod.rs"]
mod support;

/// Makes each behaviour a test for every language.
macro_rules! in_every_language {
    ($($behaviour:ident),+ $(,)?) => {
        mod python { crate::in_language!(Python: $($behaviour),+); }
        mod ruby { crate::in_language!(Ruby: $($behaviour),+); }
        mod typescript { crate::in_language!(TypeScript: $($behaviour),+); }
    };
}
/// The tests of one language.
macro_rules! in_language {
    ($language:ident: $($behaviour:ident),+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $behaviour() {
            super::$behaviour(crate::process::Language::$language).await;
        })+
    };
}
pub(crate) use {in_every_language, in_language};
