//! Opens a store: the log, then the tables, which are folded up to the end of the log.

use super::error::is_acceptable;
use super::folding::{Folder, Folding, LogRuns, Publisher, Run};
use super::log::{Log, LogWriter};
use super::open_progress::OpenProgress;
use super::tables::{StoredState, TABLES_FILE, TablesFile, TablesState};
use super::{Background, Disk, LOG_CACHE_BYTES, LostLogError, Store, StoreError, TABLES_CACHE_BYTES, digest_at};
use crate::change::{Change, EpochStart};
use crate::clock::ClockReading;
use crate::decide::Rules;
use crate::digest::RowSum;
use crate::fold::FOLD_VERSION;
use crate::position::{Epoch, Position, Sequence, StoreId};

/// File in which new tables are made, beside the old ones.
const TABLES_BESIDE: &str = "tables-new.redb";

/// Conditions on which a log is opened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Terms<'a> {
    /// A position that it has had durably.
    pub(super) expected: Option<&'a Position>,
    /// Tables that are ahead of the log show that it has lost changes.
    pub(super) takes_tables_for_evidence: bool,
}

impl Store {
    /// Opens the source's store in `disk`, or creates it with Epoch 1 as its first change.
    ///
    /// `new_id` returns random identities. `clock` holds the number of the machine's current boot.
    pub fn open_source(
        disk: &dyn Disk,
        rules: Rules,
        clock: ClockReading,
        new_id: impl FnMut() -> StoreId,
    ) -> Result<Self, StoreError> {
        Self::open_source_after(disk, None, rules, clock, new_id)
    }

    /// Opens the source's store in `disk`, whose log has held the position `expected` durably.
    ///
    /// If the log no longer holds it, or if the tables are ahead of the log, this fails with [`StoreError::LostLog`] and
    /// nothing is written: the changes that are missing have numbers, which must not be given again.
    pub fn open_source_after(
        disk: &dyn Disk,
        expected: Option<&Position>,
        rules: Rules,
        clock: ClockReading,
        mut new_id: impl FnMut() -> StoreId,
    ) -> Result<Self, StoreError> {
        let writer = new_id();
        let terms = Terms { expected, takes_tables_for_evidence: true };
        let mut store = Self::open(disk, terms, rules, clock.boot, new_id)?;
        if store.head().position.sequence == Sequence::ZERO {
            let store_id = store.log.store();
            let began = EpochStart { epoch: Epoch(1), store: store_id, writer, clock, acceptance: None };
            store.append_change(&Change::Epoch(began))?;
        }
        Ok(store)
    }

    /// Opens the replica of the history `store` in `disk`, or creates an empty one.
    pub fn open_replica(disk: &dyn Disk, store: StoreId) -> Result<Self, StoreError> {
        let opened = Self::open(disk, Terms::default(), Rules::default(), 0, || store)?;
        let found = opened.log.store();
        if found != store {
            return Err(StoreError::OtherStore { place: disk.place(), expected: store, found });
        }
        Ok(opened)
    }

    pub(super) fn open(
        disk: &dyn Disk,
        terms: Terms<'_>,
        rules: Rules,
        boot: u32,
        new_id: impl FnOnce() -> StoreId,
    ) -> Result<Self, StoreError> {
        let log = LogWriter::open(disk, LOG_CACHE_BYTES, terms.expected, new_id)?;
        let head = log.reader()?.head()?;
        let folder = open_folder(disk, log.log(), &head, terms)?;
        let mut store = Self::over(disk, log, head, folder, rules.clone(), boot);
        let mut caught_up = store.catch_up_tables(disk);
        store.distrust_unread_tables(&caught_up);
        if caught_up.is_err() && store.publisher.tables().file().damage().found().is_some() {
            // The damaged file is gone, so this folds everything.
            let folder = open_folder(disk, store.log.log(), &head, terms)?;
            store = Self::over(disk, store.log, head, folder, rules, boot);
            caught_up = store.catch_up_tables(disk);
        }
        store.stop_on_error(caught_up)?;
        Ok(store)
    }

    /// Makes a store of a log that ends at `head`, and of its tables.
    fn over(disk: &dyn Disk, log: LogWriter, head: Position, folder: Folder, rules: Rules, boot: u32) -> Self {
        let publisher = Publisher::new(folder.tables().clone(), head, folder.state());
        let folding = Folding::new(disk, folder, publisher.clone());
        let disk = disk.handle();
        Self { disk, log, folding, publisher, window: None, boot, rules, era_moves_searched: None, interrupted: false }
    }

    /// Returns the last boot number in the log, or 0. A machine that has lost its own count continues after it.
    ///
    /// Payloads that came back at the end of the log may be of later boots, of a history that was lost. A journal that does not
    /// continue the log does not count: the opening names it, and a person may accept what is there.
    pub fn last_boot(disk: &dyn Disk) -> Result<u32, StoreError> {
        let opened = match Log::open_existing(disk, LOG_CACHE_BYTES) {
            Err(error) if is_acceptable(&error) => Log::open_body(disk, LOG_CACHE_BYTES)?,
            opened => opened?,
        };
        let Some(log) = opened else { return Ok(0) };
        let reader = log.reader()?;
        let head = reader.head()?;
        let (mut sequence, mut of_lost) = (head.sequence, 0);
        while sequence > Sequence::ZERO {
            sequence = match reader.change(sequence) {
                Err(StoreError::DamagedLog { row, .. }) => Sequence(row.first.0.saturating_sub(1)),
                change => {
                    match change?.and_then(|bytes| Change::from_bytes(&bytes).ok()) {
                        Some(Change::Received(received)) if received.readmission.is_some() => {
                            of_lost = received.clock.boot.max(of_lost);
                        }
                        Some(change) => return Ok(change.clock().boot.max(of_lost)),
                        None => {}
                    }
                    Sequence(sequence.0 - 1)
                }
            };
        }
        Ok(of_lost)
    }

    /// Folds the changes that the tables lack. Stops before one that this program cannot decode.
    fn catch_up_tables(&mut self, disk: &dyn Disk) -> Result<(), StoreError> {
        let (begin, of) = (self.head().folded, self.head().position.sequence);
        let runs = LogRuns::new(self.log.reader()?, begin, of);
        if runs.are_many() && disk.background() == Background::Threads {
            tracing::info!(folded = begin.0, head = of.0, "rebuilding the tables");
            runs.read_ahead(|runs| self.fold_runs(disk, runs))?;
        } else {
            self.fold_runs(disk, runs)?;
        }
        self.settle_if_room().map(|_| ())
    }

    fn fold_runs(
        &mut self,
        disk: &dyn Disk,
        runs: impl IntoIterator<Item = Result<Run, StoreError>>,
    ) -> Result<(), StoreError> {
        let of = self.head().position.sequence;
        for run in runs {
            let run = run?;
            let folder = self.folding.here()?;
            if folder.is_blocked() {
                break;
            }
            if disk.report(&OpenProgress::Folding { folded: folder.state().folded, of }).is_break() {
                // Keep what is folded, for the next start.
                self.settle_if_room()?;
                return Err(StoreError::Canceled { file: TABLES_FILE.to_owned() });
            }
            let sealed = folder.fold(&run)?;
            self.publisher.show_tables(sealed);
            folder.shrink();
        }
        Ok(())
    }
}

/// Opens the folder over the tables. If they turn out to be damaged, they are replaced by empty ones.
fn open_folder(disk: &dyn Disk, log: &Log, head: &Position, terms: Terms<'_>) -> Result<Folder, StoreError> {
    let (file, stored) = open_tables(disk, log, head, terms)?;
    let damage = file.damage().clone();
    match Folder::new(disk, file, &stored) {
        Err(_) if damage.found().is_some() => {
            let (file, stored) = open_tables(disk, log, head, terms)?;
            Folder::new(disk, file, &stored)
        }
        folder => folder,
    }
}

/// Checks that the tables do not hold changes of this history that the log lacks. Tables are flushed only after the log
/// has their changes durably, so they would show that the log has lost changes.
fn check_not_ahead(state: &TablesState, head: &Position) -> Result<(), StoreError> {
    let TablesState { store, folded, digest, .. } = *state;
    if store != head.store || folded <= head.sequence {
        return Ok(());
    }
    let expected = Position { store, epoch: head.epoch, sequence: folded, digest };
    Err(LostLogError { expected, found: Some(*head) }.into())
}

/// Opens the tables if this fold made them of a prefix of the log. Otherwise replaces them by empty ones.
fn open_tables(
    disk: &dyn Disk,
    log: &Log,
    head: &Position,
    terms: Terms<'_>,
) -> Result<(TablesFile, StoredState), StoreError> {
    let start = StoredState { tables: TablesState::start(log.store()), index: RowSum::default() };
    if disk.holds(TABLES_FILE) {
        match TablesFile::open(disk, TABLES_FILE, TABLES_CACHE_BYTES) {
            Ok(tables) => match tables.state() {
                Ok(Some(state)) if is_prefix(&state.tables, log, head)? => return Ok((tables, state)),
                Ok(None) if tables.are_new()? => return Ok((tables, start)),
                found => {
                    if let Ok(Some(state)) = &found
                        && terms.takes_tables_for_evidence
                    {
                        check_not_ahead(&state.tables, head)?;
                    }
                    tracing::warn!(?found, "tables do not match the log; rebuilding them");
                }
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
