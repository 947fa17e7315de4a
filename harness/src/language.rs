//! The languages that workers are written in: one entry each, and everything the harness knows of
//! a language stands in it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The variable that tells a binding where the worker core is.
const NATIVE: &str = "STEPMARK_NATIVE";

/// A language that workers are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Language {
    /// Handlers in Rust, linked with the worker core.
    Rust,
    /// Handlers in Ruby, over the core as an extension.
    Ruby,
    /// Handlers in Python, over the core as an extension.
    Python,
    /// Handlers in TypeScript, over the core by Bun's foreign function interface.
    #[value(name = "typescript")]
    TypeScript,
}

/// What a language needs to run a worker program.
#[derive(Debug)]
struct Runtime {
    /// The environment variable that names the program.
    variable: &'static str,
    /// The program on the PATH.
    program: &'static str,
    /// What its folder in the cache begins with, which its set-up fills where nothing else does.
    cached: Option<&'static str>,
    /// The scenarios' worker program, below the project's root.
    worker: &'static str,
    /// Installs what is missing.
    setup: &'static str,
}

/// Why a language's worker can't be run: exit code 2, because what was asked for is not there.
#[derive(Debug, thiserror::Error)]
#[error(
    "{name} workers need {program}, which is not there ({error}); install it with `{remedy}`, say \
     where it is with {variable}, or leave {name} out with --without {name}"
)]
pub struct MissingRuntime {
    /// The language.
    pub name: &'static str,
    /// The program that was looked for.
    pub program: PathBuf,
    /// Why it can't be run.
    pub error: io::Error,
    /// The command that installs it.
    pub remedy: String,
    /// The environment variable that names it.
    pub variable: &'static str,
}

/// A worker program of the scenarios, ready to be started.
#[derive(Debug, Clone)]
pub struct WorkerProgram {
    /// The program, or the language's interpreter.
    pub path: PathBuf,
    /// The interpreter's arguments.
    pub arguments: Vec<String>,
    /// Where it finds the package and the core.
    pub environment: BTreeMap<&'static str, String>,
}

impl WorkerProgram {
    /// A program that needs nothing else.
    pub fn native(path: PathBuf) -> WorkerProgram {
        WorkerProgram { path, arguments: Vec::new(), environment: BTreeMap::new() }
    }

    /// What is asked to be built anew when it is wrong: the core, or the program itself.
    pub fn file(&self) -> &Path {
        self.environment.get(NATIVE).map_or(&self.path, Path::new)
    }
}

impl Language {
    /// Every language.
    pub const ALL: &'static [Language] =
        &[Language::Rust, Language::Ruby, Language::Python, Language::TypeScript];

    /// The language's name as it stands in files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Language::Rust => "rust",
            Language::Ruby => "ruby",
            Language::Python => "python",
            Language::TypeScript => "typescript",
        }
    }

    /// The package that cargo builds for it.
    pub const fn cargo_package(self) -> &'static str {
        match self {
            Language::Rust => "stepmark-handlers-rust",
            Language::Ruby => "stepmark-ruby",
            Language::Python => "stepmark-python",
            Language::TypeScript => "stepmark-typescript",
        }
    }

    /// The file that this build makes: a program, or the worker core as a library.
    pub const fn artifact(self) -> &'static str {
        match self {
            Language::Rust => "stepmark-worker-rust",
            Language::Ruby => "libstepmark_ruby.so",
            Language::Python => "libstepmark_python.so",
            Language::TypeScript => "libstepmark_typescript.so",
        }
    }

    const fn runtime(self) -> Option<&'static Runtime> {
        match self {
            Language::Rust => None,
            Language::Ruby => Some(&Runtime {
                variable: "STEPMARK_RUBY",
                program: "ruby",
                cached: None,
                worker: "scenarios/handlers/ruby/worker.rb",
                setup: "engine/bindings/ruby/setup.sh",
            }),
            Language::Python => Some(&Runtime {
                variable: "STEPMARK_PYTHON",
                program: "python3",
                cached: None,
                worker: "scenarios/handlers/python/worker.py",
                setup: "engine/bindings/python/setup.sh",
            }),
            Language::TypeScript => Some(&Runtime {
                variable: "STEPMARK_BUN",
                program: "bun",
                cached: Some("bun-"),
                worker: "scenarios/handlers/typescript/worker.ts",
                setup: "engine/bindings/typescript/setup.sh",
            }),
        }
    }

    /// The worker program of the scenarios, of the project at `root`, over what cargo has built.
    ///
    /// # Errors
    /// The language's interpreter is not there.
    pub fn worker(self, root: &Path, artifact: &Path) -> Result<WorkerProgram, MissingRuntime> {
        let Some(runtime) = self.runtime() else {
            return Ok(WorkerProgram::native(artifact.to_path_buf()));
        };
        let path = self.find(root, runtime)?;
        let environment = BTreeMap::from([(NATIVE, artifact.display().to_string())]);
        let worker = root.join(runtime.worker).display().to_string();
        Ok(WorkerProgram { path, arguments: vec![worker], environment })
    }

    /// The language's interpreter, if it needs one and has it.
    ///
    /// # Errors
    /// It is not there.
    pub fn check_runtime(self, root: &Path) -> Result<Option<PathBuf>, MissingRuntime> {
        self.runtime().map(|runtime| self.find(root, runtime)).transpose()
    }

    fn find(self, root: &Path, runtime: &Runtime) -> Result<PathBuf, MissingRuntime> {
        let told = std::env::var_os(runtime.variable).map(PathBuf::from);
        let candidates = match told {
            Some(told) => vec![told],
            None => std::iter::once(PathBuf::from(runtime.program))
                .chain(runtime.cached.and_then(|prefix| in_cache(prefix, runtime.program)))
                .collect(),
        };
        let mut failed = None;
        for program in candidates {
            match runs(&program) {
                Ok(()) => return Ok(program),
                Err(error) => failed = failed.or(Some((program, error))),
            }
        }
        let (program, error) = failed.expect("there is always one to try");
        let remedy = format!("sh {}", root.join(runtime.setup).display());
        Err(MissingRuntime {
            name: self.name(),
            program,
            error,
            remedy,
            variable: runtime.variable,
        })
    }
}

/// The program in the folder of the cache that begins like this; of several the last by name.
fn in_cache(prefix: &str, program: &str) -> Option<PathBuf> {
    let folders = std::fs::read_dir(stepmark_servers::cache_dir()).ok()?;
    let named = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
    };
    let found = folders.filter_map(|entry| Some(entry.ok()?.path())).filter(named);
    found.map(|folder| folder.join(program)).filter(|path| path.is_file()).max()
}

/// Whether this is a program that says its version.
fn runs(program: &Path) -> io::Result<()> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match command.status()? {
        status if status.success() => Ok(()),
        status => Err(io::Error::other(format!("--version ended with {status}"))),
    }
}
