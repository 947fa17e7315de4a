//! New workflows: a template, its handlers, a scenario with the right answers, and a test that
//! holds the one against the other and passes from the start.
//!
//! All files are checked before the first is written, and either all are written or none.

mod dialect;
mod python;
mod ruby;
mod rust;
mod typescript;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use stepmark_workflow::template::{NAME_CHARS_MAX, Source, is_name, parse_all};

use self::dialect::{Dialect, camel_case, texts};
use crate::language::Language;
use crate::scenario::{self, Scenario, ScenarioError, Surroundings};

/// The tier of scenarios of one's own; those of the benchmark are 1 to 5.
const TIER: u8 = 6;

/// The templates of the shapes, and their scenarios, in any language: `@language@` is its name.
const WORKFLOWS: [&str; 4] = texts!("workflow.yaml");
const SCENARIOS: [&str; 4] = texts!("scenario.yaml");

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
    /// The list of one's own workflows has lost its order.
    #[error("{list} has no line `{mark}`, above which new workflows go")]
    NoMark {
        /// The list.
        list: &'static str,
        /// The line.
        mark: &'static str,
    },
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
    /// The template's namespace, and the scenario's name.
    pub full_name: String,
    /// Those that are new, in the order in which they are to be read: the template, the scenario,
    /// the handlers, and their test where it has a file of its own.
    pub files: Vec<(PathBuf, String)>,
    /// The one that changes: the list of modules, where the language needs one.
    pub changed: Option<(PathBuf, String)>,
    /// The command that runs the test.
    pub test_command: String,
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
        let dialect = dialect::of(language);
        let full_name = format!("{name}_{}", language.name());
        check_name(root, name, &full_name, dialect)?;
        let filled = |text: &str| {
            let of_language = text.replace("@language@", language.name());
            of_language.replace("@name@", name).replace("@Name@", &camel_case(name))
        };
        let shape = shape as usize;
        let scenario = format!("scenarios/tier{TIER}/{full_name}.yaml");
        let mut texts = vec![
            ("fixtures/workflows/@name@_@language@.yaml", WORKFLOWS[shape]),
            (scenario.as_str(), SCENARIOS[shape]),
            (dialect.handlers, dialect.texts[shape]),
        ];
        texts.extend(dialect.test);
        let files = texts.into_iter().map(|(path, text)| (filled(path).into(), filled(text)));
        let files: Vec<(PathBuf, String)> = files.collect();
        // A folder may be a module of the same name.
        let folder = PathBuf::from(filled(dialect.handlers)).with_extension("");
        let mut taken = files.iter().map(|(path, _)| path.clone()).chain([folder]);
        if let Some(path) = taken.find(|path| root.join(path).exists()) {
            return Err(AuthoringError::Exists(path));
        }
        check_texts(root, &full_name, &files)?;
        let changed = dialect.list.as_ref().map(|list| {
            let text = fs::read_to_string(root.join(list.path));
            let text = text.map_err(|error| disk(list.path, error))?;
            let changed = (list.with)(&text, name);
            let no_mark = AuthoringError::NoMark { list: list.path, mark: list.mark };
            changed.map(|text| (list.path.into(), text)).ok_or(no_mark)
        });
        let test_command = filled(dialect.test_command);
        Ok(Draft { full_name, files, changed: changed.transpose()?, test_command })
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
        let done = done.and_then(|()| {
            let Some((list, text)) = &self.changed else { return Ok(()) };
            let fresh = root.join(list).with_extension(std::process::id().to_string());
            written.push(fresh.clone());
            write_new(&fresh, text)
                .and_then(|()| fs::rename(&fresh, root.join(list)))
                .map_err(|error| disk(list, error))
        });
        if done.is_err() {
            for path in written {
                let _ = fs::remove_file(path); // the first error is the one to tell
            }
        }
        done
    }
}

fn check_name(
    root: &Path,
    name: &str,
    full_name: &str,
    dialect: &Dialect,
) -> Result<(), AuthoringError> {
    let suffix = full_name.len() - name.len();
    let refused = if !is_name(name) || !is_name(full_name) {
        let more = NAME_CHARS_MAX - suffix - 1;
        Some(format!("a name is a to z, then up to {more} of a to z, 0 to 9 and _"))
    } else if name.contains("__") {
        Some("a module's name has no __ in it".to_owned())
    } else {
        (dialect.refusal)(name, &modules_beside(&root.join(dialect.handlers))?)
    };
    let name = name.to_owned();
    refused.map_or(Ok(()), |why| Err(AuthoringError::Name { name, why }))
}

/// The names of the modules in the folder of this one.
fn modules_beside(module: &Path) -> Result<Vec<String>, AuthoringError> {
    let Some(folder) = module.parent() else { return Ok(Vec::new()) };
    let entries = match fs::read_dir(folder) {
        // The first one makes it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| disk(folder, error))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| disk(folder, error))?.path();
        let name = path.file_stem().filter(|_| path.extension() == module.extension());
        names.extend(name.map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// Reads the new template and scenario among all others.
fn check_texts(
    root: &Path,
    full_name: &str,
    files: &[(PathBuf, String)],
) -> Result<(), AuthoringError> {
    let [(template_path, template), (scenario_path, scenario), ..] = files else {
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
