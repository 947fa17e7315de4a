//! The engine's binaries: built here, and refused when they are of another revision.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use stepmark_servers::{Ending, Guardian};

use crate::language::{Language, MissingRuntime, WorkerProgram};

/// The programs of the cluster, all of one revision.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// The source tree that they were built from.
    pub root: PathBuf,
    /// The orchestrator.
    pub orchestrator: PathBuf,
    /// The scenarios' worker in each language that was asked for.
    pub workers: BTreeMap<Language, WorkerProgram>,
    /// The hash of the sources that they were built from.
    pub source_hash: String,
}

/// Why there are no binaries to measure.
#[derive(Debug, thiserror::Error)]
pub enum BinariesError {
    /// The build could not be started.
    #[error(
        "cannot run {program}: {error}; install the Rust toolchain or say where its cargo is \
             with CARGO"
    )]
    NoCargo {
        /// The program that was tried.
        program: PathBuf,
        /// Why it did not start.
        error: io::Error,
    },
    /// The build failed; cargo has said why.
    #[error("`cargo build --release` of the engine failed (see above)")]
    Build,
    /// The build made no such program.
    #[error("the build made no {0}")]
    NotBuilt(&'static str),
    /// The program does not run or does not say its revision.
    #[error("{path} --version does not work: {reason}; build it again")]
    Broken {
        /// The program.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The program was built from other sources than those that are here.
    #[error(
        "{path} was built from other sources (revision {actual}, the tree has {expected}): \
             a figure would be ascribed to the wrong code; build it again with \
             `cargo build --release --workspace`"
    )]
    OtherRevision {
        /// The program.
        path: PathBuf,
        /// The tree's revision.
        expected: String,
        /// The program's revision.
        actual: String,
    },
    /// A language's interpreter is not there.
    #[error(transparent)]
    Runtime(#[from] MissingRuntime),
    /// The source tree cannot be read.
    #[error("{root}: {error}")]
    Tree {
        /// The source tree.
        root: PathBuf,
        /// Why it cannot be read.
        error: io::Error,
    },
}

/// What a shell ends with when there is no such program.
const NOT_FOUND: i32 = 127;
const ORCHESTRATOR: &str = "stepmark-orchestrator";

impl Binaries {
    /// Builds the programs of the tree at `root`, optimised, with cargo: the orchestrator, and a
    /// worker in each of these languages.
    ///
    /// # Errors
    /// An interpreter is missing, the build fails, or a program is of another revision all the
    /// same.
    pub fn build(root: &Path, languages: &BTreeSet<Language>) -> Result<Binaries, BinariesError> {
        let made = run_cargo(root, languages, &[])?;
        Binaries::gather(root, languages, |name| found(&made, name).cloned())
    }

    /// Builds the programs of another tree, at `root`, with a target folder that is not its own:
    /// what was built there for one revision is there for the next. With the languages of this
    /// tree's [`Binaries::build`] they are built alike.
    ///
    /// # Errors
    /// As of [`Binaries::build`].
    pub fn build_apart(
        root: &Path,
        target: &Path,
        languages: &BTreeSet<Language>,
    ) -> Result<Binaries, BinariesError> {
        let target = absolute(target);
        let made = run_cargo(root, languages, &["--target-dir", &target.to_string_lossy()])?;
        Binaries::gather(root, languages, |name| found(&made, name).cloned())
    }

    /// Copies the programs into a folder, which is made, and returns the copies: a later build
    /// leaves them alone.
    ///
    /// # Errors
    /// The disk fails.
    pub fn copied_to(&self, folder: &Path) -> Result<Binaries, BinariesError> {
        let failed = |error| BinariesError::Tree { root: folder.to_path_buf(), error };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let languages = self.workers.keys().copied().collect();
        Binaries::gather(&self.root, &languages, |name| {
            let workers = self.workers.values().map(|worker| worker.file().to_path_buf());
            let programs: Vec<PathBuf> = workers.chain([self.orchestrator.clone()]).collect();
            let copy = folder.join(name);
            std::fs::copy(found(&programs, name)?, &copy).map_err(failed)?;
            Ok(copy)
        })
    }

    /// Takes the programs of a folder as they are.
    ///
    /// # Errors
    /// A program is missing or of another revision than the tree.
    pub fn in_folder(
        root: &Path,
        folder: &Path,
        languages: &BTreeSet<Language>,
    ) -> Result<Binaries, BinariesError> {
        Binaries::gather(root, languages, |name| Ok(folder.join(name)))
    }

    fn gather(
        root: &Path,
        languages: &BTreeSet<Language>,
        find: impl Fn(&'static str) -> Result<PathBuf, BinariesError>,
    ) -> Result<Binaries, BinariesError> {
        // The programs run with the root as their folder.
        let root = absolute(root);
        let orchestrator = WorkerProgram::native(absolute(&find(ORCHESTRATOR)?));
        let mut workers = BTreeMap::new();
        for language in languages {
            let artifact = absolute(&find(language.artifact())?);
            workers.insert(*language, language.worker(&root, &artifact)?);
        }
        let source_hash = stepmark_revision::source_hash(&root)
            .map_err(|error| BinariesError::Tree { root: root.clone(), error })?;
        for program in workers.values().chain([&orchestrator]) {
            let actual = revision_of(program)?;
            if actual != source_hash {
                let (path, expected) = (program.file().to_path_buf(), source_hash);
                return Err(BinariesError::OtherRevision { path, expected, actual });
            }
        }
        Ok(Binaries { root, orchestrator: orchestrator.path, workers, source_hash })
    }
}

/// The file of this name among those that were made.
fn found<'m>(made: &'m [PathBuf], name: &'static str) -> Result<&'m PathBuf, BinariesError> {
    let is_it = |path: &&PathBuf| path.file_name().is_some_and(|file| file == name);
    made.iter().find(is_it).ok_or(BinariesError::NotBuilt(name))
}

/// Builds the engine's programs at `root`, and returns the files that were made.
fn run_cargo(
    root: &Path,
    languages: &BTreeSet<Language>,
    more: &[&str],
) -> Result<Vec<PathBuf>, BinariesError> {
    for language in languages {
        language.check_runtime(root)?; // before minutes of building
    }
    let program = std::env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from);
    let no_cargo = |error| BinariesError::NoCargo { program: program.clone(), error };
    // A build that is interrupted ends with the harness, with all the compilers it started.
    let guardian = Guardian::start().map_err(no_cargo)?;
    let mut cargo = guardian.command(&program, Ending::Kill).map_err(no_cargo)?;
    cargo
        .args(["build", "--release", "--message-format=json-render-diagnostics"])
        // The harness too: with other packages, what they share would have other features, and the
        // gate would compare other programs.
        .args(["-p", "stepmark-harness", "-p", "stepmark-engine"])
        .args(languages.iter().flat_map(|language| ["-p", language.cargo_package()]))
        .args(more)
        .current_dir(root)
        .stderr(Stdio::inherit());
    let output = cargo.output().map_err(no_cargo)?;
    if output.status.code() == Some(NOT_FOUND) {
        return Err(no_cargo(io::ErrorKind::NotFound.into()));
    }
    if !output.status.success() {
        return Err(BinariesError::Build);
    }
    let made = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Artifact>(line).ok())
        .flat_map(|artifact| artifact.filenames)
        .collect();
    Ok(made)
}

/// The same path from anywhere.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// One line of cargo's JSON messages, of which only this is of interest.
#[derive(Deserialize)]
struct Artifact {
    filenames: Vec<PathBuf>,
}

/// Reads `NAME VERSION (SOURCE_HASH)`.
fn revision_of(program: &WorkerProgram) -> Result<String, BinariesError> {
    let broken = |reason| BinariesError::Broken { path: program.file().to_path_buf(), reason };
    let mut command = Command::new(&program.path);
    command.args(&program.arguments).envs(&program.environment);
    let output = command.arg("--version").stdin(Stdio::null()).output();
    let output = output.map_err(|error| broken(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let hash = said.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    match hash {
        Some(hash) if output.status.success() => Ok(hash.to_owned()),
        _ => {
            let errors = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(broken(format!("it says {said:?} ({}) {errors}", output.status)))
        }
    }
}
