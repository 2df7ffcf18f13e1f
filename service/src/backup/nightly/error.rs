//! Reasons why a nightly backup was not made.

use super::super::target::TargetError;
use herd::backup::BackupWriteError;
use herd::store::{StoreError, grouped};
use std::io;
use std::path::PathBuf;

/// Reason why a nightly backup was not made. Each may pass, so it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum NightlyError {
    /// The directory does not exist.
    #[error("{} does not exist: plug the medium in and mount it, or make the directory; a backup is made then", .0.display())]
    Missing(PathBuf),
    /// The operating system refused.
    #[error("cannot {doing} {}: {source}; check the medium, and that the service may write there", path.display())]
    Io {
        /// The action.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The medium is too full.
    #[error(
        "a backup needs about {} bytes, and {} has room for {}, older backups included: make room, or use a larger medium",
        grouped(*needed_bytes), path.display(), grouped(*room_bytes)
    )]
    NoRoom {
        /// The directory.
        path: PathBuf,
        /// Estimated size of the backup.
        needed_bytes: u64,
        /// Bytes that are free, or would be without the backups that may be removed.
        room_bytes: u64,
    },
    /// The bound on the room is too small.
    #[error(
        "a backup needs about {} bytes, and `max_bytes` leaves {} beside those that are never removed: raise it, it has to \
         hold two backups", grouped(*needed_bytes), grouped(*room_bytes)
    )]
    Limit {
        /// Size of the backup, as far as it is known.
        needed_bytes: u64,
        /// Bytes that the setting leaves for it.
        room_bytes: u64,
    },
    /// The file could not be written, proved or named.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The changes could not be written.
    #[error(transparent)]
    Write(#[from] BackupWriteError),
    /// The process is shutting down.
    #[error("the process is shutting down; the backup is made after the next start")]
    ShuttingDown,
    /// The thread could not be started, or panicked.
    #[error("the thread of the backup did not run to its end: {0}")]
    Thread(String),
}

impl NightlyError {
    pub(super) fn io(doing: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}
