//! Errors of the commands about backups, and their exit codes.

use super::target::TargetError;
use super::transfer::LOG_DAMAGED;
use crate::control::{AskError, CommandError};
use crate::lifecycle::Exit;
use herd::backup::{BackupError, BackupWriteError};
use herd::wire::BlobError;
use std::io;
use std::path::PathBuf;

/// Reason why a backup was not written, or is not whole.
#[derive(Debug, thiserror::Error)]
pub enum BackupCommandError {
    /// Neither the process nor the files gave a response.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The file could not be written, or not be read back.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The changes could not be written.
    #[error(transparent)]
    Write(#[from] BackupWriteError),
    /// The running process sent something else than changes.
    #[error("the running process sent a part that cannot be read: {0}. Is it another version?")]
    Transfer(#[from] BlobError),
    /// The file could not be opened.
    #[error("cannot open {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The file is not a whole backup.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The thread that wrote the backup panicked.
    #[error("the backup failed by a defect of this program: report it with the lines above. There is no new backup")]
    Panicked,
    /// The result could not be printed.
    #[error("cannot print the result: {0}")]
    Print(#[from] io::Error),
}

impl From<&BackupCommandError> for Exit {
    fn from(error: &BackupCommandError) -> Self {
        match error {
            // The same damage has this code if the files are read.
            BackupCommandError::Command(
                CommandError::Refused(refused) | CommandError::Ask(AskError::Refused(refused)),
            ) if refused.code == LOG_DAMAGED => Self::Damaged,
            BackupCommandError::Command(error) => Self::from(error),
            BackupCommandError::Target(error) => Self::from(error),
            BackupCommandError::Write(error) => Self::from(error),
            BackupCommandError::Backup(error) => Self::from(error),
            BackupCommandError::Transfer(_)
            | BackupCommandError::Open { .. }
            | BackupCommandError::Panicked
            | BackupCommandError::Print(_) => Self::Failure,
        }
    }
}

impl From<&BackupError> for Exit {
    fn from(error: &BackupError) -> Self {
        match error {
            BackupError::NotABackup | BackupError::Version { .. } => Self::Refused,
            BackupError::Read { .. } => Self::Failure,
            _ => Self::Damaged,
        }
    }
}

impl From<&BackupWriteError> for Exit {
    fn from(error: &BackupWriteError) -> Self {
        match error {
            BackupWriteError::Store(error) => Self::from(error),
            BackupWriteError::Chain { .. } => Self::Damaged,
            BackupWriteError::Write { .. } => Self::Failure,
        }
    }
}
