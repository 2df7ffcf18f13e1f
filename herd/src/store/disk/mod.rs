//! The storage of a store's files. A seam: simulated worlds and fault tests supply their own.
//!
//! # Decisions
//!
//! - **Before a file is opened, what the kernel caches of it is dropped.** After a failed sync, Linux marks the pages that it
//!   could not write as clean and goes on to return them to readers. A start would take an unacknowledged group for a
//!   durable one, answer the sender "duplicate", and lose it at the next reboot with everything that was written on top.
//!   Dirty pages cannot be dropped, so they are synced first; those that this sync cannot write are clean after it.
//!   Rejected: reads with `O_DIRECT`, which redb cannot do, and a marker that a failed sync leaves behind, because the disk
//!   that has just failed would have to keep it.
//! - **A commit of a large file saves which of its pages are free.** After a kill or a power cut, redb would otherwise read the
//!   whole file to find that out: 25 s for a gigabyte at 40 MB/s, in which a barn hears nothing. It costs a second sync and
//!   some pages for each commit, and `log.redb` has one for 256 lone payloads at most. The first sync is of all that the
//!   second one makes valid, so a failed one leaves nothing half valid in a cache, either.
//! - **What can wait is not written to a full disk.** A take-over of the journal and a flush of tables only repeat what is
//!   durable, and redb serves nothing any more once a write has failed. So a start, a quiet minute and a stop leave them for
//!   a time with [room](Disk::has_room). A store then starts on a disk without a free byte, and shows all that it has.

mod contained;

pub(super) use contained::ContainedReads;

use super::error::{StoreError, storage};
use super::open_progress::OpenProgress;
use redb::backends::FileBackend;
use redb::{
    BackendError, Builder, Database, DatabaseError, StorageBackend, StorageError, TransactionError, WriteTransaction,
};
use rustix::fs::{Advice, fadvise, statvfs};
use std::fmt::Debug;
use std::fs::File;
use std::io::ErrorKind;
use std::ops::{Bound, ControlFlow};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of the log. Of this file, a page that cannot be read is damage of that page: see `contained`.
pub const LOG_FILE: &str = "log.redb";

/// Size of a segment of the journal: 256 lone payloads. A take-over costs redb about 27 kB besides the rows, which is a
/// hundred bytes for each of them.
const SEGMENT_BYTES: u64 = 1024 * 1024;

/// Size of a generation that is flushed: about 8,000 changes of new traffic. Larger ones write fewer bytes for each row,
/// and two of them are in memory at worst.
const FLUSH_BYTES: usize = 8 * 1024 * 1024;

/// Maximum number of changes that a replica's log may be ahead of its tables: two pages, one that is folded and one that
/// waits. More of them would make no copy faster. A single run may be larger.
const MAX_UNFOLDED_CHANGES: u64 = 20_000;

/// Largest room that what can wait leaves free.
const MAX_ROOM_BYTES: u64 = 128 * 1024 * 1024;
/// Divisor of the disk: what can wait leaves this fraction of it free.
const ROOM_SHARE: u64 = 80;

/// Returns the free bytes below which what can wait does, on a disk of `total_bytes`. A barn's recorder refuses packets at the
/// same limit: what it records can then still be folded and kept.
#[must_use]
pub fn min_room_bytes(total_bytes: u64) -> u64 {
    (total_bytes / ROOM_SHARE).min(MAX_ROOM_BYTES)
}

/// The runner of what follows the log: the fold of a replica, and the flushes of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Background {
    /// A thread for each.
    Threads,
    /// The writer, when it needs the room or is told to, so that each run is the same.
    Steps,
}

/// Opens the files of one store.
pub trait Disk: Debug + Send + Sync {
    /// Opens `file`, or creates it, with a page cache of at most `cache_bytes`.
    fn open(&self, file: &str, cache_bytes: usize) -> Result<Database, StoreError>;

    /// Opens `file` for reading and writing at offsets, or creates it empty. It is locked while it is open.
    ///
    /// The journal needs no more than redb does of a file: its length, reads, writes, and syncs of its data. So the same
    /// backends serve both, and every fault that a test can give to the one it can give to the other.
    fn open_bytes(&self, file: &str) -> Result<Box<dyn StorageBackend>, StoreError>;

    /// Returns a handle on the same disk that can be kept. It reports no progress: who is told may own what keeps the handle,
    /// and neither would ever be dropped.
    fn handle(&self) -> Arc<dyn Disk>;

    /// Returns the size of a segment of the journal, a multiple of 4 KiB.
    fn segment_bytes(&self) -> u64 {
        SEGMENT_BYTES
    }

    /// Returns who folds at a replica, and who flushes the tables.
    fn background(&self) -> Background {
        Background::Threads
    }

    /// Returns the number of changes that a replica's log may be ahead of its tables.
    fn max_unfolded(&self) -> u64 {
        MAX_UNFOLDED_CHANGES
    }

    /// Returns the size in memory of rows of tables that are flushed together.
    fn flush_bytes(&self) -> usize {
        FLUSH_BYTES
    }

    /// Returns whether the disk has room for what can wait. If it does not tell, a write will.
    fn has_room(&self) -> bool {
        true
    }

    /// Drops what the kernel caches of `file`, if it exists, so that the next reads return what the disk holds.
    ///
    /// Called before a file is opened. A failure is logged: the disk then fails the start, or has nothing to drop.
    fn drop_cached(&self, file: &str);

    /// Returns whether `file` exists.
    fn holds(&self, file: &str) -> bool;

    /// Returns whether `file` exists and has content.
    fn has_content(&self, file: &str) -> bool;

    /// Removes `file`, if it exists.
    fn remove(&self, file: &str) -> Result<(), StoreError>;

    /// Renames `from` to `to`, replacing it.
    fn rename(&self, from: &str, to: &str) -> Result<(), StoreError>;

    /// Returns the name of the place for messages.
    fn place(&self) -> PathBuf;

    /// Reports the progress of opening the store. A break cancels the opening.
    fn report(&self, _at: &OpenProgress<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

type ProgressCallback = dyn Fn(&OpenProgress<'_>) -> ControlFlow<()> + Send + Sync;

/// A directory of the file system.
#[derive(Clone)]
pub struct Directory {
    path: PathBuf,
    on_progress: Arc<ProgressCallback>,
}

impl Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Directory").field(&self.path).finish()
    }
}

impl Directory {
    /// Returns the directory at this path, which is created if it does not exist.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let path = path.into();
        std::fs::create_dir_all(&path).map_err(storage("make the directory", &path.display().to_string()))?;
        Ok(Self::without_progress(path))
    }

    fn without_progress(path: PathBuf) -> Self {
        Self { path, on_progress: Arc::new(|_| ControlFlow::Continue(())) }
    }

    /// Adds a callback for the progress of opening a store in this directory.
    ///
    /// A break cancels the opening with [`StoreError::Canceled`]. The work done so far is kept.
    #[must_use]
    pub fn with_progress(
        self,
        on_progress: impl Fn(&OpenProgress<'_>) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Self {
        Self { on_progress: Arc::new(on_progress), ..self }
    }

    fn open_file(&self, file: &str) -> Result<FileBackend, StoreError> {
        let (path, name) = self.named(file);
        let opened = File::options().read(true).write(true).create(true).truncate(false).open(path);
        FileBackend::new(opened.map_err(storage("open", &name))?).map_err(|error| open_error(error, name))
    }

    fn named(&self, file: &str) -> (PathBuf, String) {
        let path = self.path.join(file);
        let name = path.display().to_string();
        (path, name)
    }
}

impl Disk for Directory {
    fn handle(&self) -> Arc<dyn Disk> {
        Arc::new(Self::without_progress(self.path.clone()))
    }

    fn open(&self, file: &str, cache_bytes: usize) -> Result<Database, StoreError> {
        let (path, name) = self.named(file);
        let is_new = !path.exists();
        let (on_progress, checked) = (self.on_progress.clone(), file.to_owned());
        let backend = ContainedReads::of(self.open_file(file)?, name.clone());
        let containment = backend.containment();
        let opened = Builder::new()
            .set_cache_size(cache_bytes)
            .set_repair_callback(move |check| {
                if on_progress(&OpenProgress::checking(&checked, check.progress())).is_break() {
                    check.abort();
                }
            })
            .create_with_backend(backend)
            .map_err(|error| open_error(error, name))?;
        if file == LOG_FILE {
            containment.begin();
        }
        if is_new {
            // A power cut loses a file whose name is not durable, and everything acknowledged in it.
            sync_directory(&self.path)?;
        }
        Ok(opened)
    }

    fn open_bytes(&self, file: &str) -> Result<Box<dyn StorageBackend>, StoreError> {
        let (path, name) = self.named(file);
        let is_new = !path.exists();
        let backend = self.open_file(file)?;
        lock_whole(&backend, name)?;
        if is_new {
            sync_directory(&self.path)?;
        }
        Ok(Box::new(backend))
    }

    fn has_room(&self) -> bool {
        let Ok(disk) = statvfs(&self.path) else { return true };
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        bytes(disk.f_bavail) >= min_room_bytes(bytes(disk.f_blocks))
    }

    fn drop_cached(&self, file: &str) {
        drop_cached(&self.path.join(file));
    }

    fn holds(&self, file: &str) -> bool {
        self.path.join(file).exists()
    }

    fn has_content(&self, file: &str) -> bool {
        // One that cannot be asked is opened, which tells why.
        std::fs::metadata(self.path.join(file))
            .map_or_else(|error| error.kind() != ErrorKind::NotFound, |found| found.len() > 0)
    }

    fn remove(&self, file: &str) -> Result<(), StoreError> {
        let (path, name) = self.named(file);
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(storage("remove", &name)(error)),
            _ => Ok(()),
        }
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let (target, name) = self.named(to);
        std::fs::rename(self.path.join(from), target).map_err(storage("swap in", &name))?;
        sync_directory(&self.path)
    }

    fn place(&self) -> PathBuf {
        self.path.clone()
    }

    fn report(&self, at: &OpenProgress<'_>) -> ControlFlow<()> {
        (self.on_progress)(at)
    }
}

/// Locks a file that redb does not open itself, against databases too. redb locks when it opens a backend, and not when it makes
/// one. On a file system without locks redb has none either.
fn lock_whole(file: &FileBackend, name: String) -> Result<(), StoreError> {
    match file.try_lock_range(Bound::Unbounded, Bound::Unbounded) {
        Ok(true) | Err(BackendError::Unsupported) => Ok(()),
        Ok(false) => Err(StoreError::Locked { file: name }),
        Err(error) => Err(storage("lock", &name)(error)),
    }
}

/// Makes the names in a directory durable. A power cut may otherwise lose a renamed file.
pub(crate) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    let name = path.display().to_string();
    let directory = File::open(path).map_err(storage("open the directory", &name))?;
    directory.sync_all().map_err(storage("sync the directory", &name))
}

/// Begins a transaction of a file that may be large. After its commit, a start reads no more of the file than it needs, also
/// after a kill. See the decisions of this module.
pub(super) fn begin_write(database: &Database) -> Result<WriteTransaction, TransactionError> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Drops what the kernel caches of a file, if it exists. See the decisions of this module.
pub(super) fn drop_cached(path: &Path) {
    // Opening the file for its use reports what is wrong with it.
    let Ok(file) = File::open(path) else { return };
    if let Err(error) = file.sync_data() {
        tracing::warn!(file = %path.display(), %error, "cannot write what was not synced; it is dropped, and nobody was told of it");
    }
    if let Err(error) = fadvise(&file, 0, None, Advice::DontNeed) {
        tracing::warn!(file = %path.display(), %error, "cannot drop the kernel's cache; what is read may not be on the disk");
    }
}

/// Converts the error of opening `file`, by what can be done about it.
pub(super) fn open_error(error: DatabaseError, file: String) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::Locked { file },
        DatabaseError::RepairAborted => StoreError::Canceled { file },
        // redb reports bytes that are no database of its own as invalid data.
        DatabaseError::Storage(StorageError::Io(why)) if why.kind() != ErrorKind::InvalidData => {
            StoreError::Storage { doing: "open", file, why: why.to_string() }
        }
        DatabaseError::Storage(StorageError::PreviousIo) => {
            StoreError::Storage { doing: "open", file, why: StorageError::PreviousIo.to_string() }
        }
        why => StoreError::DamagedFile { file, why: why.to_string() },
    }
}

/// Opens a database, and turns a panic into an error: on some damage redb panics.
pub(super) fn open_guarded(disk: &dyn Disk, file: &str, cache_bytes: usize) -> Result<Database, StoreError> {
    disk.drop_cached(file);
    let opened = catch_unwind(AssertUnwindSafe(|| disk.open(file, cache_bytes)));
    opened.unwrap_or_else(|_| {
        let why = "the database panicked while it was opened; the log has its message".to_owned();
        Err(StoreError::DamagedFile { file: file.to_owned(), why })
    })
}

#[cfg(test)]
mod tests;
