//! Rows that are removed from memory, and still have to be removed from the disk.
//!
//! # Decisions
//!
//! - **A removal that the disk refuses is not forgotten.** Memory has lost the row by then, so nobody would find it again; after
//!   a restart, somebody who has logged out would be in again for the rest of two weeks. The sweep tries again.
//! - **No row is written before the removed ones are gone.** So a removal that is late takes away nothing that was made since,
//!   and there are at most as many as users, links and sessions at one time. [`MAX_USERS`](super::MAX_USERS) and
//!   [`MAX_SESSIONS_OF_USER`](super::MAX_SESSIONS_OF_USER) bound these.

use super::{LINKS, People, SESSIONS, USERS};
use herd::store::LocalError;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::{MutexGuard, PoisonError};

/// Namespaces in the order of their removal. A link without its user would be an invitation again, so users are last.
const SPACES: [&str; 3] = [LINKS, SESSIONS, USERS];

/// Removed rows that are still on disk, as namespace and key.
#[derive(Debug, Default)]
pub(super) struct RemovedRows(BTreeSet<(&'static str, String)>);

impl RemovedRows {
    /// Adds rows of a namespace that were removed from memory.
    pub(super) fn add(&mut self, space: &'static str, keys: impl IntoIterator<Item = String>) {
        self.0.extend(keys.into_iter().map(|key| (space, key)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of(&self, space: &str) -> Vec<String> {
        self.0.iter().filter(|(of, _)| *of == space).map(|(_, key)| key.clone()).collect()
    }

    fn forget(&mut self, space: &str) {
        self.0.retain(|(of, _)| *of != space);
    }
}

impl People {
    /// Locks the removed rows. Changes must be locked.
    pub(super) fn removed(&self) -> MutexGuard<'_, RemovedRows> {
        self.removed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the removed rows from the disk. Those that it refuses stay for the next try. Changes must be locked.
    pub(super) fn save_removals(&self) -> Result<(), LocalError> {
        SPACES.iter().try_for_each(|space| self.save_removals_from(space))
    }

    fn save_removals_from(&self, space: &str) -> Result<(), LocalError> {
        let gone = self.removed().of(space);
        if !gone.is_empty() {
            self.file.replace::<()>(space, &gone, None)?;
            self.removed().forget(space);
        }
        Ok(())
    }

    /// Writes a row, after the removed rows are gone. Changes must be locked.
    pub(super) fn put<T: Serialize>(&self, space: &str, key: &str, row: &T) -> Result<(), LocalError> {
        self.save_removals()?;
        self.file.put(space, key, row)
    }
}
