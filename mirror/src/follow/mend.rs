//! A damaged row of the copy, fetched again from the source.
//!
//! The digests of the copy prove what comes, so it does not matter who sends it. A source that does not have the row, or whose
//! own is damaged, is asked again later.

use super::session::{Interruption, Session};
use super::writer::WriterEndedError;
use herd::position::Sequence;
use herd::store::{DamagedRow, MendReceipt};
use herd::wire::{MAX_BLOB_BYTES, Page, from_blob};
use service::sync::link::{CHANGES_PATH, Link};
use service::sync::query::ChangesQuery;
use std::fmt::Display;
use tokio::time::Instant;

/// Longest time without progress of the request, in milliseconds: the live connection waits for it.
const FETCH_IDLE_MS: u64 = 5_000;

impl<L: Link> Session<L> {
    /// Fetches the last damaged row that was read, at most once in a sync interval. A failure is logged.
    ///
    /// The last one first: it proves the one before it.
    pub(super) async fn mend_copy(&mut self) -> Result<(), Interruption> {
        let is_recent = |at: Instant| at.elapsed() < self.settings.sync_interval;
        let Some(row) = self.store.reader().damaged_rows().pop() else { return Ok(()) };
        // A write to a full disk would end the writer.
        if self.mend_tried_at.is_some_and(is_recent) || self.store.check_room().is_err() {
            return Ok(());
        }
        self.mend_tried_at = Some(Instant::now());
        match self.fetch_row(row).await {
            Ok(()) => {
                tracing::info!(first = row.first.0, last = row.last.0, "a damaged row of the copy was fetched again");
                // The next one need not wait.
                self.mend_tried_at = None;
                Ok(())
            }
            Err(FetchError::Failed(why)) => {
                tracing::warn!(first = row.first.0, last = row.last.0, why, "a damaged row was not fetched");
                Ok(())
            }
            Err(FetchError::WriterEnded(error)) => Err(error.into()),
        }
    }

    async fn fetch_row(&self, row: DamagedRow) -> Result<(), FetchError> {
        let before = self.store.reader().position_at(Sequence(row.first.0.saturating_sub(1)));
        let after = before.ok().flatten().ok_or_else(|| FetchError::failed(&"the row before it is damaged, too"))?;
        let changes = usize::try_from(row.last.0.saturating_sub(after.sequence.0)).unwrap_or(usize::MAX);
        let query = ChangesQuery { position: Some(after), limit: changes, wait_s: 0 };
        let path = format!("{CHANGES_PATH}{}", query.to_text());
        let answer = self
            .link
            .get(&path, false, MAX_BLOB_BYTES, FETCH_IDLE_MS)
            .await
            .map_err(|error| FetchError::failed(&error))?;
        if answer.status != 200 || answer.cut.is_some() {
            return Err(FetchError::failed(&format!("the barn answered with status {}", answer.status)));
        }
        let page: Page = from_blob(&answer.body).map_err(|error| FetchError::failed(&error))?;
        match self.store.mend(page.into_run()).await.map_err(FetchError::WriterEnded)? {
            MendReceipt::Mended { .. } => Ok(()),
            MendReceipt::Refused(error) => Err(FetchError::failed(&error)),
        }
    }
}

/// Reason why a row was not fetched.
enum FetchError {
    /// It may be tried again.
    Failed(String),
    /// The writer of the copy has ended.
    WriterEnded(WriterEndedError),
}

impl FetchError {
    fn failed(why: &dyn Display) -> Self {
        Self::Failed(why.to_string())
    }
}
