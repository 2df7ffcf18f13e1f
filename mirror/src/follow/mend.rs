//! Damaged rows of the copy, fetched again from the source.
//!
//! The digests of the copy prove what comes, so it does not matter who sends it. A source that does not have a row, or whose
//! own is damaged, is asked again later.
//!
//! # Decisions
//!
//! - **From the last row to the first, one in an interval.** A row proves the one before it. One that cannot be mended now
//!   keeps back no other.
//! - **A row that the copy has refused is fetched again after an hour.** Each attempt costs a page, which is much on a slow
//!   link, and what refused it stays: a page of the file that takes nothing. To make a new copy by itself, as after damage that
//!   ends a writer, was rejected: this copy serves all its tables and follows on, and a new one is the whole log. A person
//!   decides that.
//! - **The live connection goes on meanwhile.** Waiting for a row on a slow link would make the source take this office for
//!   silent.

use super::row_fetch::{FetchedRow, RowFetch, next_fetched_row};
use super::session::{Interruption, Session};
use herd::position::Sequence;
use herd::store::{ChangeRun, DamagedRow, MendReceipt};
use herd::wire::{MAX_BLOB_BYTES, Page, from_blob};
use service::sync::link::{CHANGES_PATH, Link, LinkError, LinkResponse};
use service::sync::query::ChangesQuery;

/// Longest time without progress of the request, in milliseconds: no live connection is opened before the first one ends.
const FETCH_IDLE_MS: u64 = 5_000;

impl<L: Link + 'static> Session<L> {
    /// Fetches a damaged row that was read, if it is time for one. A failure is logged.
    pub(super) async fn mend_copy(&mut self) -> Result<(), Interruption> {
        let mut fetch = self.begin_fetch();
        if fetch.is_none() {
            return Ok(());
        }
        let fetched = next_fetched_row(&mut fetch).await;
        self.mend_row(fetched).await
    }

    /// Begins to fetch a damaged row that was read, if it is time for one.
    pub(super) fn begin_fetch(&mut self) -> Option<RowFetch> {
        let damaged = self.store.reader().damaged_rows();
        // A write to a full disk would end the writer.
        if damaged.is_empty() || self.store.check_room().is_err() {
            return None;
        }
        let row = self.mends.next(&damaged, self.settings.sync_interval)?;
        let before = self.store.reader().position_at(Sequence(row.first.0.saturating_sub(1)));
        let Some(after) = before.ok().flatten() else {
            warn_of(row, "the row before it is damaged, too");
            return None;
        };
        let changes = usize::try_from(row.last.0.saturating_sub(after.sequence.0)).unwrap_or(usize::MAX);
        let query = ChangesQuery { position: Some(after), limit: changes, wait_s: 0 };
        let (link, path) = (self.link.clone(), format!("{CHANGES_PATH}{}", query.to_text()));
        let answer = Box::pin(async move { link.get(&path, false, MAX_BLOB_BYTES, FETCH_IDLE_MS).await });
        Some(RowFetch::new(row, answer))
    }

    /// Writes a fetched row in its place. A failure is logged.
    pub(super) async fn mend_row(&mut self, (row, answer): FetchedRow) -> Result<(), Interruption> {
        let run = match changes_of(answer) {
            Ok(run) => run,
            Err(why) => {
                warn_of(row, &why);
                return Ok(());
            }
        };
        match self.store.mend(run).await? {
            MendReceipt::Mended { .. } => {
                tracing::info!(first = row.first.0, last = row.last.0, "a damaged row of the copy was fetched again");
                self.mends.note_mended(row);
            }
            MendReceipt::Refused(error) => {
                warn_of(row, &format!("{error}. The next attempt follows in an hour; `resync` makes a new copy"));
                self.mends.note_refused(row);
            }
        }
        Ok(())
    }
}

fn warn_of(row: DamagedRow, why: &str) {
    tracing::warn!(first = row.first.0, last = row.last.0, why, "a damaged row of the copy was not mended");
}

/// Returns the changes of an answer, or why it has none.
fn changes_of(answer: Result<LinkResponse, LinkError>) -> Result<ChangeRun, String> {
    let answer = answer.map_err(|error| error.to_string())?;
    if answer.status != 200 || answer.cut.is_some() {
        return Err(format!("the barn answered with status {}", answer.status));
    }
    let page: Page = from_blob(&answer.body).map_err(|error| error.to_string())?;
    Ok(page.into_run())
}
