//! Errors of commands about sites.

use super::files::SiteFilesError;
use crate::copies::CopiesError;

/// Reason why a command about sites failed.
#[derive(Debug, thiserror::Error)]
pub enum SiteCommandError {
    /// The files of the sites failed or rejected the command.
    #[error(transparent)]
    Files(#[from] SiteFilesError),
    /// The site's task has ended, or the process is shutting down.
    #[error("the site `{0}` is shutting down: try again in a moment")]
    ShuttingDown(String),
    /// The task that ran the command was aborted.
    #[error("the command was aborted: {0}")]
    Aborted(#[from] tokio::task::JoinError),
}

impl From<CopiesError> for SiteCommandError {
    fn from(error: CopiesError) -> Self {
        Self::Files(error.into())
    }
}
