//! Opens a store: the log, then the tables, which are folded up to the end of the log.

use super::folding::{Folder, Folding, Publisher, Run};
use super::log::{Log, LogWriter};
use super::open_progress::OpenProgress;
use super::tables::{StoredState, TABLES_FILE, TablesFile, TablesState};
use super::{Disk, LOG_CACHE_BYTES, REFOLD_BYTES, REFOLD_CHANGES, Store, StoreError, TABLES_CACHE_BYTES, digest_at};
use crate::change::{Change, EpochStart};
use crate::clock::ClockReading;
use crate::decide::Rules;
use crate::digest::RowSum;
use crate::fold::FOLD_VERSION;
use crate::position::{Epoch, Position, Sequence, StoreId};

/// File in which new tables are made, beside the old ones.
const TABLES_BESIDE: &str = "tables-new.redb";

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
        let folder = Folder::new(disk, file, &stored)?;
        let publisher = Publisher::new(folder.tables().clone(), head, folder.state());
        let folding = Folding::new(disk, folder, publisher.clone());
        let mut store = Self { log, folding, publisher, window: None, boot, rules, interrupted: false };
        let caught_up = store.catch_up_tables(disk);
        store.stop_on_error(caught_up)?;
        Ok(store)
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

    /// Folds the changes that the tables lack. Stops before one that this program cannot decode.
    fn catch_up_tables(&mut self, disk: &dyn Disk) -> Result<(), StoreError> {
        let of = self.head().position.sequence;
        let lacks_many = of.0 - self.head().folded.0 > REFOLD_CHANGES as u64;
        loop {
            let folder = self.folding.here()?;
            let begin = folder.state().folded;
            if begin >= of || folder.is_blocked() {
                break;
            }
            if disk.report(&OpenProgress::Folding { folded: begin, of }).is_break() {
                // Keep what is folded, for the next start.
                self.settle()?;
                return Err(StoreError::Canceled { file: TABLES_FILE.to_owned() });
            }
            let (changes, end) = self.log.reader()?.changes_after(begin, REFOLD_CHANGES, REFOLD_BYTES)?;
            let Some(end) = end else { break };
            let sealed = folder.fold(&Run::whole(changes, &end))?;
            self.publisher.show_tables(sealed);
            folder.shrink();
            if lacks_many {
                tracing::info!(folded = folder.state().folded.0, head = of.0, "rebuilding the tables");
            }
        }
        self.settle()
    }
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
