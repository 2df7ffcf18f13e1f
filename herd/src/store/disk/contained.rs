//! Reads of `log.redb` that fail, made damage of the pages that they were for.
//!
//! # Decisions
//!
//! - **A page that the medium does not return counts as damaged.** After a read that failed, redb serves nothing any more: no
//!   other row, no write, not the next commit. One bad sector under an old row would end the writer, at each start again. Bytes
//!   of no page, however, are the damage of that page alone, and the rest of the store names and passes it.
//! - **Only once the database is open.** What fails before ends the opening with its own error.
//! - **Writes and syncs fail as they are.** After one of them, nobody knows what the file holds.

use redb::{BackendError, StorageBackend};
use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// First byte of no page: redb knows two kinds of pages, 1 and 2.
const NO_PAGE: u8 = 0;

/// Begins to contain failed reads of a file.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Containment(Arc<AtomicBool>);

impl Containment {
    /// Makes each read that fails from now on return bytes of no page.
    pub(in super::super) fn begin(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A file whose failed reads are contained once that has begun.
#[derive(Debug)]
pub(in super::super) struct ContainedReads<B> {
    file: B,
    name: String,
    containment: Containment,
}

impl<B> ContainedReads<B> {
    pub(in super::super) fn of(file: B, name: String) -> Self {
        Self { file, name, containment: Containment::default() }
    }

    pub(in super::super) fn containment(&self) -> Containment {
        self.containment.clone()
    }
}

impl<B: StorageBackend> StorageBackend for ContainedReads<B> {
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self.file.read(offset, out) {
            Err(error) if self.containment.0.load(Ordering::Acquire) => {
                let (file, bytes) = (&self.name, out.len());
                tracing::error!(file, offset, bytes, %error, "a page cannot be read; the changes that need it are damaged");
                out.fill(NO_PAGE);
                Ok(())
            }
            read => read,
        }
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
