//! The sites of the running process. Each is followed by a task of its own, and can be added or removed at any time.

mod site;

use super::catalogs::Catalogs;
use super::command_error::SiteCommandError;
use super::details::SiteDetails;
use super::files::{SiteFiles, SiteFilesError};
use super::follower::{CopyReply, OwnSteps, Retry, SiteCommand, SiteFollower};
use super::name::SiteName;
use super::prepared::{OfficeIdentity, PairingTarget, PreparedSite, PreparedSummary, Search};
use super::register::{AddOptions, PairingOutcome, PairingReceipt, Site, SitesError};
use super::site_api::SiteApi;
use super::view::SiteView;
use crate::copies::CopyNumber;
use crate::follow::{FollowSettings, FollowStatus};
use crate::give_back::{GiveBackProgress, HeldCopies};
use crate::link::{Address, HttpsLink};
use axum::Router;
use herd::clock::Clock;
use herd::pairing::{Pairing, PairingCode};
use herd::store::Reader;
use service::backup::BackupStates;
use service::door::reply::{ApiError, with_fallbacks};
use service::lifecycle::{Shutdown, ShutdownTrigger};
use service::remote;
use service::sync::{NotServedError, serve};
pub use site::FollowerError;
use site::{Commands, RunningSite, catch_panic};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;
use tracing::Instrument;

/// Effect of a removal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// A site, whose copies are now in this directory, if there were any.
    Site(Option<PathBuf>),
    /// A prepared barn that had not paired.
    Prepared,
}

/// All sites of the running process.
pub struct Sites {
    files: SiteFiles,
    settings: FollowSettings,
    clock: Arc<dyn Clock>,
    backups: BackupStates,
    running: RwLock<BTreeMap<SiteName, RunningSite>>,
    pub(super) catalogs: Arc<Catalogs>,
    /// Searches for prepared barns.
    searches: RwLock<BTreeMap<SiteName, Search>>,
    /// Set by [`Sites::start_searches`].
    identity: OnceLock<OfficeIdentity>,
    /// Held while the list of sites changes: one command at a time. Of a site, only its end is waited for meanwhile.
    changing: Mutex<()>,
    failures: mpsc::Sender<FollowerError>,
}

impl std::fmt::Debug for Sites {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sites").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Sites {
    /// Starts to follow all paired sites. The receiver yields the first failure of a site; the process must then end.
    pub async fn start(
        files: SiteFiles,
        settings: FollowSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<(Arc<Self>, mpsc::Receiver<FollowerError>), SiteCommandError> {
        let (failures, first_failure) = mpsc::channel(1);
        let (running, changing) = (RwLock::default(), Mutex::default());
        let (searches, identity, catalogs) = (RwLock::default(), OnceLock::new(), Arc::default());
        let backups = BackupStates::new(clock.clone());
        let sites = Arc::new(Self {
            files,
            settings,
            clock,
            backups,
            running,
            catalogs,
            searches,
            identity,
            changing,
            failures,
        });
        for site in sites.blocking(SiteFiles::list).await? {
            sites.start_site(site).await?;
        }
        Ok((sites, first_failure))
    }

    /// Pairs with a barn and starts to follow it, or continues with its changed pairing.
    pub async fn add(&self, line: Pairing, options: AddOptions) -> Result<PairingReceipt, SiteCommandError> {
        let _one_at_a_time = self.changing.lock().await;
        let now_us = self.now_us();
        let receipt = self.blocking(move |files| files.add(&line, &options, now_us)).await?;
        self.follow(&receipt).await?;
        Ok(receipt)
    }

    /// Starts to look for the prepared barns. The office introduces itself to them as `identity`.
    pub async fn start_searches(self: &Arc<Self>, identity: OfficeIdentity) -> Result<(), SiteCommandError> {
        let _one_at_a_time = self.changing.lock().await;
        let identity = self.identity.get_or_init(|| identity).clone();
        self.search_new(&identity).await
    }

    /// Remembers a barn whose card is being prepared, and starts to look for it.
    pub async fn prepare(
        self: &Arc<Self>,
        name: SiteName,
        code: PairingCode,
        addresses: Vec<Address>,
    ) -> Result<(), SiteCommandError> {
        let _one_at_a_time = self.changing.lock().await;
        let now_us = self.now_us();
        let prepared = self.blocking(move |files| files.prepare(name, &code, addresses, now_us)).await?;
        // The code of an earlier preparation is void.
        self.end_search(&prepared.name);
        match self.identity.get() {
            Some(identity) => self.search_new(identity).await,
            None => Ok(()),
        }
    }

    /// Starts a search for each prepared barn that has none. The caller holds the lock for changes.
    async fn search_new(self: &Arc<Self>, identity: &OfficeIdentity) -> Result<(), SiteCommandError> {
        let office = identity.fingerprint;
        for prepared in self.blocking(move |files| files.prepared_to_search(office)).await? {
            let mut searches = self.searches.write().unwrap_or_else(PoisonError::into_inner);
            searches
                .entry(prepared.name.clone())
                .or_insert_with(|| Search::start(prepared, identity.clone(), self.clock.clone(), self.clone()));
        }
        Ok(())
    }

    fn end_search(&self, name: &SiteName) {
        self.searches.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Returns the prepared barns that have not paired, in order.
    pub fn prepared(&self) -> Vec<PreparedSummary> {
        self.searches.read().unwrap_or_else(PoisonError::into_inner).values().map(Search::summary).collect()
    }

    /// Returns the searches in words, for the status line.
    pub(super) fn search_words(&self) -> Vec<String> {
        self.searches.read().unwrap_or_else(PoisonError::into_inner).values().map(Search::words).collect()
    }

    fn now_us(&self) -> i64 {
        self.clock.read().received_at_us
    }

    /// Starts to follow a site, or continues with its changed pairing.
    async fn follow(&self, receipt: &PairingReceipt) -> Result<(), SiteCommandError> {
        let site = receipt.site.clone();
        match &receipt.outcome {
            PairingOutcome::New => self.start_site(site).await?,
            // Sent for an unchanged line too: adding it again is an operator's way to retry a stopped site.
            PairingOutcome::Known { .. } => {
                self.commands(&receipt.site.name)?.send(SiteCommand::Pair(Box::new(site)))?;
            }
        }
        Ok(())
    }

    /// Forgets a prepared barn; if there is none, stops following a site and moves its copies aside.
    pub async fn remove(&self, name: String) -> Result<Removal, SiteCommandError> {
        let _one_at_a_time = self.changing.lock().await;
        let wanted = name.clone();
        if self.blocking(move |files| files.forget_prepared(&wanted)).await? {
            if let Ok(name) = name.parse() {
                self.end_search(&name);
            }
            return Ok(Removal::Prepared);
        }
        let wanted = name.clone();
        let site = self.blocking(move |files| files.find(&wanted)).await?;
        self.end_site(&site.name).await?;
        self.catalogs.forget(site.name.as_str());
        let now_us = self.now_us();
        self.blocking(move |files| files.remove(&name, now_us)).await.map(Removal::Site)
    }

    /// Ends the task of a site. If it does not end in time, the site stays, so that the removal can be repeated.
    async fn end_site(&self, name: &SiteName) -> Result<(), SiteCommandError> {
        let running = self.running.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        let Some(mut running) = running else { return Ok(()) };
        if running.shut_down_in_time().await {
            return Ok(());
        }
        self.running.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), running);
        Err(SiteCommandError::StillEnding(name.clone()))
    }

    /// Starts a new copy of a site beside the served one.
    pub async fn resync(&self, name: String) -> Result<CopyNumber, SiteCommandError> {
        self.command_copy(name, SiteCommand::Copy).await
    }

    /// Discards the copy that a [`resync`](Self::resync) has started.
    pub async fn cancel_resync(&self, name: String) -> Result<CopyNumber, SiteCommandError> {
        self.command_copy(name, SiteCommand::Cancel).await
    }

    async fn command_copy(
        &self,
        name: String,
        command: fn(CopyReply) -> SiteCommand,
    ) -> Result<CopyNumber, SiteCommandError> {
        let site = self.blocking(move |files| files.find(&name)).await?;
        self.commands(&site.name)?.send_about_copy(command).await
    }

    /// Returns the served copy of a site, or the reason why there is none.
    pub fn reader(&self, name: &str) -> Result<Reader, NotServedError> {
        self.view(name).ok_or(NotServedError::NoCopy)?.state().served()
    }

    /// Returns the copies that are served now, with the names of their sites.
    pub fn readable(&self) -> Vec<(String, Reader)> {
        let names = self.names().into_iter();
        names.filter_map(|name| self.reader(&name).ok().map(|reader| (name, reader))).collect()
    }

    /// Returns the state of the nightly backups.
    pub fn backups(&self) -> &BackupStates {
        &self.backups
    }

    /// Returns a site's sync interface for mirrors that follow this one, with paths below `/api/sync/`.
    pub fn sync_router(&self, name: &str) -> Option<Router> {
        self.with_site(name, |running| running.sync.clone())
    }

    /// Returns a site's read interface, with paths below `/api/remote/` and `/api/lora/`, and its `/api/events`.
    pub fn remote_router(&self, name: &str) -> Option<Router> {
        self.with_site(name, |running| running.remote.clone())
    }

    /// Returns a site as it is paired now.
    pub async fn find(&self, name: &str) -> Result<Site, SiteCommandError> {
        let name = name.to_owned();
        self.blocking(move |files| files.find(&name)).await
    }

    /// Creates a link to the barn of a site as it is paired now. Nothing is sent yet.
    pub async fn link(&self, name: &str) -> Result<HttpsLink, SiteCommandError> {
        let name = name.to_owned();
        self.blocking(move |files| Ok(files.find(&name)?.link().map_err(SitesError::from)?)).await
    }

    /// Returns the copies of a site, for giving back what only they hold.
    pub async fn held_copies(&self, name: &str) -> Result<HeldCopies, SiteCommandError> {
        let wanted = name.to_owned();
        let copies = self.blocking(move |files| files.copies(&files.find(&wanted)?.name)).await?;
        Ok(HeldCopies { copies, shown: self.view(name).and_then(|view| view.state().shown) })
    }

    /// Publishes what a step of giving back has shown: a copy that cannot be read, or that all others were given back.
    pub fn note_given_back(&self, name: &str, step: &GiveBackProgress) {
        let Some(view) = self.view(name) else { return };
        view.change(|state| {
            let new = step.unreadable.iter().map(|unreadable| unreadable.copy);
            let new: Vec<_> = new.filter(|copy| !state.uncompared.contains(copy)).collect();
            state.uncompared.extend(new);
            if step.next.is_none() {
                state.only_here = state.uncompared.is_empty().then_some(0);
            }
        });
    }

    /// Returns the name of the only site, which a path without a site's prefix refers to.
    pub(crate) fn only_name(&self) -> Result<String, ApiError> {
        match self.names().as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(ApiError::not_found("no barn is paired with this office yet")),
            several => {
                let paths = several.iter().map(|name| format!("/sites/{name}")).collect::<Vec<_>>().join(", ");
                Err(ApiError::not_found(format!("name the site, one of {paths}")))
            }
        }
    }

    /// Returns the names of the sites, in order.
    pub fn names(&self) -> Vec<String> {
        self.running.read().unwrap_or_else(PoisonError::into_inner).keys().map(ToString::to_string).collect()
    }

    /// Returns the name of the site that was paired first; of two at the same time, the first one in order.
    pub(super) fn first_name(&self) -> Option<String> {
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        running.iter().min_by_key(|(_, site)| site.paired_at_us).map(|(name, _)| name.to_string())
    }

    /// Shuts all sites down at the same time.
    pub async fn shut_down(&self) {
        self.searches.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.catalogs.forget_all();
        let running = std::mem::take(&mut *self.running.write().unwrap_or_else(PoisonError::into_inner));
        futures::future::join_all(running.into_values().map(RunningSite::shut_down)).await;
    }

    /// Returns the details of a site. Reads the disk.
    pub(super) fn details(&self, name: &str) -> Option<SiteDetails> {
        let site = self.files.find(name).inspect_err(|error| tracing::warn!(%error, "the pairing cannot be shown"));
        Some(SiteDetails::new(&site.ok()?, &self.files))
    }

    /// Returns the signal by which a site ends.
    pub(super) fn shutdown(&self, name: &str) -> Option<Shutdown> {
        self.with_site(name, |running| running.shutdown.signal())
    }

    pub(super) fn view(&self, name: &str) -> Option<Arc<SiteView>> {
        self.with_site(name, |running| running.view.clone())
    }

    pub(super) fn sync_interval(&self) -> Duration {
        self.settings.sync_interval
    }

    /// Probes the writers of all copies, and names those that do not respond in time.
    pub async fn find_silent_writers(&self, within: Duration) -> Vec<String> {
        let views: Vec<_> = {
            let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
            running.values().map(|site| site.view.clone()).collect()
        };
        futures::future::join_all(views.iter().map(|view| view.stalled_part(within)))
            .await
            .into_iter()
            .flatten()
            .collect()
    }

    fn with_site<T>(&self, name: &str, read: impl FnOnce(&RunningSite) -> T) -> Option<T> {
        let name: SiteName = name.parse().ok()?;
        self.running.read().unwrap_or_else(PoisonError::into_inner).get(&name).map(read)
    }

    async fn start_site(&self, site: Site) -> Result<(), SiteCommandError> {
        let name = site.name.clone();
        let (copies, has_complete) = self
            .blocking(move |files| {
                let copies = files.copies(&name)?;
                // A link that cannot be read names a copy nevertheless; opening it reports what is wrong.
                let has_complete = !matches!(copies.current(), Ok(None));
                Ok((copies, has_complete))
            })
            .await?;
        let (status, published) = watch::channel(FollowStatus::default());
        let view = Arc::new(SiteView::new(site.name.clone(), published).with_backups(&self.backups));
        view.change(|state| state.has_complete = has_complete);
        let (commands, queue) = Commands::new(site.name.clone());
        let trigger = ShutdownTrigger::default();
        let shutdown = trigger.signal();
        let (name, paired_at_us) = (site.name.clone(), site.added_at_us);
        let follower = SiteFollower {
            site,
            copies,
            settings: self.settings,
            clock: self.clock.clone(),
            view: view.clone(),
            status,
            commands: queue,
            shutdown: shutdown.clone(),
            retry: Retry::default(),
            own_steps: OwnSteps::default(),
        };
        let task = self.spawn(&name, follower);
        let sync = with_fallbacks(serve::router(view.clone(), shutdown.clone()));
        let api = Arc::new(SiteApi::new(view.clone(), self.sync_interval()));
        let events = service::events::router(view.clone(), shutdown);
        let remote = with_fallbacks(remote::router(api, self.clock.clone()).merge(events));
        let running = RunningSite { paired_at_us, view, sync, remote, commands, shutdown: trigger, task };
        self.running.write().unwrap_or_else(PoisonError::into_inner).insert(name, running);
        Ok(())
    }

    fn spawn(&self, name: &SiteName, follower: SiteFollower) -> JoinHandle<()> {
        let failures = self.failures.clone();
        // Every log line of the task carries the name of the site.
        let span = tracing::info_span!("site", site = %name);
        let follower = Box::pin(catch_panic(name.clone(), follower.run()).instrument(span));
        tokio::spawn(async move {
            if let Err(failure) = follower.await {
                // The channel holds one failure; an earlier one ends the process already.
                drop(failures.try_send(failure));
            }
        })
    }

    fn commands(&self, name: &SiteName) -> Result<Commands, SiteCommandError> {
        let commands = self.with_site(name.as_str(), |running| running.commands.clone());
        commands.ok_or_else(|| SiteCommandError::ShuttingDown(name.to_string()))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SiteFiles) -> Result<T, SiteFilesError> + Send + 'static,
    ) -> Result<T, SiteCommandError> {
        let files = self.files.clone();
        Ok(tokio::task::spawn_blocking(move || work(&files)).await??)
    }
}

impl PairingTarget for Sites {
    async fn complete(&self, prepared: PreparedSite, pairing: Pairing) -> Result<(), String> {
        let _one_at_a_time = self.changing.lock().await;
        let (name, now_us) = (prepared.name.clone(), self.now_us());
        let completed = self.blocking(move |files| files.complete(&prepared, &pairing, now_us)).await;
        let Some(receipt) = completed.map_err(|error| error.to_string())? else { return Ok(()) };
        self.end_search(&name);
        tracing::info!(site = %receipt.site.name, prepared = %name, "the prepared barn has paired by its one-time code");
        self.follow(&receipt).await.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
