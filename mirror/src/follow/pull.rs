//! Pulls: pages on request, until the source has no more.
//!
//! - A pull ends after a time without progress, and the transfer of its page after five minutes: see `link::get`. The size
//!   of the page adapts to the link, so that a slow one keeps within that: see the `page_size` module.
//! - Of a page that was cut, what arrived is kept in memory, at most one page, and the next pull asks for the changes after
//!   it. Once the source agrees with that position, the changes are applied; [`herd::wire::read_cut_page`] says why not
//!   before. If it does not agree, they are dropped and fetched again.

use super::session::{Interruption, Session, outcome_of};
use super::writer::PendingApply;
use herd::position::Position;
use herd::store::ChangeRun;
use herd::wire::{MAX_BLOB_BYTES, Page, from_blob, read_cut_page};
use service::sync::link::{CHANGES_PATH, Link, LinkError};
use service::sync::query::ChangesQuery;
use std::collections::VecDeque;
use tokio::time::Instant;

/// Maximum time without progress of a pull, in milliseconds.
const PULL_IDLE_MS: u64 = 30_000;
/// Maximum number of pulled pages that are fetched or being applied at the same time.
const MAX_PAGES_IN_FLIGHT: usize = 2;

/// The answer to a pull by a source that has agreed with the position.
enum PullReply {
    Whole(Page),
    /// A page that was cut, its whole changes, and the cause. Nothing proves the changes yet.
    Cut(ChangeRun, LinkError),
}

impl<L: Link + 'static> Session<L> {
    /// Pulls pages until the source has no more, fetching the next page while one is applied. Returns the number of
    /// changes pulled.
    ///
    /// With `fresh`, each pull uses a new connection.
    pub(super) async fn catch_up(&mut self, fresh: bool) -> Result<u64, Interruption> {
        let head = self.store.reader().head().position;
        // What came live meanwhile is not fetched again.
        self.unproved.take_if(|unproved| unproved.after != head);
        let mut from = self.unproved.as_ref().map_or(head, |unproved| unproved.end);
        let mut pending = VecDeque::with_capacity(MAX_PAGES_IN_FLIGHT);
        let mut pulled = 0;
        loop {
            let answer = match self.pull(from, fresh).await {
                Ok(answer) => answer,
                Err(interruption) => {
                    // If an earlier page was invalid, this pull asked from a wrong position. That error comes first.
                    self.finish(&mut pending, 0).await?;
                    return Err(self.without_unproved(interruption));
                }
            };
            if let Some(proved) = self.unproved.take() {
                pulled += proved.changes.len() as u64;
                pending.push_back(self.store.begin_apply(proved).await?);
            }
            let page = match answer {
                PullReply::Whole(page) => page,
                PullReply::Cut(run, why) => {
                    self.unproved = Some(run).filter(|run| !run.changes.is_empty());
                    self.finish(&mut pending, 0).await?;
                    return Err(why.into());
                }
            };
            // An empty page ends the pulls: the live connection brings what was committed since.
            let more = !page.changes.is_empty() && page.end.head > page.end.end.sequence;
            from = page.end.end;
            pulled += page.changes.len() as u64;
            if page.changes.is_empty() {
                self.note_success(0);
            } else {
                pending.push_back(self.store.begin_apply(page.into_run()).await?);
            }
            self.finish(&mut pending, if more { MAX_PAGES_IN_FLIGHT - 1 } else { 0 }).await?;
            if !more {
                return Ok(pulled);
            }
        }
    }

    /// Waits for the oldest pages until at most `keep` are still being applied.
    async fn finish(&mut self, pending: &mut VecDeque<PendingApply>, keep: usize) -> Result<(), Interruption> {
        while pending.len() > keep {
            let Some(mut oldest) = pending.pop_front() else { break };
            self.note_apply(outcome_of(&mut oldest).await, false)?;
        }
        Ok(())
    }

    /// Drops what is unproved if the source does not agree with it, which then is no divergence: the copy holds none of it.
    fn without_unproved(&mut self, interruption: Interruption) -> Interruption {
        match interruption {
            Interruption::Diverged(_) if self.unproved.take().is_some() => Interruption::Retry(
                "the barn does not know the part of a page that arrived: it is fetched again".into(),
            ),
            other => other,
        }
    }

    async fn pull(&mut self, from: Position, fresh: bool) -> Result<PullReply, Interruption> {
        // An empty copy sends the identity of its history too, so that a barn with another history refuses instead of
        // filling this copy.
        let query = ChangesQuery { position: Some(from), limit: self.page_size.changes(), wait_s: 0 };
        let path = format!("{CHANGES_PATH}{}", query.to_text());
        self.check_room()?;
        let asked_at = Instant::now();
        let answer = self.link.get(&path, fresh, MAX_BLOB_BYTES, PULL_IDLE_MS).await;
        if let Err(LinkError::Broken { .. } | LinkError::TimedOut { .. }) = &answer {
            self.page_size.halve();
        }
        let answer = answer?;
        if let Some(why) = answer.cut {
            self.page_size.halve();
            let run = if answer.status == 200 { read_cut_page(&answer.body)? } else { None };
            let run = run.filter(|run| run.after == from).ok_or(why.clone())?;
            return Ok(PullReply::Cut(run, why));
        }
        if answer.status != 200 {
            return Err(self.interruption_of(&answer));
        }
        let page: Page = from_blob(&answer.body)?;
        check(&page, from)?;
        self.page_size.note_arrival(asked_at.elapsed());
        self.note_report(page.end.barn);
        Ok(PullReply::Whole(page))
    }
}

/// Checks that a page continues where it was asked to.
fn check(page: &Page, from: Position) -> Result<(), Interruption> {
    if page.after != from {
        let why = format!("asked for the changes after {from}, but got those after {}", page.after);
        return Err(Interruption::Retry(why));
    }
    if page.changes.is_empty() && page.end.end != from {
        let why = format!("got a page without changes that leads from {from} to {}", page.end.end);
        return Err(Interruption::Retry(why));
    }
    Ok(())
}
