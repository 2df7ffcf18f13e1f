//! Damage of `tables.redb`: noted once, and the file is removed, so that the next start folds the tables again.
//!
//! # Decisions
//!
//! - **A panic of redb is an error of the file.** See [`guarded`](super::super::guarded). The panic is caught where the
//!   file is read or written, and nowhere else.
//! - **The file is removed at once, while it is open.** A mark in the file could not be relied on: the file is damaged. This
//!   process reads on what it has, until its writer ends at the next check.
//! - **A disk without room is no damage.** The file is as sound as before, and to fold it again would need more room. redb reads
//!   nothing more from the file after such a write, until it is opened again: that is no damage either.

use super::super::disk::Disk;
use super::super::guarded::PANICKED;
use std::fmt::{Debug, Display, Formatter};
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

/// The first damage that was found. Clones share it.
#[derive(Clone)]
pub(in super::super) struct Damage {
    found: Arc<OnceLock<String>>,
    disk: Arc<dyn Disk>,
    file: Arc<str>,
}

impl Debug for Damage {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Damage").field(&self.found.get()).finish()
    }
}

impl Damage {
    pub(super) fn new(disk: &dyn Disk, file: &str) -> Self {
        Self { found: Arc::default(), disk: disk.handle(), file: file.into() }
    }

    /// Returns what was found, if the file is damaged.
    pub(in super::super) fn found(&self) -> Option<&str> {
        self.found.get().map(String::as_str)
    }

    /// Notes damage, and removes the file if it is the first.
    pub(in super::super) fn note(&self, why: &dyn Display) {
        if self.found.set(why.to_string()).is_err() {
            return;
        }
        tracing::error!(%why, "{} is damaged; it is removed, and the next start folds the tables again", self.file);
        if let Err(error) = self.disk.remove(&self.file) {
            tracing::error!(%error, "cannot remove the damaged tables; delete them if the next start fails, too");
        }
    }

    /// Runs a part of redb. Makes a panic an error, and notes each error that `is_damage` holds for.
    pub(super) fn guard<T, E: Display>(
        &self,
        run: impl FnOnce() -> Result<T, E>,
        failed: impl FnOnce(&'static str) -> E,
        is_damage: impl FnOnce(&E) -> bool,
    ) -> Result<T, E> {
        let Ok(outcome) = catch_unwind(AssertUnwindSafe(run)) else {
            self.note(&PANICKED);
            return Err(failed(PANICKED));
        };
        outcome.inspect_err(|error| {
            if is_damage(error) {
                self.note(error);
            }
        })
    }
}

/// Returns whether an error of redb says that a file is damaged, and not that the disk is full.
pub(super) fn is_damage(error: &redb::StorageError) -> bool {
    match error {
        redb::StorageError::Io(error) => {
            !matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
        }
        redb::StorageError::PreviousIo => false,
        _ => true,
    }
}
