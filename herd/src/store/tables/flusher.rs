//! The generations in memory, and their way into the file.

use super::super::disk::{Background, Disk};
use super::super::error::{StoreError, storage};
use super::super::thread;
use super::file::{FileReader, TABLES_FILE, TablesFile, TablesState};
use super::generation::{Generation, PUBLISHED_AT_ONCE};
use super::view::View;
use super::{FLUSH_CHANGES, StoredState};
use crate::fold::SealedRow;
use crate::position::Sequence;
use std::cell::RefCell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Interval at which the thread looks for room on a full disk.
const ROOM_INTERVAL: Duration = Duration::from_secs(1);
/// Name of the thread that flushes.
const THREAD: &str = "herdlinx-flush";

/// A generation that takes no more rows, and the state of the tables with it.
#[derive(Clone, Debug)]
struct Frozen {
    rows: Arc<Generation>,
    state: TablesState,
    /// The writer waits for its flush, which then does not wait for room on the disk.
    is_awaited: bool,
}

#[derive(Debug)]
struct Generations {
    /// The state that readers see.
    published: TablesState,
    current: Arc<Generation>,
    frozen: Option<Frozen>,
    /// The file after the last flush, in a read transaction that all views share. To begin one for each view would wait
    /// for a flush that makes the file longer.
    file: Arc<FileReader>,
    /// True while the thread writes.
    is_flushing: bool,
    /// Why the last flush failed. Nothing is flushed after that.
    failure: Option<String>,
    /// The thread has ended. If the writer did not close it and no flush has failed, it has panicked.
    has_ended: bool,
    is_closing: bool,
    /// Counts freezes and flushes. A view of the writer is good until it changes.
    turn: u64,
}

#[derive(Debug)]
struct TablesCore {
    disk: Arc<dyn Disk>,
    file: TablesFile,
    generations: Mutex<Generations>,
    changed: Condvar,
}

/// A handle on the tables, for readers and for the publisher. Clones share them.
#[derive(Clone, Debug)]
pub(in super::super) struct Tables(Arc<TablesCore>);

impl Tables {
    /// Returns the tables as they were last published.
    pub(in super::super) fn view(&self) -> View {
        let generations = self.lock();
        let mut view = generations.view(generations.published.folded);
        generations.current.open_view();
        view.counted = Some(generations.current.clone());
        view
    }

    /// Returns the file. It lacks what was not flushed.
    pub(in super::super) fn file(&self) -> &TablesFile {
        &self.0.file
    }

    /// Makes the rows of a commit visible. `state` is that of the tables with them.
    pub(in super::super) fn publish(&self, rows: Vec<SealedRow>, state: &TablesState) {
        let mut generations = self.lock();
        if rows.len() <= PUBLISHED_AT_ONCE {
            // No view is opened meanwhile, so that nobody needs the rows as they were.
            generations.current.add(rows, state.folded, false);
        } else {
            let current = generations.current.clone();
            drop(generations);
            current.add(rows, state.folded, true);
            generations = self.lock();
        }
        generations.published = *state;
    }

    /// Returns the failure of the flushes, if they have failed, or the damage of the file, if a reader has found it.
    pub(in super::super) fn check(&self) -> Result<(), StoreError> {
        match self.0.file.damage().found() {
            Some(why) => Err(storage("read", TABLES_FILE)(why)),
            None => self.lock().check(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, generations: MutexGuard<'a, Generations>) -> MutexGuard<'a, Generations> {
        self.0.changed.wait(generations).unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for_room<'a>(&self, generations: MutexGuard<'a, Generations>) -> MutexGuard<'a, Generations> {
        let waited = self.0.changed.wait_timeout(generations, ROOM_INTERVAL);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Writes the frozen generation, if there is one.
    fn flush_frozen(&self) -> Result<(), StoreError> {
        let mut generations = self.lock();
        generations.check()?;
        let Some(Frozen { rows, state, .. }) = generations.frozen.clone() else { return Ok(()) };
        generations.is_flushing = true;
        drop(generations);
        let flushed = self.0.file.flush(&rows, &state).and_then(|()| self.0.file.reader());
        let mut generations = self.lock();
        generations.is_flushing = false;
        generations.turn += 1;
        let outcome = match flushed {
            Ok(file) => {
                // At once: a view must find these rows in the one or the other.
                (generations.frozen, generations.file) = (None, Arc::new(file));
                Ok(())
            }
            Err(error) => {
                generations.failure = Some(error.to_string());
                Err(error)
            }
        };
        self.0.changed.notify_all();
        outcome
    }

    /// Flushes each generation that is frozen, until the writer is dropped or a flush fails.
    fn run(&self) {
        let mut generations = self.lock();
        while !generations.is_closing {
            let Some(frozen) = &generations.frozen else {
                generations = self.wait(generations);
                continue;
            };
            if !frozen.is_awaited && !self.0.disk.has_room() {
                generations = self.wait_for_room(generations);
                continue;
            }
            drop(generations);
            if let Err(error) = self.flush_frozen() {
                tracing::error!(%error, "cannot flush the tables");
                return;
            }
            generations = self.lock();
        }
    }

    /// Notes the end of the thread, so that nobody waits for it any more.
    fn note_end(&self) {
        let mut generations = self.lock();
        (generations.has_ended, generations.is_flushing) = (true, false);
        self.0.changed.notify_all();
    }
}

impl Generations {
    fn check(&self) -> Result<(), StoreError> {
        match &self.failure {
            Some(why) => Err(storage("flush", TABLES_FILE)(why)),
            None if self.has_ended && !self.is_closing => Err(StoreError::Panicked { thread: THREAD }),
            None => Ok(()),
        }
    }

    /// Returns the rows as they were at a commit.
    fn view(&self, at: Sequence) -> View {
        let frozen = self.frozen.iter().map(|frozen| frozen.rows.clone());
        let generations = std::iter::once(self.current.clone()).chain(frozen).collect();
        View {
            state: self.published,
            at,
            counted: None,
            generations,
            file: self.file.clone(),
            empty_ranges: RefCell::default(),
        }
    }

    fn freeze(&mut self) {
        let rows = std::mem::take(&mut self.current);
        self.frozen = Some(Frozen { rows, state: self.published, is_awaited: false });
        self.turn += 1;
    }
}

/// The writing end of the tables. There is one per store.
#[derive(Debug)]
pub(in super::super) struct TablesWriter {
    tables: Tables,
    /// The last change of the generation that was frozen last.
    frozen_at: Sequence,
    flush_bytes: usize,
    /// The turn of the writer's view.
    turn: u64,
    thread: Option<JoinHandle<()>>,
}

impl TablesWriter {
    pub(in super::super) fn new(disk: &dyn Disk, file: TablesFile, stored: &StoredState) -> Result<Self, StoreError> {
        let generations = Generations {
            published: stored.tables,
            current: Arc::default(),
            frozen: None,
            file: Arc::new(file.reader()?),
            is_flushing: false,
            failure: None,
            has_ended: false,
            is_closing: false,
            turn: 0,
        };
        let (generations, changed) = (Mutex::new(generations), Condvar::new());
        let core = TablesCore { disk: disk.handle(), file, generations, changed };
        let tables = Tables(Arc::new(core));
        let thread = match disk.background() {
            Background::Steps => None,
            Background::Threads => {
                let (flushing, ended) = (tables.clone(), tables.clone());
                let thread = thread::spawn(THREAD, move || flushing.run(), move || ended.note_end());
                Some(thread.map_err(storage("start a thread for", TABLES_FILE))?)
            }
        };
        let (frozen_at, flush_bytes) = (stored.tables.folded, disk.flush_bytes());
        Ok(Self { tables, frozen_at, flush_bytes, turn: 0, thread })
    }

    /// Returns the reading end.
    pub(in super::super) fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Returns a view of the newest rows.
    pub(in super::super) fn view(&mut self) -> View {
        let generations = self.tables.lock();
        self.turn = generations.turn;
        generations.view(Sequence(u64::MAX))
    }

    /// Has the current generation flushed if it is full, and waits if the one before is not flushed yet.
    ///
    /// Returns a new view if the writer's one is no longer good. An error says that a flush has failed.
    pub(in super::super) fn make_room(&mut self) -> Result<Option<View>, StoreError> {
        let generations = self.tables.lock();
        generations.check()?;
        let changes = generations.published.folded.0.saturating_sub(self.frozen_at.0);
        let is_full = generations.current.bytes() >= self.flush_bytes || changes >= FLUSH_CHANGES;
        let is_good = generations.turn == self.turn;
        drop(generations);
        if is_full {
            self.freeze()?;
        }
        Ok((is_full || !is_good).then(|| self.view()))
    }

    /// Flushes everything durably.
    pub(in super::super) fn settle(&mut self) -> Result<View, StoreError> {
        if self.tables.lock().published.folded != self.frozen_at {
            self.freeze()?;
        }
        self.wait_for_flush()?;
        Ok(self.view())
    }

    /// Flushes the generation that is frozen, or else freezes the current one.
    pub(in super::super) fn step(&mut self) -> Result<View, StoreError> {
        if self.tables.lock().frozen.is_some() {
            self.wait_for_flush()?;
        } else {
            self.freeze()?;
        }
        Ok(self.view())
    }

    fn freeze(&mut self) -> Result<(), StoreError> {
        self.wait_for_flush()?;
        let mut generations = self.tables.lock();
        generations.freeze();
        self.frozen_at = generations.published.folded;
        self.tables.0.changed.notify_all();
        Ok(())
    }

    /// Waits until no generation is frozen.
    fn wait_for_flush(&self) -> Result<(), StoreError> {
        if self.thread.is_none() {
            return self.tables.flush_frozen();
        }
        let mut generations = self.tables.lock();
        if let Some(frozen) = &mut generations.frozen {
            frozen.is_awaited = true;
            self.tables.0.changed.notify_all();
        }
        while generations.frozen.is_some() {
            generations.check()?;
            generations = self.tables.wait(generations);
        }
        generations.check()
    }
}

impl Drop for TablesWriter {
    fn drop(&mut self) {
        self.tables.lock().is_closing = true;
        self.tables.0.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread `{THREAD}` has panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::RowSum;
    use crate::position::StoreId;
    use crate::store::MemoryDisk;
    use crate::tables::{Key, Table};

    /// Time after which a flush counts as forgotten.
    const FLUSH_LIMIT: Duration = Duration::from_secs(60);

    /// Returns the writer of tables at change 7.
    fn writer_on(disk: &MemoryDisk) -> TablesWriter {
        let tables = TablesState { folded: Sequence(7), ..TablesState::start(StoreId([7; 16])) };
        let file = TablesFile::open(disk, TABLES_FILE, 0).unwrap();
        let mut writer = TablesWriter::new(disk, file, &StoredState { tables, index: RowSum::default() }).unwrap();
        drop(writer.view());
        writer
    }

    /// Publishes a row of this many bytes as of a change, and returns whether its generation was frozen then.
    fn is_frozen_after(writer: &mut TablesWriter, folded: u64, bytes: usize) -> bool {
        let row = SealedRow { table: Table::Animals, key: Key::from(&b"key"[..]), value: Some(vec![7; bytes].into()) };
        let state = TablesState { folded: Sequence(folded), ..writer.tables.lock().published };
        writer.tables.publish(vec![row], &state);
        writer.make_room().unwrap().is_some()
    }

    /// Catches a start after a kill that folds for minutes, and a barn that writes its tables with each payload.
    #[test]
    fn a_generation_is_flushed_once_it_has_the_changes_or_the_bytes() {
        for (flush_bytes, folded, bytes, expected) in [
            (1_000, FLUSH_CHANGES + 6, 0, false),
            (1_000, FLUSH_CHANGES + 7, 0, true),
            (1_000, 8, 1_000 - 113, false),
            (1_000, 8, 1_000 - 112, true),
        ] {
            let mut writer = writer_on(&MemoryDisk::default().with_flushes(flush_bytes, Background::Steps));
            assert_eq!(is_frozen_after(&mut writer, folded, bytes), expected, "change {folded}, {bytes} bytes");
        }
    }

    fn wait_until_flushed(writer: &TablesWriter) {
        let (generations, changed) = (writer.tables.lock(), &writer.tables.0.changed);
        let is_frozen = |generations: &mut Generations| generations.frozen.is_some();
        let waited = changed.wait_timeout_while(generations, FLUSH_LIMIT, is_frozen).unwrap();
        assert!(!waited.1.timed_out());
    }

    /// Catches a thread that flushes only when the writer waits for it, or that lets a writer wait for room.
    #[test]
    fn a_frozen_generation_is_flushed_if_there_is_room_or_the_writer_waits() {
        let disk = || MemoryDisk::default().with_flushes(1, Background::Threads);
        for (disk, is_awaited) in [(disk(), false), (disk().without_room(), true)] {
            let mut writer = writer_on(&disk);
            assert!(is_frozen_after(&mut writer, 8, 100));
            if is_awaited {
                drop(writer.settle().unwrap());
            }
            wait_until_flushed(&writer);
            assert_eq!(writer.tables.file().state().unwrap().unwrap().tables.folded, Sequence(8));
        }
    }

    /// Catches a view of a reader that counts as open after its end, so that all versions of each row stay in memory.
    #[test]
    fn a_view_that_was_dropped_keeps_no_versions() {
        let mut writer = writer_on(&MemoryDisk::default().with_flushes(1 << 20, Background::Steps));
        drop(writer.tables.view());
        for folded in 8..=10 {
            assert!(!is_frozen_after(&mut writer, folded, 100));
        }
        assert_eq!(writer.tables.lock().current.bytes(), 212);
    }
}
