//! Errors of a recovery.

use crate::position::{Position, Sequence, StoreId};
use crate::store::{ApplyError, StoreError, VerifyError};
use std::io;

/// Reason why a log was not recovered.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The files of the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file cannot be read at all.
    #[error("cannot read the file: {0}. Check the medium that it is on")]
    Read(io::Error),
    /// Neither the files nor the memory of the machine say which history this is.
    #[error(
        "neither log.redb nor log.journal holds a row of a log, and nothing here says which history it was. If there is a \
         backup, or an office, `herdlinxd restore` begins again with it"
    )]
    NoHistory,
    /// The given file holds nothing of a log.
    #[error(
        "the file holds neither a row of a log nor a page of a backup: it is another file. Nothing was done with it"
    )]
    WrongFile,
    /// The given file is of another history.
    #[error(
        "the file is of history {found}, and this barn is of history {own}: it is the log or the backup of another barn. \
         Nothing was done with it"
    )]
    OtherHistory {
        /// History of the file.
        found: StoreId,
        /// History of the barn.
        own: StoreId,
    },
    /// Nothing in the given file shows that it is of this history.
    #[error(
        "no row of the file follows or precedes one of this barn, and none tells its history: nothing shows that it is of this \
         barn. Nothing was done with it"
    )]
    Unproven,
    /// One file has pages of two histories.
    #[error("the file has pages of history {first} and of history {second}: two backups were joined. Use one of them")]
    TwoHistories {
        /// The first history.
        first: StoreId,
        /// Another one.
        second: StoreId,
    },
    /// The log is of another history than the machine remembers.
    #[error(
        "log.redb is of history {found}, and this machine was the barn of history {remembered}: one of log.redb and \
         local.redb is from another directory. Nothing was changed"
    )]
    ForeignLog {
        /// History of the log.
        found: StoreId,
        /// History that `local.redb` remembers.
        remembered: StoreId,
    },
    /// There are more rows than memory is kept for.
    #[error(
        "more than {limit} rows were found, and memory is kept for that many. Nothing was changed: run it with --from and one \
         file less, or keep the log and ask for a larger limit"
    )]
    TooManyRows {
        /// The limit.
        limit: usize,
    },
    /// A row reads differently from before.
    #[error(
        "changes {first} to {last} were read, and read differently the second time: the medium is failing. Copy it to a sound one and recover from the copy"
    )]
    Unsteady {
        /// The first of them.
        first: Sequence,
        /// The last of them.
        last: Sequence,
    },
    /// The new log refuses the changes.
    #[error(
        "the new log refuses the changes that were found: {0}. Nothing was changed: keep the log, and try the newest version"
    )]
    Apply(Box<ApplyError>),
    /// The new log does not hold what was written to it.
    #[error("the new log was read back, and is wrong: {0}. Check the disk that it is on")]
    Verify(#[from] VerifyError),
    /// The new log ends elsewhere than the chain.
    #[error("the new log was read back, and ends at {found} instead of {expected}. Check the disk that it is on")]
    End {
        /// End of the chain.
        expected: Box<Position>,
        /// End of the log.
        found: Box<Position>,
    },
}
