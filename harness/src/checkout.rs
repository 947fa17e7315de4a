//! Another revision of the project, laid out in a folder of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A revision's files.
#[derive(Debug, Clone)]
pub struct Checkout {
    /// The commit's hash.
    pub commit: String,
    /// The folder with its files.
    pub folder: PathBuf,
}

/// Why there is no such revision.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// git cannot be run.
    #[error("cannot run git: {0}")]
    NoGit(io::Error),
    /// There is no such revision, or this is no checkout of git's.
    #[error("there is no revision {revision} here: {why}")]
    Unknown {
        /// What was asked for.
        revision: String,
        /// What git says.
        why: String,
    },
    /// Its files cannot be laid out.
    #[error("cannot lay out {commit} in {folder}: {why}")]
    Files {
        /// The commit.
        commit: String,
        /// The folder.
        folder: PathBuf,
        /// What went wrong.
        why: String,
    },
}

impl CheckoutError {
    /// Whether what was asked for is at fault.
    pub fn is_input(&self) -> bool {
        matches!(self, CheckoutError::Unknown { .. })
    }
}

impl Checkout {
    /// Lays the files of a revision (a commit, branch or tag) of the checkout at `root` out below
    /// `into`, in a folder that is named by its commit. What is there already stays: a commit's
    /// files never change. The checkout itself is not touched, nor is its index.
    ///
    /// # Errors
    /// There is no such revision, or a file cannot be written.
    pub fn of(root: &Path, revision: &str, into: &Path) -> Result<Checkout, CheckoutError> {
        let name = format!("{revision}^{{commit}}");
        let commit = git(root, &["rev-parse", "--verify", "--quiet", "--end-of-options", &name]);
        let commit = commit?.map_err(|why| CheckoutError::Unknown {
            revision: revision.to_owned(),
            why: if why.is_empty() { "git does not know it".to_owned() } else { why },
        })?;
        let into = std::path::absolute(into).unwrap_or_else(|_| into.to_path_buf());
        let folder = into.join(&commit);
        if !folder.is_dir() {
            let fresh = into.join(format!(".{commit}-{}", std::process::id()));
            let laid_out = lay_out(root, &commit, &fresh)
                .and_then(|()| fs::rename(&fresh, &folder).map_err(|error| error.to_string()));
            // Another gate may have been quicker.
            let _ = fs::remove_dir_all(&fresh);
            if let Err(why) = laid_out.or_else(|why| folder.is_dir().then_some(()).ok_or(why)) {
                return Err(CheckoutError::Files { commit, folder, why });
            }
        }
        Ok(Checkout { commit, folder })
    }
}

/// Lays a commit's files out in a folder, with an index of its own.
fn lay_out(root: &Path, commit: &str, folder: &Path) -> Result<(), String> {
    // One of the same name is what an interrupted process has left.
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let index = folder.join(".index");
    let prefix = format!("--prefix={}/", folder.display());
    for arguments in [["read-tree", commit, ""], ["checkout-index", "--all", &prefix]] {
        let mut command = Command::new("git");
        let arguments = arguments.iter().filter(|argument| !argument.is_empty());
        command.arg("-C").arg(root).args(arguments).env("GIT_INDEX_FILE", &index);
        run(command).map_err(|error| error.to_string())??;
    }
    fs::remove_file(&index).map_err(|error| error.to_string())
}

fn git(root: &Path, arguments: &[&str]) -> Result<Result<String, String>, CheckoutError> {
    let mut command = Command::new("git");
    command.arg("-C").arg(root).args(arguments);
    run(command)
}

/// What git prints, or what it complains of.
fn run(mut command: Command) -> Result<Result<String, String>, CheckoutError> {
    let output = command.output().map_err(CheckoutError::NoGit)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Ok(match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    })
}
