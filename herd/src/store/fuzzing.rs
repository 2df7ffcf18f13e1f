//! Ways for the fuzz targets into the private formats of the log: its rows, and the records of its journal.
//!
//! Only the feature `fuzzing` has this module, and no shipped program enables that. What is read here goes through the same
//! functions as at a start; the claims about it are in the targets.

use super::changes::Changes;
use super::disk::Disk;
use super::error::StoreError;
use super::journal::{FoundRecords, JOURNAL_FILE};
use super::memory::MemoryDisk;
use super::row::{RowReader, lay_rows};
use crate::position::{Digest, Position, Sequence};

/// A row of the log, as far as its bytes hold it.
#[derive(Clone, Debug)]
pub struct RowContent {
    /// Number of changes that the row announces.
    pub count: u64,
    /// Digest before its first change, as it stands in the row.
    pub before: Digest,
    /// Digest after its last change, as it stands in the row.
    pub after: Digest,
    /// The changes that the bytes hold, up to the first that they do not.
    pub changes: Changes,
    /// Set if the changes lead from one digest to the other.
    pub is_intact: bool,
}

/// Reads a row that begins at `first`. Returns `None` if the bytes are not a row of a known version.
pub fn read_row(first: Sequence, bytes: &[u8]) -> Option<RowContent> {
    let row = RowReader::new(first, bytes)?;
    let changes = row.places().into_iter().filter_map(|place| bytes.get(place)).collect();
    Some(RowContent { count: row.count, before: row.before, after: row.after, changes, is_intact: row.is_intact() })
}

/// Writes the changes after `after` as rows, each with the number of its first change.
pub fn write_rows(after: Sequence, before: Digest, changes: &Changes) -> Vec<(Sequence, Vec<u8>)> {
    lay_rows(after, before, changes).0
}

/// Reads a journal with segments of this size, and returns the changes that continue a `log.redb` which ends at `body`.
///
/// `digest_in_body` returns the digest of `log.redb` at a sequence that it holds.
pub fn recover_journal(
    journal: &[u8],
    segment_bytes: u64,
    body: &Position,
    digest_in_body: impl Fn(Sequence) -> Option<Digest>,
) -> Result<Changes, StoreError> {
    let disk = MemoryDisk::default().with_segments(segment_bytes);
    drop(disk.open_bytes(JOURNAL_FILE)?);
    disk.overwrite(JOURNAL_FILE, journal);
    FoundRecords::read(&disk)?.changes_after(&disk, body, |sequence| Ok(digest_in_body(sequence)))
}
