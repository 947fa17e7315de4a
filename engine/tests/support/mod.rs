//! Private servers, fresh databases, orchestrators as processes, workers in this one, and waiting
//! for what must come about.
#![allow(dead_code, unused_imports, reason = "each test program uses a part")]

mod audit;
mod broker;
mod crash;
mod database;
mod history;
mod orchestrator;
mod worker;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use stepmark_servers::Guardian;

pub use audit::audit_is_sound;
pub use broker::{own_broker, rabbitmq};
pub use crash::UnflushedLog;
pub use database::{Database, execute, number, own_postgres, postgres};
pub use history::write_history;
pub use orchestrator::{Orchestrator, Program, signal};
pub use worker::{RunningWorker, worker_config};

/// Far more than anything here takes: what isn't so by then never will be.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks again and again until there is something to see; fails when there is nothing.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(Duration::from_millis(20));
    }
}

/// Seeds for random tests, new ones at each run. The first is told, and can be given again as
/// `SEED`, when a test fails.
pub fn seeds(count: u64) -> impl Iterator<Item = u64> {
    let given = std::env::var("SEED").ok();
    let first: u64 = given.map_or_else(rand::random, |seed| seed.parse().unwrap());
    println!("SEED={first}");
    (0..count).map(move |nr| first.wrapping_add(nr))
}

/// A folder of templates, gone with this process.
pub fn template_folder(templates: &[&str]) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(unique("templates"));
    std::fs::create_dir_all(&folder).unwrap();
    guardian().watch_dir(&folder).unwrap();
    for (nr, text) in templates.iter().enumerate() {
        std::fs::write(folder.join(format!("{nr}.yaml")), text).unwrap();
    }
    folder
}

/// A template whose steps are given as (name, names of its parents); handlers are named as steps.
pub fn template(namespace: &str, name: &str, steps: &[(&str, &[&str])]) -> String {
    let mut text = format!("namespace: {namespace}\nname: {name}\nsteps:\n");
    for (step, parents) in steps {
        let parents = parents.join(", ");
        writeln!(text, "  - {{name: {step}, handler: {step}, depends_on: [{parents}]}}").unwrap();
    }
    text
}

/// A name that nothing else of this machine's tests has.
pub fn unique(what: &str) -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let nr = MADE.fetch_add(1, Ordering::Relaxed);
    format!("{what}_{}_{nr}", std::process::id())
}

/// Ends what the tests start, when this process ends.
pub fn guardian() -> &'static Guardian {
    static GUARDIAN: OnceLock<Guardian> = OnceLock::new();
    GUARDIAN.get_or_init(|| Guardian::start().unwrap())
}
