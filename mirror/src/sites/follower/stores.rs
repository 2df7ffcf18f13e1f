//! The stores of a site: which of its copies are opened, and in which order.

use super::super::view::{OpeningStep, SiteView};
use crate::copies::{Copies, CopiesError, CopyNumber};
use crate::follow::{self, Room, StoreHandle};
use herd::position::StoreId;
use herd::store::{Directory, OpenProgress, Store, StoreError};
use service::lifecycle::{Exit, Shutdown};
use service::process::WorkerThread;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Reason why a site's copy could not be opened, or a new one not swapped in.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error(transparent)]
    Copies(#[from] CopiesError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot start the writer's thread: {0}")]
    Thread(#[from] std::io::Error),
    #[error("the task that opens it was aborted: {0}")]
    Aborted(#[from] tokio::task::JoinError),
}

impl OpenError {
    /// Returns true if opening again may help, as after a disk that was full.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            // Another part of this process may read the copy, such as a verification.
            Self::Store(error) => matches!(Exit::from(error), Exit::Failure | Exit::Locked),
            Self::Copies(CopiesError::Files { .. }) | Self::Thread(_) | Self::Aborted(_) => true,
            Self::Copies(_) => false,
        }
    }

    pub(super) fn is_canceled(&self) -> bool {
        matches!(self, Self::Store(StoreError::Canceled { .. }))
    }
}

/// A copy that changes are written to.
pub(super) struct OpenCopy {
    pub(super) number: CopyNumber,
    /// A person has decided that it replaces a copy that has diverged from the barn.
    pub(super) is_decided: bool,
    pub(super) handle: StoreHandle,
    pub(super) thread: WorkerThread<Result<(), StoreError>>,
}

impl OpenCopy {
    /// Starts the writer of an opened store, which stops before the disk is full.
    pub(super) fn start(copies: &Copies, (number, store): (CopyNumber, Store)) -> Result<Self, OpenError> {
        let (handle, thread) = follow::spawn_writer(store)?;
        let (handle, is_decided) =
            (handle.with_room(Room::of_directory(copies.path(number))), copies.is_decided(number));
        Ok(Self { number, is_decided, handle, thread })
    }
}

/// The open copies of a site. Each is followed into.
#[derive(Default)]
pub(super) struct OpenCopies {
    /// The complete copy, which is served.
    pub(super) shown: Option<OpenCopy>,
    /// The copy that is being made.
    pub(super) building: Option<OpenCopy>,
}

impl OpenCopies {
    pub(super) fn is_empty(&self) -> bool {
        self.shown.is_none() && self.building.is_none()
    }

    /// Waits until the writer of the shown copy has ended; forever if none is shown. Cancel-safe.
    pub(super) async fn shown_writer_ended(&self) {
        writer_ended(self.shown.as_ref()).await;
    }

    /// Waits until the writer of the copy that is being made has ended; forever if none is. Cancel-safe.
    pub(super) async fn building_writer_ended(&self) {
        writer_ended(self.building.as_ref()).await;
    }
}

async fn writer_ended(copy: Option<&OpenCopy>) {
    match copy {
        Some(copy) => copy.handle.ended().await,
        None => std::future::pending().await,
    }
}

/// The opened stores of a site.
pub(super) struct SiteStores {
    /// The complete copy; `None` if there is none, if it was open before, or if it cannot be opened beside a new one.
    pub(super) shown: Option<(CopyNumber, Store)>,
    /// The unfinished copy, or the first one.
    pub(super) building: Option<(CopyNumber, Store)>,
    /// Reason why one of them was left out.
    pub(super) left_out: Option<OpenError>,
}

/// The copies of a site that are open already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AlreadyOpen {
    pub(super) shown: bool,
    pub(super) building: bool,
}

impl SiteStores {
    /// Opens the complete copy, and an unfinished one beside it, as far as they are not open. Without either, begins the first.
    ///
    /// A complete copy beside an unfinished one is published in `view` as soon as it is open.
    pub(super) fn open(
        copies: &Copies,
        history: StoreId,
        view: &SiteView,
        already: AlreadyOpen,
        progress: impl Fn(&OpenProgress<'_>) -> ControlFlow<()> + Clone + Send + Sync + 'static,
    ) -> Result<Self, OpenError> {
        let open = |number| -> Result<(CopyNumber, Store), OpenError> {
            let directory = Directory::new(copies.path(number))?.with_progress(progress.clone());
            Ok((number, Store::open_replica(&directory, history)?))
        };
        let (current, unfinished) = (copies.current()?, copies.unfinished()?);
        let unfinished = match (unfinished, current) {
            (None, None) => Some(copies.begin(|_| false)?),
            (unfinished, _) => unfinished,
        };
        let mut left_out = None;
        let shown = match current.filter(|_| !already.shown).map(open) {
            Some(Err(error)) if unfinished.is_some() && !error.is_canceled() => {
                // A current copy that cannot be served is no reason to stop building its successor.
                tracing::error!(why = %error, "failed to open the current copy; continuing with the new one");
                left_out = Some(error);
                None
            }
            shown => shown.transpose()?,
        };
        if let Some((_, store)) = shown.as_ref().filter(|_| unfinished.is_some()) {
            view.change(|state| state.shown = Some(store.reader()));
        }
        let building = match unfinished.filter(|_| !already.building).map(open) {
            Some(Err(error)) if (shown.is_some() || already.shown) && !error.is_canceled() => {
                // And the other way round.
                tracing::error!(why = %error, "failed to open the new copy; following into the current one alone");
                left_out = Some(error);
                None
            }
            building => building.transpose()?,
        };
        Ok(Self { shown, building, left_out })
    }
}

/// Returns a callback that publishes each step of an opening, and cancels it once the shutdown is requested.
pub(super) fn report_progress(
    view: Arc<SiteView>,
    shutdown: Shutdown,
) -> impl Fn(&OpenProgress<'_>) -> ControlFlow<()> + Clone + Send + Sync + 'static {
    move |at| {
        view.change(|state| state.opening = Some(OpeningStep::at(at)));
        if shutdown.is_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
