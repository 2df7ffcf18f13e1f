//! The staging directory of a restore or a recovery, in which a new log is made before it replaces the current one.

use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Reason why a log was not staged, besides those of the command itself.
#[derive(Debug, thiserror::Error)]
pub enum StagingError {
    /// The caller interrupted the command.
    #[error("interrupted: run the same command again")]
    Interrupted,
    /// The staging directory cannot be removed.
    #[error("cannot remove {}, which an earlier run left: {source}; remove it, and run the command again", path.display())]
    Remove {
        /// The directory.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
}

/// Checks that the caller has not interrupted the command at this step.
pub(crate) fn check_flow(flow: ControlFlow<()>) -> Result<(), StagingError> {
    if flow.is_break() { Err(StagingError::Interrupted) } else { Ok(()) }
}

/// Makes a log in an empty staging directory. A failure leaves nothing, and an interruption what a power cut leaves.
pub(crate) fn stage_log<T, E: From<StagingError>>(
    directory: &Path,
    is_interrupted: impl FnOnce(&E) -> bool,
    make: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    remove_staging(directory)?;
    let result = make();
    if let Err(error) = &result
        && !is_interrupted(error)
        && let Err(error) = remove_staging(directory)
    {
        tracing::debug!(%error, "the next run removes it");
    }
    result
}

/// Removes what an earlier run left. It is never the only copy of anything: the files that it was made of are.
pub(crate) fn remove_staging(directory: &Path) -> Result<(), StagingError> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(StagingError::Remove { path: directory.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}
