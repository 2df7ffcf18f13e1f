//! The catalogs of the served copies: made when a page first needs one, and kept in one bound for all sites.
//!
//! # Decisions
//!
//! - **A catalog is brought up to date by the request that needs it,** on its blocking thread, while few changes are missing.
//!   That is the usual case, and costs less than a page. So replication does nothing for the pages.
//! - **A large one is built on a thread of its own,** one at a time. Pages that need it say how far it is.
//! - **The snapshot is taken under the lock of the catalog,** so that no request meets a catalog that is newer than its
//!   snapshot. A catalog that is newer all the same is of a copy that was replaced, and is built anew.
//! - **Beyond the bound, the one that was used longest ago is dropped.** It can be built again from what is on the disk.

use herd::catalog::{Catalog, CatalogError, CatalogProgress};
use herd::store::{Reader, Snapshot};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Maximum memory of the catalogs of all sites together, in bytes: about 1.3 million animals with nine weighings each. The one
/// that is in use may be larger by itself, up to [`MAX_CATALOG_ANIMALS`](herd::catalog::MAX_CATALOG_ANIMALS).
const MAX_CATALOGS_BYTES: usize = 512 * 1024 * 1024;
/// Maximum number of missing changes that a request follows itself: some milliseconds.
const MAX_INLINE_CHANGES: u64 = 1_000;
/// Maximum number of changes of a log whose catalog a request builds itself: less than a tenth of a second.
const MAX_INLINE_LOG: u64 = 10_000;

/// Reason why there is no catalog at the moment.
#[derive(Debug, thiserror::Error)]
pub enum NoCatalogError {
    /// It is being made.
    #[error("the lists of this site are being prepared, {percent} % done")]
    Building {
        /// Part that is done.
        percent: u64,
    },
    /// It cannot be made.
    #[error(transparent)]
    Failed(#[from] CatalogError),
}

/// The catalogs of all sites.
#[derive(Default)]
pub struct Catalogs(Arc<Slots>);

/// The slots of all sites, shared with the thread that builds a catalog.
#[derive(Default)]
struct Slots {
    by_site: Mutex<BTreeMap<String, Arc<Slot>>>,
    /// Counts uses, so that the oldest one is known.
    uses: AtomicU64,
    /// Held while a catalog is built in the background.
    one_at_a_time: Mutex<()>,
}

/// The catalog of one site.
#[derive(Default)]
struct Slot {
    state: RwLock<State>,
    last_use: AtomicU64,
    percent: AtomicU64,
    /// Set when nobody needs what is being built.
    is_canceled: AtomicBool,
}

/// State of a slot.
#[derive(Default)]
enum State {
    /// Not made yet, or dropped.
    #[default]
    Absent,
    /// Being made by another thread.
    Building,
    /// Ready, up to the tables of the last request.
    Ready(Box<Catalog>),
    /// Building failed. The next request gets the error, and the one after it tries again.
    Failed(CatalogError),
}

impl fmt::Debug for Catalogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalogs").finish_non_exhaustive()
    }
}

impl Catalogs {
    /// Calls `look` with the catalog of a site and a snapshot of the same tables. Fails with `Building` while a thread builds the
    /// catalog.
    pub fn read<T>(
        &self,
        site: &str,
        reader: &Reader,
        look: impl FnOnce(&Catalog, &Snapshot) -> T,
    ) -> Result<T, NoCatalogError> {
        let slot = self.0.slot(site);
        {
            let state = slot.state.read().unwrap_or_else(PoisonError::into_inner);
            if let State::Ready(catalog) = &*state {
                let snapshot = reader.snapshot().map_err(CatalogError::from)?;
                if catalog.lag(&snapshot)? == Some(0) {
                    return Ok(look(catalog, &snapshot));
                }
            }
        }
        self.read_newer(&slot, reader, look)
    }

    /// Brings the catalog up to date, and looks into it.
    fn read_newer<T>(
        &self,
        slot: &Arc<Slot>,
        reader: &Reader,
        look: impl FnOnce(&Catalog, &Snapshot) -> T,
    ) -> Result<T, NoCatalogError> {
        let mut state = slot.state.write().unwrap_or_else(PoisonError::into_inner);
        let snapshot = reader.snapshot().map_err(CatalogError::from)?;
        let (mut catalog, lag) = match std::mem::take(&mut *state) {
            State::Building => {
                *state = State::Building;
                return Err(NoCatalogError::Building { percent: slot.percent.load(Relaxed) });
            }
            State::Failed(error) => return Err(error.into()),
            State::Absent => (None, None),
            State::Ready(catalog) => {
                let lag = catalog.lag(&snapshot)?;
                (Some(catalog).filter(|_| lag.is_some()), lag)
            }
        };
        let is_short = match lag {
            Some(lag) => lag <= MAX_INLINE_CHANGES,
            None => snapshot.folded().map_err(CatalogError::from)?.0 <= MAX_INLINE_LOG,
        };
        if !is_short {
            // The thread waits for this lock before it changes the state.
            *state =
                if self.build_behind(slot.clone(), reader.clone(), catalog) { State::Building } else { State::Absent };
            return Err(NoCatalogError::Building { percent: 0 });
        }
        let made = match catalog.take() {
            Some(mut catalog) => catalog.follow(&snapshot).map(|()| (catalog, snapshot)),
            None => build_inline(reader),
        };
        let (catalog, snapshot) = made?;
        let found = look(&catalog, &snapshot);
        *state = State::Ready(catalog);
        drop(state);
        if lag.is_none() {
            self.0.keep_bound(slot);
        }
        Ok(found)
    }

    /// Builds a catalog, or brings one up to date, on a thread of its own. Returns whether the thread was started.
    fn build_behind(&self, slot: Arc<Slot>, reader: Reader, catalog: Option<Box<Catalog>>) -> bool {
        slot.percent.store(0, Relaxed);
        let slots = self.0.clone();
        let work = move || {
            let _one_at_a_time = slots.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
            if catch_unwind(AssertUnwindSafe(|| slot.build(&reader, catalog))).is_err() {
                tracing::error!("the thread that builds the catalog of a site panicked; the next page starts it again");
                *slot.state.write().unwrap_or_else(PoisonError::into_inner) = State::Absent;
            }
            drop(reader);
            slots.keep_bound(&slot);
        };
        let spawned = std::thread::Builder::new().name("catalog".to_owned()).spawn(work);
        spawned.inspect_err(|error| tracing::error!(%error, "failed to start the thread that builds a catalog")).is_ok()
    }

    /// Drops the catalog of a site that is gone.
    pub(super) fn forget(&self, site: &str) {
        let slot = self.0.by_site.lock().unwrap_or_else(PoisonError::into_inner).remove(site);
        if let Some(slot) = slot {
            slot.is_canceled.store(true, Relaxed);
        }
    }

    /// Makes the catalog of a site one that is being built, for ever.
    #[cfg(test)]
    pub(crate) fn hold(&self, site: &str) {
        *self.0.slot(site).state.write().unwrap_or_else(PoisonError::into_inner) = State::Building;
    }

    /// Drops all catalogs, and ends what is being built.
    pub(super) fn forget_all(&self) {
        let slots = std::mem::take(&mut *self.0.by_site.lock().unwrap_or_else(PoisonError::into_inner));
        for slot in slots.into_values() {
            slot.is_canceled.store(true, Relaxed);
        }
    }

    /// Returns the memory of the catalog of each site that has one, in bytes.
    pub(super) fn bytes(&self) -> Vec<(String, usize)> {
        let slots = self.0.by_site.lock().unwrap_or_else(PoisonError::into_inner).clone();
        slots.into_iter().filter_map(|(site, slot)| Some((site, slot.bytes()?))).collect()
    }
}

impl Slots {
    fn slot(&self, site: &str) -> Arc<Slot> {
        let mut slots = self.by_site.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(site.to_owned()).or_default().clone();
        slot.last_use.store(self.uses.fetch_add(1, Relaxed), Relaxed);
        slot
    }

    /// Drops the catalogs that were used longest ago until the others fit. The one that was just made stays.
    fn keep_bound(&self, made: &Arc<Slot>) {
        self.keep_within(made, MAX_CATALOGS_BYTES);
    }

    fn keep_within(&self, made: &Arc<Slot>, max_bytes: usize) {
        let slots = self.by_site.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let others = slots.into_values().filter(|slot| !Arc::ptr_eq(slot, made));
        let mut others: Vec<_> =
            others.filter_map(|slot| Some((slot.last_use.load(Relaxed), slot.bytes()?, slot))).collect();
        others.sort_by_key(|(last_use, ..)| Reverse(*last_use));
        let mut total = made.bytes().unwrap_or_default();
        for (_, bytes, slot) in others {
            total += bytes;
            if total > max_bytes {
                slot.drop_catalog();
            }
        }
    }
}

impl Slot {
    fn build(&self, reader: &Reader, catalog: Option<Box<Catalog>>) {
        let mut watch = |progress: CatalogProgress| {
            self.percent.store(progress.percent(), Relaxed);
            if self.is_canceled.load(Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let made = match catalog {
            Some(mut catalog) => catalog.catch_up(reader, &mut watch).map(|()| catalog),
            None => Catalog::build(reader, &mut watch).map(Box::new),
        };
        let state = match made {
            Ok(catalog) => State::Ready(catalog),
            // Nobody needs it, or the copy was replaced meanwhile.
            Err(CatalogError::Canceled | CatalogError::OtherHistory) => State::Absent,
            Err(error) => {
                tracing::error!(%error, "failed to build the catalog of a site");
                State::Failed(error)
            }
        };
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn drop_catalog(&self) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Ready(_)) {
            *state = State::Absent;
        }
    }

    /// Returns the memory of the catalog, if there is one.
    fn bytes(&self) -> Option<usize> {
        match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Ready(catalog) => Some(catalog.bytes()),
            _ => None,
        }
    }
}

/// Builds the catalog of a short log, and returns it with a snapshot of the same tables.
fn build_inline(reader: &Reader) -> Result<(Box<Catalog>, Snapshot), CatalogError> {
    let mut catalog = Box::new(Catalog::build(reader, &mut |_| ControlFlow::Continue(()))?);
    let snapshot = reader.snapshot()?;
    catalog.follow(&snapshot)?;
    Ok((catalog, snapshot))
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::testing::TestBarn;

    fn heads(catalogs: &Catalogs, site: &str, barn: &TestBarn) -> u64 {
        catalogs.read(site, &barn.reader(), |catalog, _| catalog.counts().all).unwrap()
    }

    /// Catches a catalog that shows the animals of a copy that was replaced, or of the time of the first request.
    #[test]
    fn a_request_sees_what_its_copy_holds() {
        let catalogs = Catalogs::default();
        let mut barn = TestBarn::with_payloads(&["hxb:L:A:U1", "hxb:L:B:U2"]);
        assert_eq!(heads(&catalogs, "north", &barn), 2);
        barn.record("hxb:L:C:U3");
        assert_eq!(heads(&catalogs, "north", &barn), 3);
        let other = TestBarn::with_payloads(&["hxb:L:Z:U9"]);
        assert_eq!(heads(&catalogs, "north", &other), 1);
        assert_eq!(heads(&catalogs, "south", &barn), 3);
        catalogs.forget("north");
        assert_eq!(catalogs.bytes().into_iter().map(|(site, _)| site).collect::<Vec<_>>(), ["south"]);
    }

    /// Catches a page that waits for a long log to be followed, and one that is put off for a few changes.
    #[test]
    fn a_catalog_that_is_far_behind_is_followed_behind_the_pages() {
        let catalogs = Catalogs::default();
        let mut barn = TestBarn::with_payloads(&["hxb:L:A:U"]);
        assert_eq!(heads(&catalogs, "north", &barn), 1);
        let mut record = |from: u64, count: u64| {
            for n in from..from + count {
                barn.record(&format!("hxb:L:A{n}:U{n}"));
            }
            barn.reader()
        };
        let inline = record(0, MAX_INLINE_CHANGES);
        let read = |reader: &Reader| catalogs.read("north", reader, |catalog, _| catalog.counts().all);
        assert_eq!(read(&inline).unwrap(), 1 + MAX_INLINE_CHANGES);
        let far = record(MAX_INLINE_CHANGES, MAX_INLINE_CHANGES + 1);
        assert!(matches!(read(&far), Err(NoCatalogError::Building { percent: 0 })));
        let all = loop {
            match read(&far) {
                Ok(all) => break all,
                Err(NoCatalogError::Building { .. }) => std::thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(all, 2 + 2 * MAX_INLINE_CHANGES);
    }

    /// Catches a build that nobody sees the progress of, or that never ends.
    #[test]
    fn a_large_catalog_is_built_behind_the_pages() {
        let catalogs = Catalogs::default();
        let barn = TestBarn::with_payloads(&["hxb:L:A:U1"]);
        let slot = catalogs.0.slot("north");
        let is_building = |found: Result<(), NoCatalogError>| matches!(found, Err(NoCatalogError::Building { .. }));
        *slot.state.write().unwrap() = State::Building;
        assert!(is_building(catalogs.read("north", &barn.reader(), |_, _| ())));
        slot.build(&barn.reader(), None);
        assert_eq!((heads(&catalogs, "north", &barn), slot.percent.load(Relaxed)), (1, 100));
        *slot.state.write().unwrap() = State::Building;
        slot.is_canceled.store(true, Relaxed);
        slot.build(&barn.reader(), None);
        assert!(matches!(*slot.state.read().unwrap(), State::Absent));
    }

    /// Catches an office whose catalogs of many sites fill its memory, and one that drops the one in use.
    #[test]
    fn beyond_the_bound_the_least_recently_used_is_dropped() {
        let catalogs = Catalogs::default();
        let barn = TestBarn::with_payloads(&["hxb:L:A:U1"]);
        for site in ["a", "b", "c"] {
            heads(&catalogs, site, &barn);
        }
        heads(&catalogs, "a", &barn);
        let bytes = catalogs.bytes()[0].1;
        catalogs.0.keep_within(&catalogs.0.slot("c"), 2 * bytes);
        assert_eq!(catalogs.bytes().into_iter().map(|(site, _)| site).collect::<Vec<_>>(), ["a", "c"]);
        catalogs.0.keep_within(&catalogs.0.slot("c"), 0);
        assert_eq!(catalogs.bytes().into_iter().map(|(site, _)| site).collect::<Vec<_>>(), ["c"]);
    }
}
