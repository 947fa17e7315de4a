//! Worker programs in other languages, started again whenever they end, as a supervisor does.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::thread::JoinHandle;

use serde_json::Value;
use stepmark_engine::config::Broker;
use stepmark_servers::{Ending, cache_dir};

use crate::cluster::Cluster;
use crate::support::{eventually, guardian, signal, unique};

/// The languages that there are bindings for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Python,
    Ruby,
    TypeScript,
}

impl Language {
    pub fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Ruby => "ruby",
            Self::TypeScript => "typescript",
        }
    }

    /// The namespace of the handlers that misbehave.
    pub fn namespace(self) -> String {
        format!("faults_{}", self.name())
    }

    /// The class of the error that the handler `raise` raises.
    pub fn exception(self) -> &'static str {
        match self {
            Self::Python => "ValueError",
            Self::Ruby => "ArgumentError",
            Self::TypeScript => "RangeError",
        }
    }

    fn interpreter(self) -> PathBuf {
        let (variable, program) = match self {
            Self::Python => ("STEPMARK_PYTHON", "python3"),
            Self::Ruby => ("STEPMARK_RUBY", "ruby"),
            Self::TypeScript => ("STEPMARK_BUN", "bun"),
        };
        let told = std::env::var_os(variable).map(PathBuf::from);
        let folders = fs::read_dir(cache_dir()).into_iter().flatten();
        let cached = folders.map(|entry| entry.unwrap().path()).filter(|folder| {
            let name = folder.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with(&format!("{program}-")) && folder.join(program).is_file()
        });
        let cached = cached.max().map(|folder| folder.join(program));
        told.or(cached).unwrap_or_else(|| program.into())
    }

    /// The worker program of the handlers that misbehave, over the core as the tests are built.
    fn command(self) -> Command {
        let suffix = match self {
            Self::Python => "py",
            Self::Ruby => "rb",
            Self::TypeScript => "ts",
        };
        let bindings = Path::new(env!("CARGO_MANIFEST_DIR")).join("bindings");
        let program = bindings.join(self.name()).join("tests").join(format!("faults.{suffix}"));
        let native = format!("libstepmark_{}.so", self.name());
        let built = Path::new(env!("CARGO_BIN_EXE_stepmark-orchestrator")).parent().unwrap();
        let mut command = guardian().command(self.interpreter(), Ending::Kill).unwrap();
        command.arg(program).env("STEPMARK_NATIVE", built.join(native));
        command
    }
}

/// Builds the worker core as each language's library; cargo does not do so for another package's
/// tests.
fn build() {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "-q", "--workspace", "--lib"]);
        assert!(cargo.status().unwrap().success());
    });
}

/// A worker's process and its successors.
pub struct Workers {
    pid: Arc<AtomicU32>,
    stopping: Arc<AtomicBool>,
    /// How each of them has ended.
    ends: Arc<Mutex<Vec<String>>>,
    log: PathBuf,
    supervisor: Option<JoinHandle<()>>,
}

impl Workers {
    /// Starts one, with these flags besides.
    pub fn start(language: Language, cluster: &Cluster, flags: &[&str]) -> Self {
        let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(unique(language.name()));
        guardian().watch_dir(&log).unwrap();
        fs::create_dir_all(&log).unwrap();
        let log = log.join("log");
        let mut arguments = cluster.worker_flags();
        arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let (pid, stopping) = (Arc::<AtomicU32>::default(), Arc::<AtomicBool>::default());
        let ends = Arc::<Mutex<Vec<String>>>::default();
        let mut workers = Self {
            pid: Arc::clone(&pid),
            stopping: Arc::clone(&stopping),
            ends: Arc::clone(&ends),
            log: log.clone(),
            supervisor: None,
        };
        workers.supervisor = Some(std::thread::spawn(move || {
            while !stopping.load(Ordering::SeqCst) {
                let log = File::options().create(true).append(true).open(&log).unwrap();
                let mut command = language.command();
                command.args(&arguments).stdout(Stdio::null()).stderr(log);
                let mut child = command.spawn().unwrap();
                pid.store(child.id(), Ordering::SeqCst);
                let status = child.wait().unwrap();
                ends.lock().unwrap().push(status.to_string());
            }
        }));
        workers
    }

    /// How the processes so far have ended.
    pub fn ends(&self) -> Vec<String> {
        self.ends.lock().unwrap().clone()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Tells the process to drain, and waits for its end.
    pub async fn drain(&self) -> String {
        self.stopping.store(true, Ordering::SeqCst);
        let before = self.ends().len();
        signal(self.pid.load(Ordering::SeqCst), "TERM");
        eventually("the worker's end", async || self.ends().get(before).cloned()).await
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let pid = self.pid.load(Ordering::SeqCst).to_string();
        // It may have ended.
        let _ = Command::new("kill").args(["-s", "KILL", &pid]).stderr(Stdio::null()).status();
        if let Some(supervisor) = self.supervisor.take() {
            let _ = supervisor.join(); // if it has panicked, it has said so
        }
        if std::thread::panicking() {
            println!("{}", fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

/// An orchestrator for workflows of one step each, named and handled as these; `steps` are the
/// fields of a step besides. And those that the tests need.
pub fn cluster(language: Language, one_step: &[(&str, &str)], more: &[&str]) -> Cluster {
    build();
    let namespace = language.namespace();
    let mut templates: Vec<String> = one_step
        .iter()
        .map(|(name, fields)| {
            format!(
                "{{namespace: {namespace}, name: {name}, steps: [{{name: only, handler: {name}\
                 {fields}}}]}}"
            )
        })
        .collect();
    templates.extend(more.iter().map(|text| text.replace("NAMESPACE", &namespace)));
    let templates: Vec<&str> = templates.iter().map(String::as_str).collect();
    Cluster::start(Broker::Pgmq, &templates, &["--lease-expiries-max", "4"])
}

/// A new task.
pub async fn create(
    cluster: &Cluster,
    language: Language,
    template: &str,
    context: Value,
) -> String {
    let namespace = language.namespace();
    let body = serde_json::json!({
        "namespace": namespace, "template": template, "context": context
    });
    cluster.client.create(&body).await
}
