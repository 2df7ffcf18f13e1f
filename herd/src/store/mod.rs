//! The store: the log, the tables, and what is never replicated.
//!
//! | file | holds | when it is durable |
//! |---|---|---|
//! | `log.redb` | every Change, chained | with each commit, before anyone is told "stored" |
//! | `tables.redb` | what the fold made of it | every [`SETTLE_CHANGES`], in quiet minutes, at a clean stop |
//! | `local.redb` | keys, paired sites, counters of duplicates | with each write |
//!
//! One [`Store`] writes; any number of [`Reader`]s look. The order within a commit is fixed: the log durable, then
//! the tables visible, then the head published. Tables can therefore never be ahead of what is durable.

mod append;
mod apply;
mod changes;
mod correct;
mod disk;
mod error;
mod group;
mod local;
mod log;
mod memory;
mod open_progress;
mod reader;
mod reprocess;
mod row;
mod row_cache;
mod tables_file;
#[cfg(test)]
mod tests;
mod verify;

pub use append::{Incoming, Receipt};
pub use apply::{ApplyReceipt, ChangeRun};
pub use changes::Changes;
pub use correct::CorrectionReceipt;
pub use disk::{Directory, Disk};
pub use error::{ApplyError, StoreError};
pub use local::{LocalError, LocalFile};
pub use log::LOG_FILE;
pub use memory::{MemoryDisk, SyncGate};
pub use open_progress::{OpenProgress, grouped};
pub use reader::{ReadCounts, Reader, Snapshot, SnapshotState};
pub use reprocess::{MAX_REPROCESSED, ReprocessReceipt};
pub use tables_file::TABLES_FILE;
pub use verify::{
    Phase, Progress, RowDifference, TablesVerdict, VerifyError, VerifyOutcome, verify_disk, verify_reader,
};

use crate::change::{Change, ChangeError, EpochStart};
use crate::clock::ClockReading;
use crate::decide::Rules;
use crate::fold::{FOLD_VERSION, Rows, StagedRows, fold};
use crate::position::{Digest, Epoch, Position, Sequence, StoreId};
use log::{Log, LogReader, epochs_begun};
use tables_file::{TablesFile, TablesReader, TablesState};
use tokio::sync::watch;

/// So many changes after the last time, the tables are made durable: what a restart after a power cut folds again.
pub const SETTLE_CHANGES: u64 = 50_000;
/// Page cache of the log: it is written at its end and read near it.
const LOG_CACHE_BYTES: usize = 8 * 1024 * 1024;
/// Page cache of the tables, where look-ups go everywhere.
const TABLES_CACHE_BYTES: usize = 32 * 1024 * 1024;
/// While the tables are folded again, so many changes are staged before they are written.
const REFOLD_CHANGES: usize = 50_000;
/// While the tables are folded again, so many bytes are read from the log at once.
const REFOLD_BYTES: usize = 8 * 1024 * 1024;
/// New tables grow here, beside the old ones.
const TABLES_BESIDE: &str = "tables-new.redb";

/// What a store holds: published after each commit, never before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last change that is durable in the log.
    pub position: Position,
    /// The last change in the tables.
    pub folded: Sequence,
    /// The fold digest after it.
    pub fold_digest: Digest,
    /// Why the tables stand before the head, where they do: it stops at the change after `folded`.
    pub blocked: Option<ChangeError>,
}

/// The writer of a store. One for each store and process; the files are locked against others.
#[derive(Debug)]
pub struct Store {
    log: Log,
    tables: TablesFile,
    state: TablesState,
    settled: Sequence,
    head: watch::Sender<Head>,
    boot: u32,
    rules: Rules,
    /// A commit was begun and not ended, so that the disk may be one group ahead of what is known here; or the tables
    /// do not read.
    interrupted: bool,
}

impl Store {
    /// Opens the source's store in `disk`, or makes it: its first change is then Epoch 1. `new_id` gives random
    /// identities, `boot` is the number of the machine's current boot.
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

    /// Opens the replica of the history `store` in `disk`, or begins an empty one.
    pub fn open_replica(disk: &dyn Disk, store: StoreId) -> Result<Self, StoreError> {
        let opened = Self::open(disk, Rules::default(), 0, || store)?;
        let found = opened.log.store();
        if found != store {
            return Err(StoreError::OtherStore { place: disk.place(), expected: store, found });
        }
        Ok(opened)
    }

    fn open(disk: &dyn Disk, rules: Rules, boot: u32, new_id: impl FnOnce() -> StoreId) -> Result<Self, StoreError> {
        let log = Log::open(disk, LOG_CACHE_BYTES, new_id)?;
        let head = log.reader()?.head()?;
        let (tables, state) = open_tables(disk, &log, &head)?;
        let published = Head { position: head, folded: state.folded, fold_digest: state.fold_digest, blocked: None };
        let settled = state.folded;
        let head = watch::Sender::new(published);
        let mut store = Self { log, tables, state, settled, head, boot, rules, interrupted: false };
        let caught_up = store.catch_up_tables(disk);
        store.distrust_unread_tables(&caught_up);
        caught_up.map(|()| store)
    }

    /// The last boot number that the log names, 0 for none: a machine whose own count is lost goes on after it.
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

    /// What it holds now.
    pub fn head(&self) -> Head {
        self.head.borrow().clone()
    }

    /// A handle for those who look.
    pub fn reader(&self) -> Reader {
        Reader::new(self.log.clone(), self.tables.clone(), self.head.subscribe())
    }

    /// Makes the tables durable, if they are not. Called in quiet minutes and before a clean stop.
    pub fn settle(&mut self) -> Result<(), StoreError> {
        if self.settled != self.state.folded {
            self.tables.settle()?;
            self.settled = self.state.folded;
        }
        Ok(())
    }

    /// Whether this writer may decide anything: its tables are at its head, and its head is what is on disk.
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

    /// Tables that do not read are of no use to anybody: this writer ends, and the next one folds them again.
    fn distrust_unread_tables<T>(&mut self, outcome: &Result<T, StoreError>) {
        let Err(StoreError::Rows(error)) = outcome else { return };
        tracing::error!(%error, "the tables do not read");
        self.interrupted = true;
        if let Err(error) = self.tables.forget_state() {
            tracing::error!(%error, "the tables could not be marked: remove tables.redb if the next start fails too");
        }
    }

    /// Where the next changes are folded, above the tables as they are.
    fn staged(&self) -> Result<StagedRows<TablesReader>, StoreError> {
        Ok(StagedRows::new(self.tables.reader()?, self.state.folded, self.state.fold_digest))
    }

    /// The one order of a commit: the log durable, the tables visible, the head published. Where it fails, nobody can
    /// tell from here what reached the disk, so this writer writes no more: the next one finds the group whole or
    /// not at all.
    fn commit<B: Rows>(
        &mut self,
        changes: &Changes,
        staged: &StagedRows<B>,
        blocked: Option<ChangeError>,
    ) -> Result<(), StoreError> {
        let before = self.head().position;
        self.interrupted = true;
        let position = self.log.append(&before, changes, &epochs_begun(&before, changes))?;
        self.write_tables(staged, &position)?;
        self.interrupted = false;
        self.head.send_replace(Head {
            position,
            folded: self.state.folded,
            fold_digest: self.state.fold_digest,
            blocked,
        });
        Ok(())
    }

    /// Writes what is staged; `head` is the position of the log that holds it.
    fn write_tables<B: Rows>(&mut self, staged: &StagedRows<B>, head: &Position) -> Result<(), StoreError> {
        let folded = staged.folded();
        if folded == self.state.folded {
            return Ok(());
        }
        let digest = if folded == head.sequence { head.digest } else { digest_at(&self.log.reader()?, folded)? };
        let state = TablesState { folded, digest, fold_digest: staged.digest(), ..self.state };
        let durable = folded.0 - self.settled.0 >= SETTLE_CHANGES;
        self.tables.write(staged, &state, durable)?;
        if durable {
            self.settled = folded;
        }
        self.state = state;
        Ok(())
    }

    /// Folds what the log holds beyond the tables; stops before a change that this binary does not know.
    fn catch_up_tables(&mut self, disk: &dyn Disk) -> Result<(), StoreError> {
        let head = self.head().position;
        let mut blocked = None;
        let began = self.state.folded;
        while self.state.folded < head.sequence && blocked.is_none() {
            if disk.tell(&OpenProgress::Folding { folded: self.state.folded, of: head.sequence }).is_break() {
                // What is folded by now need not be folded again.
                self.settle()?;
                return Err(StoreError::BrokenOff { file: TABLES_FILE.to_owned() });
            }
            let (changes, end) = self.log.reader()?.changes_after(self.state.folded, REFOLD_CHANGES, REFOLD_BYTES)?;
            let Some(end) = end else { break };
            let mut staged = self.staged()?;
            blocked = fold_run(&mut staged, &changes, self.state.folded)?;
            self.write_tables(&staged, &end)?;
            if head.sequence.0 - began.0 > REFOLD_CHANGES as u64 {
                tracing::info!(folded = self.state.folded.0, head = head.sequence.0, "folding the tables again");
            }
        }
        self.settle()?;
        let (folded, fold_digest) = (self.state.folded, self.state.fold_digest);
        self.head.send_replace(Head { position: head, folded, fold_digest, blocked });
        Ok(())
    }
}

/// Folds changes that follow `after`, up to the first that this binary does not know.
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

/// Opens the tables if they are a prefix of the log by this fold, else puts empty ones in their place.
fn open_tables(disk: &dyn Disk, log: &Log, head: &Position) -> Result<(TablesFile, TablesState), StoreError> {
    let start = TablesState::start(log.store());
    if disk.holds(TABLES_FILE) {
        match TablesFile::open(disk, TABLES_FILE, TABLES_CACHE_BYTES) {
            Ok(tables) => match tables.state() {
                Ok(Some(state)) if is_prefix(&state, log, head)? => return Ok((tables, state)),
                Ok(None) if head.sequence == Sequence::ZERO => return Ok((tables, start)),
                found => tracing::warn!(?found, "the tables are not a prefix of the log: they are folded again"),
            },
            Err(error @ (StoreError::Locked { .. } | StoreError::BrokenOff { .. })) => return Err(error),
            Err(error) => tracing::warn!(%error, "the tables do not open: they are folded again from the log"),
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

/// The clock reading that stored bytes carry, where they are a kind that is known here.
fn clock_of(bytes: &[u8]) -> Option<ClockReading> {
    Change::from_bytes(bytes).ok().map(|change| change.clock())
}
