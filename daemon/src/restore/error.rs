//! Errors of a restore, and their exit codes.

use crate::boot::BootError;
use crate::staging::StagingError;
use herd::backup::RestoreLogError;
use herd::position::{Position, StoreId};
use herd::randomness::RandomnessError;
use herd::store::{LocalError, StoreError};
use service::lifecycle::Exit;
use service::process::StateDirError;

/// Reason why a backup was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The state directory cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// `local.redb` failed.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The log that is there could not be read, or the new one not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is a journal, but no log.
    #[error(
        "log.redb is missing, and log.journal holds changes of history {journal}, perhaps their only copy. Nothing was \
         changed. Move log.journal to another directory and keep it, then run this again"
    )]
    JournalAlone {
        /// The history of the journal.
        journal: StoreId,
    },
    /// The log that is there cannot be read, so nobody knows what it holds.
    #[error(
        "the log that is there may hold payloads, and cannot be read: {source}. Nothing was changed. `herdlinxd recover --from` \
         with this file keeps what is whole of both"
    )]
    Unreadable {
        /// Error of the log.
        source: StoreError,
    },
    /// No log was made of the backup.
    #[error("{0}. Nothing was restored, and the barn is as it was")]
    Log(#[from] RestoreLogError),
    /// The boot could not be numbered.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// No random bytes for the identity of the writer.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
    /// The log that is there holds payloads.
    #[error("{}", has_payloads_text(.end, *.has_backup))]
    HasPayloads {
        /// Its end.
        end: Box<Position>,
        /// It holds everything that the backup holds.
        has_backup: bool,
    },
    /// The machine was the barn of another history, whose log is gone.
    #[error(
        "this barn had recorded at least up to change {} of history {}, and the backup is of another history. Nothing was changed. If \
         the backup is the right one, move local.redb away as well, with the keys in it", .remembered.sequence, .remembered.store
    )]
    OtherHistory {
        /// The position that the machine remembers.
        remembered: Box<Position>,
    },
    /// A restore of another backup was interrupted here.
    #[error(
        "the restore of another backup was interrupted here, and its log is in place: it ends at change {} of history {}. \
         Complete it with that file", .begun.sequence, .begun.store
    )]
    OtherBackup {
        /// End of the backup whose restore was interrupted.
        begun: Box<Position>,
    },
    /// A recovery exchanges the files, and was interrupted.
    #[error("the recovery of the log was interrupted: run `herdlinxd recover` again, which completes it")]
    RecoverInterrupted,
    /// The log could not be staged, or the caller interrupted the command.
    #[error(transparent)]
    Staging(#[from] StagingError),
}

fn has_payloads_text(end: &Position, has_backup: bool) -> String {
    if has_backup {
        let end = end.sequence;
        return format!(
            "this barn already holds everything that the backup holds, and is at change {end}. Nothing was changed. If \
             `herdlinxd verify` reports damage, run `herdlinxd recover --from` with this file. Otherwise pair offices with \
             `herdlinxd pair`"
        );
    }
    format!(
        "this barn holds payloads, up to change {} of history {}, and a restore would replace them. Nothing was changed. Back \
         them up first; then move log.redb, log.journal and tables.redb to another directory, or set an empty `state_dir`",
        end.sequence, end.store
    )
}

impl From<&RestoreError> for Exit {
    fn from(error: &RestoreError) -> Self {
        match error {
            RestoreError::StateDir(error) => Self::from(error),
            RestoreError::Local(error) | RestoreError::Boot(BootError::Local(error)) => Self::from(error),
            RestoreError::Store(error)
            | RestoreError::Boot(BootError::Store(error))
            | RestoreError::Log(RestoreLogError::Store(error)) => Self::from(error),
            RestoreError::Unreadable { source } => Self::from(source),
            RestoreError::Log(RestoreLogError::Backup(error)) => Self::from(error),
            RestoreError::Log(_) | RestoreError::JournalAlone { .. } | RestoreError::RecoverInterrupted => {
                Self::Damaged
            }
            RestoreError::HasPayloads { .. } | RestoreError::OtherHistory { .. } | RestoreError::OtherBackup { .. } => {
                Self::Refused
            }
            RestoreError::Randomness(_) | RestoreError::Staging(_) => Self::Failure,
        }
    }
}
