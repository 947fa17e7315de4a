//! Why a run comes to no verdict.

use std::path::PathBuf;

use crate::audit::AuditError;
use crate::cluster::ClusterError;
use crate::environment::EnvironmentError;
use crate::floor::FloorError;
use crate::workload::ProgramError;

/// Why a run came to no verdict.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A server fails.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The cluster does not come up.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The floor cannot be measured.
    #[error(transparent)]
    Floor(#[from] FloorError),
    /// The audit cannot be read.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The oracle's program does not give the right answers.
    #[error(transparent)]
    Oracle(ProgramError),
    /// There is no port for the receiver of traces.
    #[error("cannot listen for traces on loopback: {0}")]
    Traces(#[source] std::io::Error),
    /// An instance died again and again.
    #[error("an instance was given up: the run was broken off")]
    GivenUp,
    /// A file of the report cannot be written.
    #[error("{path}: {error}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl RunError {
    /// Whether servers, programs or the disk are at fault, so that the next run would fail as well.
    /// Else it is this run's own failure: an instance died, or does not answer, or its oracle.
    pub fn is_of_the_environment(&self) -> bool {
        let own = matches!(self, RunError::GivenUp | RunError::Oracle(_));
        !own && !matches!(self, RunError::Floor(FloorError::Http(_)))
    }
}

impl From<ProgramError> for RunError {
    fn from(error: ProgramError) -> RunError {
        match error {
            ProgramError::File { path, error } => RunError::File { path, error },
            other => RunError::Oracle(other),
        }
    }
}
