//! Backup: the log of a store as one file, and the way back.
//!
//! A backup is a sequence of [blobs](crate::wire), as they travel to a follower:
//!
//! ```text
//! BackupStart: site, time, position at the end, epochs
//! Page         consecutive changes, at most 10,000 and about 256 KiB
//! Page ...
//! ExportEnd:   number of changes, position at the end
//! ```
//!
//! [`BackupReader`] proves a file while it reads it: the digest of each blob, the chain over all changes, the epochs, and
//! that the file ends where it should. [`restore_log`] makes a store of it.
//!
//! # Decisions
//!
//! - **A backup has the log and nothing else.** Tables are folded from it. Keys and pairings stay out: a backup lies on a
//!   stick in a drawer, and a secret in it would outlive its revocation.
//! - **The blobs of the wire, not a format of its own.** They are frozen, bounded and digested already, and a full export
//!   is the same but for its start. Rejected: a copy of `log.redb`. It cannot be taken while the daemon writes, it is larger,
//!   and only redb can tell whether it is whole.
//! - **The end is written first and last.** The start names the position up to which the file goes. So a reader knows at
//!   once whether the backup is the wanted one, and a file that was cut anywhere is recognized as cut.
//! - **The log is copied out range by range.** A read transaction over the whole log would keep redb from reusing pages for
//!   as long as the slowest USB stick takes. The end is chosen at the beginning, and the log up to there never changes.
//! - **Not compressed.** The changes hold hex digits and repeated names, so it would save about half. A file that any
//!   version of the programs can read, without another format inside, is worth more.

mod error;
mod read;
mod restore;
#[cfg(test)]
mod tests;
mod write;

pub use error::{BackupError, BackupWriteError};
pub use read::BackupReader;
pub use restore::{RestoreLogError, restore_log};
pub use write::{BackupWriter, RUN_BYTES, RUN_CHANGES, copy_log, next_run, start_of};

use crate::change::ChangeKind;
use crate::position::Position;
use crate::store::ChangeRun;
use serde::{Deserialize, Serialize};

/// Content of a backup that was written or read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupSummary {
    /// Position after the last change.
    pub end: Position,
    /// Number of payloads among the changes, rejected ones included.
    pub payloads: u64,
    /// Length of the file.
    pub bytes: u64,
}

/// Progress of writing or reading a backup, in changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupProgress {
    /// Changes that are done.
    pub done: u64,
    /// Changes in the backup.
    pub of: u64,
}

/// Returns the number of payloads among the changes of a run.
fn payloads_in(run: &ChangeRun) -> u64 {
    run.changes.iter().filter(|change| change.first() == Some(&(ChangeKind::Received as u8))).count() as u64
}
