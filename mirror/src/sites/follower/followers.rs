//! The followers of a site's copies: that of the shown one, and beside it that of a new one.
//!
//! The follower of the shown copy reports the status of the site. Without a shown copy, that of the first one does. What
//! the follower of a new copy has counted is added when the copy is swapped in.

use super::completion::until_complete;
use super::stores::{OpenCopies, OpenCopy};
use super::{SiteCommand, SiteFollower, WriterError};
use crate::follow::{self, FollowEnd, FollowStatus, LinkState, ROOM_INTERVAL};
use crate::link::LinkSetupError;
use futures::future::{BoxFuture, FutureExt as _};
use herd::position::Position;
use service::lifecycle::ShutdownTrigger;
use service::sync::divergence::Divergence;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Timeout for a follower to close its connection; after it the connection is dropped.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// The next step of the task, once its copies are no longer followed.
pub(super) enum Step {
    ShutDown,
    Command(SiteCommand),
    /// Open what is not open: what prevented it may have passed.
    OpenAgain,
    /// Follow again: a new copy was swapped in, or the barn has begun an epoch.
    FollowAgain,
    /// Make a new copy beside the shown one, and follow into it.
    CopyAgain,
    /// Stop until a command arrives, for this reason.
    Halt(String),
}

/// The next step of a site of whose copies one could not be opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::sites) enum Retry {
    /// Wait for a command.
    #[default]
    OnCommand,
    /// Open the copies again after a pause: what prevented it may pass.
    Open,
    /// Make a new copy.
    Copy,
}

/// A follower that can be waited for and stopped.
struct Follower {
    running: Option<BoxFuture<'static, FollowEnd>>,
    trigger: ShutdownTrigger,
    status: watch::Sender<FollowStatus>,
}

impl Follower {
    fn none(status: watch::Sender<FollowStatus>) -> Self {
        Self { running: None, trigger: ShutdownTrigger::default(), status }
    }

    fn start(
        task: &SiteFollower,
        copy: Option<&OpenCopy>,
        status: watch::Sender<FollowStatus>,
    ) -> Result<Self, LinkSetupError> {
        let mut follower = Self::none(status);
        let Some(copy) = copy else { return Ok(follower) };
        let link = task.site.link()?;
        // The status of an earlier connection says nothing about the new one.
        follower.status.send_modify(|status| {
            (status.link, status.diverged, status.refused_by) = (LinkState::Pulling, None, None);
        });
        let (clock, status, shutdown) = (task.clock.clone(), follower.status.clone(), follower.trigger.signal());
        follower.running = Some(follow::run(link, copy.handle.clone(), task.settings, clock, status, shutdown).boxed());
        Ok(follower)
    }

    /// Returns the head of the barn that refused the copy.
    fn refused_by(&self) -> Option<Position> {
        self.status.borrow().refused_by
    }

    fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Waits for the end. Cancel-safe.
    async fn ended(&mut self) -> FollowEnd {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let end = running.await;
        self.running = None;
        end
    }

    /// Stops the follower, which closes its connection.
    async fn stop(&mut self) {
        self.trigger.request();
        if self.is_running() && timeout(GOODBYE_TIMEOUT, self.ended()).await.is_err() {
            tracing::debug!("the connection to the barn did not close in time");
        }
        self.running = None;
    }
}

/// The followers of both copies.
struct Followers {
    shown: Follower,
    building: Follower,
    /// Status of the new copy.
    updates: watch::Receiver<FollowStatus>,
    /// The barn has not refused the shown copy, so the new one has to catch up with it.
    same_history: bool,
}

/// An event that changes what is followed, or may.
enum FollowEvent {
    ShownEnded(FollowEnd),
    BuildingEnded(FollowEnd),
    /// The new copy can be shown.
    Complete,
    Step(Step),
}

impl Followers {
    fn start(task: &SiteFollower, open: &OpenCopies) -> Result<Self, LinkSetupError> {
        let own = if open.shown.is_some() { watch::Sender::default() } else { task.status.clone() };
        let shown = Follower::start(task, open.shown.as_ref(), task.status.clone())?;
        let building = Follower::start(task, open.building.as_ref(), own)?;
        let updates = building.status.subscribe();
        Ok(Self { shown, building, updates, same_history: open.shown.is_some() })
    }

    /// Waits for the next interruption. Cancel-safe.
    async fn next(&mut self, task: &mut SiteFollower, open: &OpenCopies) -> FollowEvent {
        let reader = open.shown.as_ref().filter(|_| self.same_history).map(|copy| copy.handle.reader());
        let updates = &mut self.updates;
        let complete = async {
            match &open.building {
                Some(copy) => until_complete(copy, reader, updates).await,
                None => std::future::pending().await,
            }
        };
        let opens_again = task.retry == Retry::Open;
        let is_shown_followed = self.shown.is_running();
        tokio::select! {
            end = self.shown.ended() => FollowEvent::ShownEnded(end),
            end = self.building.ended() => FollowEvent::BuildingEnded(end),
            next = task.wait() => FollowEvent::Step(next),
            // One that has diverged has no follower. It is shown until the new one can be.
            () = open.shown_writer_ended(), if !is_shown_followed => FollowEvent::ShownEnded(FollowEnd::WriterEnded),
            () = complete => FollowEvent::Complete,
            () = sleep(ROOM_INTERVAL), if opens_again => FollowEvent::Step(Step::OpenAgain),
        }
    }

    async fn stop(&mut self) {
        tokio::join!(self.shown.stop(), self.building.stop());
    }
}

impl SiteFollower {
    /// Follows the barn into the open copies until something interrupts it.
    pub(super) async fn follow(&mut self, open: &mut OpenCopies) -> Result<Step, WriterError> {
        if open.is_empty() {
            return Ok(match std::mem::take(&mut self.retry) {
                Retry::OnCommand => self.wait().await,
                Retry::Open => timeout(ROOM_INTERVAL, self.wait()).await.unwrap_or(Step::OpenAgain),
                Retry::Copy => Step::CopyAgain,
            });
        }
        let mut followers = match Followers::start(self, open) {
            Ok(followers) => followers,
            Err(why) => return Ok(Step::Halt(why.to_string())),
        };
        let of_new = open.shown.as_ref().and(open.building.as_ref()).map(|_| followers.updates.clone());
        self.view.change(|state| state.building_status = of_new);
        loop {
            let step = match followers.next(self, open).await {
                FollowEvent::ShownEnded(end) => self.step_after_shown(end, &mut followers, open).await?,
                FollowEvent::BuildingEnded(end) => Some(self.step_after_building(end, &mut followers, open).await?),
                FollowEvent::Complete => self.show_new(&mut followers, open).await,
                FollowEvent::Step(step) => Some(step),
            };
            if let Some(step) = step {
                followers.stop().await;
                return Ok(step);
            }
        }
    }

    /// Returns the next step after the shown copy is not followed any more. `None` if the new one goes on alone.
    async fn step_after_shown(
        &mut self,
        end: FollowEnd,
        followers: &mut Followers,
        open: &mut OpenCopies,
    ) -> Result<Option<Step>, WriterError> {
        let divergence = match end {
            FollowEnd::Stopped => return Ok(Some(Step::ShutDown)),
            FollowEnd::WriterEnded => {
                followers.building.stop().await;
                let copy = self.take_shown(open);
                return self.step_after_writer(copy, open).await.map(Some);
            }
            FollowEnd::Diverged(divergence) => divergence,
        };
        let is_replaced = followers.building.is_running();
        if !(is_replaced && divergence == Divergence::Continued) {
            let theirs = followers.shown.refused_by();
            let step = self.step_after(divergence, open.shown.as_ref(), theirs).await;
            let is_decided = open.building.as_ref().is_some_and(|new| new.is_decided);
            if !(is_replaced && is_decided && matches!(step, Step::Halt(_))) {
                return Ok(Some(step));
            }
        }
        tracing::warn!(%divergence, "the shown copy is not followed any more; the new one goes on");
        followers.same_history = false;
        Ok(None)
    }

    /// Returns the next step after the new copy is not followed any more.
    async fn step_after_building(
        &mut self,
        end: FollowEnd,
        followers: &mut Followers,
        open: &mut OpenCopies,
    ) -> Result<Step, WriterError> {
        match end {
            FollowEnd::Stopped => Ok(Step::ShutDown),
            FollowEnd::WriterEnded => {
                followers.shown.stop().await;
                let copy = self.take_building(open);
                self.step_after_writer(copy, open).await
            }
            FollowEnd::Diverged(divergence @ (Divergence::Forked | Divergence::Other))
                if followers.shown.is_running() =>
            {
                tracing::warn!(%divergence, "the new copy does not fit the barn any more; the shown one is followed on");
                self.abandon_building(open).await;
                Ok(Step::FollowAgain)
            }
            FollowEnd::Diverged(divergence) => {
                let theirs = followers.building.refused_by();
                Ok(self.step_after(divergence, open.building.as_ref(), theirs).await)
            }
        }
    }

    /// Shows the complete new copy. Returns the next step; `None` if its follower goes on, or that of the shown copy was stopped
    /// first.
    async fn show_new(&mut self, followers: &mut Followers, open: &mut OpenCopies) -> Option<Step> {
        if followers.shown.is_running() {
            // It would run ahead during the swap.
            followers.shown.stop().await;
            if let Some(copy) = &open.shown {
                copy.handle.probe().wait().await;
            }
            return None;
        }
        let is_first = open.shown.is_none();
        if let Err(error) = self.swap_in(open).await {
            return Some(Step::Halt(format!("cannot swap the new copy in: {error}")));
        }
        if is_first {
            // Its follower reports the status of the site already, and goes on.
            let none = Follower::none(watch::Sender::default());
            followers.shown = std::mem::replace(&mut followers.building, none);
            followers.same_history = true;
            return None;
        }
        followers.building.stop().await;
        let new = followers.building.status.borrow().clone();
        self.status.send_modify(|status| status.continue_with(new));
        Some(Step::FollowAgain)
    }
}
