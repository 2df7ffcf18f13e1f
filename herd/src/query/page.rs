//! Pages of a list.

use super::QueryError;
use serde::Serialize;

/// Default number of entries on a page.
pub const DEFAULT_PAGE_ENTRIES: u32 = 50;
/// Maximum number of entries on a page.
pub const MAX_PAGE_ENTRIES: u32 = 1_000;
/// Rows that a filtered list reads for each entry that its page may hold. If the page is not full by then, it ends
/// early and the next page goes on from there.
const ROWS_PER_ENTRY: usize = 4;

/// Maximum number of entries on a requested page: 1 to [`MAX_PAGE_ENTRIES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit(u32);

impl PageLimit {
    /// Makes a limit of `entries`.
    pub fn new(entries: u64) -> Result<Self, QueryError> {
        match u32::try_from(entries) {
            Ok(entries @ 1..=MAX_PAGE_ENTRIES) => Ok(Self(entries)),
            _ => Err(QueryError::InvalidLimit { requested: entries, max: MAX_PAGE_ENTRIES }),
        }
    }

    /// Returns the maximum number of entries.
    pub fn entries(self) -> usize {
        self.0 as usize
    }

    /// Returns the maximum number of rows that may be read to find the entries.
    pub(super) fn rows(self) -> usize {
        self.entries() * ROWS_PER_ENTRY
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(DEFAULT_PAGE_ENTRIES)
    }
}

/// Part of a list, with the cursor of the next part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page<T, C = u64> {
    /// Entries of the page. There may be fewer than the limit, or none at all, although more follow.
    pub data: Vec<T>,
    /// Cursor of the next page; `None` at the end of the list.
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    /// Makes the last page of a list.
    pub(super) fn last(data: Vec<T>) -> Self {
        Self { data, next: None }
    }

    pub(super) fn try_map<U, E>(self, each: impl FnMut(T) -> Result<U, E>) -> Result<Page<U, C>, E> {
        Ok(Page { data: self.data.into_iter().map(each).collect::<Result<_, _>>()?, next: self.next })
    }
}

/// Cuts `entries` to a page. The caller reads one entry more than the limit, which shows if another page follows.
pub(super) fn cut<T, C>(mut entries: Vec<T>, limit: PageLimit, cursor: impl FnOnce(&T) -> C) -> Page<T, C> {
    let has_more = entries.len() > limit.entries();
    entries.truncate(limit.entries());
    let next = entries.last().filter(|_| has_more).map(cursor);
    Page { data: entries, next }
}
