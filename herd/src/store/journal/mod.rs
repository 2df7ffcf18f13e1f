//! `log.journal`: the end of the log, between a commit and its take-over by `log.redb`.
//!
//! A commit writes one record and syncs it. The file has two segments, which are used in turn. When a segment is full, and
//! in quiet minutes, at a start and at a clean shutdown if the disk has room, `log.redb` takes over the rows in one durable
//! transaction. Only then does the next record go to the other segment. `record` has the bytes, `recovery` what a start
//! makes of them.
//!
//! # Decisions
//!
//! - **A second mechanism in front of redb.** A commit of redb writes 27 kB for a lone payload: the pages from the leaf to
//!   the root, and its own state. A record writes 4 KiB, and its share of the take-over is a tenth of that. On an SD card
//!   this is wear. It also takes a fifth off the time from the barn to the office; most of the rest is the tables'.
//! - **Room is written with zeros before it is used.** A block that was only reserved costs a commit of the file system at
//!   its first write, because the block has to be marked as written.
//! - **A record begins at a block of 4 KiB.** The kernel writes whole pages, so a smaller unit would save nothing. It would
//!   rewrite the page of an acknowledged record, which a power cut or a failed sync may then damage.
//! - **The records alone tell what is in the file; segments have no header.** A record belongs to the end of the log if its
//!   changes are past `log.redb`, and if its sequence and digest continue it. So a stale record of an earlier use of the
//!   segment cannot be mistaken for a new one, and turning to the other segment writes nothing. Rejected: a header for each
//!   segment, whose damage would make acknowledged records look stale. The generation in a record only orders them.
//! - **Two segments, although `log.redb` takes over at once.** The records of the segment before are intact for one more
//!   turn. They mend a `log.redb` on a card that lost what it had confirmed.
//! - **The take-over happens on the writer's thread.** A thread of its own would save some milliseconds in every few
//!   hundred commits, and no seed would replay the world.
//! - **A record that is not whole and has no other behind it is dropped.** Its commit did not end, so nobody was told. Bit
//!   rot in the very last record looks the same. Behind any other record there is one that shows what is missing.
//! - **After a failed write or sync nothing more is written.** The kernel may have dropped what it could not write and
//!   still return it to readers. Acknowledged records lie in other pages, which are not written again. The next start reads
//!   the file from the disk and not from that cache; see `disk`.
//! - **A block that the medium does not return holds no record.** The file is the one that is written most, and most of its
//!   blocks hold what `log.redb` has long taken over. So such a block ends a start only where the next record may lie:
//!   behind it, nothing would show what is missing.
//! - **Without room for the file, each commit goes to `log.redb`.** A barn with a full disk must start, and show why it
//!   refuses payloads. The journal is speed and wear, not truth, so a warning is enough. Other errors end the start.
//! - **A journal of another history, or one without `log.redb`, ends the start.** It may hold the only copy of changes, so
//!   only a person moves it away.

mod record;
mod recovery;
mod unreadable;

pub(crate) use record::{BLOCK_BYTES, ROOM_BYTES, announced_row};

use super::changes::Changes;
use super::disk::Disk;
use super::error::{StoreError, storage};
use crate::position::{Digest, Position, Sequence, StoreId};
use record::{Header, Record, UnknownVersion, laid_bytes, lay_record, read_records};
use redb::StorageBackend;
use std::io::{self, ErrorKind};
use unreadable::UnreadableBlocks;

/// Name of the file.
pub const JOURNAL_FILE: &str = "log.journal";
/// Maximum size of a file that is read at a start. A later version may have larger segments.
pub(super) const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// Reason why a record of an unknown version is not read.
const LATER_VERSION: &str = "a later version of this program wrote it; install that version again";
/// Reason why a block ends the start that cannot be read.
const UNREADABLE: &str = "a block that may hold it cannot be read";
/// Bytes that are written at once while the file is allocated.
const ZEROS_BYTES: usize = 256 * 1024;

/// The records of the file, read before anything is written.
#[derive(Debug)]
pub(super) struct FoundRecords {
    records: Vec<Record>,
    unknown: Option<UnknownVersion>,
    /// Every byte of the file is zero, as after its allocation.
    is_blank: bool,
    /// Blocks that cannot be read.
    unreadable: UnreadableBlocks,
}

impl Default for FoundRecords {
    fn default() -> Self {
        Self { records: Vec::new(), unknown: None, is_blank: true, unreadable: UnreadableBlocks::default() }
    }
}

impl FoundRecords {
    /// Reads the journal, if there is one.
    pub(super) fn read(disk: &dyn Disk) -> Result<Self, StoreError> {
        if !disk.holds(JOURNAL_FILE) {
            return Ok(Self::default());
        }
        disk.drop_cached(JOURNAL_FILE);
        let file = disk.open_bytes(JOURNAL_FILE)?;
        let length = file.len().map_err(reading)?;
        if length > MAX_FILE_BYTES {
            return Err(reading(format!("it has {length} bytes, more than any version writes")));
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(reading)?];
        let unreadable = UnreadableBlocks::read(&*file, &mut bytes);
        let is_blank = unreadable.is_empty() && bytes.iter().all(|byte| *byte == 0);
        let (records, unknown) = match read_records(&bytes) {
            Ok(records) => (records, None),
            Err(unknown) => (Vec::new(), Some(unknown)),
        };
        Ok(Self { records, unknown, is_blank, unreadable })
    }

    /// Returns the history of the records, if there are any.
    pub(super) fn store(&self) -> Option<StoreId> {
        self.records.first().map(|record| record.header.store)
    }

    /// Checks that a journal whose log is missing holds nothing: neither changes, nor bytes that nobody can read.
    pub(super) fn check_nothing_lost(&self) -> Result<(), StoreError> {
        if let Some(journal) = self.store() {
            return Err(StoreError::MissingLog { journal });
        }
        let damaged = |offset, why| Err(StoreError::DamagedJournal { offset, at: Sequence::ZERO.next(), why });
        match self.unknown {
            Some(UnknownVersion { offset }) => damaged(offset, LATER_VERSION),
            None if !self.is_blank => damaged(0, "no record of it is whole, and log.redb is missing"),
            None => Ok(()),
        }
    }

    /// Returns the place of the record that was written last, if there is one.
    pub(super) fn latest_place(&self) -> Option<RecordPlace> {
        let latest = self.records.iter().max_by_key(|record| (record.header.generation, record.offset));
        latest.map(|record| RecordPlace {
            offset: record.offset,
            end: record.end,
            generation: record.header.generation,
        })
    }

    /// Returns the changes that continue the log after `body`, the end of `log.redb`.
    pub(super) fn changes_after(
        self,
        disk: &dyn Disk,
        body: &Position,
        digest_in_body: impl Fn(Sequence) -> Result<Option<Digest>, StoreError>,
    ) -> Result<Changes, StoreError> {
        if let Some(UnknownVersion { offset }) = self.unknown {
            return Err(StoreError::DamagedJournal { offset, at: body.sequence.next(), why: LATER_VERSION });
        }
        let (latest, segment_bytes) = (self.latest_place(), disk.segment_bytes());
        let changes = recovery::changes_after(self.records, segment_bytes, body, digest_in_body)?;
        let next = Sequence(body.sequence.0 + changes.len() as u64).next();
        let mut places = next_places(latest, segment_bytes, changes.is_empty());
        match places.find_map(|place| self.unreadable.of_record(next, place)) {
            Some(offset) => Err(StoreError::DamagedJournal { offset, at: next, why: UNREADABLE }),
            None => Ok(changes),
        }
    }
}

/// Returns the offsets at which the record after `latest` may begin: behind it, and in the other segment if `log.redb` has taken
/// over all records.
fn next_places(latest: Option<RecordPlace>, segment_bytes: u64, is_taken_over: bool) -> impl Iterator<Item = u64> {
    let (behind, other) = match latest {
        Some(latest) => (latest.end, if latest.offset < segment_bytes { segment_bytes } else { 0 }),
        None => (0, segment_bytes),
    };
    std::iter::once(behind).chain(is_taken_over.then_some(other))
}

/// Place of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordPlace {
    offset: u64,
    /// Offset after the record.
    end: u64,
    generation: u64,
}

/// The writing end of the file.
#[derive(Debug)]
pub(super) struct Journal {
    file: Box<dyn StorageBackend>,
    store: StoreId,
    segment_bytes: u64,
    /// The segment in use, 0 or 1.
    segment: u64,
    /// Bytes of the segment that hold records of this use.
    used: u64,
    generation: u64,
}

impl Journal {
    /// Opens the file for records after `latest`, the last of those that were found.
    ///
    /// If `is_taken_over`, `log.redb` has all of them before the first [`append`](Self::append). Otherwise they stay, and
    /// their segment is used on.
    ///
    /// Returns `None` if the disk has no room for the file.
    pub(super) fn open(
        disk: &dyn Disk,
        store: StoreId,
        latest: Option<RecordPlace>,
        is_taken_over: bool,
    ) -> Result<Option<Self>, StoreError> {
        let file = disk.open_bytes(JOURNAL_FILE)?;
        let segment_bytes = disk.segment_bytes();
        match allocate(&*file, segment_bytes * 2) {
            Ok(()) => {}
            Err(error) if is_without_room(&error) => {
                tracing::warn!(%error, "no room for {JOURNAL_FILE}; each commit writes log.redb instead");
                return Ok(None);
            }
            Err(error) => return Err(storage("allocate", JOURNAL_FILE)(error)),
        }
        let (segment, used, generation) = match latest {
            Some(latest) if is_taken_over => {
                (u64::from(latest.offset < segment_bytes), 0, latest.generation.saturating_add(1))
            }
            // What lies behind it in the segment was never told to anyone.
            Some(latest) => {
                let segment = latest.offset / segment_bytes;
                (segment, latest.end - segment * segment_bytes, latest.generation)
            }
            None => (0, 0, 1),
        };
        Ok(Some(Self { file, store, segment_bytes, segment, used, generation }))
    }

    /// Returns whether a row of this length goes through the journal.
    pub(super) fn takes(&self, row_bytes: usize) -> bool {
        laid_bytes(row_bytes) as u64 <= self.segment_bytes
    }

    /// Returns whether the segment in use has room for a row of this length.
    pub(super) fn has_room(&self, row_bytes: usize) -> bool {
        self.used + laid_bytes(row_bytes) as u64 <= self.segment_bytes
    }

    /// Appends a row durably. Once this returns `Ok`, a power cut loses nothing of it.
    pub(super) fn append(&mut self, first: Sequence, row: &[u8]) -> Result<(), StoreError> {
        let record = lay_record(&Header { store: self.store, generation: self.generation, first }, row);
        self.file.write(self.segment * self.segment_bytes + self.used, &record).map_err(writing)?;
        self.file.sync_data().map_err(storage("sync", JOURNAL_FILE))?;
        self.used += record.len() as u64;
        Ok(())
    }

    /// Turns to the other segment. The log must have taken over the rows of both.
    pub(super) fn turn(&mut self) {
        if self.used > 0 {
            self.segment = 1 - self.segment;
            self.used = 0;
            self.generation = self.generation.saturating_add(1);
        }
    }
}

pub(super) fn reading<E: std::fmt::Display>(error: E) -> StoreError {
    storage("read", JOURNAL_FILE)(error)
}

fn writing<E: std::fmt::Display>(error: E) -> StoreError {
    storage("write", JOURNAL_FILE)(error)
}

/// Extends the file to `bytes` with zeros. A file that is long enough is left as it is.
fn allocate(file: &dyn StorageBackend, bytes: u64) -> io::Result<()> {
    let found = file.len()?;
    if found >= bytes {
        return Ok(());
    }
    let extended = extend(file, found, bytes);
    if extended.is_err() {
        // Best effort: gives back the room that the rest of the disk needs. The error that counts is returned.
        file.set_len(found).ok();
    }
    extended
}

fn extend(file: &dyn StorageBackend, mut length: u64, bytes: u64) -> io::Result<()> {
    let zeros = vec![0; ZEROS_BYTES];
    while length < bytes {
        let step = usize::try_from(bytes - length).unwrap_or(ZEROS_BYTES).min(ZEROS_BYTES);
        file.set_len(length + step as u64)?;
        file.write(length, &zeros[..step])?;
        length += step as u64;
    }
    file.sync_data()
}

fn is_without_room(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

#[cfg(test)]
mod tests;
