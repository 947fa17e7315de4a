//! Workers in the test's own process.

use std::thread::JoinHandle;

use clap::Parser;
use stepmark_engine::config::WorkerConfig;
use stepmark_engine::worker::Worker;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::Database;

/// A worker's configuration: these flags, and the defaults.
pub fn worker_config(database: &Database, flags: &[&str]) -> WorkerConfig {
    let all = ["worker", "--database-url", &database.url];
    WorkerConfig::try_parse_from(all.iter().chain(flags)).unwrap()
}

/// A worker with a thread of its own. Dropping it ends it at once, as a crash would.
pub struct RunningWorker {
    shutdown: CancellationToken,
    crash: CancellationToken,
    drained: Option<oneshot::Receiver<()>>,
    thread: Option<JoinHandle<()>>,
}

impl RunningWorker {
    /// Starts it.
    pub fn start(worker: Worker, database: &Database, flags: &[&str]) -> Self {
        let (shutdown, crash) = (CancellationToken::new(), CancellationToken::new());
        let (sender, drained) = oneshot::channel();
        let (config, told) = (worker_config(database, flags), shutdown.clone());
        let crashed = crash.clone();
        let thread = std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(async {
                let running = worker.run(config, told);
                if let Some(ended) = crashed.run_until_cancelled(running).await {
                    ended.unwrap();
                    let _ = sender.send(()); // the test may not ask
                }
            });
        });
        Self { shutdown, crash, drained: Some(drained), thread: Some(thread) }
    }

    /// Tells it to drain, without waiting.
    pub fn tell(&self) {
        self.shutdown.cancel();
    }

    /// Tells it to drain, and waits until it has.
    pub async fn drain(mut self) {
        self.tell();
        let drained = self.drained.take().unwrap();
        drained.await.unwrap();
    }
}

impl Drop for RunningWorker {
    fn drop(&mut self) {
        self.crash.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // if it has panicked, it has said so
        }
    }
}
