//! The steps that a site takes by itself when a copy cannot simply follow its barn.
//!
//! | the barn | step |
//! |---|---|
//! | holds less than the copy | show it to the barn, which begins the next epoch, and follow again |
//! | went on in a higher epoch | make a new copy beside this one, which is kept while it holds what the new one lacks |
//! | went on in the same epoch, or holds another history | stop until a person decides |
//!
//! # Decisions
//!
//! - **Each of these is done at most once a minute.** A barn that begins one epoch after the other costs no more than that.
//! - **A stopped site asks the barn again after each sync interval.** The right card may be back in its place.

use super::SiteFollower;
use super::followers::Step;
use super::stores::{OpenCopies, OpenCopy};
use crate::follow;
use crate::link::{LinkSetupError, PostBounds, PostError};
use herd::position::Position;
use herd::store::{LostEnd, StoreError};
use service::sync::divergence::{Divergence, classify};
use service::sync::lost_end::LOST_END_PATH;
use service::sync::refusal::Refusal;
use std::time::Duration;
use tokio::time::Instant;

/// Shortest interval between two steps of a kind.
const STEP_INTERVAL: Duration = Duration::from_secs(60);
/// Limits of the request that shows a barn what it lost.
const BOUNDS: PostBounds = PostBounds { connect_ms: 5_000, response_ms: 10_000, response_bytes: 16 * 1024 };

/// Why a barn was not shown that it lost changes, or did not begin an epoch.
#[derive(Debug, thiserror::Error)]
enum LostEndShowError {
    #[error(transparent)]
    Link(#[from] LinkSetupError),
    #[error(transparent)]
    Post(#[from] PostError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("it answers with status {status}: {message}")]
    Refused { status: u16, message: String },
}

/// Times of the steps that a site took by itself.
#[derive(Debug, Default)]
pub(in crate::sites) struct OwnSteps {
    lost_end_shown_at: Option<Instant>,
    copy_begun_at: Option<Instant>,
}

/// Returns true if the next step of a kind is due, and notes that it is taken.
fn is_due(taken_at: &mut Option<Instant>) -> bool {
    let is_due = taken_at.is_none_or(|at| at.elapsed() >= STEP_INTERVAL);
    if is_due {
        *taken_at = Some(Instant::now());
    }
    is_due
}

impl SiteFollower {
    /// Returns the next step after `copy` has diverged from a barn with this head.
    pub(super) async fn step_after(
        &mut self,
        divergence: Divergence,
        copy: Option<&OpenCopy>,
        theirs: Option<Position>,
    ) -> Step {
        let site = &self.site.name;
        match divergence {
            Divergence::Shorter if is_due(&mut self.own_steps.lost_end_shown_at) => {
                if let (Some(copy), Some(theirs)) = (copy, theirs)
                    && self.has_gone_on(copy, &theirs).await
                {
                    return Step::FollowAgain;
                }
            }
            Divergence::Continued if is_due(&mut self.own_steps.copy_begun_at) => {
                tracing::warn!(%site, "{divergence}: a new copy is made, and this one is kept");
                return Step::CopyAgain;
            }
            _ => {}
        }
        Step::Halt(format!(
            "{divergence}. The copy is kept unchanged; `resync {site}` copies the barn again beside it, and `give-back {site}` \
             returns to the barn what only this office holds"
        ))
    }

    /// Shows the barn what it has lost, and returns true if it has gone on since it refused the copy.
    async fn has_gone_on(&self, copy: &OpenCopy, theirs: &Position) -> bool {
        let site = &self.site.name;
        let shown = tokio::select! {
            biased;
            () = self.shutdown.requested() => return false,
            shown = self.show_lost_end(copy, theirs) => shown,
        };
        match shown {
            Ok(()) => tracing::warn!(%site, %theirs, "the barn lacks the end of this copy, and was shown it"),
            Err(ref why) => tracing::warn!(%site, %why, "the barn lacks the end of this copy, and was not shown it"),
        }
        shown.is_ok()
    }

    /// Shows the barn that its log, which ends at `theirs`, lacks the last changes of a copy.
    async fn show_lost_end(&self, copy: &OpenCopy, theirs: &Position) -> Result<(), LostEndShowError> {
        let reader = copy.handle.reader();
        let own = reader.head().position;
        let shared = reader.position_at(theirs.sequence)?.unwrap_or(own);
        let shown = serde_json::to_vec(&LostEnd { shared, copy: own });
        let shown = shown.map_err(|error| LinkSetupError::Client(error.to_string()))?;
        let response = self.site.link()?.post(LOST_END_PATH, shown.into(), BOUNDS).await?;
        match response.status {
            // In a conflict the barn has gone on meanwhile. Following again tells how.
            200 | 409 => Ok(()),
            status => Err(LostEndShowError::Refused { status, message: Refusal::of(&response.body).message }),
        }
    }

    /// Asks the barn of a stopped site where the copies stand, and returns whether something can be done without a person.
    pub(super) async fn can_go_on(&self, open: &OpenCopies) -> bool {
        let Some(copy) = open.shown.as_ref().or(open.building.as_ref()) else { return false };
        let Ok(link) = self.site.link() else { return false };
        let reader = copy.handle.reader();
        let refusal = match follow::ask(&link, &reader.head().position).await {
            Ok(refusal) => refusal,
            Err(why) => {
                tracing::debug!(site = %self.site.name, %why, "the barn of a stopped site cannot be asked");
                return false;
            }
        };
        match refusal.map(|refusal| refusal.held.map(|theirs| classify(reader, &theirs))) {
            None => {
                tracing::info!(site = %self.site.name, "the barn holds what the copy holds again: it follows on");
                self.view.change(|state| state.stopped_because = None);
                true
            }
            Some(Some(Ok(divergence))) => matches!(divergence, Divergence::Shorter | Divergence::Continued),
            Some(_) => false,
        }
    }

    /// Fills a new copy from the shown one, as far as the barn holds that. What is missing comes from the barn.
    pub(super) async fn fill_from_shown(&self, open: &OpenCopies) {
        let (Some(shown), Some(new), Ok(link)) = (&open.shown, &open.building, self.site.link()) else { return };
        let filled = tokio::select! {
            biased;
            () = self.shutdown.requested() => return,
            filled = follow::fill(&link, shown.handle.reader(), &new.handle) => filled,
        };
        match filled {
            Ok(shared) => tracing::info!(site = %self.site.name, %shared, "the new copy begins with what both have"),
            Err(why) => tracing::warn!(site = %self.site.name, %why, "the new copy is made from the barn alone"),
        }
    }
}
