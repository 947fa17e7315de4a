//! Scenario files in their folders, and the files around them: templates and programs.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stepmark_workflow::Template;
use stepmark_workflow::template::{Source, parse_all, read_bounded};
use stepmark_workflow::yaml::Diagnostic;

use super::{Scenario, Surroundings, Workflow};
use crate::statements::Declared;

/// Where the workflow templates lie, below the project's root.
const TEMPLATES: &str = "fixtures/workflows";

/// The statements that the engine may send, beside the scenarios.
const STATEMENTS: &str = "statements.json";

/// Why the scenario files cannot be used. Trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// Files are not right: everything that is wrong with any of them.
    #[error("{}", Listed(.0))]
    Malformed(Vec<Diagnostic>),
    /// The file or folder cannot be read.
    #[error("{path}: {error}")]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// Why it was not.
        error: io::Error,
    },
    /// The declared statements are not what they have to be.
    #[error("{path}: {error}")]
    Statements {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// A folder has no scenarios.
    #[error("{0}: no *.yaml or *.yml in this folder, nor in its folders tier1, tier2, …")]
    EmptyFolder(PathBuf),
    /// No file has a scenario of that name.
    #[error("no scenario named {name}; there are: {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A scenario is compared with one that is not there.
    #[error("the scenario {name} is compared with {with}, which is not there")]
    NothingToCompare {
        /// The scenario.
        name: String,
        /// What it is compared with.
        with: String,
    },
    /// No template has that name.
    #[error("no template {0} in {TEMPLATES}")]
    NoTemplate(String),
    /// No scenario belongs to the tier.
    #[error("no scenario of tier {0}")]
    EmptyTier(u8),
}

/// How many errors there are, and below it each of them.
struct Listed<'d>(&'d [Diagnostic]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("1 error")?,
            many => write!(f, "{many} errors")?,
        }
        self.0.iter().try_for_each(|diagnostic| write!(f, "\n{diagnostic}"))
    }
}

/// Reads every scenario of `folder` and checks it against the project at `root`, sorted by tier
/// and within a tier by stages.
///
/// # Errors
/// A file is unreadable, or something is wrong with any of them.
pub fn load_all(root: &Path, folder: &Path) -> Result<Vec<Scenario>, ScenarioError> {
    let mut scenarios = read_all(root, &files_of(folder)?)?;
    let declared = declared(&folder.join(STATEMENTS))?.map(Arc::new);
    scenarios.iter_mut().for_each(|scenario| scenario.declared.clone_from(&declared));
    // Within a tier the longest line comes first: the others are read against it.
    scenarios.sort_by(|a, b| (a.tier, b.sequential_stages).cmp(&(b.tier, a.sequential_stages)));
    Ok(scenarios)
}

/// The statements that a file declares; nothing where there is no such file.
fn declared(path: &Path) -> Result<Option<Declared>, ScenarioError> {
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| ScenarioError::Statements { path: path.to_path_buf(), error }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ScenarioError::Unreadable { path: path.to_path_buf(), error }),
    }
}

/// The scenario files of a folder and of its folders `tier1`, `tier2` and so on, by path.
///
/// # Errors
/// A folder cannot be read, or there are none.
pub fn files_of(folder: &Path) -> Result<Vec<PathBuf>, ScenarioError> {
    let mut files = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            if tier_of(&path).is_some() {
                files.extend(entries(&path)?.into_iter().filter(|path| is_yaml(path)));
            }
        } else if is_yaml(&path) {
            files.push(path);
        }
    }
    if files.is_empty() { Err(ScenarioError::EmptyFolder(folder.to_path_buf())) } else { Ok(files) }
}

/// Reads these files and checks each against the others and the project at `root`.
///
/// # Errors
/// A file is unreadable, or something is wrong with any of them, a workflow template included.
pub fn read_all(root: &Path, files: &[PathBuf]) -> Result<Vec<Scenario>, ScenarioError> {
    let mut problems = Vec::new();
    let templates: Option<Vec<Template>> = match parse_all(&template_sources(root)?, None) {
        Ok(templates) => Some(templates),
        // With one missing, each of its scenarios would be called wrong too.
        Err(diagnostics) => {
            problems.extend(diagnostics);
            None
        }
    };
    let mut names = BTreeMap::new();
    let mut scenarios = Vec::new();
    for path in files {
        let text = read_text(path)?;
        let mut around = Surroundings {
            templates: templates.as_deref(),
            tier: path.parent().and_then(tier_of),
            names: &mut names,
            is_there: &|word| is_there(root, word),
        };
        match Scenario::parse_among(&path.display().to_string(), &text, &mut around) {
            Ok(scenario) => scenarios.push(scenario),
            Err(diagnostics) => problems.extend(diagnostics),
        }
    }
    if !problems.is_empty() {
        return Err(ScenarioError::Malformed(problems));
    }
    join_compared(&mut scenarios)?;
    Ok(scenarios)
}

/// Gives each scenario the one that it is compared with.
fn join_compared(scenarios: &mut [Scenario]) -> Result<(), ScenarioError> {
    let all = scenarios.to_vec();
    for scenario in scenarios {
        let Some(compare) = &mut scenario.compare else {
            continue;
        };
        let other = all.iter().find(|other| other.name == compare.with);
        let (name, with) = (scenario.name.clone(), compare.with.clone());
        let other = other.ok_or(ScenarioError::NothingToCompare { name, with })?;
        compare.other = Some(Arc::new(other.clone()));
    }
    Ok(())
}

/// Picks the scenarios that a run was asked for.
///
/// # Errors
/// A name or tier that no file has.
pub fn select(
    all: Vec<Scenario>,
    tier: Option<u8>,
    names: &[String],
) -> Result<Vec<Scenario>, ScenarioError> {
    if let Some(name) = names.iter().find(|name| !all.iter().any(|s| &s.name == *name)) {
        let known = all.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(ScenarioError::Unknown { name: name.clone(), known });
    }
    let wanted = |s: &Scenario| {
        tier.is_none_or(|tier| s.tier == tier) && (names.is_empty() || names.contains(&s.name))
    };
    let picked: Vec<Scenario> = all.into_iter().filter(wanted).collect();
    match (picked.is_empty(), tier) {
        (true, Some(tier)) => Err(ScenarioError::EmptyTier(tier)),
        _ => Ok(picked),
    }
}

/// The template that a scenario's workflow names, of the project at `root`: the newest version,
/// unless one is named.
///
/// # Errors
/// A template is unreadable or wrong, or none of them is the one.
pub fn template_of(root: &Path, workflow: &Workflow) -> Result<Template, ScenarioError> {
    let Workflow { namespace, template, version } = workflow;
    let all = parse_all(&template_sources(root)?, None).map_err(ScenarioError::Malformed)?;
    let named = all.into_iter().filter(|one| {
        one.namespace == *namespace
            && one.name == *template
            && version.is_none_or(|version| one.version == version)
    });
    named
        .max_by_key(|one| one.version)
        .ok_or_else(|| ScenarioError::NoTemplate(format!("{namespace}/{template}")))
}

/// The texts of the templates of the project at `root`.
///
/// # Errors
/// A file or the folder is unreadable.
pub fn template_sources(root: &Path) -> Result<Vec<Source>, ScenarioError> {
    let mut sources = Vec::new();
    for path in entries(&root.join(TEMPLATES))?.into_iter().filter(|path| is_yaml(path)) {
        sources.push(Source { name: path.display().to_string(), text: read_text(&path)? });
    }
    Ok(sources)
}

/// Whether a word of a command is a program that can be run from `root`, or a file.
fn is_there(root: &Path, word: &str) -> bool {
    if word.contains('/') {
        return root.join(word).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| {
        let found = fs::metadata(folder.join(word));
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    })
}

/// The tier of a folder that is called `tier` and its number.
fn tier_of(folder: &Path) -> Option<u8> {
    folder.file_name()?.to_str()?.strip_prefix("tier")?.parse().ok()
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind == "yaml" || kind == "yml")
}

fn read_text(path: &Path) -> Result<String, ScenarioError> {
    let text = File::open(path).and_then(read_bounded);
    text.map_err(|error| ScenarioError::Unreadable { path: path.to_path_buf(), error })
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, ScenarioError> {
    let unreadable = |error| ScenarioError::Unreadable { path: folder.to_path_buf(), error };
    let mut paths = fs::read_dir(folder)
        .and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>())
        .map_err(unreadable)?;
    paths.sort();
    Ok(paths)
}
