//! A disk in memory, for simulated worlds: synced data survives a power cut, other data may be lost or torn.
//!
//! It has faults that otherwise only a real disk shows: writes that reach the platter out of order or in part, a file that
//! fails with an I/O error from some operation on, and a sync that fails and leaves a cache behind that lies. It can record
//! its operations, so that a test sees the disk after each of them.

mod image;
mod replay;
#[cfg(test)]
mod tests;

pub use replay::Replay;

use super::disk::{Background, ContainedReads, Disk, LOG_FILE, open_error};
use super::error::StoreError;
use super::journal::JOURNAL_FILE;
use image::{Coin, FileOperation, Image, beyond_end, failing, span, torn};
use redb::{Builder, Database, StorageBackend};
use replay::{Operation, Recording};
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Size of a segment of the journal: few enough commits that every test with more has take-overs.
const SMALL_SEGMENT_BYTES: u64 = 64 * 1024;
/// Size of the rows that are flushed together: few enough that every test with more has flushes between its commits.
const SMALL_FLUSH_BYTES: usize = 256 * 1024;

/// A disk in memory. Clones share it.
#[derive(Clone, Debug)]
pub struct MemoryDisk {
    files: Arc<Mutex<HashMap<String, MemoryFile>>>,
    uncached: bool,
    keeps_cache: bool,
    room: Room,
    segment_bytes: u64,
    background: Background,
    max_unfolded: u64,
    flush_bytes: usize,
    recording: Option<Recording>,
}

impl Default for MemoryDisk {
    fn default() -> Self {
        Self {
            files: Arc::default(),
            uncached: false,
            keeps_cache: false,
            room: Room::Plenty,
            segment_bytes: SMALL_SEGMENT_BYTES,
            background: Background::Steps,
            max_unfolded: 0,
            flush_bytes: SMALL_FLUSH_BYTES,
            recording: None,
        }
    }
}

/// Room on a disk in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Plenty,
    NoneForJournal,
    NoneForWhatCanWait,
}

/// A file that was opened under this name.
#[derive(Clone, Debug)]
struct OpenFile {
    name: String,
    file: MemoryFile,
    recording: Option<Recording>,
}

#[derive(Clone, Debug, Default)]
struct MemoryFile {
    image: Arc<Mutex<Image>>,
    gate: Arc<Gate>,
}

/// Blocks syncs while it is closed.
#[derive(Debug, Default)]
struct Gate {
    closed: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn set(&self, closed: bool) {
        *lock(&self.closed) = closed;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let closed = lock(&self.closed);
        drop(self.opened.wait_while(closed, |closed| *closed).unwrap_or_else(PoisonError::into_inner));
    }
}

/// Blocks the syncs of a file until it is dropped.
#[derive(Debug)]
#[must_use = "the syncs go on when this is dropped"]
pub struct SyncGate(Arc<Gate>);

impl Drop for SyncGate {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryDisk {
    /// Returns the same disk for stores without a page cache, so that every read reaches it.
    #[must_use]
    pub fn uncached(self) -> Self {
        Self { uncached: true, ..self }
    }

    /// Returns the same disk under a kernel that never drops what it caches.
    #[must_use]
    pub fn keeping_cache(self) -> Self {
        Self { keeps_cache: true, ..self }
    }

    /// Returns the same disk without room for what can wait.
    #[must_use]
    pub fn without_room(self) -> Self {
        Self { room: Room::NoneForWhatCanWait, ..self }
    }

    /// Returns the same disk without room for a journal, so that every commit writes `log.redb`.
    #[must_use]
    pub fn without_journal_room(self) -> Self {
        Self { room: Room::NoneForJournal, ..self }
    }

    /// Returns the same disk with journals of this segment size, a multiple of 4 KiB.
    #[must_use]
    pub fn with_segments(self, segment_bytes: u64) -> Self {
        Self { segment_bytes, ..self }
    }

    /// Returns the same disk for stores that flush this size of rows together, and fold and flush in steps or on threads.
    #[must_use]
    pub fn with_flushes(self, flush_bytes: usize, background: Background) -> Self {
        Self { background, flush_bytes, ..self }
    }

    /// Returns the same disk for replicas whose log may be this number of changes ahead of their tables. By default, each
    /// run is folded at once.
    #[must_use]
    pub fn with_unfolded(self, max_unfolded: u64) -> Self {
        Self { max_unfolded, ..self }
    }

    /// Returns the same disk, which records its operations from now on. It must be empty.
    #[must_use]
    pub fn recording(self) -> Self {
        Self { recording: Some(Recording::default()), ..self }
    }

    /// Returns the number of operations recorded so far.
    pub fn operations(&self) -> usize {
        self.recording.as_ref().map_or(0, Recording::len)
    }

    /// Returns a replay of the recorded operations, which begins at an empty disk.
    pub fn replay(&self) -> Replay {
        let operations = self.recording.as_ref().map_or_else(Vec::new, Recording::operations);
        Replay::new(Self { files: Arc::default(), recording: None, ..self.clone() }, operations)
    }

    fn record(&self, operation: Operation) {
        if let Some(recording) = &self.recording {
            recording.push(operation);
        }
    }

    /// Returns the disk after a power cut now: each file as it was last synced.
    #[must_use]
    pub fn after_power_cut(&self) -> Self {
        self.found(|image| Image::durable(image.synced.clone()))
    }

    /// Returns the disk after a power cut now, if the drive's cache had written parts of the unsynced data.
    ///
    /// `seed` decides which sectors survive. Equal seeds give equal disks.
    #[must_use]
    pub fn after_torn_power_cut(&self, seed: u64) -> Self {
        let mut coin = Coin::new(seed);
        self.found(|image| Image::durable(torn(image, &mut coin)))
    }

    /// Returns the disk after a kill of the process: the kernel keeps what it caches, and what it has still to write.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        self.found(Image::cached)
    }

    /// Makes writes and syncs of `file` fail after `operations` more of them. Returns whether the file exists.
    ///
    /// A disk from one of the `after_...` functions has no such fault.
    pub fn fail_after(&self, file: &str, operations: u64) -> bool {
        self.alter(file, |image| image.fails_after = Some(operations))
    }

    /// Makes a sync of `file` fail after `syncs` more of them, once: the disk never gets what was to be synced, and the kernel
    /// returns it to readers as before. Returns whether the file exists.
    pub fn fail_sync(&self, file: &str, syncs: u64) -> bool {
        self.alter(file, |image| image.fails_at_sync = Some(syncs))
    }

    /// Returns whether a sync of `file` is still to fail.
    pub fn has_sync_to_fail(&self, file: &str) -> bool {
        lock(&self.files).get(file).is_some_and(|file| lock(&file.image).fails_at_sync.is_some())
    }

    /// Makes all reads of `file` fail. Returns whether the file exists.
    ///
    /// A store still has what it has cached, unless the disk is [`uncached`](Self::uncached). A disk from one of the
    /// `after_...` functions has no such fault.
    pub fn fail_reads(&self, file: &str) -> bool {
        self.fail_reads_of(file, 0..usize::MAX)
    }

    /// Makes reads of any of these bytes of `file` fail, as [`fail_reads`](Self::fail_reads) does.
    pub fn fail_reads_of(&self, file: &str, bytes: Range<usize>) -> bool {
        self.alter(file, |image| image.unreadable = bytes)
    }

    /// Makes the next read or sync of `file` panic, as code with a defect does. Returns whether the file exists.
    pub fn panic_once(&self, file: &str) -> bool {
        self.alter(file, |image| image.panics = true)
    }

    /// Makes writes fail that would lengthen `file`, as on a full disk. Returns whether the file exists.
    pub fn keep_length(&self, file: &str) -> bool {
        self.alter(file, |image| image.max_bytes = Some(image.current.len()))
    }

    /// Makes syncs of `file` succeed without effect, as on a drive that lies. Returns whether the file exists.
    pub fn ignore_syncs(&self, file: &str) -> bool {
        self.alter(file, |image| image.ignores_syncs = true)
    }

    /// Replaces the content of `file`, durably. Returns whether the file exists.
    pub fn overwrite(&self, file: &str, content: &[u8]) -> bool {
        self.alter(file, |image| {
            *image = Image::durable(content.to_vec());
        })
    }

    /// Returns the content of `file`, as a process sees it.
    pub fn content(&self, file: &str) -> Option<Vec<u8>> {
        Some(lock(&lock(&self.files).get(file)?.image).current.clone())
    }

    fn alter(&self, file: &str, alter: impl FnOnce(&mut Image)) -> bool {
        let files = lock(&self.files);
        let found = files.get(file);
        if let Some(file) = found {
            alter(&mut lock(&file.image));
        }
        found.is_some()
    }

    /// Blocks all syncs of `file`, as on a card that hangs, until the returned gate is dropped.
    ///
    /// Returns `None` if the file does not exist. The syncing thread blocks, so the writer must not share the test's thread.
    pub fn hold_syncs(&self, file: &str) -> Option<SyncGate> {
        let gate = lock(&self.files).get(file)?.gate.clone();
        gate.set(true);
        Some(SyncGate(gate))
    }

    fn found(&self, mut survive: impl FnMut(&Image) -> Image) -> Self {
        let files = lock(&self.files);
        // In the order of names, so that a seed gives the same result in every run.
        let mut names: Vec<_> = files.iter().collect();
        names.sort_unstable_by_key(|(name, _)| *name);
        let survivors = names.into_iter().map(|(name, file)| {
            let image = survive(&lock(&file.image));
            (name.clone(), MemoryFile { image: Arc::new(Mutex::new(image)), gate: Arc::default() })
        });
        Self { files: Arc::new(Mutex::new(survivors.collect())), recording: None, ..self.clone() }
    }

    fn open_file(&self, name: &str) -> OpenFile {
        let mut files = lock(&self.files);
        if !files.contains_key(name) {
            self.record(Operation::Create(name.to_owned()));
        }
        let file = files.entry(name.to_owned()).or_default().clone();
        OpenFile { name: name.to_owned(), file, recording: self.recording.clone() }
    }
}

impl Disk for MemoryDisk {
    fn handle(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }

    fn open(&self, file: &str, cache_bytes: usize) -> Result<Database, StoreError> {
        let backend = ContainedReads::of(self.open_file(file), file.to_owned());
        let containment = backend.containment();
        let opened = Builder::new()
            .set_cache_size(if self.uncached { 0 } else { cache_bytes })
            .create_with_backend(backend)
            .map_err(|error| open_error(error, file.to_owned()))?;
        if file == LOG_FILE {
            containment.begin();
        }
        Ok(opened)
    }

    fn open_bytes(&self, file: &str) -> Result<Box<dyn StorageBackend>, StoreError> {
        let opened = self.open_file(file);
        if file == JOURNAL_FILE && self.room == Room::NoneForJournal {
            let mut image = lock(&opened.file.image);
            image.max_bytes = Some(image.current.len());
        }
        Ok(Box::new(opened))
    }

    fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    fn background(&self) -> Background {
        self.background
    }

    fn max_unfolded(&self) -> u64 {
        self.max_unfolded
    }

    fn flush_bytes(&self) -> usize {
        self.flush_bytes
    }

    fn has_room(&self) -> bool {
        self.room != Room::NoneForWhatCanWait
    }

    fn drop_cached(&self, file: &str) {
        if self.keeps_cache || !self.holds(file) {
            return;
        }
        let opened = self.open_file(file);
        // What this sync cannot write counts as clean after it, and is dropped.
        if opened.sync_data().is_err() {
            lock(&opened.file.image).fail_sync();
        }
        lock(&opened.file.image).drop_clean();
    }

    fn holds(&self, file: &str) -> bool {
        lock(&self.files).contains_key(file)
    }

    fn has_content(&self, file: &str) -> bool {
        lock(&self.files).get(file).is_some_and(|file| !lock(&file.image).current.is_empty())
    }

    fn remove(&self, file: &str) -> Result<(), StoreError> {
        lock(&self.files).remove(file);
        self.record(Operation::Remove(file.to_owned()));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let mut files = lock(&self.files);
        if let Some(file) = files.remove(from) {
            files.insert(to.to_owned(), file);
            self.record(Operation::Rename(from.to_owned(), to.to_owned()));
        }
        Ok(())
    }

    fn place(&self) -> PathBuf {
        "memory".into()
    }
}

impl OpenFile {
    fn run(&self, operation: FileOperation) -> Result<(), io::Error> {
        let mut image = lock(&self.file.image);
        if matches!(operation, FileOperation::Sync) {
            image.maybe_panic();
        }
        image.spend()?;
        if matches!(operation, FileOperation::Sync) {
            if image.is_failing_sync() {
                image.fail_sync();
                return Err(failing());
            }
            if image.ignores_syncs {
                return Ok(());
            }
        }
        image.apply(&operation)?;
        if let Some(recording) = &self.recording {
            recording.push(Operation::File(self.name.clone(), operation));
        }
        Ok(())
    }
}

impl StorageBackend for OpenFile {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(lock(&self.file.image).current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let mut image = lock(&self.file.image);
        image.maybe_panic();
        let bytes = span(offset, out.len())?;
        if bytes.start < image.unreadable.end && image.unreadable.start < bytes.end {
            return Err(failing());
        }
        out.copy_from_slice(image.current.get(bytes).ok_or_else(beyond_end)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.run(FileOperation::Length(span(len, 0)?.start))
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.file.gate.pass();
        self.run(FileOperation::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.run(FileOperation::Write { offset: span(offset, data.len())?.start, data: data.to_vec() })
    }
}
