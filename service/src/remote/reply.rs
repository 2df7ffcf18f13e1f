//! The envelopes of responses.

use super::duplicates::DuplicateCounts;
use herd::position::Sequence;
use herd::query::Page;
use serde::Serialize;

/// A page of a list.
#[derive(Debug, Serialize)]
pub(super) struct ListReply<T> {
    success: bool,
    data: Vec<T>,
    /// Cursor of the next page.
    next: Option<u64>,
    /// Number of entries on all pages, if it is counted.
    total: Option<u64>,
    /// Number of entries on this page.
    count: usize,
    /// The last change that the list reflects.
    as_of: Sequence,
    /// Counts of duplicates, in a list of duplicates.
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicates: Option<DuplicateCounts>,
}

impl<T> ListReply<T> {
    pub(super) fn new(page: Page<T>, total: Option<u64>, as_of: Sequence) -> Self {
        let Page { data, next } = page;
        Self { success: true, count: data.len(), data, next, total, as_of, duplicates: None }
    }

    pub(super) fn with_duplicates(self, duplicates: DuplicateCounts) -> Self {
        Self { duplicates: Some(duplicates), ..self }
    }
}

/// A single item.
#[derive(Debug, Serialize)]
pub(super) struct ItemReply<T, C = u64> {
    success: bool,
    data: T,
    /// Cursor of the next page of the list inside the item, if there is one.
    next: Option<C>,
}

impl<T, C> ItemReply<T, C> {
    pub(super) fn with_next(data: T, next: Option<C>) -> Self {
        Self { success: true, data, next }
    }
}

impl<T> ItemReply<T> {
    pub(super) fn new(data: T) -> Self {
        Self::with_next(data, None)
    }
}
