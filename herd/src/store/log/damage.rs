//! The damaged rows that were read, for health.

use super::super::error::DamagedRow;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Maximum number of damaged rows that are kept. A card with more of them is replaced, not read.
const MAX_DAMAGED_ROWS: usize = 100;

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

    /// Returns the damaged rows in order.
    pub(super) fn rows(&self) -> Vec<DamagedRow> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
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
