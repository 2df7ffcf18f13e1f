//! Commands that work whether the process runs or not.

use super::owner::{OwnerError, become_owner_of};
use super::{Answer, AskError, ControlError, ask};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// A process that starts or stops has its files locked and does not answer for a moment; so long both ways are tried.
pub const LOCKED_PATIENCE: Duration = Duration::from_secs(10);

/// Between two tries.
pub const LOCKED_RETRY: Duration = Duration::from_millis(100);

/// Why the files could not give the answer.
#[derive(Debug, thiserror::Error)]
pub enum DirectError {
    /// Another process has them open; trying again can help.
    #[error("the files are in use by a process that does not answer")]
    Locked,
    /// The request was understood and refused.
    #[error(transparent)]
    Refused(#[from] ControlError),
    /// Everything else; trying again cannot help.
    #[error(transparent)]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl DirectError {
    /// Of whatever went wrong.
    pub fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed(error.into())
    }
}

impl From<herd::store::LocalError> for DirectError {
    fn from(error: herd::store::LocalError) -> Self {
        match error {
            herd::store::LocalError::Locked { .. } => Self::Locked,
            other => Self::failed(other),
        }
    }
}

/// Why a command has no answer, whichever way it went.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A process is there and gave none.
    #[error(transparent)]
    Ask(AskError),
    /// The request was understood and refused.
    #[error(transparent)]
    Refused(#[from] ControlError),
    /// Nobody answers, and yet the files are in use.
    #[error(
        "nobody answers, and the files are in use; stop the process that has them open, or wait until it has started"
    )]
    Locked,
    /// Root could not become the owner of the files.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The files could not be used.
    #[error(transparent)]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

/// Asks the process at `path`; if nobody is home, has `direct` find the answer in the files beside it. While these are
/// locked both are tried again, for [`LOCKED_PATIENCE`]. Root is their owner before it touches them, and stays so: the
/// process does nothing after it that needs more. Blocks.
pub fn or_direct(
    path: &Path,
    request: &Value,
    direct: impl FnMut() -> Result<Answer, DirectError>,
) -> Result<Answer, CommandError> {
    or_direct_within(LOCKED_PATIENCE, path, request, direct)
}

pub(super) fn or_direct_within(
    patience: Duration,
    path: &Path,
    request: &Value,
    mut direct: impl FnMut() -> Result<Answer, DirectError>,
) -> Result<Answer, CommandError> {
    let begun = Instant::now();
    loop {
        match ask(path, request) {
            Ok(answer) => return Ok(answer),
            Err(AskError::Refused(refused)) => return Err(refused.into()),
            Err(AskError::NobodyHome { .. }) => {}
            Err(other) => return Err(CommandError::Ask(other)),
        }
        if let Some(directory) = path.parent() {
            become_owner_of(directory)?;
        }
        match direct() {
            Ok(answer) => return Ok(answer),
            Err(DirectError::Refused(refused)) => return Err(refused.into()),
            Err(DirectError::Failed(error)) => return Err(CommandError::Failed(error)),
            Err(DirectError::Locked) if begun.elapsed() >= patience => return Err(CommandError::Locked),
            Err(DirectError::Locked) => std::thread::sleep(LOCKED_RETRY),
        }
    }
}
