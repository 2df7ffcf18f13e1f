//! Errors that end a soak before its claims are judged.

use crate::processes::{LogExportError, ProcessError};
use herd::change::ChangeError;
use herd::store::StoreError;
use service::harness::HarnessError;
use std::io;
use tokio::task::JoinError;

/// A soak without a result.
#[derive(Debug, thiserror::Error)]
pub enum SoakError {
    /// A process did not do what the soak asked.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A condition did not become true in time.
    #[error(transparent)]
    Wait(#[from] HarnessError),
    /// A log could not be read over the sync interface.
    #[error(transparent)]
    Log(#[from] LogExportError),
    /// A change in a log is malformed.
    #[error("malformed change in a log: {0}")]
    Change(#[from] ChangeError),
    /// The files of a barn could not be filled.
    #[error("cannot fill the files of the barn: {0}")]
    Store(#[from] StoreError),
    /// The barn did not record a payload that it was filled with.
    #[error("the barn did not record a payload that it was filled with")]
    NotRecorded,
    /// The office has stopped following the barn.
    #[error("the office has stopped following the barn: {0}")]
    Stopped(String),
    /// The system refused something that the soak needs, such as its directory.
    #[error("cannot {action}: {source}")]
    System {
        /// A verb and its object.
        action: &'static str,
        /// Cause.
        source: io::Error,
    },
    /// A signal ended the soak.
    #[error("interrupted")]
    Interrupted,
    /// The tables could not be printed.
    #[error("cannot print the result: {0}")]
    Print(#[source] io::Error),
}

impl SoakError {
    /// Returns a function that adds the failed action to an error of the system.
    pub(super) fn system(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { action, source }
    }

    /// Returns the error for a task of the soak that panicked.
    pub(super) fn panicked(error: JoinError) -> Self {
        Self::system("finish a task of the soak")(io::Error::other(error))
    }
}
