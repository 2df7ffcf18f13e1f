//! Pages of a list.

use super::QueryError;
use serde::Serialize;

/// Entries of a page where nothing else is asked for.
pub const DEFAULT_PAGE_ENTRIES: u32 = 50;
/// The most entries of a page.
pub const MAX_PAGE_ENTRIES: u32 = 1_000;
/// Where entries are picked out of rows, a page looks at so many rows for each entry that it may hold. What was not
/// reached by then is reached by the next page: `next` is given all the same.
const ROWS_PER_ENTRY: usize = 4;

/// How many entries a page may hold: 1 to [`MAX_PAGE_ENTRIES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit(u32);

impl PageLimit {
    /// The limit of so many entries.
    pub fn new(entries: u64) -> Result<Self, QueryError> {
        match u32::try_from(entries) {
            Ok(entries @ 1..=MAX_PAGE_ENTRIES) => Ok(Self(entries)),
            _ => Err(QueryError::InvalidLimit { requested: entries, max: MAX_PAGE_ENTRIES }),
        }
    }

    /// How many entries.
    pub fn entries(self) -> usize {
        self.0 as usize
    }

    /// How many rows may be looked at to find them.
    pub(super) fn rows(self) -> usize {
        self.entries() * ROWS_PER_ENTRY
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(DEFAULT_PAGE_ENTRIES)
    }
}

/// A part of a list, and where it goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page<T, C = u64> {
    /// The entries. There may be fewer than the limit, even none, though more follow.
    pub data: Vec<T>,
    /// What to ask with for the next page; none at the end of the list.
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    pub(super) fn end(data: Vec<T>) -> Self {
        Self { data, next: None }
    }

    pub(super) fn try_map<U, E>(self, each: impl FnMut(T) -> Result<U, E>) -> Result<Page<U, C>, E> {
        Ok(Page { data: self.data.into_iter().map(each).collect::<Result<_, _>>()?, next: self.next })
    }
}

/// Cuts a list, of which one entry more than the limit was read, to the limit.
pub(super) fn cut<T, C>(mut read: Vec<T>, limit: PageLimit, place: impl FnOnce(&T) -> C) -> Page<T, C> {
    let more = read.len() > limit.entries();
    read.truncate(limit.entries());
    let next = read.last().filter(|_| more).map(place);
    Page { data: read, next }
}
