//! The log: the truth. Append-only. Only what a commit has made durable here counts as stored.
//!
//! Its end is in the journal and in memory (`tail`), the rest in `log.redb` (`body`). Rows move from the tail to the body
//! only, and a reader takes its tail first. So it sees each row in one of them, or in both and then only in the body.
//!
//! # Decisions
//!
//! - **A row of `log.redb` is hashed whenever changes are taken from it,** and compared with the digests at both of its
//!   ends. A card that has lost a bit would otherwise have a barn send changes that no office accepts, show them, and decide
//!   on them. A row of 1,000 changes takes about 0.2 ms. Rows of the tail are in memory and need no check, nor do the few
//!   rows of `log.redb` that are kept there since they were [checked](super::row_cache).
//! - **The damage of a row is contained to it.** Its ends are in its header and in the rows beside it. So a follower that
//!   holds the row goes on behind it, and one that does not gets everything up to it. The damage is [`noted`](damage) for
//!   health. Rejected: to end the process. It would end again at each read, and hear nothing meanwhile.
//! - **The digest at the end of a row is taken from its header.** Whoever asks for it compares it with a digest of their own.

mod body;
mod damage;
mod epochs;
mod tail;
mod writer;

pub(super) use epochs::{epoch_begun, epochs_begun};
pub(super) use writer::{LaidChanges, LogWriter, RowEnd};

use super::changes::Changes;
use super::disk::{Disk, LOG_FILE};
use super::error::{DamagedRow, StoreError};
use super::guarded::PageBytes;
use super::journal::FoundRecords;
use super::row::{ROW_CHANGES, RowReader};
use super::row_cache::{CachedRow, IntactRows, RowBytes};
use crate::digest;
use crate::position::{Digest, Epoch, Position, Sequence, StoreId};
use body::{Body, RowTable};
use damage::NotedDamage;
use std::cell::RefCell;
use std::sync::{Arc, PoisonError, RwLock};
use tail::{Tail, TailRow, TailSnapshot};

/// The reading end of the log of one history.
#[derive(Clone, Debug)]
pub(super) struct Log {
    body: Body,
    tail: Tail,
    store: StoreId,
    epochs: Arc<RwLock<Vec<(Epoch, Sequence)>>>,
    damage: NotedDamage,
    intact: IntactRows,
}

impl Log {
    /// Opens an existing log for reading. What its journal holds is read and left there.
    ///
    /// Returns `None` if there is none, or if its creation was interrupted before it had an identity.
    pub(super) fn open_existing(disk: &dyn Disk, cache_bytes: usize) -> Result<Option<Self>, StoreError> {
        // An empty file would be made a database.
        if !disk.has_content(LOG_FILE) {
            return Ok(None);
        }
        let body = Body::open(disk, cache_bytes)?;
        let found = FoundRecords::read(disk)?;
        match (body.stored_id()?, found.store()) {
            (Some(store), _) => {
                let log = Self::over(body, store)?;
                log.recover_tail(disk, found)?;
                Ok(Some(log))
            }
            (None, None) => Ok(None),
            (None, Some(journal)) => Err(StoreError::MissingLog { journal }),
        }
    }

    /// Opens what `log.redb` alone holds, for reading.
    pub(super) fn open_body(disk: &dyn Disk, cache_bytes: usize) -> Result<Option<Self>, StoreError> {
        if !disk.has_content(LOG_FILE) {
            return Ok(None);
        }
        let body = Body::open(disk, cache_bytes)?;
        body.stored_id()?.map(|store| Self::over(body, store)).transpose()
    }

    fn over(body: Body, store: StoreId) -> Result<Self, StoreError> {
        let epochs = Arc::new(RwLock::new(body.epochs()?));
        let (tail, damage, intact) = (Tail::default(), NotedDamage::default(), IntactRows::default());
        Ok(Self { body, tail, store, epochs, damage, intact })
    }

    pub(super) fn store(&self) -> StoreId {
        self.store
    }

    /// Returns the damaged rows that were read so far, in order.
    pub(super) fn damaged_rows(&self) -> Vec<DamagedRow> {
        self.damage.rows()
    }

    /// Returns the epoch at `sequence`.
    pub(super) fn epoch_at(&self, sequence: Sequence) -> Epoch {
        let epochs = self.epochs.read().unwrap_or_else(PoisonError::into_inner);
        epochs.iter().rev().find(|(_, first)| *first <= sequence).map_or(Epoch(0), |(epoch, _)| *epoch)
    }

    /// Returns the epochs up to `sequence`, with the changes that began them.
    pub(super) fn epochs_through(&self, sequence: Sequence) -> Vec<(Epoch, Sequence)> {
        let epochs = self.epochs.read().unwrap_or_else(PoisonError::into_inner);
        epochs.iter().copied().filter(|(_, first)| *first <= sequence).collect()
    }

    fn add_epochs(&self, begun: &[(Epoch, Sequence)]) {
        if !begun.is_empty() {
            self.epochs.write().unwrap_or_else(PoisonError::into_inner).extend_from_slice(begun);
        }
    }

    fn position(&self, sequence: Sequence, digest: Digest) -> Position {
        Position { store: self.store, epoch: self.epoch_at(sequence), sequence, digest }
    }

    pub(super) fn reader(&self) -> Result<LogReader, StoreError> {
        // The tail first: a take-over between the two gives both the rows, and the other order would give neither.
        let mut tail = self.tail.snapshot();
        let body = self.body.rows()?;
        if let (Some(first), Some(rows)) = (tail.first(), &body)
            && rows.range(first.0..)?.next().transpose()?.is_some()
        {
            tail = TailSnapshot::default();
        }
        Ok(LogReader { cached: RefCell::default(), body, tail, log: self.clone() })
    }
}

/// The log at one moment, in a read transaction of `log.redb`. Hold it briefly, never across network I/O: redb reuses no
/// page that a reader may still use.
pub(super) struct LogReader {
    /// The row that was looked at last.
    cached: RefCell<Option<Arc<CachedRow>>>,
    body: Option<RowTable>,
    tail: TailSnapshot,
    log: Log,
}

/// The first change of a row, and the row's bytes.
type FoundRow = (Sequence, RowBytes);

impl From<TailRow> for FoundRow {
    fn from(row: TailRow) -> Self {
        (row.first, RowBytes::Tail(row.bytes))
    }
}

impl LogReader {
    /// Returns the position after the last change.
    pub(super) fn head(&self) -> Result<Position, StoreError> {
        if let Some(row) = self.tail.last() {
            return Ok(self.log.position(row.last, row.after));
        }
        let last = match &self.body {
            None => None,
            Some(rows) => rows.last()?,
        };
        let Some((first, bytes)) = last else { return Ok(self.start()) };
        match RowReader::new(first, &bytes) {
            Some(row) => Ok(self.log.position(row.last(), row.after)),
            None => Err(self.damaged(first, first)),
        }
    }

    /// Returns the last change that is in `log.redb` and not in the tail.
    fn body_end(&self) -> Result<Sequence, StoreError> {
        match self.tail.first() {
            Some(first) => Ok(Sequence(first.0.saturating_sub(1))),
            None => Ok(self.head()?.sequence),
        }
    }

    /// Returns the digest before the row that begins at `next`, if one does.
    pub(super) fn digest_before(&self, next: Sequence) -> Result<Option<Digest>, StoreError> {
        let row = self.row_at(next)?;
        Ok(row.and_then(|(first, bytes)| RowReader::new(first, &bytes).map(|row| row.before)))
    }

    /// Returns the digest before the row that begins at `next`, if one does that holds what was written to it.
    pub(super) fn proven_digest_before(&self, next: Sequence) -> Result<Option<Digest>, StoreError> {
        let row = self.row_at(next)?;
        Ok(row.and_then(|(first, bytes)| {
            let row = RowReader::new(first, &bytes)?;
            (bytes.are_trusted() || row.is_intact()).then_some(row.before)
        }))
    }

    /// Returns the row that begins at `first`, if one does that can be read.
    fn row_at(&self, first: Sequence) -> Result<Option<FoundRow>, StoreError> {
        match self.row_from(first) {
            Err(StoreError::DamagedLog { .. }) => Ok(None),
            row => Ok(row?.filter(|(found, _)| *found == first)),
        }
    }

    /// Returns whether the row of `log.redb` that begins at `first` holds what was written to it.
    fn is_intact(&self, first: Sequence) -> Result<bool, StoreError> {
        let row = self.body_row_from(first)?;
        Ok(row.is_some_and(|(first, bytes)| RowReader::new(first, &bytes).is_some_and(|row| row.is_intact())))
    }

    /// Checks the last row of `log.redb`: what comes next continues it.
    pub(super) fn check_last_row(&self) -> Result<(), StoreError> {
        let Some((first, bytes)) = self.body.as_ref().map(RowTable::last).transpose()?.flatten() else {
            return Ok(());
        };
        let is_intact = RowReader::new(first, &bytes).is_some_and(|row| row.is_intact());
        if is_intact { Ok(()) } else { Err(self.damaged(first, first)) }
    }

    fn start(&self) -> Position {
        digest::log_start(self.log.store)
    }

    /// Returns the position at `sequence`, or `None` if it is past the head.
    pub(super) fn position_at(&self, sequence: Sequence) -> Result<Option<Position>, StoreError> {
        if sequence == Sequence::ZERO {
            return Ok(Some(self.start()));
        }
        let found = self.with_row(sequence, |row| {
            let reader = row.reader()?;
            let is_at_end = sequence == reader.last();
            if is_at_end || self.is_sound(row) { reader.digest_at(sequence) } else { None }
        });
        let digest = match found {
            // The row after it has the digest, too.
            Err(error @ StoreError::DamagedLog { .. }) => Some(self.digest_before(sequence.next())?.ok_or(error)?),
            found => found?,
        };
        Ok(digest.map(|digest| self.log.position(sequence, digest)))
    }

    /// Returns the stored bytes of a change, or `None` if it is past the head.
    pub(super) fn change(&self, sequence: Sequence) -> Result<Option<Vec<u8>>, StoreError> {
        self.with_row(sequence, |row| if self.is_sound(row) { Some(row.change(sequence)?.to_vec()) } else { None })
    }

    /// Calls `look` with the row that holds `sequence`; if it returns `None`, the row is damaged. Returns `None` if
    /// `sequence` is past the head.
    fn with_row<T>(
        &self,
        sequence: Sequence,
        look: impl FnOnce(&Arc<CachedRow>) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let mut cached = self.cached.borrow_mut();
        if !cached.as_ref().is_some_and(|row| row.holds(sequence)) {
            *cached = self.load_row(sequence)?;
        }
        let Some(row) = cached.as_ref().filter(|row| row.holds(sequence)) else {
            return self.check_past(sequence, cached.as_deref());
        };
        let (found, first) = (look(row), row.first());
        if found.is_none() {
            // It may say that it holds more than it does, and would hide the rows behind it.
            *cached = None;
        }
        found.map(Some).ok_or_else(|| self.damaged(first, sequence))
    }

    /// Returns whether a row holds what was written to it. One that is found to do so now is kept for all readers.
    fn is_sound(&self, row: &Arc<CachedRow>) -> bool {
        let (was_checked, is_intact) = (row.is_checked(), row.is_intact());
        if is_intact && !was_checked {
            self.log.intact.keep(row);
        }
        is_intact
    }

    /// Returns the last row that begins at or before `sequence`, from memory or from the file.
    fn load_row(&self, sequence: Sequence) -> Result<Option<Arc<CachedRow>>, StoreError> {
        if let Some(kept) = self.log.intact.find(sequence)
            && kept.last() <= self.body_end()?
        {
            return Ok(Some(kept));
        }
        let Some((first, bytes)) = self.row_from(sequence)? else { return Ok(None) };
        let row = CachedRow::new(first, bytes).ok_or_else(|| self.damaged(first, sequence))?;
        Ok(Some(Arc::new(row)))
    }

    /// Returns `None` if `sequence` is past the head. Before it, the row that should hold it is damaged or missing.
    fn check_past<T>(&self, sequence: Sequence, before: Option<&CachedRow>) -> Result<Option<T>, StoreError> {
        if sequence == Sequence::ZERO || sequence > self.head()?.sequence {
            return Ok(None);
        }
        Err(match before {
            Some(row) if !row.is_intact() => self.damaged(row.first(), sequence),
            _ => self.missing_around(sequence),
        })
    }

    /// Returns the row of the tail that holds `sequence`, or the last row of the body that begins at or before it.
    fn row_from(&self, sequence: Sequence) -> Result<Option<FoundRow>, StoreError> {
        match self.tail.row_with(sequence) {
            Some(row) => Ok(Some(row.into())),
            None => self.body_row_from(sequence),
        }
    }

    /// Returns the last row of the body that begins at or before `sequence`, if it can hold that change.
    fn body_row_from(&self, sequence: Sequence) -> Result<Option<FoundRow>, StoreError> {
        self.search_body(sequence).map_err(|error| self.unreadable(sequence, error))
    }

    fn search_body(&self, sequence: Sequence) -> Result<Option<FoundRow>, StoreError> {
        let Some(rows) = &self.body else { return Ok(None) };
        // Without a lower bound, redb would also read the first row of the log, for the other end of the range.
        let lowest = sequence.0.saturating_sub(ROW_CHANGES as u64 - 1);
        let found = match rows.range(lowest..=sequence.0)?.next_back().transpose() {
            // redb searched the page after the one that holds the row.
            Err(error @ StoreError::DamagedFile { .. }) => {
                let before = rows.range(lowest..=sequence.0)?.map_while(Result::ok).last();
                let holds = |(first, bytes): &(Sequence, PageBytes<'_>)| {
                    RowReader::new(*first, bytes).is_some_and(|row| row.last() >= sequence)
                };
                Some(before.filter(holds).ok_or(error)?)
            }
            found => found?,
        };
        Ok(found.map(|(first, bytes)| (first, RowBytes::Body(bytes))))
    }

    /// Iterates over the rows from one that may hold `sequence` on: those of the body, then those of the tail.
    fn rows_from(
        &self,
        sequence: Sequence,
    ) -> Result<impl Iterator<Item = Result<FoundRow, StoreError>> + '_, StoreError> {
        let body = match (&self.body, self.body_row_from(sequence)?) {
            (Some(rows), Some((start, _))) => Some(rows.range(start.0..)?),
            _ => None,
        };
        let body = body.into_iter().flatten();
        let body = body.map(|entry| entry.map(|(first, bytes)| (first, RowBytes::Body(bytes))));
        Ok(body.chain(self.tail.rows_from(sequence).map(|row| Ok(row.into()))))
    }

    /// Returns whether the changes after `after` begin with these, which end with a row.
    fn has(&self, after: Sequence, changes: &Changes) -> Result<bool, StoreError> {
        match self.changes_after(after, changes.len(), usize::MAX) {
            Err(StoreError::DamagedLog { .. }) => Ok(false),
            read => Ok(read?.0 == *changes),
        }
    }

    /// Returns the changes after `after`, and the position after them.
    ///
    /// There are at most `limit` changes and `max_bytes` bytes, but at least one change. Whole rows are preferred, because a
    /// row holds the digest at its end.
    pub(super) fn changes_after(
        &self,
        after: Sequence,
        limit: usize,
        max_bytes: usize,
    ) -> Result<(Changes, Option<Position>), StoreError> {
        let mut changes = Changes::default();
        let (mut end, mut skipped) = (None, None);
        for entry in self.rows_from(Sequence(after.0.saturating_add(1)))? {
            let expected = Sequence(after.0 + changes.len() as u64 + 1);
            let (first, bytes) = match entry {
                // What comes before is sound. The next call begins at the error.
                Err(_) if !changes.is_empty() => break,
                entry => entry.map_err(|error| self.unreadable(expected, error))?,
            };
            let row = RowReader::new(first, &bytes);
            if row.is_some_and(|row| row.last() <= after) {
                skipped = Some(first);
                continue;
            }
            let row = row.filter(|row| bytes.are_trusted() || row.is_intact());
            let row = match (row, skipped.take()) {
                (Some(row), _) if first <= expected => row,
                // What comes before the damage is sound. The next call begins at it.
                _ if !changes.is_empty() => break,
                // The row before says that it ends early, and is damaged itself.
                (_, Some(before)) if first > expected && !self.is_intact(before)? => {
                    return Err(self.damaged(before, expected));
                }
                _ if first > expected => return Err(self.missing(expected, first)),
                _ => return Err(self.damaged(first, expected)),
            };
            let whole_fits =
                changes.len() as u64 + row.count <= limit as u64 && changes.bytes() + bytes.len() <= max_bytes;
            if !whole_fits && !changes.is_empty() {
                break;
            }
            let last = take_from_row(&row, after, limit, max_bytes, &mut changes);
            let digest = row.digest_at(last).ok_or_else(|| self.damaged(first, expected))?;
            end = Some(self.log.position(last, digest));
            if last < row.last() {
                break;
            }
        }
        if end.is_none() && after < self.head()?.sequence {
            return Err(self.missing_around(after.next()));
        }
        Ok((changes, end))
    }
}

/// Adds the changes of `row` after `after` until a limit is reached, and returns the last one added.
fn take_from_row(row: &RowReader<'_>, after: Sequence, limit: usize, max_bytes: usize, to: &mut Changes) -> Sequence {
    let mut last = after;
    let present = row.changes().filter_map(|(n, change)| Some((n, change?)));
    for (n, change) in present.filter(|(n, _)| *n > after) {
        if to.len() >= limit || (!to.is_empty() && to.bytes() + change.len() > max_bytes) {
            break;
        }
        to.push(change);
        last = n;
    }
    last
}
