//! The task of one site: opens its copies, follows its barn, and swaps a new copy in once it is complete.
//!
//! - The task and the copy's writer thread live as long as the process. If the site cannot be followed, the copy stays
//!   readable and the task waits for an operator's command.
//! - Copies are opened after the process has reported readiness, because the pages of other sites need not wait until
//!   this copy's tables are rebuilt. Each step of an opening is published; an opening without a new step for 5 minutes
//!   counts as hung.
//! - The complete copy is opened and served before an unfinished one beside it is opened.
//! - A shutdown ends an opening after the current step. Rebuilding the tables of a large log takes longer than the 10 s
//!   after which systemd kills. Each step is a commit, so the next start continues from it.

use super::register::Site;
use super::view::{OpeningStep, SiteState, SiteView};
use crate::copies::{Copies, CopiesError, CopyNumber};
use crate::follow::{self, FollowEnd, FollowSettings, FollowStatus, LinkState, StoreHandle};
use herd::clock::Clock;
use herd::position::StoreId;
use herd::store::{Directory, Head, OpenProgress, Store, StoreError};
use service::lifecycle::{Shutdown, ShutdownTrigger};
use service::process::WorkerThread;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// Timeout for a follower to close its connection; after it the connection is dropped.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);
/// Timeout for a writer to flush its tables. After it the writer ends with the process, and the next start rebuilds
/// what was not flushed.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum number of queued commands; an operator sends them one after the other.
pub(super) const MAX_QUEUED_COMMANDS: usize = 4;

/// A command of an operator to a site.
pub(super) enum SiteCommand {
    /// Continue with a changed pairing.
    Pair(Box<Site>),
    /// Build a new copy. The reply is sent once the copy has been started.
    Copy(oneshot::Sender<Result<CopyNumber, CopiesError>>),
}

/// The writer of a site's copy failed. The files have to be opened again, by a restart of the process.
#[derive(Debug, thiserror::Error)]
#[error("the copy of `{site}` cannot be written: {why}")]
pub struct WriterError {
    site: String,
    why: String,
}

/// Reason why a site's copy could not be opened.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error(transparent)]
    Copies(#[from] CopiesError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot start the writer's thread: {0}")]
    Thread(#[from] std::io::Error),
    #[error("the task that opens it was aborted: {0}")]
    Aborted(#[from] tokio::task::JoinError),
    #[error("it is open already and cannot be opened a second time: restart the process")]
    AlreadyOpen,
}

/// A copy that changes are written to.
struct OpenCopy {
    number: CopyNumber,
    handle: StoreHandle,
    thread: WorkerThread<Result<(), StoreError>>,
    /// True if the copy is the one that is served, false while it is being built.
    complete: bool,
}

/// The next step of the task, once a copy is no longer followed.
enum NextStep {
    ShutDown,
    Command(SiteCommand),
    /// Stop until a command arrives, for this reason.
    Halt(String),
    WriterEnded,
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
}

impl SiteFollower {
    /// Follows the barn until the shutdown is requested.
    pub(super) async fn run(mut self) -> Result<(), WriterError> {
        let mut copy = self.open().await;
        loop {
            let next = match &mut copy {
                Some(copy) => self.follow(copy).await,
                None => self.wait().await,
            };
            let command = match next {
                NextStep::Command(command) => command,
                NextStep::ShutDown => break,
                NextStep::WriterEnded => return Err(self.writer_error(copy).await),
                NextStep::Halt(why) => {
                    tracing::error!(%why, "replication of this site is stopped until an operator decides");
                    self.view.change(|state| state.stopped_because = Some(why));
                    match self.wait().await {
                        NextStep::Command(command) => command,
                        _ => break,
                    }
                }
            };
            self.view.change(|state| state.stopped_because = None);
            match command {
                SiteCommand::Pair(site) => self.site = *site,
                SiteCommand::Copy(reply) => copy = self.begin_copy(copy, reply).await,
            }
            if copy.is_none() {
                copy = self.open().await;
            }
        }
        if let Some(copy) = copy {
            self.close(copy).await;
        }
        Ok(())
    }

    /// Waits for the next command or the shutdown.
    async fn wait(&mut self) -> NextStep {
        tokio::select! {
            biased;
            () = self.shutdown.requested() => NextStep::ShutDown,
            command = self.commands.recv() => command.map_or(NextStep::ShutDown, NextStep::Command),
        }
    }

    /// Opens the copies on disk, publishes the complete one, and returns the one to follow into. If a copy does not
    /// open, publishes the reason and returns `None`.
    async fn open(&mut self) -> Option<OpenCopy> {
        let (copies, store, view) = (self.copies.clone(), self.site.store, self.view.clone());
        let progress = report_progress(view.clone(), self.shutdown.clone());
        self.view.change(|state| state.opening = Some(OpeningStep::first()));
        let stores = tokio::task::spawn_blocking(move || SiteStores::open(&copies, store, &view, progress)).await;
        self.view.change(|state| state.opening = None);
        let stores = match stores {
            Ok(Ok(stores)) => stores,
            Ok(Err(OpenError::Store(canceled @ StoreError::Canceled { .. }))) => {
                tracing::info!("{canceled}");
                return None;
            }
            Ok(Err(error)) => return self.open_failed(&error),
            Err(aborted) => return self.open_failed(&aborted.into()),
        };
        self.start_writer(stores)
    }

    fn open_failed(&self, error: &OpenError) -> Option<OpenCopy> {
        tracing::error!(why = %error, "failed to open the site's copy");
        self.view.change(|state| state.stopped_because = Some(format!("cannot open the copy: {error}")));
        None
    }

    /// Starts the writer of the copy to follow into, and publishes the readers.
    fn start_writer(&self, stores: SiteStores) -> Option<OpenCopy> {
        let SiteStores { number, store, complete } = stores;
        let (handle, thread) = match follow::spawn_writer(store) {
            Ok(started) => started,
            Err(error) => return self.open_failed(&error.into()),
        };
        let (reader, writer) = (handle.reader().clone(), Some(handle.probe()));
        self.view.change(|state| {
            if complete {
                *state = SiteState { has_complete: true, shown: Some(reader), writer, ..SiteState::default() };
            } else {
                state.writer = writer;
                state.building = Some(reader);
            }
        });
        Some(OpenCopy { number, handle, thread, complete })
    }

    /// Follows the barn into `copy` until something interrupts it. A copy that is completed meanwhile is swapped in
    /// without interrupting the follower.
    async fn follow(&mut self, copy: &mut OpenCopy) -> NextStep {
        let link = match self.site.link() {
            Ok(link) => link,
            Err(why) => return NextStep::Halt(why.to_string()),
        };
        // The status of an earlier connection says nothing about the new one.
        self.status.send_modify(|status| status.link = LinkState::Pulling);
        let trigger = ShutdownTrigger::default();
        let shutdown = trigger.signal();
        let (clock, status) = (self.clock.clone(), self.status.clone());
        let follower = follow::run(link, copy.handle.clone(), self.settings, clock, status, shutdown);
        let mut follower = std::pin::pin!(follower);
        let mut updates = self.status.subscribe();
        loop {
            tokio::select! {
                end = &mut follower => return match end {
                    FollowEnd::Stopped => NextStep::ShutDown,
                    FollowEnd::Diverged(divergence) => NextStep::Halt(format!(
                        "{divergence}. The copy is kept unchanged; `resync {}` copies the barn again beside it",
                        self.site.name
                    )),
                    FollowEnd::WriterEnded => NextStep::WriterEnded,
                },
                next = self.wait() => {
                    trigger.request();
                    if timeout(GOODBYE_TIMEOUT, follower).await.is_err() {
                        tracing::debug!("the connection to the barn did not close in time");
                    }
                    return next;
                }
                () = until_complete(copy, &mut updates), if !copy.complete => {
                    if let Err(error) = self.swap_in(copy).await {
                        return NextStep::Halt(format!("cannot swap the new copy in: {error}"));
                    }
                }
            }
        }
    }

    /// Makes the new copy the one that is served.
    async fn swap_in(&self, copy: &mut OpenCopy) -> Result<(), OpenError> {
        let (copies, number) = (self.copies.clone(), copy.number);
        let previous = tokio::task::spawn_blocking(move || copies.finish(number)).await??;
        copy.complete = true;
        let reader = copy.handle.reader().clone();
        let head = reader.head().position;
        self.view.change(|state| (state.has_complete, state.shown, state.building) = (true, Some(reader), None));
        match previous {
            None => tracing::info!(copy = %number, %head, "first copy complete; now serving it"),
            Some(previous) => {
                tracing::info!(copy = %number, %head, before = %previous, "new copy complete; now serving it");
            }
        }
        Ok(())
    }

    /// Starts a new copy and closes the one that was followed into. The served copy stays readable.
    async fn begin_copy(
        &mut self,
        copy: Option<OpenCopy>,
        reply: oneshot::Sender<Result<CopyNumber, CopiesError>>,
    ) -> Option<OpenCopy> {
        let copies = self.copies.clone();
        let number = match tokio::task::spawn_blocking(move || copies.begin()).await {
            Ok(Ok(number)) => number,
            Ok(Err(error)) => {
                send_reply(reply, Err(error));
                return copy;
            }
            Err(aborted) => return self.open_failed(&aborted.into()),
        };
        if let Some(copy) = copy {
            self.close(copy).await;
        }
        send_reply(reply, Ok(number));
        self.view.change(|state| state.building = None);
        self.open().await
    }

    async fn writer_error(&self, copy: Option<OpenCopy>) -> WriterError {
        let why = match copy {
            Some(OpenCopy { mut thread, .. }) => match thread.join().await {
                Some(Err(error)) => error.to_string(),
                Some(Ok(())) => "its writer ended without a request".to_owned(),
                None => "its writer panicked".to_owned(),
            },
            None => "it has no writer".to_owned(),
        };
        WriterError { site: self.site.name.to_string(), why }
    }

    async fn close(&self, copy: OpenCopy) {
        let OpenCopy { handle, mut thread, .. } = copy;
        drop(handle);
        match timeout(FLUSH_TIMEOUT, thread.join()).await {
            Ok(Some(Ok(()))) => {}
            Ok(Some(Err(error))) => tracing::warn!(%error, "failed to flush the tables"),
            Ok(None) => tracing::error!("the writer panicked"),
            Err(_) => tracing::warn!("the tables were not flushed in time; the next start rebuilds the rest"),
        }
    }
}

/// The opened store of a site to follow into.
struct SiteStores {
    number: CopyNumber,
    store: Store,
    /// True if this is the complete copy.
    complete: bool,
}

impl SiteStores {
    /// Opens the copy to follow into: an unfinished copy, else the complete one, else a new one.
    ///
    /// A complete copy beside an unfinished one is published in `view` as soon as it is open, unless it is served already.
    fn open(
        copies: &Copies,
        history: StoreId,
        view: &SiteView,
        progress: impl Fn(&OpenProgress<'_>) -> ControlFlow<()> + Clone + Send + Sync + 'static,
    ) -> Result<Self, OpenError> {
        let open = |number| -> Result<Store, OpenError> {
            let directory = Directory::new(copies.path(number))?.with_progress(progress.clone());
            Ok(Store::open_replica(&directory, history)?)
        };
        let is_served = view.state().shown.is_some();
        let current = copies.current()?;
        let building = match (copies.unfinished()?, current) {
            (None, Some(number)) if !is_served => {
                return Ok(Self { number, store: open(number)?, complete: true });
            }
            (None, Some(_)) => return Err(OpenError::AlreadyOpen),
            (Some(unfinished), _) => unfinished,
            (None, None) => copies.begin()?,
        };
        match current.filter(|_| !is_served).map(open) {
            None => {}
            Some(Ok(store)) => view.change(|state| state.shown = Some(store.reader())),
            Some(Err(canceled @ OpenError::Store(StoreError::Canceled { .. }))) => return Err(canceled),
            Some(Err(error)) => {
                // A current copy that cannot be served is no reason to stop building its successor.
                tracing::error!(why = %error, "failed to open the current copy; continuing with the new one");
            }
        }
        Ok(Self { number: building, store: open(building)?, complete: false })
    }
}

/// Returns a callback that publishes each step of an opening, and cancels it once the shutdown is requested.
fn report_progress(
    view: Arc<SiteView>,
    shutdown: Shutdown,
) -> impl Fn(&OpenProgress<'_>) -> ControlFlow<()> + Clone + Send + Sync + 'static {
    move |at| {
        view.change(|state| state.opening = Some(OpeningStep::at(at)));
        if shutdown.is_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Returns once the copy is complete.
async fn until_complete(copy: &OpenCopy, updates: &mut watch::Receiver<FollowStatus>) {
    let mut head = copy.handle.reader().subscribe();
    loop {
        if is_complete(&head.borrow_and_update(), &updates.borrow_and_update()) {
            return;
        }
        // The tables may catch up with the log after the last news from the barn.
        let changed = tokio::select! {
            changed = updates.changed() => changed,
            changed = head.changed() => changed,
        };
        if changed.is_err() {
            // The follower or the writer has ended, which `follow` sees by itself.
            std::future::pending::<()>().await;
        }
    }
}

/// Returns true if a copy may be served: it has caught up with the barn, its tables are folded as far as this program
/// can fold, and they are not known to differ from the barn's. Applying the changes has already verified their chain.
fn is_complete(head: &Head, status: &FollowStatus) -> bool {
    let visible = head.visible();
    let shows_all_reported = status.barn.is_some_and(|report| visible >= report.barn.head);
    let shows_all_followed = status.link == LinkState::Live && visible == head.position.sequence;
    visible.0 > 0 && (shows_all_reported || shows_all_followed) && status.digest_equal != Some(false)
}

/// Replies to an operator. If the operator has left meanwhile, an error is logged instead.
fn send_reply(reply: oneshot::Sender<Result<CopyNumber, CopiesError>>, result: Result<CopyNumber, CopiesError>) {
    if let Err(Err(error)) = reply.send(result) {
        tracing::error!(%error, "failed to start a new copy");
    }
}

#[cfg(test)]
mod tests;
