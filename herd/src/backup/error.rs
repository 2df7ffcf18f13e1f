//! Errors of a backup.

use crate::position::{Position, Sequence};
use crate::store::StoreError;
use crate::wire::{BlobError, MAX_PAGE_CHANGES, WIRE_VERSION};
use std::io;

/// Reason why a file is not a whole backup, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file does not begin as a backup.
    #[error("this is not a backup of a HerdLinx log: it does not begin like one. Nothing was done with it")]
    NotABackup,
    /// A program of another version wrote the file.
    #[error("the backup has version {found}, and this program reads version {WIRE_VERSION}: install the newer program")]
    Version {
        /// Version of the file.
        found: u8,
    },
    /// The file ends too early.
    #[error(
        "the backup was cut short: it ends at byte {offset}, after change {after}. It was not written to its end, or not \
         copied to its end; copy it again, or use another one"
    )]
    Cut {
        /// Length of the file.
        offset: u64,
        /// The last change before the cut.
        after: Sequence,
    },
    /// A part of the file was altered.
    #[error(
        "the backup is damaged in the part that begins at byte {offset}, after change {after}: {why}. Use another one; what \
         comes before that part is sound"
    )]
    Damaged {
        /// Place of the part in the file.
        offset: u64,
        /// The last change before the part.
        after: Sequence,
        /// Kind of the damage.
        why: BlobError,
    },
    /// The changes do not continue what is before them, or do not lead to the position that the file names.
    #[error(
        "the part of the backup that begins at byte {offset} goes from {found} on, and {expected} was expected: the digests do \
         not lead from one to the other. Use another backup"
    )]
    Chain {
        /// Place of the part in the file.
        offset: u64,
        /// Position that the changes before it lead to.
        expected: Box<Position>,
        /// Position that the file names.
        found: Box<Position>,
    },
    /// A page has more changes than a writer puts on one, or none.
    #[error(
        "the page of the backup that begins at byte {offset} has {changes} changes, and a page has 1 to {MAX_PAGE_CHANGES}: no \
         HerdLinx wrote it. Use another one"
    )]
    Page {
        /// Place of the page in the file.
        offset: u64,
        /// Number of its changes.
        changes: usize,
    },
    /// A change has no bytes.
    #[error(
        "a change on the page of the backup that begins at byte {offset} is empty: no HerdLinx wrote it. Use another one"
    )]
    EmptyChange {
        /// Place of the page in the file.
        offset: u64,
    },
    /// The epochs at the start of the file are not those of its changes.
    #[error("the backup lists other epochs than its changes begin. Use another one")]
    Epochs,
    /// The end of the file names another number of changes than it has.
    #[error("the backup has {found} changes, and its end says {stated}. Use another one")]
    Count {
        /// Number of changes on its pages.
        found: u64,
        /// Number that its end names.
        stated: u64,
    },
    /// Bytes follow the end.
    #[error("bytes follow the end of the backup, at byte {offset}: it was joined with another file. Use another one")]
    Trailing {
        /// Place of the first such byte.
        offset: u64,
    },
    /// The operating system failed to read the file.
    #[error("cannot read the backup at byte {offset}: {source}. Check the medium that it is on")]
    Read {
        /// Place of the read.
        offset: u64,
        /// Error of the operating system.
        source: io::Error,
    },
}

/// Reason why a backup was not written.
#[derive(Debug, thiserror::Error)]
pub enum BackupWriteError {
    /// The log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The changes of the log do not lead to the position that the backup was begun for.
    #[error("the changes of the log lead to {found}, and the backup needs {expected}: nothing was kept of it")]
    Chain {
        /// Position that was expected.
        expected: Box<Position>,
        /// Position that was found.
        found: Box<Position>,
    },
    /// The file could not be written.
    #[error("cannot write the backup after {bytes} bytes: {source}. Check the room and the medium")]
    Write {
        /// Number of bytes before the failure.
        bytes: u64,
        /// Error of the operating system.
        source: io::Error,
    },
}
