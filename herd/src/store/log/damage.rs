//! Damaged rows: named by the reader that meets them, and noted for health.
//!
//! # Decisions
//!
//! - **A damaged page is damage of the changes that it led to.** Its rows are unknown, so their extent is searched: the changes
//!   around the one that was asked for, up to those that rows hold. A caller that passes a damaged row so passes a damaged
//!   page as well, and a barn goes on recording.

use super::super::error::{DamagedRow, StoreError};
use super::super::raw::MAX_PAGE_BYTES;
use super::super::row::RowReader;
use super::LogReader;
use super::body::Entry;
use crate::position::Sequence;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Maximum number of damaged rows that are kept. A card with more of them is replaced, not read.
const MAX_DAMAGED_ROWS: usize = 100;

/// Why changes are damaged that no row holds.
const MISSING: &str = "they are missing, and later ones are present";

/// The damaged rows. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct NotedDamage(Arc<Mutex<BTreeSet<DamagedRow>>>);

impl NotedDamage {
    /// Notes a damaged row. The first reading of it is logged.
    pub(super) fn note(&self, row: DamagedRow) {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.len() < MAX_DAMAGED_ROWS && rows.insert(row) {
            tracing::error!(
                first = row.first.0,
                last = row.last.0,
                "log.redb is damaged in {row}; everything else is kept and served. Keep the file: an office may hold these changes"
            );
        }
    }

    /// Forgets a row that holds the right changes again.
    pub(super) fn forget(&self, row: &DamagedRow) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(row);
        tracing::info!(first = row.first.0, last = row.last.0, "log.redb has {row} again");
    }

    /// Returns the noted row that holds a change.
    fn row_with(&self, sequence: Sequence) -> Option<DamagedRow> {
        self.rows().into_iter().find(|row| row.holds(sequence))
    }

    /// Returns the damaged rows in order.
    pub(super) fn rows(&self) -> Vec<DamagedRow> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}

impl LogReader {
    /// Names the damaged row that begins at `first`. A page with wrong keys may have it begin anywhere, so the error names the
    /// change that was asked for in any case.
    pub(super) fn damaged(&self, first: Sequence, asked: Sequence) -> StoreError {
        let why = "its changes do not lead from the digest before them to the one after";
        self.name(self.damaged_row(first), asked, why)
    }

    /// Names the changes from `first` on that are missing before `next`.
    pub(super) fn missing(&self, first: Sequence, next: Sequence) -> StoreError {
        let row = DamagedRow { first, last: Sequence(next.0.saturating_sub(1)) };
        self.name(Ok(row), first, MISSING)
    }

    /// Names the changes around `asked` that are missing.
    pub(super) fn missing_around(&self, asked: Sequence) -> StoreError {
        self.name(self.lost_around(asked), asked, MISSING)
    }

    /// Names the changes around `asked` that cannot be read because a page is damaged. An error of another kind stays as it is.
    pub(super) fn unreadable(&self, asked: Sequence, error: StoreError) -> StoreError {
        if !matches!(error, StoreError::DamagedFile { .. }) {
            return error;
        }
        let noted = self.log.damage.row_with(asked);
        let row = noted.map_or_else(|| self.lost_around(asked), Ok);
        self.name(row, asked, "a page that holds them or leads to them cannot be read")
    }

    /// Notes damage, and returns the error that names it.
    fn name(&self, row: Result<DamagedRow, StoreError>, asked: Sequence, why: &'static str) -> StoreError {
        let end = self.end();
        let is_possible = |row: &DamagedRow| row.holds(asked) && end.is_none_or(|end| row.last <= end);
        match row.and_then(|row| if is_possible(&row) { Ok(row) } else { self.lost_around(asked) }) {
            Ok(row) => {
                self.log.damage.note(row);
                StoreError::DamagedLog { row, why }
            }
            Err(error) => error,
        }
    }

    /// Returns the last change, if the last row tells it.
    fn end(&self) -> Option<Sequence> {
        let in_tail = self.tail.last().map(|row| row.last);
        let in_body = || {
            let (first, bytes) = self.body.as_ref()?.last().ok()??;
            RowReader::new(first, &bytes).map(|row| row.last())
        };
        in_tail.or_else(in_body)
    }

    /// Returns the extent of a damaged row: it ends before the next one, whatever it says about itself.
    fn damaged_row(&self, first: Sequence) -> Result<DamagedRow, StoreError> {
        let next = match &self.body {
            Some(rows) => rows.range(first.0.saturating_add(1)..)?.next().transpose(),
            None => Ok(None),
        };
        let next = match next {
            // The page behind it is damaged as well.
            Err(StoreError::DamagedFile { .. }) => None,
            next => next?.map(|(next, _)| next).or(self.tail.first()),
        };
        if let Some(next) = next {
            return Ok(DamagedRow { first, last: Sequence(next.0.saturating_sub(1)).max(first) });
        }
        let row = self.body_row_from(first)?;
        let last = row.and_then(|(first, bytes)| RowReader::new(first, &bytes).map(|row| row.last()));
        Ok(DamagedRow { first, last: last.unwrap_or(first) })
    }

    /// Returns whether pages that may hold a row place no row outside of themselves.
    ///
    /// redb copies the other rows of a page when it writes one, and may panic at that. The next start would then check the
    /// digests of all pages, and refuse the file.
    pub(super) fn are_pages_sound_around(&self, row: DamagedRow) -> bool {
        let Some(rows) = &self.body else { return false };
        let before = rows.range(..row.first.0).map(Iterator::rev);
        before.is_ok_and(are_in_their_pages) && rows.range(row.first.0..).is_ok_and(are_in_their_pages)
    }

    /// Returns the changes around `asked`, which no row is found to hold.
    fn lost_around(&self, asked: Sequence) -> Result<DamagedRow, StoreError> {
        let behind = self.end().map_or(asked, |end| end.max(asked)).next();
        Ok(DamagedRow { first: self.last_lost(asked, Sequence::ZERO)?, last: self.last_lost(asked, behind)? })
    }

    /// Searches from a change that no row holds towards one that is there, or that there is not, by halving what lies between.
    /// Returns the last one on the way that no row holds.
    fn last_lost(&self, lost: Sequence, other: Sequence) -> Result<Sequence, StoreError> {
        let (mut lost, mut other) = (lost.0, other.0);
        while lost.abs_diff(other) > 1 {
            let middle = lost.midpoint(other);
            *(if self.has_row_with(Sequence(middle))? { &mut other } else { &mut lost }) = middle;
        }
        Ok(Sequence(lost))
    }

    /// Returns whether a row is found that says it holds a change.
    fn has_row_with(&self, sequence: Sequence) -> Result<bool, StoreError> {
        let found = match self.search_body(sequence) {
            Err(StoreError::DamagedFile { .. }) => None,
            found => found?,
        };
        Ok(found.is_some_and(|(first, bytes)| RowReader::new(first, &bytes).is_some_and(|row| row.last() >= sequence)))
    }
}

/// Returns whether the first rows, as many as a page may hold, lie in their pages.
fn are_in_their_pages(rows: impl Iterator<Item = Result<Entry<'static>, StoreError>>) -> bool {
    let mut bytes = 0;
    for entry in rows {
        let Some((_, row)) = entry.ok().filter(|(_, row)| !row.is_empty()) else { return false };
        bytes += row.len() as u64;
        if bytes > MAX_PAGE_BYTES {
            break;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Sequence;

    #[test]
    fn the_first_hundred_damaged_rows_are_kept_in_order_until_they_are_mended() {
        let (noted, row) = (NotedDamage::default(), |n| DamagedRow::at(Sequence(n)));
        for n in (1..=100).rev().chain([100, 101]) {
            noted.note(row(n));
        }
        assert_eq!(noted.rows(), (1..=100).map(row).collect::<Vec<_>>());
        noted.forget(&row(7));
        noted.clone().note(row(500));
        assert_eq!((noted.rows().len(), noted.rows().contains(&row(7))), (100, false));
        assert_eq!(noted.rows()[99], row(500));
    }
}
