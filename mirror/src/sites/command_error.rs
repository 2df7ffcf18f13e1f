//! Errors of commands about sites.

use super::files::SiteFilesError;
use super::name::SiteName;
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
    /// The site has not replied to earlier commands.
    #[error(
        "the site `{0}` is busy with its copy and has not replied to an earlier command: see `herdlinx-mirror status`, and \
         try again once the copy is open"
    )]
    Busy(SiteName),
    /// The site has not replied to the command in time.
    #[error(
        "the site `{0}` is busy with its copy and has not replied yet: the command stays queued and runs once the copy is \
         open; see `herdlinx-mirror status`"
    )]
    StillQueued(SiteName),
    /// The task of a site that is to be removed has not ended in time.
    #[error(
        "the site `{0}` is busy with its copy and ends after the current step; nothing is removed yet: try again in a \
         moment, or restart the mirror to keep the site"
    )]
    StillEnding(SiteName),
    /// The task that ran the command was aborted.
    #[error("the command was aborted: {0}")]
    Aborted(#[from] tokio::task::JoinError),
}

impl From<CopiesError> for SiteCommandError {
    fn from(error: CopiesError) -> Self {
        Self::Files(error.into())
    }
}
