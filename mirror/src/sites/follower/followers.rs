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
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Timeout for a follower to close its connection; after it the connection is dropped.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// The next step of the task, once its copies are no longer followed.
pub(super) enum Step {
    ShutDown,
    Command(SiteCommand),
    /// Open the copies again: what prevented it may have passed.
    OpenAgain,
    /// Follow again: a new copy was swapped in, or the barn has begun an epoch.
    FollowAgain,
    /// Make a new copy beside the shown one, and follow into it.
    CopyAgain,
    /// Stop until a command arrives, for this reason.
    Halt(String),
}

/// The next step of a site none of whose copies is open.
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
        let own = if open.shown.is_some() { watch::Sender::default() } else { self.status.clone() };
        let shown = Follower::start(self, open.shown.as_ref(), self.status.clone());
        let (mut shown, mut building) = match (shown, Follower::start(self, open.building.as_ref(), own)) {
            (Ok(shown), Ok(building)) => (shown, building),
            (Err(why), _) | (_, Err(why)) => return Ok(Step::Halt(why.to_string())),
        };
        let mut updates = building.status.subscribe();
        let of_new = open.shown.as_ref().and(open.building.as_ref()).map(|_| updates.clone());
        self.view.change(|state| state.building_status = of_new);
        // A shown copy of another history need not be caught up with.
        let mut same_history = open.shown.is_some();
        loop {
            let reader = open.shown.as_ref().filter(|_| same_history).map(|copy| copy.handle.reader());
            let complete = async {
                match &open.building {
                    Some(copy) => until_complete(copy, reader, &mut updates).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                end = shown.ended() => match end {
                    FollowEnd::Diverged(divergence) if building.is_running() => {
                        tracing::warn!(%divergence, "the shown copy is not followed any more; the new one goes on");
                        same_history = false;
                    }
                    FollowEnd::Diverged(divergence) => {
                        let theirs = shown.refused_by();
                        return Ok(self.step_after(divergence, open.shown.as_ref(), theirs).await);
                    }
                    FollowEnd::WriterEnded => {
                        building.stop().await;
                        let copy = self.take_shown(open);
                        return self.step_after_writer(copy, open).await;
                    }
                    FollowEnd::Stopped => return Ok(Step::ShutDown),
                },
                end = building.ended() => {
                    shown.stop().await;
                    return match end {
                        FollowEnd::Diverged(divergence) => {
                            let theirs = building.refused_by();
                            Ok(self.step_after(divergence, open.building.as_ref(), theirs).await)
                        }
                        FollowEnd::WriterEnded => {
                            let copy = self.take_building(open);
                            self.step_after_writer(copy, open).await
                        }
                        FollowEnd::Stopped => Ok(Step::ShutDown),
                    };
                }
                next = self.wait() => {
                    tokio::join!(shown.stop(), building.stop());
                    return Ok(next);
                }
                () = complete => {
                    if shown.is_running() {
                        // It would run ahead during the swap.
                        shown.stop().await;
                        if let Some(copy) = &open.shown {
                            copy.handle.probe().wait().await;
                        }
                        continue;
                    }
                    let is_first = open.shown.is_none();
                    if let Err(error) = self.swap_in(open).await {
                        building.stop().await;
                        return Ok(Step::Halt(format!("cannot swap the new copy in: {error}")));
                    }
                    if is_first {
                        // Its follower reports the status of the site already, and goes on.
                        shown = std::mem::replace(&mut building, Follower::none(watch::Sender::default()));
                        same_history = true;
                        continue;
                    }
                    building.stop().await;
                    let new = building.status.borrow().clone();
                    self.status.send_modify(|status| status.continue_with(new));
                    return Ok(Step::FollowAgain);
                }
            }
        }
    }
}
