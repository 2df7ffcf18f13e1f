//! Read access to the tables.

use super::cells::{Row, decode};
use super::error::RowsError;
use super::range::{KeyRange, LayerValue};
use crate::tables::{Key, Table};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Read access to the tables. Only the storage beneath can fail.
pub trait Rows {
    /// Returns the value of a row.
    fn get(&self, table: Table, key: &Key) -> Result<Option<Vec<u8>>, RowsError>;

    /// Returns up to `limit` rows with `from <= key` and, if `to` is given, `key < to`.
    ///
    /// The rows are in the order of keys, or in reverse order with `backwards`.
    fn range(&self, table: Table, range: KeyRange<'_>) -> Result<Vec<(Key, Vec<u8>)>, RowsError>;

    /// Returns a row decoded as its type. Rows in memory are shared and not decoded again.
    fn shared<T: Row>(&self, key: &Key) -> Result<Option<Arc<T>>, RowsError> {
        self.get(T::TABLE, key)?.map(|value| decode(key, &value).map(Arc::new)).transpose()
    }

    /// Returns a row decoded as its type.
    fn read<T: Row>(&self, key: &Key) -> Result<Option<T>, RowsError> {
        Ok(self.shared(key)?.map(Arc::unwrap_or_clone))
    }
}

impl<R: Rows + ?Sized> Rows for &R {
    fn get(&self, table: Table, key: &Key) -> Result<Option<Vec<u8>>, RowsError> {
        (**self).get(table, key)
    }

    fn range(&self, table: Table, range: KeyRange<'_>) -> Result<Vec<(Key, Vec<u8>)>, RowsError> {
        (**self).range(table, range)
    }

    fn shared<T: Row>(&self, key: &Key) -> Result<Option<Arc<T>>, RowsError> {
        (**self).shared(key)
    }
}

/// A base without rows, for a new store.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRows;

impl Rows for NoRows {
    fn get(&self, _: Table, _: &Key) -> Result<Option<Vec<u8>>, RowsError> {
        Ok(None)
    }

    fn range(&self, _: Table, _: KeyRange<'_>) -> Result<Vec<(Key, Vec<u8>)>, RowsError> {
        Ok(Vec::new())
    }
}

/// Rows that lie above others: each `above` replaces the row of that key in `below`, or hides it.
pub(crate) fn merge_range(
    above: BTreeMap<Key, LayerValue<Vec<u8>>>,
    range: KeyRange<'_>,
    below: impl FnOnce(KeyRange<'_>) -> Result<Vec<(Key, Vec<u8>)>, RowsError>,
) -> Result<Vec<(Key, Vec<u8>)>, RowsError> {
    if above.is_empty() {
        return below(range);
    }
    let mut merged = above;
    // Removed rows hide rows below, so that many more of those may be needed to fill the limit.
    let hidden = merged.values().filter(|value| value.is_none()).count();
    let wider = KeyRange { limit: range.limit.saturating_add(hidden), ..range };
    for (key, value) in below(wider)? {
        merged.entry(key).or_insert(Some(value));
    }
    let present = merged.into_iter().filter_map(|(key, value)| value.map(|value| (key, value)));
    if range.backwards {
        Ok(present.rev().take(range.limit).collect())
    } else {
        Ok(present.take(range.limit).collect())
    }
}
