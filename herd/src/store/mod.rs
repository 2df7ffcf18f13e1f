//! The store: the log, the tables, and data that is never replicated.
//!
//! | file | holds | durable |
//! |---|---|---|
//! | `log.redb` | every Change, chained | at each take-over of the journal |
//! | `log.journal` | the last Changes, which `log.redb` lacks | with each commit, before anyone is told "stored" |
//! | `tables.redb` | the result of folding the log | written behind: by size, every [`FLUSH_CHANGES`], in quiet minutes, at a clean shutdown |
//! | `local.redb` | keys, paired sites, counters of duplicates | with each write |
//!
//! `log.redb` and `log.journal` together are the log. After a clean shutdown `log.redb` alone is all of it.
//!
//! One [`Store`] writes; any number of [`Reader`]s read. The order within a commit is fixed: the log durable, then the
//! tables visible, then the head published. So the tables are never ahead of what is durable. They become visible in
//! memory; the file is written behind, on a thread of its own: `tables` says how.
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
//!   restarts the process, and the start checks what is durable.
//! - **Divergence is a typed outcome: nothing is written, and the copy keeps serving.** A copy that followed whatever it
//!   finds would destroy the only evidence of what a restored barn lost.
//! - **redb, pinned to its minor version.** Its crash safety is tested here, through its storage backend.

mod append;
mod apply;
mod changes;
mod correct;
mod disk;
mod error;
mod group;
mod journal;
mod local;
mod log;
mod memory;
mod open_progress;
mod reader;
mod reprocess;
mod row;
mod row_cache;
mod tables;
#[cfg(test)]
mod tests;
mod verify;

pub use append::{Incoming, Receipt};
pub use apply::{ApplyReceipt, ChangeRun};
pub use changes::Changes;
pub use correct::CorrectionReceipt;
pub use disk::{Directory, Disk, FlushMode};
pub use error::{ApplyError, StoreError};
pub use journal::JOURNAL_FILE;
pub use local::{LocalError, LocalFile};
pub use log::LOG_FILE;
pub use memory::{MemoryDisk, Replay, SyncGate};
pub use open_progress::{OpenProgress, grouped};
pub use reader::{ReadCounts, Reader, Snapshot, SnapshotState};
pub use reprocess::{MAX_REPROCESSED, ReprocessReceipt};
#[cfg(any(test, feature = "testing"))]
pub use tables::set_fold_version;
pub use tables::{FLUSH_CHANGES, TABLES_FILE};
pub use verify::{Phase, Progress, TablesVerdict, VerifyError, VerifyOutcome, verify_disk, verify_reader};

use crate::change::{Change, ChangeError, EpochStart};
use crate::clock::ClockReading;
use crate::decide::{Rules, TextWindow};
use crate::digest::RowSum;
use crate::fold::{FOLD_VERSION, Rows, StagedRows, TOTALS_KEY, fold};
use crate::position::{Digest, Epoch, Position, Sequence, StoreId};
use crate::tables::Totals;
use log::{Log, LogReader, LogWriter};
use tables::{StoredState, TablesFile, TablesState, TablesWriter, View};
use tokio::sync::watch;

/// Page cache of the log. The log is written at its end and read near it.
const LOG_CACHE_BYTES: usize = 8 * 1024 * 1024;
/// Page cache of the tables. Rows that the writer uses again are in memory as it is.
const TABLES_CACHE_BYTES: usize = 8 * 1024 * 1024;
/// Estimated size to which the writer keeps decoded rows in memory from commit to commit.
const STAGED_BYTES: usize = 8 * 1024 * 1024;
/// Number of changes that are folded at once while the tables are rebuilt, and that are read to find the latest texts.
const REFOLD_CHANGES: usize = 10_000;
/// Number of bytes that are read from the log at once while the tables are rebuilt.
const REFOLD_BYTES: usize = 2 * 1024 * 1024;
/// Number of changes at the end of the log in which a source searches for the texts of the repeat window after a start.
const MAX_WINDOW_CHANGES: u64 = 16_384;
/// File in which new tables are made, beside the old ones.
const TABLES_BESIDE: &str = "tables-new.redb";

/// The state of a store, published after each commit and never before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last change that is durable in the log.
    pub position: Position,
    /// The last change in the tables.
    pub folded: Sequence,
    /// The fold digest after it.
    pub fold_digest: Digest,
    /// Why the tables are behind the log, if they are: the change after `folded` cannot be decoded.
    pub blocked: Option<ChangeError>,
}

/// The writer of a store. There is one per store, and the files are locked against other processes.
#[derive(Debug)]
pub struct Store {
    log: LogWriter,
    tables: TablesWriter,
    /// Rows in memory, above the tables. All are sealed between two commits.
    rows: StagedRows<View>,
    /// The state of the tables with all sealed rows.
    state: TablesState,
    /// `None` until this store decides about a payload.
    window: Option<TextWindow>,
    head: watch::Sender<Head>,
    boot: u32,
    rules: Rules,
    /// A commit began and did not end, so the disk may be one group ahead of this writer; or the tables could not be read.
    interrupted: bool,
}

impl Store {
    /// Opens the source's store in `disk`, or creates it with Epoch 1 as its first change.
    ///
    /// `new_id` returns random identities. `clock` holds the number of the machine's current boot.
    pub fn open_source(
        disk: &dyn Disk,
        rules: Rules,
        clock: ClockReading,
        mut new_id: impl FnMut() -> StoreId,
    ) -> Result<Self, StoreError> {
        let writer = new_id();
        let mut store = Self::open(disk, rules, clock.boot, new_id)?;
        if store.head().position.sequence == Sequence::ZERO {
            let store_id = store.log.store();
            let began = EpochStart { epoch: Epoch(1), store: store_id, writer, clock };
            store.append_change(&Change::Epoch(began))?;
        }
        Ok(store)
    }

    /// Opens the replica of the history `store` in `disk`, or creates an empty one.
    pub fn open_replica(disk: &dyn Disk, store: StoreId) -> Result<Self, StoreError> {
        let opened = Self::open(disk, Rules::default(), 0, || store)?;
        let found = opened.log.store();
        if found != store {
            return Err(StoreError::OtherStore { place: disk.place(), expected: store, found });
        }
        Ok(opened)
    }

    fn open(disk: &dyn Disk, rules: Rules, boot: u32, new_id: impl FnOnce() -> StoreId) -> Result<Self, StoreError> {
        let log = LogWriter::open(disk, LOG_CACHE_BYTES, new_id)?;
        let head = log.reader()?.head()?;
        let (file, stored) = open_tables(disk, log.log(), &head)?;
        let state = stored.tables;
        let mut tables = TablesWriter::new(disk, file, &stored)?;
        let rows = StagedRows::new(tables.view(), state.folded, state.sum);
        let published = Head { position: head, folded: state.folded, fold_digest: state.sum.digest(), blocked: None };
        let head = watch::Sender::new(published);
        let mut store = Self { log, tables, rows, state, window: None, head, boot, rules, interrupted: false };
        let caught_up = store.catch_up_tables(disk);
        store.distrust_unread_tables(&caught_up);
        caught_up.map(|()| store)
    }

    /// Returns the last boot number in the log, or 0. A machine that has lost its own count continues after it.
    pub fn last_boot(disk: &dyn Disk) -> Result<u32, StoreError> {
        let Some(log) = Log::open_existing(disk, LOG_CACHE_BYTES)? else { return Ok(0) };
        let reader = log.reader()?;
        let head = reader.head()?;
        let mut sequence = head.sequence;
        while sequence > Sequence::ZERO {
            if let Some(clock) = reader.change(sequence)?.and_then(|bytes| clock_of(&bytes)) {
                return Ok(clock.boot);
            }
            sequence = Sequence(sequence.0 - 1);
        }
        Ok(0)
    }

    /// Returns the current head.
    pub fn head(&self) -> Head {
        self.head.borrow().clone()
    }

    /// Returns a handle for reading.
    pub fn reader(&self) -> Reader {
        Reader::new(self.log.log().clone(), self.tables.tables().clone(), self.head.subscribe())
    }

    /// Empties the journal into `log.redb`, and makes the tables durable. Called in quiet minutes and before a clean
    /// shutdown.
    pub fn settle(&mut self) -> Result<(), StoreError> {
        self.log.take_over()?;
        let settled = self.tables.settle();
        self.use_view(settled.map(Some))?;
        // Nobody is waiting for these rows.
        self.rows.shrink(0);
        Ok(())
    }

    /// Has full generations flushed. Called before each group, so that no answer waits for a flush.
    fn make_room(&mut self) -> Result<(), StoreError> {
        let view = self.tables.make_room();
        self.use_view(view)
    }

    /// Takes the next step of flushing the tables: flushes the generation that is frozen, or else freezes the current one.
    ///
    /// For tests on a disk of [`FlushMode::Stepped`]. With [`FlushMode::Thread`], the next step may already be under way.
    pub fn step_flush(&mut self) -> Result<(), StoreError> {
        let view = self.tables.step();
        self.use_view(view.map(Some))
    }

    /// Reads from a new view of the tables, if there is one. Stops this writer if a flush has failed.
    fn use_view(&mut self, view: Result<Option<View>, StoreError>) -> Result<(), StoreError> {
        match view {
            Ok(Some(view)) => self.rows.rebase(view),
            Ok(None) => {}
            Err(error) => {
                self.interrupted = true;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Checks that this writer may decide: its tables are at its head, and its head is what is on disk.
    fn check_may_decide(&self) -> Result<(), StoreError> {
        self.check_not_interrupted()?;
        let head = self.head.borrow();
        match head.blocked.clone() {
            Some(why) => Err(StoreError::TablesBehind { folded: head.folded, head: head.position.sequence, why }),
            None => Ok(()),
        }
    }

    fn check_not_interrupted(&self) -> Result<(), StoreError> {
        if self.interrupted { Err(StoreError::Interrupted) } else { Ok(()) }
    }

    /// Stops this writer if the tables could not be read. The next one rebuilds them.
    fn distrust_unread_tables<T>(&mut self, outcome: &Result<T, StoreError>) {
        let Err(StoreError::Rows(error)) = outcome else { return };
        tracing::error!(%error, "cannot read the tables");
        self.interrupted = true;
        if let Err(error) = self.tables.distrust() {
            tracing::error!(%error, "cannot mark the tables as damaged; delete tables.redb if the next start fails too");
        }
    }

    /// Returns the texts of the repeat window, from the end of the log if they are not in memory.
    fn take_window(&mut self) -> Result<TextWindow, StoreError> {
        if let Some(window) = self.window.take() {
            return Ok(window);
        }
        let forgotten =
            self.rows.shared::<Totals>(&TOTALS_KEY)?.map_or(Sequence::ZERO, |totals| totals.texts_forgotten);
        let folded = self.rows.folded();
        let mut window = TextWindow::new(forgotten);
        let mut after = forgotten.max(Sequence(folded.0.saturating_sub(MAX_WINDOW_CHANGES)));
        while after < folded {
            let (changes, _) = self.log.reader()?.changes_after(after, REFOLD_CHANGES, REFOLD_BYTES)?;
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

    /// Commits in the fixed order: the log durable, the tables visible, the head published.
    ///
    /// After a failure it is unknown what reached the disk, so this writer writes no more. The next one finds the group
    /// whole or not at all.
    fn commit(&mut self, changes: &Changes, blocked: Option<ChangeError>) -> Result<(), StoreError> {
        self.interrupted = true;
        let position = self.log.append(changes)?;
        self.publish_tables(&position)?;
        self.interrupted = false;
        self.head.send_replace(Head {
            position,
            folded: self.state.folded,
            fold_digest: self.state.sum.digest(),
            blocked,
        });
        Ok(())
    }

    /// Makes the folded rows visible. `head` is the position of the log that holds their changes.
    fn publish_tables(&mut self, head: &Position) -> Result<(), StoreError> {
        let folded = self.rows.folded();
        if folded == self.state.folded {
            return Ok(());
        }
        let digest = if folded == head.sequence { head.digest } else { digest_at(&self.log.reader()?, folded)? };
        let sealed = self.rows.seal();
        self.state = TablesState { folded, digest, sum: self.rows.sum(), ..self.state };
        self.tables.publish(sealed, &self.state);
        self.rows.shrink(STAGED_BYTES);
        Ok(())
    }

    /// Folds the changes that the tables lack. Stops before one that this program cannot decode.
    fn catch_up_tables(&mut self, disk: &dyn Disk) -> Result<(), StoreError> {
        let head = self.head().position;
        let mut blocked = None;
        let began = self.state.folded;
        while self.state.folded < head.sequence && blocked.is_none() {
            if disk.report(&OpenProgress::Folding { folded: self.state.folded, of: head.sequence }).is_break() {
                // Keep what is folded, for the next start.
                self.settle()?;
                return Err(StoreError::Canceled { file: TABLES_FILE.to_owned() });
            }
            let (changes, end) = self.log.reader()?.changes_after(self.state.folded, REFOLD_CHANGES, REFOLD_BYTES)?;
            let Some(end) = end else { break };
            self.make_room()?;
            blocked = fold_run(&mut self.rows, &changes, self.state.folded)?;
            self.publish_tables(&end)?;
            if head.sequence.0 - began.0 > REFOLD_CHANGES as u64 {
                tracing::info!(folded = self.state.folded.0, head = head.sequence.0, "rebuilding the tables");
            }
        }
        self.settle()?;
        let (folded, fold_digest) = (self.state.folded, self.state.sum.digest());
        self.head.send_replace(Head { position: head, folded, fold_digest, blocked });
        Ok(())
    }
}

/// Folds changes that follow `after`, up to the first one that this program cannot decode.
fn fold_run<B: Rows>(
    staged: &mut StagedRows<B>,
    changes: &Changes,
    after: Sequence,
) -> Result<Option<ChangeError>, StoreError> {
    for (bytes, n) in changes.iter().zip(after.0 + 1..) {
        match Change::from_bytes(bytes) {
            Ok(change) => fold(staged, Sequence(n), &change)?,
            Err(unreadable) => return Ok(Some(unreadable)),
        }
    }
    Ok(None)
}

fn digest_at(log: &LogReader, sequence: Sequence) -> Result<Digest, StoreError> {
    let missing = StoreError::DamagedLog { at: sequence, why: "it is missing" };
    log.position_at(sequence)?.map(|position| position.digest).ok_or(missing)
}

/// Opens the tables if this fold made them of a prefix of the log. Otherwise replaces them by empty ones.
fn open_tables(disk: &dyn Disk, log: &Log, head: &Position) -> Result<(TablesFile, StoredState), StoreError> {
    let start = StoredState { tables: TablesState::start(log.store()), index: RowSum::default() };
    if disk.holds(TABLES_FILE) {
        match TablesFile::open(disk, TABLES_FILE, TABLES_CACHE_BYTES) {
            Ok(tables) => match tables.state() {
                Ok(Some(state)) if is_prefix(&state.tables, log, head)? => return Ok((tables, state)),
                Ok(None) if head.sequence == Sequence::ZERO => return Ok((tables, start)),
                found => tracing::warn!(?found, "tables do not match the log; rebuilding them"),
            },
            Err(error @ (StoreError::Locked { .. } | StoreError::Canceled { .. })) => return Err(error),
            Err(error) => tracing::warn!(%error, "cannot open the tables; rebuilding them from the log"),
        }
    }
    disk.remove(TABLES_BESIDE)?;
    drop(TablesFile::open(disk, TABLES_BESIDE, TABLES_CACHE_BYTES)?);
    disk.rename(TABLES_BESIDE, TABLES_FILE)?;
    Ok((TablesFile::open(disk, TABLES_FILE, TABLES_CACHE_BYTES)?, start))
}

fn is_prefix(state: &TablesState, log: &Log, head: &Position) -> Result<bool, StoreError> {
    if state.store != log.store() || state.fold_version != FOLD_VERSION || state.folded > head.sequence {
        return Ok(false);
    }
    Ok(digest_at(&log.reader()?, state.folded)? == state.digest)
}

/// Returns the clock reading of stored bytes, if they can be decoded.
fn clock_of(bytes: &[u8]) -> Option<ClockReading> {
    Change::from_bytes(bytes).ok().map(|change| change.clock())
}
