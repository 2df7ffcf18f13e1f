//! The forms of the answers.

use super::duplicates::Duplicates;
use herd::position::Sequence;
use herd::query::Page;
use serde::Serialize;

/// A list.
#[derive(Debug, Serialize)]
pub(super) struct List<T> {
    success: bool,
    data: Vec<T>,
    /// What to ask with for the next page.
    next: Option<u64>,
    /// How many there are on all pages, where that is counted.
    total: Option<u64>,
    /// How many stand on this one.
    count: usize,
    /// The change that the list shows the state after.
    as_of: Sequence,
    /// With a list of duplicates, how many there were.
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicates: Option<Duplicates>,
}

impl<T> List<T> {
    pub(super) fn new(page: Page<T>, total: Option<u64>, as_of: Sequence) -> Self {
        let Page { data, next } = page;
        Self { success: true, count: data.len(), data, next, total, as_of, duplicates: None }
    }

    pub(super) fn with(self, duplicates: Duplicates) -> Self {
        Self { duplicates: Some(duplicates), ..self }
    }
}

/// One thing; where a list within it goes on, `next` says with what.
#[derive(Debug, Serialize)]
pub(super) struct One<T, C = u64> {
    success: bool,
    data: T,
    next: Option<C>,
}

impl<T, C> One<T, C> {
    pub(super) fn with_next(data: T, next: Option<C>) -> Self {
        Self { success: true, data, next }
    }
}

impl<T> One<T> {
    pub(super) fn new(data: T) -> Self {
        Self::with_next(data, None)
    }
}
