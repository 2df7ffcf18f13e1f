//! One site: its copies opened, its barn followed, and a new copy swapped in once it is whole.
//!
//! The task and the copy's writer thread live as long as the process; a follower that cannot go on leaves the copy
//! readable and waits for what an operator decides.

use super::register::Site;
use super::view::{OpeningStep, SiteState, SiteView};
use crate::copies::{Copies, CopiesError, CopyNumber};
use crate::follow::{self, FollowEnd, FollowSettings, FollowStatus, LinkState, StoreHandle};
use herd::clock::Clock;
use herd::position::StoreId;
use herd::store::{Directory, OpenProgress, Reader, Store, StoreError};
use service::lifecycle::{Shutdown, ShutdownTrigger};
use service::process::WorkerThread;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// A follower that is told to stop has so long to say goodbye; then its connection is dropped.
const GOODBYE: Duration = Duration::from_secs(1);
/// A writer that is told to stop has so long to make its tables durable; then it is left to end with the process.
/// What it loses by that is a fold at the next start.
const SETTLING: Duration = Duration::from_secs(3);
/// Orders that wait. One operator gives them one after the other.
pub(super) const QUEUED_ORDERS: usize = 4;

/// What an operator wants of a site.
pub(super) enum Order {
    /// The pairing has changed: go on with this one.
    Pair(Box<Site>),
    /// Build a new copy. Answered when it has begun.
    Copy(oneshot::Sender<Result<CopyNumber, CopiesError>>),
}

/// The copy of a site has lost its writer: the files must be opened again, which a restart of the process does.
#[derive(Debug, thiserror::Error)]
#[error("the copy of `{site}` cannot be written: {why}")]
pub struct WriterFailed {
    site: String,
    why: String,
}

/// Why a site's copy could not be opened.
#[derive(Debug, thiserror::Error)]
enum NotOpened {
    #[error(transparent)]
    Copies(#[from] CopiesError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no thread for the writer: {0}")]
    Thread(#[from] std::io::Error),
    #[error("the opening was cut: {0}")]
    Cut(#[from] tokio::task::JoinError),
    #[error("it is shown already and cannot be opened a second time: start the process again")]
    ShownAlready,
}

/// A copy that is written.
struct Copy {
    number: CopyNumber,
    handle: StoreHandle,
    thread: WorkerThread<Result<(), StoreError>>,
    /// Whether it is the one that is shown. Another one is being built.
    whole: bool,
}

/// What made the following of a copy end, or wait.
enum Next {
    Stop,
    Order(Order),
    /// There is nothing to go on with until an order comes.
    Halt(String),
    WriterGone,
}

/// The task of one site.
pub(super) struct Following {
    pub(super) site: Site,
    pub(super) copies: Copies,
    pub(super) settings: FollowSettings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) shown: Arc<SiteView>,
    pub(super) status: watch::Sender<FollowStatus>,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) stop: Shutdown,
}

impl Following {
    /// Follows until told to stop.
    pub(super) async fn run(mut self) -> Result<(), WriterFailed> {
        let mut copy = self.open().await;
        loop {
            let next = match &mut copy {
                Some(copy) => self.follow(copy).await,
                None => self.wait().await,
            };
            let order = match next {
                Next::Order(order) => order,
                Next::Stop => break,
                Next::WriterGone => return Err(self.writer_failed(copy).await),
                Next::Halt(why) => {
                    tracing::error!(%why, "this site is followed no more until somebody decides");
                    self.shown.change(|state| state.stopped_because = Some(why));
                    match self.wait().await {
                        Next::Order(order) => order,
                        _ => break,
                    }
                }
            };
            self.shown.change(|state| state.stopped_because = None);
            match order {
                Order::Pair(site) => self.site = *site,
                Order::Copy(begun) => copy = self.begin_copy(copy, begun).await,
            }
            if copy.is_none() {
                copy = self.open().await;
            }
        }
        if let Some(copy) = copy {
            self.end(copy).await;
        }
        Ok(())
    }

    /// The next order, or the stop.
    async fn wait(&mut self) -> Next {
        tokio::select! {
            biased;
            () = self.stop.requested() => Next::Stop,
            order = self.orders.recv() => order.map_or(Next::Stop, Next::Order),
        }
    }

    /// Opens what is there, shows the whole copy, and says which one is to be followed. Nothing opens: the site says
    /// why, and waits.
    async fn open(&mut self) -> Option<Copy> {
        let (copies, store, whole_is_open) = (self.copies.clone(), self.site.store, self.shown.state().shown.is_some());
        let (shown, stop) = (self.shown.clone(), self.stop.clone());
        let told = move |at: &OpenProgress<'_>| {
            shown.change(|state| state.opening = Some(OpeningStep::now(Some(at.to_string()))));
            if stop.is_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        self.shown.change(|state| state.opening = Some(OpeningStep::now(None)));
        let opened = tokio::task::spawn_blocking(move || Opened::of(&copies, store, whole_is_open, told)).await;
        self.shown.change(|state| state.opening = None);
        let opened = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(NotOpened::Store(broken_off @ StoreError::Canceled { .. }))) => {
                tracing::info!("{broken_off}");
                return None;
            }
            Ok(Err(why)) => return self.not_opened(&why),
            Err(cut) => return self.not_opened(&cut.into()),
        };
        self.written(opened)
    }

    fn not_opened(&self, why: &NotOpened) -> Option<Copy> {
        tracing::error!(%why, "its copy does not open");
        self.shown.change(|state| state.stopped_because = Some(format!("its copy does not open: {why}")));
        None
    }

    fn written(&self, opened: Opened) -> Option<Copy> {
        let Opened { number, store, whole, shown } = opened;
        let (handle, thread) = match follow::on_thread(store) {
            Ok(started) => started,
            Err(error) => return self.not_opened(&error.into()),
        };
        let (reader, writer) = (handle.reader().clone(), Some(handle.probe()));
        self.shown.change(|state| {
            if whole {
                *state = SiteState { shown: Some(reader), writer, ..SiteState::default() };
            } else {
                state.writer = writer;
                state.building = Some(reader);
                state.shown = shown.or(state.shown.take());
            }
        });
        Some(Copy { number, handle, thread, whole })
    }

    /// Follows the barn into `copy` until something else is to be done. A copy that becomes whole meanwhile is
    /// swapped in without a pause.
    async fn follow(&mut self, copy: &mut Copy) -> Next {
        let link = match self.site.link() {
            Ok(link) => link,
            Err(why) => return Next::Halt(why.to_string()),
        };
        // What was heard of an earlier connection says nothing about this one.
        self.status.send_modify(|status| status.link = LinkState::Pulling);
        let halt = ShutdownTrigger::default();
        let halted = halt.signal();
        let (clock, status) = (self.clock.clone(), self.status.clone());
        let following = follow::run(link, copy.handle.clone(), self.settings, clock, status, halted);
        let mut following = std::pin::pin!(following);
        let mut news = self.status.subscribe();
        loop {
            tokio::select! {
                end = &mut following => return match end {
                    FollowEnd::Stopped => Next::Stop,
                    FollowEnd::Diverged(divergence) => Next::Halt(format!(
                        "{divergence}. The copy stays as it is; `resync {}` copies the barn anew beside it", self.site.name
                    )),
                    FollowEnd::WriterGone => Next::WriterGone,
                },
                next = self.wait() => {
                    halt.request();
                    if timeout(GOODBYE, following).await.is_err() {
                        tracing::debug!("the barn did not take the goodbye in time");
                    }
                    return next;
                }
                () = became_whole(copy, &mut news), if !copy.whole => {
                    if let Err(why) = self.swap_in(copy).await {
                        return Next::Halt(format!("the new copy could not be swapped in: {why}"));
                    }
                }
            }
        }
    }

    /// The new copy takes the place of the one that is shown.
    async fn swap_in(&self, copy: &mut Copy) -> Result<(), NotOpened> {
        let (copies, number) = (self.copies.clone(), copy.number);
        let before = tokio::task::spawn_blocking(move || copies.finish(number)).await??;
        copy.whole = true;
        let reader = copy.handle.reader().clone();
        let head = reader.head().position;
        self.shown.change(|state| (state.shown, state.building) = (Some(reader), None));
        let before = before.map(|before| before.to_string());
        tracing::info!(copy = %number, %head, before, "the copy is whole and shown");
        Ok(())
    }

    /// Begins a new copy beside the one at hand, whose writer ends. What is shown stays shown.
    async fn begin_copy(
        &mut self,
        copy: Option<Copy>,
        begun: oneshot::Sender<Result<CopyNumber, CopiesError>>,
    ) -> Option<Copy> {
        let copies = self.copies.clone();
        let number = match tokio::task::spawn_blocking(move || copies.begin()).await {
            Ok(Ok(number)) => number,
            Ok(Err(why)) => {
                answer(begun, Err(why));
                return copy;
            }
            Err(cut) => return self.not_opened(&cut.into()),
        };
        if let Some(copy) = copy {
            self.end(copy).await;
        }
        answer(begun, Ok(number));
        self.shown.change(|state| state.building = None);
        self.open().await
    }

    async fn writer_failed(&self, copy: Option<Copy>) -> WriterFailed {
        let why = match copy {
            Some(Copy { mut thread, .. }) => match thread.join().await {
                Some(Err(error)) => error.to_string(),
                Some(Ok(())) => "its writer ended without a request".to_owned(),
                None => "its writer panicked".to_owned(),
            },
            None => "it has no writer".to_owned(),
        };
        WriterFailed { site: self.site.name.to_string(), why }
    }

    async fn end(&self, copy: Copy) {
        let Copy { handle, mut thread, .. } = copy;
        drop(handle);
        match timeout(SETTLING, thread.join()).await {
            Ok(Some(Ok(()))) => {}
            Ok(Some(Err(error))) => tracing::warn!(%error, "failed to flush the tables"),
            Ok(None) => tracing::error!("the writer panicked"),
            Err(_) => tracing::warn!("the writer is still busy; the next start folds its tables again"),
        }
    }
}

/// The copies of a site, opened: the one to follow into, and where that is not the one to show, that one too.
struct Opened {
    number: CopyNumber,
    store: Store,
    whole: bool,
    shown: Option<Reader>,
}

impl Opened {
    /// An unfinished copy is continued; else the whole one is; else a first one is begun. With
    /// `whole_is_open` the whole one is shown already.
    fn of(
        copies: &Copies,
        history: StoreId,
        whole_is_open: bool,
        told: impl Fn(&OpenProgress<'_>) -> ControlFlow<()> + Clone + Send + Sync + 'static,
    ) -> Result<Self, NotOpened> {
        let open = |number| -> Result<Store, NotOpened> {
            let directory = Directory::new(copies.path(number))?.with_progress(told.clone());
            Ok(Store::open_replica(&directory, history)?)
        };
        let current = copies.current()?;
        let building = match (copies.unfinished()?, current) {
            (None, Some(number)) if !whole_is_open => {
                return Ok(Self { number, store: open(number)?, whole: true, shown: None });
            }
            (None, Some(_)) => return Err(NotOpened::ShownAlready),
            (Some(cut), _) => cut,
            (None, None) => copies.begin()?,
        };
        let shown = match current.filter(|_| !whole_is_open).map(open) {
            None => None,
            Some(Ok(store)) => Some(store.reader()),
            Some(Err(broken_off @ NotOpened::Store(StoreError::Canceled { .. }))) => return Err(broken_off),
            Some(Err(why)) => {
                // The new copy is on its way: that the old one cannot be shown meanwhile is no reason to stop it.
                tracing::error!(%why, "the copy to show meanwhile does not open");
                None
            }
        };
        Ok(Self { number: building, store: open(building)?, whole: false, shown })
    }
}

/// Returns once the copy holds what the barn was heard to hold, and its tables show it.
async fn became_whole(copy: &Copy, news: &mut watch::Receiver<FollowStatus>) {
    loop {
        if is_whole(copy.handle.reader(), &news.borrow_and_update()) {
            return;
        }
        if news.changed().await.is_err() {
            // The follower's end is told by the follower itself.
            std::future::pending::<()>().await;
        }
    }
}

/// Whole means: caught up with the barn, every change chained (which applying it has proved), the tables folded as far
/// as this program can, and not known to differ from the barn's.
fn is_whole(reader: &Reader, status: &FollowStatus) -> bool {
    let head = reader.head();
    let sequence = head.position.sequence;
    let caught_up = status.link == LinkState::Live || status.barn.is_some_and(|heard| sequence >= heard.barn.head);
    let folded = head.folded == sequence || head.blocked.is_some();
    sequence.0 > 0 && caught_up && folded && status.digest_equal != Some(false)
}

/// An operator who has left meanwhile sees it in the status.
fn answer(begun: oneshot::Sender<Result<CopyNumber, CopiesError>>, answer: Result<CopyNumber, CopiesError>) {
    if let Err(Err(error)) = begun.send(answer) {
        tracing::error!(%error, "a new copy could not be begun");
    }
}
