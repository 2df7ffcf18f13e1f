//! Commands that work whether or not the process runs.

use super::owner::{OwnerError, become_owner_of};
use super::{AskError, ControlError, FAILED, Request, ask};
use crate::lifecycle::Exit;
use herd::store::LocalError;
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time for which both ways are tried: a process that starts or shuts down has its files locked and does not answer
/// for a moment.
pub const LOCKED_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between two tries.
pub const LOCKED_RETRY: Duration = Duration::from_millis(100);

/// Reason why the files gave no response.
#[derive(Debug, thiserror::Error)]
pub enum DirectError {
    /// Another process has them open. A retry can help.
    #[error("the files are in use by a process that does not answer")]
    Locked,
    /// The request was refused.
    #[error(transparent)]
    Refused(#[from] ControlError),
    /// Any other error. A retry cannot help.
    #[error(transparent)]
    Failed(FilesError),
}

/// An error of the files that a command works on.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct FilesError {
    exit: Exit,
    source: Box<dyn Error + Send + Sync>,
}

impl DirectError {
    /// Wraps an error of the files, and keeps its exit code. Locked files become [`DirectError::Locked`].
    pub fn failed<E: Error + Send + Sync + 'static>(error: E) -> Self
    where
        for<'a> Exit: From<&'a E>,
    {
        match Exit::from(&error) {
            Exit::Locked => Self::Locked,
            exit => Self::Failed(FilesError { exit, source: Box::new(error) }),
        }
    }
}

impl From<LocalError> for DirectError {
    fn from(error: LocalError) -> Self {
        Self::failed(error)
    }
}

/// Reason why a command has no response, whichever way it went.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A process is there and gave none.
    #[error(transparent)]
    Ask(AskError),
    /// The request was refused.
    #[error(transparent)]
    Refused(#[from] ControlError),
    /// No process answers, and yet the files are in use.
    #[error(
        "no process answers, and the files are in use: stop the process that has them open, or wait until it is ready"
    )]
    Locked,
    /// Root could not become the owner of the files.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The files could not be used.
    #[error(transparent)]
    Failed(FilesError),
    /// The response answers another request.
    #[error("the running process gave an unexpected response: is it another version?")]
    UnexpectedResponse,
}

impl CommandError {
    /// Returns whether the process may have done what was asked, or may do it yet.
    pub fn is_in_doubt(&self) -> bool {
        match self {
            Self::Ask(error) => {
                matches!(error, AskError::NoResponse { .. } | AskError::Late { .. } | AskError::Unreadable { .. })
            }
            Self::Refused(error) => error.code == FAILED,
            Self::Locked | Self::Owner(_) | Self::Failed(_) => false,
            Self::UnexpectedResponse => true,
        }
    }
}

impl From<&CommandError> for Exit {
    fn from(error: &CommandError) -> Self {
        match error {
            CommandError::Ask(error) => Self::from(error),
            CommandError::Refused(_) => Self::Refused,
            CommandError::Locked => Self::Locked,
            CommandError::Owner(error) => Self::from(error),
            CommandError::Failed(error) => error.exit,
            CommandError::UnexpectedResponse => Self::Failure,
        }
    }
}

/// Asks the process at `path`. If none is running, finds the response in the files with `open`.
///
/// While the files are locked, both are tried again for [`LOCKED_TIMEOUT`]. Before it touches files, root becomes
/// their owner and stays so: nothing that a command does afterwards needs more. Blocks.
pub fn ask_or_open<Q: Request>(
    path: &Path,
    request: &Q,
    open: impl FnMut() -> Result<Q::Response, DirectError>,
) -> Result<Q::Response, CommandError> {
    ask_or_open_within(LOCKED_TIMEOUT, path, request, open)
}

pub(super) fn ask_or_open_within<Q: Request>(
    timeout: Duration,
    path: &Path,
    request: &Q,
    mut open: impl FnMut() -> Result<Q::Response, DirectError>,
) -> Result<Q::Response, CommandError> {
    let start = Instant::now();
    loop {
        match ask(path, request) {
            Ok(response) => return Ok(response),
            Err(AskError::Refused(refused)) => return Err(refused.into()),
            Err(AskError::NotRunning { .. }) => {}
            Err(other) => return Err(CommandError::Ask(other)),
        }
        if let Some(directory) = path.parent() {
            become_owner_of(directory)?;
        }
        match open() {
            Ok(response) => return Ok(response),
            Err(DirectError::Refused(refused)) => return Err(refused.into()),
            Err(DirectError::Failed(error)) => return Err(CommandError::Failed(error)),
            Err(DirectError::Locked) if start.elapsed() >= timeout => return Err(CommandError::Locked),
            Err(DirectError::Locked) => std::thread::sleep(LOCKED_RETRY),
        }
    }
}
