//! A view: the tables at one position.

use super::file::{EmptyRange, FileReader, SearchResult, TablesState};
use super::generation::Generation;
use crate::fold::{KeyRange, Rows, RowsError, merge_range};
use crate::position::Sequence;
use crate::tables::{Key, Table};
use std::cell::RefCell;
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
    /// By table, the keys without rows in the file among which the last search ended. New keys often follow one another:
    /// sequences, lids, numbers of events, tags out of one box. Then one search finds that all of them are new.
    pub(super) empty_ranges: RefCell<[Option<EmptyRange>; Table::ALL.len()]>,
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
        if self.empty_ranges.borrow()[table.index()].as_ref().is_some_and(|empty| empty.holds(key)) {
            return Ok(None);
        }
        match self.file.search(table, key)? {
            SearchResult::Value(value) => Ok(Some(value)),
            SearchResult::Nothing(empty) => {
                self.empty_ranges.borrow_mut()[table.index()] = Some(empty);
                Ok(None)
            }
        }
    }

    fn range(&self, table: Table, range: KeyRange<'_>) -> Result<Vec<(Key, Vec<u8>)>, RowsError> {
        self.range_below(0, table, range)
    }
}
