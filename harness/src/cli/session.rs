//! The beginning and the end of what makes a report: servers and programs, and the files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{ENVIRONMENT, EnvironmentArgs, INVALID, complain, interrupted};
use super::{latest_link, new_folder};
use crate::binaries::BinariesError;
use crate::language::Language;
use crate::report::{Format, Report, Terminal};
use crate::suite::{Suite, SuiteError};

/// Where a report goes.
pub(super) struct Place<'a> {
    root: &'a Path,
    folder: PathBuf,
    /// Whether `reports/latest` has to name it.
    is_latest: bool,
}

impl<'a> Place<'a> {
    /// The folder that was told, or a new one.
    pub(super) fn of(root: &'a Path, told: Option<&PathBuf>) -> Place<'a> {
        let folder = told.cloned().unwrap_or_else(|| new_folder(root));
        Place { root, folder, is_latest: told.is_none() }
    }

    /// The same, but it is no latest report: others are not to be held against it.
    pub(super) fn apart(root: &'a Path, told: Option<&PathBuf>) -> Place<'a> {
        Place { is_latest: false, ..Place::of(root, told) }
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Builds the programs, with workers in these languages, and starts PostgreSQL; else says why
    /// not, and returns the exit code.
    pub(super) async fn open(
        &self,
        environment: &EnvironmentArgs,
        languages: BTreeSet<Language>,
    ) -> Result<Suite, u8> {
        let open = async {
            let told = environment.clone();
            let built = tokio::task::spawn_blocking(move || told.binaries(&languages)).await;
            let built =
                built.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
            Suite::open(built, environment.choice().await?, &self.folder).await
        };
        tokio::select! {
            suite = open => suite.map_err(|error| {
                let is_choice = matches!(error, SuiteError::Binaries(BinariesError::Runtime(_)));
                complain(if is_choice { INVALID } else { ENVIRONMENT }, &error)
            }),
            () = interrupted() => Err(complain(INVALID, &"interrupted before anything was run")),
        }
    }

    /// Writes the report, shows it, and ends the servers; else says why not, and returns the exit
    /// code.
    pub(super) async fn close(&self, suite: Suite) -> Result<Report, u8> {
        let report = suite.close().await.map_err(|error| complain(ENVIRONMENT, &error))?;
        if !report.runs.is_empty() || !report.ladders.is_empty() {
            println!("\n{}", Terminal.render(&report));
            if self.is_latest {
                latest_link(self.root, &self.folder).map_err(|error| {
                    complain(ENVIRONMENT, &format!("cannot make reports/latest: {error}"))
                })?;
            }
        }
        println!("report: {}", self.folder.display());
        Ok(report)
    }
}
