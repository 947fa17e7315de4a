//! The beginning and the end of what makes a report: servers and programs, and the files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{ENVIRONMENT, EnvironmentArgs, INVALID, complain, interrupted};
use super::{latest_link, new_folder};
use crate::binaries::BinariesError;
use crate::language::Language;
use crate::report::{Format, Report, Terminal};
use crate::scenario::{self, Scenario, ScenarioError};
use crate::suite::{Suite, SuiteError};

/// What commands that make a report are told alike.
#[derive(Debug, Args)]
pub(super) struct SessionArgs {
    /// Where the report goes [default: a new folder in reports/runs; bench and ladder make
    /// reports/latest a link to it].
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// The folder with the scenarios [default: scenarios].
    #[arg(long, value_name = "DIR")]
    scenarios: Option<PathBuf>,
    #[command(flatten)]
    environment: EnvironmentArgs,
}

impl SessionArgs {
    /// The scenarios of a tier, if one is told, and of these names, if there are any.
    pub(super) fn scenarios(
        &self,
        root: &Path,
        tier: Option<u8>,
        names: &[String],
    ) -> Result<Vec<Scenario>, ScenarioError> {
        let folder = self.scenarios.clone().unwrap_or_else(|| root.join("scenarios"));
        scenario::load_all(root, &folder).and_then(|all| scenario::select(all, tier, names))
    }

    /// The folder that was told, or a new one.
    pub(super) fn place<'a>(&self, root: &'a Path) -> Place<'a> {
        let folder = self.report.clone().unwrap_or_else(|| new_folder(root));
        let (environment, is_latest) = (self.environment.clone(), self.report.is_none());
        Place { root, folder, environment, is_latest }
    }
}

/// Where a report goes.
pub(super) struct Place<'a> {
    root: &'a Path,
    folder: PathBuf,
    environment: EnvironmentArgs,
    /// Whether `reports/latest` has to name it.
    is_latest: bool,
}

impl Place<'_> {
    /// The same, but it is no latest report: others are not to be held against it.
    pub(super) fn apart(self) -> Self {
        Place { is_latest: false, ..self }
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Builds the programs, with workers in these languages, and starts PostgreSQL; else says why
    /// not, and returns the exit code.
    pub(super) async fn open(&self, languages: BTreeSet<Language>) -> Result<Suite, u8> {
        let open = async {
            let told = self.environment.clone();
            let built = tokio::task::spawn_blocking(move || told.binaries(&languages)).await;
            let built =
                built.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
            Suite::open(built, self.environment.choice().await?, &self.folder).await
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
