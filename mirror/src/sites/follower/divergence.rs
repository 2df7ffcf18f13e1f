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
//! - **The first two are done at most once a minute.** A barn that begins one epoch after the other costs no more than that.
//! - **An operator who cancels the new copy keeps the old one,** until the next command or start.
//! - **A new copy replaces a shown one that went on otherwise than the barn only if a person has decided so,** by ordering
//!   it while the site stood still. One that was begun for another reason waits for that decision. It passes to the copy
//!   that takes the place of an unfinished one: somebody who orders twice takes nothing back.
//! - **A new copy that does not fit the barn any more is set aside** while the shown one fits.
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
/// Shortest interval between two damaged copies that are made again without a person.
const DAMAGE_INTERVAL: Duration = Duration::from_secs(24 * 3_600);
/// Limits of the request that shows a barn what it lost.
const BOUNDS: PostBounds = PostBounds { connect_ms: 5_000, response_ms: 10_000, response_bytes: 16 * 1024 };

/// Why a barn was not shown that it lost changes, or did not begin an epoch.
#[derive(Debug, thiserror::Error)]
enum LostEndRequestError {
    #[error(transparent)]
    Link(#[from] LinkSetupError),
    #[error(transparent)]
    Post(#[from] PostError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("it answers with status {status}: {message}")]
    Refused { status: u16, message: String },
}

/// Steps that a site took by itself.
#[derive(Debug, Default)]
pub(in crate::sites) struct OwnSteps {
    lost_end_shown_at: Option<Instant>,
    copy_begun_at: Option<Instant>,
    /// Time at which a damaged copy was last made again.
    damaged_at: Option<Instant>,
    /// The source has no call for a lost end: it is another office.
    is_no_barn: bool,
    /// An operator has canceled the new copy.
    keeps_old_copy: bool,
}

impl OwnSteps {
    /// Returns the time of the last step after such a divergence. `None` if a person has to take it.
    fn taken_at(&mut self, divergence: Divergence) -> Option<&mut Option<Instant>> {
        match divergence {
            Divergence::Shorter if self.is_no_barn => None,
            Divergence::Shorter => Some(&mut self.lost_end_shown_at),
            Divergence::Continued if self.keeps_old_copy => None,
            Divergence::Continued => Some(&mut self.copy_begun_at),
            Divergence::Forked | Divergence::Other => None,
        }
    }

    /// Notes that an operator keeps the copy that is shown: no new one is begun without a command.
    pub(super) fn keep_old_copy(&mut self) {
        self.keeps_old_copy = true;
    }

    /// Returns true if a damaged copy may be made again, and notes that it is.
    pub(super) fn take_after_damage(&mut self) -> bool {
        let is_due = !self.keeps_old_copy && self.damaged_at.is_none_or(|at| at.elapsed() >= DAMAGE_INTERVAL);
        if is_due {
            self.damaged_at = Some(Instant::now());
        }
        is_due
    }

    /// Forgets the last damage: the copy that it called for was not begun.
    pub(super) fn forget_damage(&mut self) {
        self.damaged_at = None;
    }

    /// Returns true if the step after such a divergence may be taken now.
    fn is_due(&mut self, divergence: Divergence) -> bool {
        let taken_at = self.taken_at(divergence);
        taken_at.is_some_and(|taken_at| taken_at.is_none_or(|at| at.elapsed() >= STEP_INTERVAL))
    }

    /// Returns true if the step after such a divergence may be taken, and notes that it is.
    fn take(&mut self, divergence: Divergence) -> bool {
        let is_due = self.is_due(divergence);
        if let Some(taken_at) = self.taken_at(divergence).filter(|_| is_due) {
            *taken_at = Some(Instant::now());
        }
        is_due
    }
}

impl SiteFollower {
    /// Returns the next step after `copy` has diverged from a barn with this head.
    pub(super) async fn step_after(
        &mut self,
        divergence: Divergence,
        copy: Option<&OpenCopy>,
        theirs: Option<Position>,
    ) -> Step {
        if self.own_steps.take(divergence) {
            match (divergence, copy, theirs) {
                (Divergence::Continued, ..) => {
                    tracing::warn!(site = %self.site.name, "{divergence}: a new copy is made, and this one is kept");
                    return Step::CopyAgain;
                }
                (_, Some(copy), Some(theirs)) if self.offer_lost_end(copy, &theirs).await => return Step::FollowAgain,
                _ => {}
            }
        }
        Step::Halt(format!(
            "{divergence}. The copy is kept unchanged; `resync {0}` copies the barn again beside it, and `give-back {0}` returns \
             to the barn what only this office holds",
            self.site.name
        ))
    }

    /// Offers the end of this copy to the barn, whose log ends at `theirs`. Returns true if the copy can be followed again.
    async fn offer_lost_end(&mut self, copy: &OpenCopy, theirs: &Position) -> bool {
        let shown = tokio::select! {
            biased;
            () = self.shutdown.requested() => return false,
            shown = self.post_lost_end(copy, theirs) => shown,
        };
        let site = &self.site.name;
        match shown {
            Ok(()) => {
                tracing::warn!(%site, %theirs, "the barn lacks the end of this copy, and was shown it");
                self.view.change(|state| state.stopped_because = None);
                return true;
            }
            Err(LostEndRequestError::Refused { status: 404, .. }) => self.own_steps.is_no_barn = true,
            Err(why) => tracing::warn!(%site, %why, "the barn lacks the end of this copy, and was not shown it"),
        }
        false
    }

    async fn post_lost_end(&self, copy: &OpenCopy, theirs: &Position) -> Result<(), LostEndRequestError> {
        let reader = copy.handle.reader();
        let own = reader.head().position;
        let shared = reader.position_at(theirs.sequence)?.unwrap_or(own);
        let shown = serde_json::to_vec(&LostEnd { shared, copy: own });
        let shown = shown.map_err(|error| LinkSetupError::Client(error.to_string()))?;
        let response = self.site.link()?.post(LOST_END_PATH, shown.into(), BOUNDS).await?;
        match response.status {
            // In a conflict the barn has gone on meanwhile. Following again tells how.
            200 | 409 => Ok(()),
            status => Err(LostEndRequestError::Refused { status, message: Refusal::of(&response.body).message }),
        }
    }

    /// Asks the barn of a stopped site for its position. Returns true if the site can go on without a person, and clears the
    /// stop if the logs agree.
    pub(super) async fn try_resume(&mut self, open: &OpenCopies) -> bool {
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
            Some(Some(Ok(divergence))) => self.own_steps.is_due(divergence),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a barn that makes its office copy it again and again, an office that waits for a person without need, and one
    /// that acts in the place of a person.
    #[tokio::test(start_paused = true)]
    async fn each_step_is_taken_once_a_minute_and_none_in_the_place_of_a_person() {
        let mut steps = OwnSteps::default();
        for divergence in [Divergence::Shorter, Divergence::Continued] {
            assert!(steps.is_due(divergence) && steps.take(divergence), "{divergence}: looking takes no step");
            tokio::time::advance(STEP_INTERVAL.saturating_sub(Duration::from_millis(1))).await;
            assert!(!steps.is_due(divergence) && !steps.take(divergence), "{divergence}: too early");
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(steps.take(divergence), "{divergence}: a minute after the last one that was taken");
        }
        for divergence in [Divergence::Forked, Divergence::Other] {
            assert!(!steps.is_due(divergence) && !steps.take(divergence), "{divergence}");
        }
        tokio::time::advance(STEP_INTERVAL).await;
        steps.is_no_barn = true;
        assert!(!steps.take(Divergence::Shorter) && steps.take(Divergence::Continued), "an office begins no epoch");
        tokio::time::advance(STEP_INTERVAL).await;
        steps.keep_old_copy();
        assert!(!steps.take(Divergence::Continued), "what an operator has canceled is not made again");
        assert!(!steps.take_after_damage());
    }

    /// Catches copies that are made again and again on a disk that damages them, until it is full.
    #[tokio::test(start_paused = true)]
    async fn a_damaged_copy_is_made_again_once_a_day() {
        let mut steps = OwnSteps::default();
        assert!(steps.take_after_damage() && !steps.take_after_damage());
        tokio::time::advance(DAMAGE_INTERVAL.saturating_sub(Duration::from_millis(1))).await;
        assert!(!steps.take_after_damage());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(steps.take_after_damage());
    }
}
