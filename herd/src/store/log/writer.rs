//! The writing end of the log: commits go to the journal, and from there to `log.redb`.

use super::super::changes::Changes;
use super::super::disk::Disk;
use super::super::error::{DamagedRow, LostLogError, StoreError};
use super::super::journal::{FoundRecords, Journal};
use super::super::row::{RowReader, lay_rows};
use super::body::Body;
use super::tail::TailRow;
use super::{LOG_FILE, Log, LogReader, epochs_begun};
use crate::position::{Digest, Epoch, Position, Sequence, StoreId};

type LaidRow = (Sequence, Vec<u8>);

/// Changes in the form of the log, for its next commit.
#[derive(Debug)]
pub(in super::super) struct LaidChanges {
    rows: Vec<LaidRow>,
    /// Epochs that begin in them.
    epochs: Vec<(Epoch, Sequence)>,
    /// The position after them.
    pub(in super::super) end: Position,
}

/// End of a row of the log.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct RowEnd {
    /// Number of changes in the row.
    pub(in super::super) changes: usize,
    /// The last one.
    pub(in super::super) last: Sequence,
    /// The digest of the chain after it.
    pub(in super::super) digest: Digest,
}

impl LaidChanges {
    /// Returns the ends of the rows, in order.
    pub(in super::super) fn row_ends(&self) -> impl Iterator<Item = RowEnd> {
        let rows = self.rows.iter().filter_map(|(first, row)| RowReader::new(*first, row));
        rows.map(|row| RowEnd {
            changes: usize::try_from(row.count).unwrap_or_default(),
            last: row.last(),
            digest: row.after,
        })
    }
}

/// The writer of a log. There is one per store.
#[derive(Debug)]
pub(in super::super) struct LogWriter {
    log: Log,
    /// `None` if the disk had no room for it.
    journal: Option<Journal>,
    /// The end of `log.redb`.
    body: Position,
    /// The end of the log.
    end: Position,
    /// Epochs that begin in the tail.
    tail_epochs: Vec<(Epoch, Sequence)>,
    /// A write began and did not end, so it is unknown what reached the disk.
    failed: bool,
}

impl LogWriter {
    /// Opens the log, or creates one with the identity that `new_id` returns. `log.redb` takes over what the journal holds,
    /// if the disk has room for that.
    ///
    /// `expected` is a position that the log has had durably. Without it, the log is refused before anything is written.
    pub(in super::super) fn open(
        disk: &dyn Disk,
        cache_bytes: usize,
        expected: Option<&Position>,
        new_id: impl FnOnce() -> StoreId,
    ) -> Result<Self, StoreError> {
        if !disk.has_content(LOG_FILE) {
            if let Some(expected) = expected {
                return Err(lost(expected, None));
            }
            if let Some(journal) = FoundRecords::read(disk)?.store() {
                return Err(StoreError::MissingLog { journal });
            }
            Body::create(disk)?;
        }
        let body = Body::open(disk, cache_bytes)?;
        // Behind the lock of `log.redb`.
        let found = FoundRecords::read(disk)?;
        let store = match (body.stored_id()?, found.store(), expected) {
            (Some(store), _, _) => store,
            (None, _, Some(expected)) => return Err(lost(expected, None)),
            (None, None, None) => body.write_id(new_id())?,
            (None, Some(journal), None) => return Err(StoreError::MissingLog { journal }),
        };
        let log = Log::over(body, store)?;
        let reader = log.reader()?;
        reader.check_last_row()?;
        let body = reader.head()?;
        drop(reader);
        let written = found.latest_place();
        let (end, tail_epochs) = log.recover_tail(disk, found).map_err(|error| match expected {
            // The journal continues what `log.redb` lacks.
            Some(expected) if expected.sequence > body.sequence => lost(expected, Some(body)),
            _ => error,
        })?;
        if let Some(expected) = expected {
            log.check_holds(expected, &end)?;
        }
        let takes_over = body == end || disk.has_room();
        let journal = Journal::open(disk, store, written, takes_over)?;
        let mut writer = Self { log, journal, body, end, tail_epochs, failed: false };
        if takes_over {
            writer.take_over()?;
        } else {
            tracing::warn!("the disk is full, so log.redb does not take over what log.journal holds; make room");
        }
        Ok(writer)
    }

    /// Returns the reading end.
    pub(in super::super) fn log(&self) -> &Log {
        &self.log
    }

    pub(in super::super) fn store(&self) -> StoreId {
        self.log.store()
    }

    pub(in super::super) fn reader(&self) -> Result<LogReader, StoreError> {
        self.log.reader()
    }

    /// Lays changes into rows that continue the log, and works out the position after them. Writes nothing.
    pub(in super::super) fn lay(&self, changes: &Changes) -> LaidChanges {
        let epochs = epochs_begun(&self.end, changes);
        let (rows, digest) = lay_rows(self.end.sequence, self.end.digest, changes);
        let end = Position {
            store: self.end.store,
            epoch: epochs.last().map_or(self.end.epoch, |(epoch, _)| *epoch),
            sequence: Sequence(self.end.sequence.0 + changes.len() as u64),
            digest,
        };
        LaidChanges { rows, epochs, end }
    }

    /// Appends durably. Once this returns `Ok`, a power cut loses nothing of it. After an error nothing more is written.
    ///
    /// Nothing was written since the rows were laid.
    pub(in super::super) fn append(&mut self, laid: LaidChanges) -> Result<Position, StoreError> {
        self.begin_write()?;
        let LaidChanges { rows, epochs, end } = laid;
        match <[LaidRow; 1]>::try_from(rows) {
            Ok([(first, row)]) if self.journal.as_ref().is_some_and(|journal| journal.takes(row.len())) => {
                self.write_journal(first, row, &end)?;
                self.tail_epochs.extend_from_slice(&epochs);
                self.log.add_epochs(&epochs);
                self.end = end;
            }
            Ok(row) => self.write_body(row.into(), &epochs, end)?,
            Err(rows) => self.write_body(rows, &epochs, end)?,
        }
        self.failed = false;
        Ok(end)
    }

    /// Has `log.redb` take over the tail durably. The journal is empty then.
    pub(in super::super) fn take_over(&mut self) -> Result<(), StoreError> {
        self.begin_write()?;
        if self.body != self.end {
            self.write_body(Vec::new(), &[], self.end)?;
        }
        self.failed = false;
        Ok(())
    }

    /// Writes changes in the place of a damaged row, if they lead to the digest after it and its page takes them. Returns
    /// whether the row is whole again.
    ///
    /// `before` is the digest that they start from.
    pub(in super::super) fn mend(
        &mut self,
        row: DamagedRow,
        before: Digest,
        changes: &Changes,
    ) -> Result<bool, StoreError> {
        let after = if row.last == self.end.sequence {
            Some(self.end.digest)
        } else {
            self.reader()?.proven_digest_before(row.last.next())?
        };
        let start = Sequence(row.first.0.saturating_sub(1));
        let (rows, digest) = lay_rows(start, before, changes);
        if after != Some(digest) || !self.reader()?.are_pages_sound_around(row) {
            return Ok(false);
        }
        self.begin_write()?;
        self.log.body.write(&rows, &[])?;
        self.failed = false;
        // A page with wrong keys may take the row and not lead to it.
        let is_mended = self.reader()?.has(start, changes)?;
        if is_mended {
            self.log.damage.forget(&row);
        }
        Ok(is_mended)
    }

    fn begin_write(&mut self) -> Result<(), StoreError> {
        if std::mem::replace(&mut self.failed, true) { Err(StoreError::Interrupted) } else { Ok(()) }
    }

    /// Writes a row to the journal, after a take-over if its segment is full.
    fn write_journal(&mut self, first: Sequence, row: Vec<u8>, end: &Position) -> Result<(), StoreError> {
        if self.journal.as_ref().is_some_and(|journal| !journal.has_room(row.len())) {
            self.write_body(Vec::new(), &[], self.end)?;
        }
        if let Some(journal) = &mut self.journal {
            journal.append(first, &row)?;
        }
        self.log.tail.push(TailRow { first, last: end.sequence, after: end.digest, bytes: row.into() });
        Ok(())
    }

    /// Writes the tail and then `rows`, up to `end`, to `log.redb`. The rows of the tail are laid anew, so that many lone
    /// payloads share a row.
    fn write_body(
        &mut self,
        rows: Vec<LaidRow>,
        epochs: &[(Epoch, Sequence)],
        end: Position,
    ) -> Result<(), StoreError> {
        let (mut all_rows, digest) = lay_rows(self.body.sequence, self.body.digest, &self.tail_changes()?);
        if digest != self.end.digest {
            let why = "its digest differs from the one at its commit: the memory of this machine is unreliable";
            return Err(StoreError::DamagedLog { row: DamagedRow::at(self.end.sequence), why });
        }
        all_rows.extend(rows);
        self.tail_epochs.extend_from_slice(epochs);
        self.log.body.write(&all_rows, &self.tail_epochs)?;
        // Readers hold the tail or find its rows in `log.redb`, which has them by now.
        self.log.tail.clear();
        self.log.add_epochs(epochs);
        self.tail_epochs.clear();
        (self.body, self.end) = (end, end);
        if let Some(journal) = &mut self.journal {
            journal.turn();
        }
        Ok(())
    }

    fn tail_changes(&self) -> Result<Changes, StoreError> {
        let mut changes = Changes::default();
        for row in self.log.tail.snapshot().rows_from(Sequence::ZERO) {
            let damaged = |at| StoreError::DamagedLog { row: DamagedRow::at(at), why: "its row is truncated" };
            let reader = RowReader::new(row.first, &row.bytes).ok_or(damaged(row.first))?;
            for (sequence, change) in reader.changes() {
                changes.push(change.ok_or(damaged(sequence))?);
            }
        }
        Ok(changes)
    }
}

/// Makes the error for a log that lacks a position.
fn lost(expected: &Position, found: Option<Position>) -> StoreError {
    LostLogError { expected: *expected, found }.into()
}

impl Log {
    /// Checks that the log, which ends at `end`, holds a position that it has had.
    fn check_holds(&self, expected: &Position, end: &Position) -> Result<(), StoreError> {
        let is_held = expected.store == end.store
            && expected.sequence <= end.sequence
            && match self.reader()?.position_at(expected.sequence) {
                // Damage is not loss, and is told where it is read.
                Err(StoreError::DamagedLog { .. }) => true,
                found => found?.is_some_and(|found| found.digest == expected.digest),
            };
        if is_held { Ok(()) } else { Err(lost(expected, Some(*end))) }
    }

    /// Adds what the journal holds after `log.redb` to the tail, and returns the end of the log and the epochs of the tail.
    pub(super) fn recover_tail(
        &self,
        disk: &dyn Disk,
        found: FoundRecords,
    ) -> Result<(Position, Vec<(Epoch, Sequence)>), StoreError> {
        let reader = self.reader()?;
        let body = reader.head()?;
        let digest_at = |sequence| -> Result<Option<Digest>, StoreError> {
            Ok(reader.position_at(sequence)?.map(|position| position.digest))
        };
        let changes = found.changes_after(disk, &body, digest_at)?;
        let epochs = epochs_begun(&body, &changes);
        self.add_epochs(&epochs);
        let mut end = body;
        for (first, row) in lay_rows(body.sequence, body.digest, &changes).0 {
            let damaged = StoreError::DamagedLog { row: DamagedRow::at(first), why: "its row has an invalid header" };
            let (last, after) = RowReader::new(first, &row).map(|row| (row.last(), row.after)).ok_or(damaged)?;
            self.tail.push(TailRow { first, last, after, bytes: row.into() });
            end = self.position(last, after);
        }
        Ok((end, epochs))
    }
}
