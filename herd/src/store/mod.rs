//! The store: the log, the tables, and data that is never replicated.
//!
//! | file | holds | durable |
//! |---|---|---|
//! | `log.redb` | every Change, chained | at each take-over of the journal |
//! | `log.journal` | the last Changes, which `log.redb` lacks | with each commit, before anyone is told "stored" |
//! | `tables.redb` | the result of folding the log | written behind: by size, every [`FLUSH_CHANGES`], in quiet minutes, at a clean shutdown |
//! | `local.redb` | keys, paired sites, counters of duplicates | with each write |
//!
//! `log.redb` and `log.journal` together are the log. After [`Store::settle`] `log.redb` alone is all of it.
//!
//! One [`Store`] writes; any number of [`Reader`]s read. The order within a commit is fixed: the log durable, then the
//! tables visible, then the head published. So the tables are never ahead of what is durable. They become visible in
//! memory; the file is written behind, on a thread of its own: `tables` says how. A replica acknowledges once the log is
//! durable, and its tables may become visible a moment later: `folding` says why. [`Head`] tells how far each of them is.
//!
//! # Decisions
//!
//! - **Log and tables are separate files, and only the log is synced with each commit.** Eight tables in one durable file
//!   wrote 99 kB for a lone payload, at about half the rate. `journal` says why the log has a second file.
//! - **A group holds up to 1,000 payloads, and a lone payload waits for nothing.** A timer would trade the latency of the
//!   common case for the throughput of the rare one.
//! - **A page holds up to 10,000 changes and 4 MiB; a live page up to 1,000 changes and 256 KiB, two of them
//!   unacknowledged.** Larger pages gain nothing measurable and cost memory on both sides. A follower is a position, so
//!   nothing else queues.
//! - **A storage failure ends the process.** redb refuses writes after an EIO until the file is opened again. systemd
//!   restarts the process, and the start reads what is durable from the disk, not from the kernel's cache: see `disk`.
//! - **Divergence is a typed outcome: nothing is written, and the copy keeps serving.** A copy that followed whatever it
//!   finds would destroy the only evidence of what a restored barn lost.
//! - **redb, pinned to its minor version.** Its crash safety is tested here, through its storage backend.

mod accept;
mod append;
mod apply;
mod changes;
mod correct;
mod disk;
mod era_moves;
mod error;
mod folding;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod group;
mod guarded;
mod journal;
mod known_times;
mod local;
mod log;
mod lost_end;
mod memory;
mod mend;
mod open_progress;
mod opening;
pub(crate) mod raw;
mod read_only;
mod reader;
mod readmit;
mod reprocess;
mod row;
mod row_cache;
mod survey;
mod tables;
#[cfg(test)]
mod tests;
mod thread;
mod verify;

pub use accept::{name_aside, set_journal_aside};
pub use append::{Incoming, Receipt};
pub use apply::{ApplyReceipt, ChangeRun};
pub use changes::Changes;
pub use correct::CorrectionReceipt;
pub use disk::{Background, Directory, Disk, LOG_FILE, min_room_bytes};
pub use era_moves::{EraMoveReceipt, MAX_CHANGES_SEARCHED, MAX_MOVED};
pub use error::{ApplyError, DamagedRow, LostLogError, StoreError, is_acceptable};
pub use journal::JOURNAL_FILE;
pub use local::{LocalError, LocalFile};
pub use lost_end::{EpochReceipt, LostEnd, LostEndError, MAX_LOST_EPOCHS};
pub use memory::{MemoryDisk, Replay, SyncGate};
pub use mend::{MendError, MendReceipt};
pub use open_progress::{OpenProgress, grouped};
pub use read_only::ReadOnlyDisk;
pub use reader::{ReadCounts, Reader, Snapshot, SnapshotState};
pub use readmit::{MAX_READMITTED, Readmitted};
pub use reprocess::{MAX_REPROCESSED, ReprocessReceipt};
pub use survey::LogSurvey;
#[cfg(any(test, feature = "testing"))]
pub use tables::set_fold_version;
pub use tables::{FLUSH_CHANGES, TABLES_FILE};
pub use verify::{Phase, Progress, TablesVerdict, VerifyError, VerifyOutcome, verify_disk, verify_reader};

use crate::change::{Change, ChangeError};
use crate::decide::{Rules, TextWindow};
use crate::fold::{Rows, RowsError, TOTALS_KEY};
use crate::position::{Digest, Position, Sequence};
use crate::tables::Totals;
use folding::{Folder, Folding, Publisher};
use log::{LogReader, LogWriter};
use std::sync::Arc;

/// Page cache of the log: sixteen full rows. A follower reads each row once, and a query keeps the row that it reads.
const LOG_CACHE_BYTES: usize = 2 * 1024 * 1024;
/// Page cache of the tables. Rows that the writer uses again are in memory as it is.
const TABLES_CACHE_BYTES: usize = 8 * 1024 * 1024;
/// Estimated size to which the writer keeps decoded rows in memory from commit to commit.
const STAGED_BYTES: usize = 4 * 1024 * 1024;
/// Number of changes that are read from the log at once to find the latest texts, or to fold them again.
const REFOLD_CHANGES: usize = 10_000;
/// Number of bytes that are read from the log at once for that.
const REFOLD_BYTES: usize = 2 * 1024 * 1024;
/// Name of the log in an error about rows: decisions read both.
const LOG_ROWS: &str = "log";
/// Number of changes at the end of the log in which a source searches for the texts of the repeat window after a start.
const MAX_WINDOW_CHANGES: u64 = 16_384;

/// The state of a store: what is durable, and what is visible. The tables are never ahead of what is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last change that is durable in the log.
    pub position: Position,
    /// The last change in the tables. At a replica it may be behind `position` by the changes that are still to be folded.
    pub folded: Sequence,
    /// The fold digest after it.
    pub fold_digest: Digest,
    /// Why the tables stay behind the log, if they do: the change after `folded` cannot be decoded.
    pub blocked: Option<ChangeError>,
}

impl Head {
    /// Returns the number of changes that are durable, and will be in the tables as soon as they are folded.
    pub fn unfolded(&self) -> u64 {
        self.position.sequence.0.saturating_sub(self.visible().0)
    }

    /// Returns the last change that readers may be told of: that of the tables. If the tables are blocked, they show nothing
    /// newer for a long time, and it is the last one of the log.
    pub fn visible(&self) -> Sequence {
        if self.blocked.is_some() { self.position.sequence } else { self.folded }
    }
}

/// The writer of a store. There is one per store, and the files are locked against other processes.
#[derive(Debug)]
pub struct Store {
    disk: Arc<dyn Disk>,
    log: LogWriter,
    folding: Folding,
    publisher: Publisher,
    /// `None` until this store decides about a payload.
    window: Option<TextWindow>,
    boot: u32,
    rules: Rules,
    /// The order whose payloads are being moved into their reader era, and the last one that the writer has looked at.
    era_moves_searched: Option<(Sequence, Sequence)>,
    /// A commit began and did not end, so the disk may be one group ahead of this writer; or the tables have failed.
    interrupted: bool,
}

impl Store {
    /// Returns the current head.
    pub fn head(&self) -> Head {
        self.publisher.head()
    }

    /// Returns a handle for reading.
    pub fn reader(&self) -> Reader {
        Reader::new(self.log.log().clone(), self.publisher.tables().clone(), self.publisher.subscribe())
    }

    /// Empties the journal into `log.redb`, folds what is not folded yet, and makes the tables durable, so that `log.redb`
    /// alone is the whole log.
    pub fn settle(&mut self) -> Result<(), StoreError> {
        self.recall()?;
        let settled = self.log.take_over().and_then(|()| self.folding.here()?.settle());
        self.stop_on_error(settled)
    }

    /// Does what [`settle`](Self::settle) does if the disk has room for it. Otherwise that waits, and nothing is lost: the
    /// journal is durable. Returns whether it was done.
    pub fn settle_if_room(&mut self) -> Result<bool, StoreError> {
        if self.disk.has_room() {
            return self.settle().map(|()| true);
        }
        self.recall()?;
        tracing::warn!(place = %self.disk.place().display(), "the disk is full, so what can wait is not written; make room");
        Ok(false)
    }

    /// Checks that fold and flushes have not failed. They do their work behind the log, so that the next change may be long
    /// in coming after a failure.
    pub fn check(&mut self) -> Result<(), StoreError> {
        self.check_not_interrupted()?;
        let recalled = if self.folding.has_failed() { self.folding.recall() } else { Ok(()) };
        let checked = recalled.and_then(|()| self.publisher.check_flushes());
        self.stop_on_error(checked)
    }

    /// Returns whether a call failed for its request alone: the store is sound, and takes the next one.
    pub fn has_refused(&self, error: &StoreError) -> bool {
        !self.interrupted && matches!(error, StoreError::UnknownLost { .. } | StoreError::DamagedLog { .. })
    }

    /// Folds the next run that waits, if one does.
    ///
    /// For tests on a disk of [`Background::Steps`] whose log may be ahead of the tables.
    pub fn step_fold(&mut self) -> Result<(), StoreError> {
        self.check_not_interrupted()?;
        let stepped = self.folding.step();
        self.stop_on_error(stepped.map(|_| ()))
    }

    /// Takes the next step of flushing the tables: flushes the generation that is frozen, or else freezes the current one.
    ///
    /// For tests on a disk of [`Background::Steps`]. With [`Background::Threads`], the next step may already be under way.
    pub fn step_flush(&mut self) -> Result<(), StoreError> {
        self.check_not_interrupted()?;
        let stepped = self.folding.here().and_then(Folder::step_flush);
        self.stop_on_error(stepped)
    }

    /// Brings the tables in step with the log, on this thread.
    fn recall(&mut self) -> Result<(), StoreError> {
        self.check_not_interrupted()?;
        let recalled = self.folding.recall();
        self.stop_on_error(recalled)
    }

    /// Checks that this writer may decide: its tables are not blocked, and its head is what is on disk.
    fn check_may_decide(&self) -> Result<(), StoreError> {
        self.check_not_interrupted()?;
        let head = self.head();
        match head.blocked {
            Some(why) => Err(StoreError::TablesBehind { folded: head.folded, head: head.position.sequence, why }),
            None => Ok(()),
        }
    }

    fn check_not_interrupted(&self) -> Result<(), StoreError> {
        if self.interrupted { Err(StoreError::Interrupted) } else { Ok(()) }
    }

    /// Stops this writer if something has failed that it cannot do without.
    fn stop_on_error<T>(&mut self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        self.interrupted |= outcome.is_err();
        self.distrust_unread_tables(&outcome);
        outcome
    }

    /// Stops this writer if the tables could not be read. The next one rebuilds them if they are damaged.
    fn distrust_unread_tables<T>(&mut self, outcome: &Result<T, StoreError>) {
        let Err(StoreError::Rows(error)) = outcome else { return };
        self.interrupted = true;
        if error.is_damage() && !matches!(error, RowsError::Storage { table: LOG_ROWS, .. }) {
            self.publisher.tables().file().damage().note(error);
        }
    }

    /// Returns the texts of the repeat window, from the end of the log if they are not in memory.
    fn take_window(&mut self) -> Result<TextWindow, StoreError> {
        if let Some(window) = self.window.take() {
            return Ok(window);
        }
        let rows = &self.folding.here()?.rows;
        let forgotten = rows.shared::<Totals>(&TOTALS_KEY)?.map_or(Sequence::ZERO, |totals| totals.texts_forgotten);
        let folded = rows.folded();
        let mut window = TextWindow::new(forgotten);
        let mut after = forgotten.max(Sequence(folded.0.saturating_sub(MAX_WINDOW_CHANGES)));
        while after < folded {
            let read = self.log.reader().and_then(|log| log.changes_after(after, REFOLD_CHANGES, REFOLD_BYTES));
            let changes = match read {
                Ok((changes, _)) => changes,
                // At worst a text of these changes is recorded twice. To record nothing would be worse.
                Err(StoreError::DamagedLog { row, .. }) => {
                    after = row.last.max(after.next());
                    continue;
                }
                Err(error) => {
                    tracing::error!(%error, after = after.0, "cannot read recent changes; what they hold may be recorded twice");
                    break;
                }
            };
            for (bytes, n) in changes.iter().zip(after.0 + 1..) {
                if let Ok(change) = Change::from_bytes(bytes) {
                    window.record(Sequence(n), &change);
                }
            }
            if changes.is_empty() {
                break;
            }
            after = Sequence(after.0 + changes.len() as u64);
        }
        Ok(window)
    }

    /// Commits what was decided and folded, in the fixed order: the log durable, the tables visible, the head published.
    ///
    /// After a failure it is unknown what reached the disk, so this writer writes no more. The next one finds the group
    /// whole or not at all.
    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        self.interrupted = true;
        let position = self.log.append(self.log.lay(changes))?;
        let folder = self.folding.here()?;
        self.publisher.commit(position, folder.seal(position.digest));
        folder.shrink();
        self.interrupted = false;
        Ok(())
    }
}

fn digest_at(log: &LogReader, sequence: Sequence) -> Result<Digest, StoreError> {
    let missing = StoreError::DamagedLog { row: DamagedRow::at(sequence), why: "it is missing" };
    log.position_at(sequence)?.map(|position| position.digest).ok_or(missing)
}
