//! The task of one site: opens its copies, follows its barn, and swaps a new copy in once it is complete.
//!
//! - The task and the writer threads of its copies live as long as the process. If the site cannot be followed, the copy
//!   stays readable and the task waits for an operator's command.
//! - While a new copy is made, the shown one is followed on, over a connection of its own. If the barn refuses the shown
//!   one, because their histories differ, only the new one goes on.
//! - Copies are opened after the process has reported readiness, because the pages of other sites need not wait until
//!   this copy's tables are rebuilt. Each step of an opening is published; an opening without a new step for 5 minutes
//!   counts as hung.
//! - The complete copy is opened and served before an unfinished one beside it is opened.
//! - A shutdown ends an opening after the current step. Rebuilding the tables of a large log takes longer than the 10 s
//!   after which systemd kills. Each step is a commit, so the next start continues from it.

mod completion;
mod damage;
mod divergence;
mod followers;
mod stores;

use super::register::Site;
use super::view::{OpeningStep, SiteState, SiteView};
use crate::copies::{Copies, CopiesError, CopyNumber};
use crate::follow::{FollowSettings, FollowStatus};
use crate::give_back::{HeldCopies, OnlyHere};
pub(super) use divergence::OwnSteps;
pub(super) use followers::Retry;
use followers::Step;
use herd::clock::Clock;
use herd::store::StoreError;
use service::lifecycle::Shutdown;
use std::sync::Arc;
use std::time::Duration;
use stores::{AlreadyOpen, OpenCopies, OpenCopy, OpenError, SiteStores, report_progress};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

/// Timeout for a writer to flush its tables. After it the writer ends with the process, and the next start rebuilds
/// what was not flushed.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum number of queued commands; an operator sends them one after the other.
pub(super) const MAX_QUEUED_COMMANDS: usize = 4;

/// The reply to a command about a new copy.
pub(super) type CopyReply = oneshot::Sender<Result<CopyNumber, CopiesError>>;

/// A command of an operator to a site.
pub(super) enum SiteCommand {
    /// Continue with a changed pairing.
    Pair(Box<Site>),
    /// Build a new copy. The reply is sent once the copy has been started.
    Copy(CopyReply),
    /// Discard the copy that is being built.
    Cancel(CopyReply),
}

/// The writer of a site's copy failed. The files have to be opened again, by a restart of the process.
#[derive(Debug, thiserror::Error)]
#[error("the copy of `{site}` cannot be written: {why}")]
pub struct WriterError {
    site: String,
    why: String,
}

/// The task of one site.
pub(super) struct SiteFollower {
    pub(super) site: Site,
    pub(super) copies: Copies,
    pub(super) settings: FollowSettings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) view: Arc<SiteView>,
    pub(super) status: watch::Sender<FollowStatus>,
    pub(super) commands: mpsc::Receiver<SiteCommand>,
    pub(super) shutdown: Shutdown,
    /// The next step while no copy is open.
    pub(super) retry: Retry,
    /// Steps that it took without an operator.
    pub(super) own_steps: OwnSteps,
}

impl SiteFollower {
    /// Follows the barn until the shutdown is requested.
    pub(super) async fn run(mut self) -> Result<(), WriterError> {
        let mut open = OpenCopies::default();
        self.open_into(&mut open).await;
        loop {
            let mut step = self.follow(&mut open).await?;
            while let Step::Halt(why) = step {
                self.halt(why);
                step = self.wait_halted(&mut open).await?;
            }
            let command = match step {
                Step::Command(command) => command,
                Step::FollowAgain => continue,
                Step::CopyAgain => {
                    // Nobody waits for the reply; a failure is logged.
                    let (reply, _) = oneshot::channel();
                    self.begin_copy(&mut open, false, reply).await;
                    self.fill_from_shown(&open).await;
                    continue;
                }
                Step::OpenAgain => {
                    self.open_into(&mut open).await;
                    continue;
                }
                Step::ShutDown | Step::Halt(_) => break,
            };
            let was_halted = self.view.state().stopped_because.is_some();
            self.view.change(|state| state.stopped_because = None);
            match command {
                SiteCommand::Pair(site) => (self.site, self.own_steps) = (*site, OwnSteps::default()),
                SiteCommand::Copy(reply) => {
                    self.own_steps = OwnSteps::default();
                    self.begin_copy(&mut open, was_halted, reply).await;
                }
                SiteCommand::Cancel(reply) => {
                    self.own_steps.keep_old_copy();
                    self.cancel_copy(&mut open, reply).await;
                }
            }
            if open.is_empty() {
                self.open_into(&mut open).await;
            }
        }
        let OpenCopies { shown, building } = open;
        futures::future::join_all([shown, building].into_iter().flatten().map(close)).await;
        Ok(())
    }

    /// Waits for the next command or the shutdown.
    async fn wait(&mut self) -> Step {
        tokio::select! {
            biased;
            () = self.shutdown.requested() => Step::ShutDown,
            command = self.commands.recv() => command.map_or(Step::ShutDown, Step::Command),
        }
    }

    /// Publishes why replication has stopped.
    fn halt(&self, why: String) {
        let why = Some(why);
        if self.view.state().stopped_because != why {
            let why = why.as_deref().unwrap_or_default();
            tracing::error!(why, "replication of this site is stopped until an operator decides");
        }
        self.view.change(|state| state.stopped_because = why);
    }

    /// Waits for the next command, or until the barn is again one that can be followed. A copy whose writer has ended is closed,
    /// and what follows from that ends the wait.
    async fn wait_halted(&mut self, open: &mut OpenCopies) -> Result<Step, WriterError> {
        loop {
            let pause = sleep(self.settings.sync_interval);
            tokio::select! {
                biased;
                step = self.wait() => return Ok(step),
                () = open.shown_writer_ended() => {
                    let copy = self.take_shown(open);
                    return self.step_after_writer(copy, open).await;
                }
                () = open.building_writer_ended() => {
                    let copy = self.take_building(open);
                    return self.step_after_writer(copy, open).await;
                }
                () = pause => {}
            }
            let shutdown = self.shutdown.clone();
            let can_resume = tokio::select! {
                biased;
                () = shutdown.requested() => return Ok(Step::ShutDown),
                can_resume = self.try_resume(open) => can_resume,
            };
            if can_resume {
                return Ok(Step::FollowAgain);
            }
        }
    }

    /// Opens the copies on disk that are not open yet, publishes them, and starts their writers. If no copy opens,
    /// publishes the reason.
    async fn open_into(&mut self, open: &mut OpenCopies) {
        let (copies, store, view) = (self.copies.clone(), self.site.store, self.view.clone());
        let progress = report_progress(view.clone(), self.shutdown.clone());
        let already = AlreadyOpen { shown: open.shown.is_some(), building: open.building.is_some() };
        self.retry = Retry::OnCommand;
        self.view.change(|state| state.opening = Some(OpeningStep::first()));
        let opening = move || SiteStores::open(&copies, store, &view, already, progress);
        let stores = tokio::task::spawn_blocking(opening).await;
        self.view.change(|state| state.opening = None);
        let started = match stores {
            Ok(Ok(stores)) => {
                self.view.change(|state| state.stopped_because = None);
                if stores.left_out.as_ref().is_some_and(OpenError::may_pass) {
                    self.retry = Retry::Open;
                }
                self.start_writers(stores, open)
            }
            Ok(Err(OpenError::Store(canceled @ StoreError::Canceled { .. }))) => {
                tracing::info!("{canceled}");
                return;
            }
            Ok(Err(error)) => Err(error),
            Err(aborted) => Err(aborted.into()),
        };
        self.count_only_here(open).await;
        if let Err(error) = started {
            self.retry = self.retry_after(&error);
            tracing::error!(why = %error, "failed to open the site's copy");
            self.view.change(|state| state.stopped_because = Some(format!("cannot open the copy: {error}")));
        }
    }

    /// Publishes how many changes only kept copies hold.
    async fn count_only_here(&self, open: &OpenCopies) {
        let held = self.held(open);
        match tokio::task::spawn_blocking(move || held.count_only_here()).await {
            Ok(OnlyHere { changes, uncompared }) => {
                self.view.change(|state| (state.only_here, state.uncompared) = (changes, uncompared));
            }
            Err(error) => tracing::warn!(%error, "cannot compare the kept copies with the shown one"),
        }
    }

    /// Starts the writers of opened copies, and publishes their readers.
    fn start_writers(&self, stores: SiteStores, open: &mut OpenCopies) -> Result<(), OpenError> {
        let SiteStores { shown, building, left_out: _ } = stores;
        if let Some(copy) = shown {
            let copy = OpenCopy::start(&self.copies, copy)?;
            let (reader, writer) = (copy.handle.reader().clone(), copy.handle.probe());
            self.view.change(|state| {
                (state.has_complete, state.shown, state.shown_writer) = (true, Some(reader), Some(writer));
            });
            open.shown = Some(copy);
        }
        if let Some(copy) = building {
            let copy = OpenCopy::start(&self.copies, copy)?;
            let (reader, writer) = (copy.handle.reader().clone(), copy.handle.probe());
            self.view.change(|state| (state.building, state.building_writer) = (Some(reader), Some(writer)));
            open.building = Some(copy);
        }
        Ok(())
    }

    /// Makes the new copy the one that is served, and closes the one before. Its connection goes on.
    async fn swap_in(&self, open: &mut OpenCopies) -> Result<(), OpenError> {
        let Some(number) = open.building.as_ref().map(|copy| copy.number) else { return Ok(()) };
        let copies = self.copies.clone();
        let new = open.building.as_ref().map(|copy| copy.handle.reader().clone());
        let finish = move || {
            let held = HeldCopies { copies: copies.clone(), shown: new };
            copies.finish(number, |old| held.is_spent(old))
        };
        let before = tokio::task::spawn_blocking(finish).await??;
        let old = open.shown.take();
        open.shown = open.building.take();
        let Some(copy) = &open.shown else { return Ok(()) };
        let (reader, writer) = (copy.handle.reader().clone(), copy.handle.probe());
        let head = reader.head().position;
        self.view.change(|state| {
            let state_of_new = SiteState { has_complete: true, shown: Some(reader), ..SiteState::default() };
            *state = SiteState { shown_writer: Some(writer), ..state_of_new };
        });
        match before {
            None => tracing::info!(copy = %number, %head, "first copy complete; now serving it"),
            Some(before) => tracing::info!(copy = %number, %head, %before, "new copy complete; now serving it"),
        }
        // Only now: whoever reads the old one is told that it was replaced.
        if let Some(old) = old {
            close(old).await;
        }
        // The old one can be compared once it is closed.
        self.count_only_here(open).await;
        Ok(())
    }

    /// Starts a new copy beside the served one. An unfinished one is closed and abandoned. `is_decided` says that a person has
    /// decided for the new one; a decision for the unfinished one holds for the new one, too.
    async fn begin_copy(&mut self, open: &mut OpenCopies, is_decided: bool, reply: CopyReply) {
        self.close_building(open).await;
        let held = self.held(open);
        let begin = move || {
            let was_decided = held.copies.unfinished()?.is_some_and(|copy| held.copies.is_decided(copy));
            let number = held.copies.begin(|copy| held.is_spent(copy))?;
            if is_decided || was_decided {
                held.copies.mark_decided(number)?;
            }
            Ok(number)
        };
        match tokio::task::spawn_blocking(begin).await {
            Ok(Ok(number)) => {
                send_reply(reply, Ok(number));
                self.open_into(open).await;
            }
            Ok(Err(error)) => {
                self.retry = Retry::Open;
                self.own_steps.forget_damage();
                send_reply(reply, Err(error));
            }
            Err(error) => tracing::error!(%error, "the start of a new copy was aborted"),
        }
    }

    /// Cancels the copy that is being built, if another one is shown.
    async fn cancel_copy(&mut self, open: &mut OpenCopies, reply: CopyReply) {
        if self.view.state().has_complete {
            self.close_building(open).await;
        }
        let held = self.held(open);
        match tokio::task::spawn_blocking(move || held.copies.cancel(|copy| held.is_spent(copy))).await {
            Ok(canceled) => send_reply(reply, canceled),
            Err(error) => tracing::error!(%error, "the removal of a new copy was aborted"),
        }
    }

    /// Closes and abandons the copy that is being built.
    async fn abandon_building(&self, open: &mut OpenCopies) {
        let Some(copy) = self.take_building(open) else { return };
        let (number, held) = (copy.number, self.held(open));
        close(copy).await;
        match tokio::task::spawn_blocking(move || held.copies.abandon(number, |copy| held.is_spent(copy))).await {
            Ok(Ok(())) => self.count_only_here(open).await,
            Ok(Err(error)) => tracing::error!(%error, "failed to abandon the new copy"),
            Err(error) => tracing::error!(%error, "the removal of a new copy was aborted"),
        }
    }

    /// Returns the copies with the shown one, for comparisons.
    fn held(&self, open: &OpenCopies) -> HeldCopies {
        let shown = open.shown.as_ref().map(|copy| copy.handle.reader().clone());
        HeldCopies { copies: self.copies.clone(), shown }
    }

    async fn close_building(&self, open: &mut OpenCopies) {
        if let Some(copy) = self.take_building(open) {
            close(copy).await;
        }
    }

    fn take_shown(&self, open: &mut OpenCopies) -> Option<OpenCopy> {
        self.view.change(|state| (state.shown, state.shown_writer) = (None, None));
        open.shown.take()
    }

    fn take_building(&self, open: &mut OpenCopies) -> Option<OpenCopy> {
        self.view.change(|state| (state.building, state.building_writer) = (None, None));
        open.building.take()
    }
}

async fn close(copy: OpenCopy) {
    let OpenCopy { handle, mut thread, .. } = copy;
    drop(handle);
    match timeout(FLUSH_TIMEOUT, thread.join()).await {
        Ok(Some(Ok(()))) => {}
        Ok(Some(Err(error))) => tracing::warn!(%error, "failed to flush the tables"),
        Ok(None) => tracing::error!("the writer panicked"),
        Err(_) => tracing::warn!("the tables were not flushed in time; the next start rebuilds the rest"),
    }
}

/// Replies to an operator. If the operator has left meanwhile, an error is logged instead.
fn send_reply(reply: CopyReply, result: Result<CopyNumber, CopiesError>) {
    if let Err(Err(error)) = reply.send(result) {
        tracing::error!(%error, "failed to start or to cancel a new copy");
    }
}

#[cfg(test)]
mod tests;
