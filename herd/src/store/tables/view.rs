//! A view: the tables at one position.

use super::file::{FileReader, TablesState};
use super::generation::Generation;
use crate::fold::{KeyRange, Row, Rows, RowsError, decode, merge_range};
use crate::position::Sequence;
use crate::tables::{Key, Table};
use std::fmt::{Debug, Formatter};
use std::sync::Arc;

/// The tables at one position, for a reader; or the newest rows, for the writer.
pub(in super::super) struct View {
    /// The state that the rows have.
    pub(super) state: TablesState,
    /// The last change that is seen.
    pub(super) at: Sequence,
    /// The generation that was the current one, if this is the view of a reader. The rest of it may change.
    pub(super) counted: Option<Arc<Generation>>,
    /// Generations that the file may lack, the newest first.
    pub(super) generations: Vec<Arc<Generation>>,
    pub(super) file: Arc<FileReader>,
}

impl View {
    pub(in super::super) fn state(&self) -> &TablesState {
        &self.state
    }

    pub(in super::super) fn file(&self) -> &FileReader {
        &self.file
    }

    fn range_below(
        &self,
        generation: usize,
        table: Table,
        range: KeyRange<'_>,
    ) -> Result<Vec<(Key, Vec<u8>)>, RowsError> {
        match self.generations.get(generation) {
            Some(rows) => merge_range(rows.range(table, range, self.at), range, |wider| {
                self.range_below(generation + 1, table, wider)
            }),
            None => self.file.range(table, range),
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if let Some(generation) = &self.counted {
            generation.close_view();
        }
    }
}

impl Debug for View {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Rows for View {
    fn get(&self, table: Table, key: &Key) -> Result<Option<Vec<u8>>, RowsError> {
        for generation in &self.generations {
            if let Some(found) = generation.get(table, key, self.at) {
                return Ok(found.map(|value| value.to_vec()));
            }
        }
        self.file.read(table, key, |value| Ok(value.to_vec()))
    }

    fn range(&self, table: Table, range: KeyRange<'_>) -> Result<Vec<(Key, Vec<u8>)>, RowsError> {
        self.range_below(0, table, range)
    }

    /// Decodes the row where it is, without a copy of its bytes.
    fn shared<T: Row>(&self, key: &Key) -> Result<Option<Arc<T>>, RowsError> {
        for generation in &self.generations {
            if let Some(found) = generation.get(T::TABLE, key, self.at) {
                return found.map(|value| decode(key, &value).map(Arc::new)).transpose();
            }
        }
        self.file.read(T::TABLE, key, |value| decode(key, value).map(Arc::new))
    }
}
