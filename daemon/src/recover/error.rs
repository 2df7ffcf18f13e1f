//! Errors of a recovery, and their exit codes.

use crate::boot::BootError;
use crate::open::OpenError;
use crate::staging::StagingError;
use herd::position::Position;
use herd::randomness::RandomnessError;
use herd::recover::RecoverError;
use herd::store::{LocalError, StoreError};
use service::lifecycle::Exit;
use service::process::StateDirError;
use std::io;
use std::path::PathBuf;

/// Reason why a log was not recovered.
#[derive(Debug, thiserror::Error)]
pub enum RecoverCommandError {
    /// The state directory cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// `local.redb` failed.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The log could not be read, or the new one not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log is whole, and could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No log was made of what was found.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The boot could not be numbered.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// No random bytes for the identity of the writer.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
    /// A restore exchanges the files, and was interrupted.
    #[error(
        "the restore of a backup that ends at change {} of history {} was interrupted: run `herdlinxd restore FILE` with \
         that file again, which completes it", .end.sequence, .end.store
    )]
    RestoreInterrupted {
        /// End of the backup.
        end: Box<Position>,
    },
    /// The given file cannot be opened.
    #[error("cannot open {}: {source}", path.display())]
    Given {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The log could not be staged, or the caller interrupted the command.
    #[error(transparent)]
    Staging(#[from] StagingError),
}

impl From<&RecoverCommandError> for Exit {
    fn from(error: &RecoverCommandError) -> Self {
        match error {
            RecoverCommandError::StateDir(error) => Self::from(error),
            RecoverCommandError::Local(error) | RecoverCommandError::Boot(BootError::Local(error)) => Self::from(error),
            RecoverCommandError::Open(error) => Self::from(error),
            RecoverCommandError::Store(error)
            | RecoverCommandError::Boot(BootError::Store(error))
            | RecoverCommandError::Recover(RecoverError::Store(error)) => Self::from(error),
            RecoverCommandError::Recover(
                RecoverError::WrongFile
                | RecoverError::OtherHistory { .. }
                | RecoverError::Unproven
                | RecoverError::TwoHistories { .. }
                | RecoverError::ForeignLog { .. },
            ) => Self::Refused,
            RecoverCommandError::Recover(_) | RecoverCommandError::RestoreInterrupted { .. } => Self::Damaged,
            RecoverCommandError::Randomness(_)
            | RecoverCommandError::Given { .. }
            | RecoverCommandError::Staging(_) => Self::Failure,
        }
    }
}
