//! The damaged row that is fetched next, and the one that is being fetched.

use futures::future::BoxFuture;
use herd::store::DamagedRow;
use service::sync::link::{LinkError, LinkResponse};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Time after which a row is fetched again that the copy has refused.
pub(super) const REFUSED_RETRY: Duration = Duration::from_secs(3_600);

/// The attempts to mend rows of a copy.
#[derive(Debug, Default)]
pub(super) struct MendAttempts {
    /// Time of the last one, unless it has mended its row.
    failed_at: Option<Instant>,
    /// The last row that was tried.
    last: Option<DamagedRow>,
    /// Rows that the copy has refused, and when. All of them are among the damaged ones, which are bounded.
    refused: BTreeMap<DamagedRow, Instant>,
}

impl MendAttempts {
    /// Returns the row to fetch now, of damaged ones in order: the one before that of the last attempt, at most one in an
    /// interval.
    pub(super) fn next(&mut self, damaged: &[DamagedRow], interval: Duration) -> Option<DamagedRow> {
        if self.failed_at.is_some_and(|at| at.elapsed() < interval) {
            return None;
        }
        self.refused.retain(|row, at| damaged.contains(row) && at.elapsed() < REFUSED_RETRY);
        let mut due = damaged.iter().rev().filter(|row| !self.refused.contains_key(row));
        let before_last = due.clone().find(|row| self.last.is_none_or(|last| **row < last));
        let next = *before_last.or_else(|| due.next())?;
        (self.failed_at, self.last) = (Some(Instant::now()), Some(next));
        Some(next)
    }

    /// Notes that a row is whole again. It may prove the one before it, which need not wait.
    pub(super) fn note_mended(&mut self, row: DamagedRow) {
        self.failed_at = None;
        self.refused.retain(|refused, _| *refused > row);
    }

    /// Notes that the copy has refused the changes of a row.
    pub(super) fn note_refused(&mut self, row: DamagedRow) {
        self.refused.insert(row, Instant::now());
    }
}

/// A row that is being fetched.
pub(super) struct RowFetch {
    row: DamagedRow,
    answer: BoxFuture<'static, Result<LinkResponse, LinkError>>,
}

impl RowFetch {
    pub(super) fn new(row: DamagedRow, answer: BoxFuture<'static, Result<LinkResponse, LinkError>>) -> Self {
        Self { row, answer }
    }
}

/// A row, and the answer of the source to the request for it.
pub(super) type FetchedRow = (DamagedRow, Result<LinkResponse, LinkError>);

/// Waits for the row that is being fetched; without one, forever. Cancel-safe.
pub(super) async fn next_fetched_row(fetch: &mut Option<RowFetch>) -> FetchedRow {
    let Some(RowFetch { row, answer }) = fetch else { return std::future::pending().await };
    let fetched = (*row, answer.await);
    *fetch = None;
    fetched
}
