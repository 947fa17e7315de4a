//! New workflows: a template, its handlers, a scenario with the right answers, and a test that
//! holds the one against the other and passes from the start.
//!
//! All files are checked before the first is written, and either all are written or none.

mod modules;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use stepmark_workflow::template::{NAME_CHARS_MAX, Source, is_name, parse_all};

use crate::language::Language;
use crate::scenario::{self, Scenario, ScenarioError, Surroundings};

/// The tier of scenarios of one's own; those of the benchmark are 1 to 5.
const TIER: u8 = 6;

/// The module that has the modules of one's own workflows.
const OWN: &str = "scenarios/handlers/rust/src/own.rs";

/// What the new workflow's steps are to one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// Three steps in a row.
    Linear,
    /// Two steps side by side, and one that waits for both.
    Diamond,
    /// A decision between two branches.
    Decision,
    /// Batches, a worker each, and a step over all that they make.
    Batch,
}

impl Shape {
    /// The texts of the template, the scenario and the handlers, in which `@name@` is the name.
    const fn texts(self) -> [&'static str; 3] {
        macro_rules! texts {
            ($folder:literal) => {
                [
                    include_str!(concat!($folder, "/workflow.yaml")),
                    include_str!(concat!($folder, "/scenario.yaml")),
                    include_str!(concat!($folder, "/handlers.rs")),
                ]
            };
        }
        match self {
            Self::Linear => texts!("linear"),
            Self::Diamond => texts!("diamond"),
            Self::Decision => texts!("decision"),
            Self::Batch => texts!("batch"),
        }
    }
}

/// Why there is no new workflow. Nothing has been written.
#[derive(Debug, thiserror::Error)]
pub enum AuthoringError {
    /// The name can't be that of a workflow or of a module.
    #[error("the name {name:?} is none that a workflow can have: {why}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something of that name is there already.
    #[error("{0} is there already; choose another name")]
    Exists(PathBuf),
    /// Another template has the namespace, and its handlers might be mixed up with the new ones.
    #[error("the namespace {0} has a template already; choose another name")]
    NamespaceTaken(String),
    /// The module of one's own workflows has lost its order.
    #[error("{OWN} has no line `{}`, above which new workflows go", modules::MARK)]
    NoMark,
    /// What is there already is wrong, or the name is one of it.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The disk.
    #[error("{path}: {error}")]
    Disk {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
}

/// The files of a new workflow, by their paths below the project's root.
#[derive(Debug)]
pub struct Draft {
    /// Those that are new, in the order in which they are to be read.
    pub files: Vec<(PathBuf, String)>,
    /// The one that changes: the list of modules.
    pub changed: (PathBuf, String),
}

impl Draft {
    /// Makes the files of a workflow called `name`, and checks them against the project at `root`.
    ///
    /// # Errors
    /// The name is none, or taken; or what is there already is wrong.
    pub fn new(
        root: &Path,
        name: &str,
        language: Language,
        shape: Shape,
    ) -> Result<Draft, AuthoringError> {
        let full_name = format!("{name}_{}", language.name());
        check_name(name, &full_name)?;
        let [workflow, scenario, handlers] = shape.texts();
        let files = [
            (format!("fixtures/workflows/{full_name}.yaml"), workflow),
            (format!("scenarios/tier{TIER}/{full_name}.yaml"), scenario),
            (format!("scenarios/handlers/rust/src/own/{name}.rs"), handlers),
        ];
        let files = files.map(|(path, text)| (PathBuf::from(path), text.replace("@name@", name)));
        if let Some((path, _)) = files.iter().find(|(path, _)| root.join(path).exists()) {
            return Err(AuthoringError::Exists(path.clone()));
        }
        check_texts(root, &full_name, &files)?;
        let own = fs::read_to_string(root.join(OWN)).map_err(|error| disk(OWN, error))?;
        let changed = modules::with(&own, name).ok_or(AuthoringError::NoMark)?;
        Ok(Draft { files: files.into(), changed: (OWN.into(), changed) })
    }

    /// Writes the files, all or none: the list of modules comes last, and at once.
    ///
    /// # Errors
    /// The disk, or a file that has come there meanwhile; what was written is removed again.
    pub fn write(&self, root: &Path) -> Result<(), AuthoringError> {
        let mut written = Vec::new();
        let done = self.files.iter().try_for_each(|(path, text)| {
            write_new(&root.join(path), text).map_err(|error| disk(path, error))?;
            written.push(root.join(path));
            Ok(())
        });
        let (own, text) = &self.changed;
        let done = done.and_then(|()| {
            let fresh = root.join(own).with_extension(format!("rs.{}", std::process::id()));
            written.push(fresh.clone());
            write_new(&fresh, text)
                .and_then(|()| fs::rename(&fresh, root.join(own)))
                .map_err(|error| disk(own, error))
        });
        if done.is_err() {
            for path in written {
                let _ = fs::remove_file(path); // the first error is the one to tell
            }
        }
        done
    }
}

fn check_name(name: &str, full_name: &str) -> Result<(), AuthoringError> {
    let suffix = full_name.len() - name.len();
    let why = if !is_name(name) || !is_name(full_name) {
        let more = NAME_CHARS_MAX - suffix - 1;
        format!("a name is a to z, then up to {more} of a to z, 0 to 9 and _")
    } else if name.contains("__") {
        "a module's name has no __ in it".to_owned()
    } else if modules::is_taken(name) {
        "it means something else in Rust, or in this project".to_owned()
    } else {
        return Ok(());
    };
    Err(AuthoringError::Name { name: name.to_owned(), why })
}

/// Reads the new template and scenario among all others.
fn check_texts(
    root: &Path,
    full_name: &str,
    files: &[(PathBuf, String)],
) -> Result<(), AuthoringError> {
    let [(template_path, template), (scenario_path, scenario), _] = files else {
        return Ok(());
    };
    let mut sources = scenario::template_sources(root)?;
    sources.push(Source { name: template_path.display().to_string(), text: template.clone() });
    let templates = parse_all(&sources, None).map_err(ScenarioError::Malformed)?;
    if templates.iter().filter(|template| template.namespace == full_name).count() > 1 {
        return Err(AuthoringError::NamespaceTaken(full_name.to_owned()));
    }
    let others = scenario::load_all(root, &root.join("scenarios"))?;
    let there = |one: Scenario| (one.name, "another file".to_owned());
    let mut around = Surroundings {
        templates: Some(&templates),
        tier: Some(TIER),
        names: &mut others.into_iter().map(there).collect::<BTreeMap<_, _>>(),
        is_there: &|_| true,
    };
    let path = scenario_path.display().to_string();
    Scenario::parse_among(&path, scenario, &mut around).map_err(ScenarioError::Malformed)?;
    Ok(())
}

/// Writes a file that was not there.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).inspect_err(|_| {
        let _ = fs::remove_file(path); // half a file is none
    })
}

fn disk(path: impl Into<PathBuf>, error: io::Error) -> AuthoringError {
    AuthoringError::Disk { path: path.into(), error }
}
