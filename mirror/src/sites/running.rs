//! The sites while the process runs: each followed by a task of its own, added and removed at any time.

use super::files::{SiteFiles, SiteFilesError};
use super::following::{Following, Order, QUEUED_ORDERS, WriterFailed};
use super::name::SiteName;
use super::register::{AddOptions, Added, Outcome, Site, SitesError};
use super::site_api::SiteApi;
use super::view::SiteView;
use crate::copies::{CopiesError, CopyNumber};
use crate::follow::{FollowSettings, FollowStatus};
use crate::link::HttpsLink;
use axum::Router;
use herd::clock::Clock;
use herd::pairing::Pairing;
use herd::store::Reader;
use service::door::reply::with_fallbacks;
use service::lifecycle::ShutdownTrigger;
use service::remote;
use service::sync::serve;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::Instrument;

/// A site that is told to stop has so long; then its task is cut. Its parts have shorter times of their own.
const STOPPING: Duration = Duration::from_secs(4);

/// Why a command about sites was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommandFailed {
    /// The files.
    #[error(transparent)]
    Files(#[from] SiteFilesError),
    /// The site's task has ended, or the process is ending.
    #[error("the site `{0}` is being stopped: try again in a moment")]
    Stopping(String),
    /// A thread was cut.
    #[error("the command was cut: {0}")]
    Cut(#[from] tokio::task::JoinError),
}

impl From<CopiesError> for CommandFailed {
    fn from(error: CopiesError) -> Self {
        Self::Files(error.into())
    }
}

/// A site that is followed.
struct Running {
    shown: Arc<SiteView>,
    sync: Router,
    remote: Router,
    orders: mpsc::Sender<Order>,
    stop: ShutdownTrigger,
    task: JoinHandle<()>,
}

/// All sites of the running process.
pub struct Sites {
    files: SiteFiles,
    settings: FollowSettings,
    clock: Arc<dyn Clock>,
    running: RwLock<BTreeMap<SiteName, Running>>,
    /// One command at a time.
    changing: Mutex<()>,
    failed: mpsc::Sender<WriterFailed>,
}

impl std::fmt::Debug for Sites {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sites").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Sites {
    /// Begins to follow all paired sites. The receiver gives the first copy that cannot be written any more: the
    /// process must end by it.
    pub async fn start(
        files: SiteFiles,
        settings: FollowSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<(Arc<Self>, mpsc::Receiver<WriterFailed>), CommandFailed> {
        let (failed, failures) = mpsc::channel(1);
        let (running, changing) = (RwLock::default(), Mutex::default());
        let sites = Arc::new(Self { files, settings, clock, running, changing, failed });
        for site in sites.blocking(SiteFiles::list).await? {
            sites.begin(site).await?;
        }
        Ok((sites, failures))
    }

    /// Pairs with a barn and follows it from now on, or goes on with what changed of the pairing.
    pub async fn add(&self, line: Pairing, options: AddOptions) -> Result<Added, CommandFailed> {
        let _one_at_a_time = self.changing.lock().await;
        let now_us = self.clock.read().received_at_us;
        let added = self.blocking(move |files| files.add(&line, &options, now_us)).await?;
        match &added.outcome {
            Outcome::New => self.begin(added.site.clone()).await?,
            // Also the same line again: it is how an operator says "try it once more".
            Outcome::Known { .. } => self.order(&added.site.name, Order::Pair(Box::new(added.site.clone()))).await?,
        }
        Ok(added)
    }

    /// Follows a site no more and moves its copies aside; says where they are.
    pub async fn remove(&self, name: String) -> Result<Option<PathBuf>, CommandFailed> {
        let _one_at_a_time = self.changing.lock().await;
        let found = name.clone();
        let site = self.blocking(move |files| files.find(&found)).await?;
        let running = self.running.write().unwrap_or_else(PoisonError::into_inner).remove(&site.name);
        if let Some(running) = running {
            running.end().await;
        }
        let now_us = self.clock.read().received_at_us;
        self.blocking(move |files| files.remove(&name, now_us)).await
    }

    /// Copies a site anew beside the copy that is shown.
    pub async fn resync(&self, name: String) -> Result<CopyNumber, CommandFailed> {
        let _one_at_a_time = self.changing.lock().await;
        let site = self.blocking(move |files| files.find(&name)).await?;
        let (begun, answer) = oneshot::channel();
        self.order(&site.name, Order::Copy(begun)).await?;
        Ok(answer.await.map_err(|_| CommandFailed::Stopping(site.name.to_string()))??)
    }

    /// The copy of a site that is shown.
    pub fn reader(&self, name: &str) -> Option<Reader> {
        self.view(name).and_then(|view| view.state().shown)
    }

    /// The interface for mirrors behind this one, for a site; its paths begin with `/api/sync/`.
    pub fn sync_router(&self, name: &str) -> Option<Router> {
        self.look(name, |running| running.sync.clone())
    }

    /// What a site tells programs; its paths begin with `/api/remote/` and `/api/lora/`, or are `/api/events`.
    pub fn remote_router(&self, name: &str) -> Option<Router> {
        self.look(name, |running| running.remote.clone())
    }

    /// A way to the barn of a site, as it is paired now; nothing is sent yet.
    pub async fn link(&self, name: &str) -> Result<HttpsLink, CommandFailed> {
        let name = name.to_owned();
        self.blocking(move |files| Ok(files.find(&name)?.link().map_err(SitesError::from)?)).await
    }

    /// The names of the sites, ordered.
    pub fn names(&self) -> Vec<String> {
        self.running.read().unwrap_or_else(PoisonError::into_inner).keys().map(ToString::to_string).collect()
    }

    /// Stops all of them, at the same time.
    pub async fn stop(&self) {
        let running = std::mem::take(&mut *self.running.write().unwrap_or_else(PoisonError::into_inner));
        futures::future::join_all(running.into_values().map(Running::end)).await;
    }

    pub(super) fn view(&self, name: &str) -> Option<Arc<SiteView>> {
        self.look(name, |running| running.shown.clone())
    }

    pub(super) fn sync_interval(&self) -> Duration {
        self.settings.sync_interval
    }

    /// Asks the writers of all copies whether they live, and names those that have not answered in time.
    pub async fn silent(&self, within: Duration) -> Vec<String> {
        let shown: Vec<_> = {
            let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
            running.values().map(|site| site.shown.clone()).collect()
        };
        futures::future::join_all(shown.iter().map(|shown| shown.stalled_part(within)))
            .await
            .into_iter()
            .flatten()
            .collect()
    }

    fn look<T>(&self, name: &str, look: impl FnOnce(&Running) -> T) -> Option<T> {
        let name: SiteName = name.parse().ok()?;
        self.running.read().unwrap_or_else(PoisonError::into_inner).get(&name).map(look)
    }

    async fn begin(&self, site: Site) -> Result<(), CommandFailed> {
        let name = site.name.clone();
        let copies = self.blocking(move |files| files.copies(&name)).await?;
        let (status, seen) = watch::channel(FollowStatus::default());
        let shown = Arc::new(SiteView::new(site.name.clone(), seen));
        let (orders, ordered) = mpsc::channel(QUEUED_ORDERS);
        let stop = ShutdownTrigger::default();
        let stopping = stop.signal();
        let name = site.name.clone();
        let following = Following {
            site,
            copies,
            settings: self.settings,
            clock: self.clock.clone(),
            shown: shown.clone(),
            status,
            orders: ordered,
            stop: stopping.clone(),
        };
        let failed = self.failed.clone();
        // Everything that is logged of a site bears its name.
        let span = tracing::info_span!("site", site = %name);
        let following = Box::pin(following.run().instrument(span));
        let task = tokio::spawn(async move {
            if let Err(failure) = following.await {
                // A failure before this one has ended the process already.
                drop(failed.try_send(failure));
            }
        });
        let sync = with_fallbacks(serve::router(shown.clone(), stopping.clone()));
        let api = Arc::new(SiteApi::new(shown.clone(), self.sync_interval()));
        let events = service::events::router(shown.clone(), stopping);
        let remote = with_fallbacks(remote::router(api, self.clock.clone()).merge(events));
        let running = Running { shown, sync, remote, orders, stop, task };
        self.running.write().unwrap_or_else(PoisonError::into_inner).insert(name, running);
        Ok(())
    }

    async fn order(&self, name: &SiteName, order: Order) -> Result<(), CommandFailed> {
        let stopping = || CommandFailed::Stopping(name.to_string());
        let orders = self.look(name.as_str(), |running| running.orders.clone()).ok_or_else(stopping)?;
        orders.send(order).await.map_err(|_| stopping())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SiteFiles) -> Result<T, SiteFilesError> + Send + 'static,
    ) -> Result<T, CommandFailed> {
        let files = self.files.clone();
        Ok(tokio::task::spawn_blocking(move || work(&files)).await??)
    }
}

impl Running {
    async fn end(self) {
        let Self { shown, stop, mut task, .. } = self;
        stop.request();
        if timeout(STOPPING, &mut task).await.is_err() {
            tracing::warn!(site = %shown.name, "its task did not end in time and is cut");
            task.abort();
        }
    }
}
