//! Databases of redb whose panics are errors.
//!
//! redb trusts a file that was closed, and answers some damage with a panic: at a page of no known kind, for one. A build with
//! debug assertions panics at other places than a release build, and mostly while it opens the file. So a panic is caught
//! wherever a file is opened, read, written or closed.
//!
//! An entry of a table counts as read only once its key and its value were taken: redb finds out there whether they lie in their
//! page.

use super::disk::begin_write;
use super::error::{StoreError, storage};
use redb::{AccessGuard, Database, ReadTransaction, ReadableDatabase as _, WriteTransaction};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Message for a panic that was caught.
pub(super) const PANICKED: &str = "the database panicked; the log has its message";

/// Runs a part of redb that works on a file. Makes a panic an error that names the file.
pub(super) fn guarded<T>(file: &str, run: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    guarded_with(|| StoreError::DamagedFile { file: file.to_owned(), why: PANICKED.to_owned() }, run)
}

/// Runs a part of redb. Makes a panic the error that `panicked` returns.
pub(super) fn guarded_with<T, E>(panicked: impl FnOnce() -> E, run: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(panicked()))
}

/// The bytes of a row, in a page of the file. A row that its page places outside of itself has none, so it is no row.
///
/// They were taken once inside [`guarded`]. A page in memory does not change, so they can be taken again without it.
pub(super) struct PageBytes<'a>(Option<AccessGuard<'a, &'static [u8]>>);

impl<'a> PageBytes<'a> {
    pub(super) fn of(value: AccessGuard<'a, &'static [u8]>, file: &str) -> Self {
        let taken = guarded(file, || Ok(value.value().len()));
        Self(taken.is_ok().then_some(value))
    }
}

impl Deref for PageBytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], AccessGuard::value)
    }
}

/// A database whose closing may panic without harm: it writes, and the file may be damaged.
#[derive(Debug)]
pub(super) struct GuardedDatabase {
    /// `None` while it is dropped.
    database: Option<Database>,
    file: &'static str,
}

impl GuardedDatabase {
    pub(super) fn new(database: Database, file: &'static str) -> Self {
        Self { database: Some(database), file }
    }

    pub(super) fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        self.open()?.begin_read().map_err(storage("read", self.file))
    }

    pub(super) fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        begin_write(self.open()?).map_err(storage("write", self.file))
    }

    /// Returns the database.
    pub(super) fn open(&self) -> Result<&Database, StoreError> {
        self.database.as_ref().ok_or_else(|| storage("read", self.file)("it is closed"))
    }
}

impl Drop for GuardedDatabase {
    fn drop(&mut self) {
        let database = self.database.take();
        if catch_unwind(AssertUnwindSafe(move || drop(database))).is_err() {
            tracing::error!("closing {} panicked; the next start finds what is damaged in it", self.file);
        }
    }
}
