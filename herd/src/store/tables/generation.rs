//! A generation: the rows of some commits in memory, each in the versions that readers may still see.

use crate::fold::{KeyRange, LayerValue, SealedRow};
use crate::position::Sequence;
use crate::tables::{Key, Table};
use std::collections::{BTreeMap, btree_map::Entry};
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// Number of rows that are published under one lock, so that readers wait for no more than these.
pub(super) const PUBLISHED_AT_ONCE: usize = 1_000;
/// Estimate of the memory that a version takes with its key, besides its value.
const VERSION_BYTES: usize = 112;

/// A row as a commit left it.
#[derive(Debug)]
struct Version {
    /// The last change of the commit.
    at: Sequence,
    /// `None` if the row was removed.
    value: Option<Arc<[u8]>>,
}

impl Version {
    fn bytes(&self) -> usize {
        VERSION_BYTES + self.value.as_ref().map_or(0, |value| value.len())
    }
}

/// The versions of a row.
#[derive(Debug)]
struct Versions {
    newest: Version,
    /// In the order of commits.
    older: Vec<Version>,
}

impl Versions {
    fn seen_at(&self, at: Sequence) -> Option<&Version> {
        std::iter::once(&self.newest).chain(self.older.iter().rev()).find(|version| version.at <= at)
    }
}

/// The versions of a row that are kept besides the newest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeptVersions {
    None,
    /// The version of the commit before.
    LastOne,
    All,
}

type VersionedRows = [BTreeMap<Key, Versions>; Table::ALL.len()];

/// The rows of some commits.
#[derive(Debug, Default)]
pub(super) struct Generation {
    tables: RwLock<VersionedRows>,
    bytes: AtomicUsize,
    /// Views that were opened while this generation was the current one, and are still open.
    views: AtomicUsize,
}

impl Generation {
    /// Adds the rows of a commit, whose last change is `at`. Nobody sees them before that is published.
    ///
    /// While a view is open, all versions of these rows are kept for it. Otherwise one is, if `may_open` says that a view of the
    /// commit before may be opened meanwhile, or none.
    pub(super) fn add(&self, rows: Vec<SealedRow>, at: Sequence, may_open: bool) {
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let kept = match (self.views.load(Ordering::Acquire), may_open) {
                (0, false) => KeptVersions::None,
                (0, true) => KeptVersions::LastOne,
                _ => KeptVersions::All,
            };
            let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
            for SealedRow { table, key, value } in rows.by_ref().take(PUBLISHED_AT_ONCE) {
                self.add_version(&mut tables[table.index()], key, Version { at, value }, kept);
            }
        }
    }

    fn add_version(&self, rows: &mut BTreeMap<Key, Versions>, key: Key, version: Version, kept: KeptVersions) {
        self.bytes.fetch_add(version.bytes(), Ordering::Relaxed);
        let mut versions = match rows.entry(key) {
            Entry::Vacant(place) => {
                place.insert(Versions { newest: version, older: Vec::new() });
                return;
            }
            Entry::Occupied(versions) => versions,
        };
        let Versions { newest, older } = versions.get_mut();
        let before = std::mem::replace(newest, version);
        let mut freed = 0;
        if kept != KeptVersions::All {
            freed += older.drain(..).map(|older| older.bytes()).sum::<usize>();
        }
        match kept {
            KeptVersions::None => freed += before.bytes(),
            KeptVersions::LastOne | KeptVersions::All => older.push(before),
        }
        self.bytes.fetch_sub(freed, Ordering::Relaxed);
    }

    /// Returns an estimate of its memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn open_view(&self) {
        self.views.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn close_view(&self) {
        self.views.fetch_sub(1, Ordering::AcqRel);
    }

    fn read(&self) -> RwLockReadGuard<'_, VersionedRows> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a row as it was at a commit, or `None` if older rows decide.
    pub(super) fn get(&self, table: Table, key: &Key, at: Sequence) -> Option<LayerValue<Arc<[u8]>>> {
        let tables = self.read();
        tables[table.index()].get(key)?.seen_at(at).map(|version| version.value.clone())
    }

    /// Returns the rows of a range as they were at a commit: at least the first `limit` that existed, and those between
    /// them that were removed.
    pub(super) fn range(&self, table: Table, range: KeyRange<'_>, at: Sequence) -> BTreeMap<Key, LayerValue<Vec<u8>>> {
        let mut found = BTreeMap::new();
        if range.to.is_some_and(|to| to <= range.from) {
            return found;
        }
        let tables = self.read();
        let to = range.to.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rows = tables[table.index()].range::<[u8], _>((Bound::Included(range.from), to));
        let mut missing = range.limit;
        while missing > 0
            && let Some((key, versions)) = if range.backwards { rows.next_back() } else { rows.next() }
        {
            if let Some(version) = versions.seen_at(at) {
                missing -= usize::from(version.value.is_some());
                found.insert(key.clone(), version.value.as_ref().map(|value| value.to_vec()));
            }
        }
        found
    }

    /// Passes the newest rows of a table on, in the order of keys.
    pub(super) fn newest<T>(
        &self,
        table: Table,
        each: impl for<'r> FnOnce(&mut dyn Iterator<Item = (&'r Key, Option<&'r [u8]>)>) -> T,
    ) -> T {
        let tables = self.read();
        each(&mut tables[table.index()].iter().map(|(key, versions)| (key, versions.newest.value.as_deref())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a barn whose tables are never flushed, or with each payload, and old rows that stay although nobody sees them.
    #[test]
    fn versions_count_while_a_view_may_see_them() {
        let (generation, key) = (Generation::default(), Key::from(&b"key"[..]));
        let add_while = |may_open, at, value: Option<usize>| {
            let value = value.map(|bytes| Arc::from(vec![7; bytes]));
            generation.add(vec![SealedRow { table: Table::Animals, key: key.clone(), value }], Sequence(at), may_open);
            generation.bytes()
        };
        let add = |at, value| add_while(true, at, value);
        let of = |values: &[usize]| values.iter().map(|bytes| VERSION_BYTES + bytes).sum::<usize>();
        // A view that is opened next sees the version before, so that one stays.
        assert_eq!([add(1, Some(10)), add(2, Some(20)), add(3, Some(30))], [of(&[10]), of(&[10, 20]), of(&[20, 30])]);
        generation.open_view();
        assert_eq!(add(4, None), of(&[20, 30, 0]));
        generation.close_view();
        let seen = |at| generation.get(Table::Animals, &key, Sequence(at)).map(|value| value.map(|value| value.len()));
        assert_eq!([1, 2, 3, 4].map(seen), [None, Some(Some(20)), Some(Some(30)), Some(None)]);
        assert_eq!(add(5, Some(50)), of(&[0, 50]));
        assert_eq!([3, 4, 5].map(seen), [None, Some(None), Some(Some(50))]);
        assert_eq!(add_while(false, 6, Some(60)), of(&[60]));
        generation.open_view();
        assert_eq!(add_while(false, 7, Some(70)), of(&[60, 70]));
        assert_eq!([5, 6, 7].map(seen), [None, Some(Some(60)), Some(Some(70))]);
    }
}
