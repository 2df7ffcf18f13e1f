//! The part of a process that makes the backups when they are due, one at a time.

use super::error::NightlyError;
use super::job::{Job, OnStep, Outcome};
use super::schedule::Schedule;
use super::settings::BackupSettings;
use super::state::{BackupStates, VerifiedFile};
use crate::lifecycle::Shutdown;
use crate::process::WorkerThread;
use herd::position::StoreId;
use herd::store::Reader;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Interval at which the clock is looked at. It may have been set meanwhile.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// Name of the thread.
const THREAD_NAME: &str = "herdlinx-backup";

/// Returns the stores of the process that can be read now, by the names of their sites.
type ReadableStores = dyn Fn() -> Vec<(String, Reader)> + Send + Sync;

/// The nightly backups of a process.
pub struct NightlyBackups {
    settings: BackupSettings,
    directory: PathBuf,
    state_dir: PathBuf,
    schedule: Schedule,
    states: BackupStates,
    stores: Box<ReadableStores>,
    started_ms: u64,
    /// Sizes at which files ran out of room, by site.
    tried_bytes: BTreeMap<String, u64>,
    on_step: OnStep,
}

impl fmt::Debug for NightlyBackups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NightlyBackups").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl NightlyBackups {
    /// Creates the part; `None` if the settings name no directory. `state_dir` is where the stores are.
    pub fn new(
        settings: &BackupSettings,
        state_dir: impl Into<PathBuf>,
        schedule: Schedule,
        states: BackupStates,
        stores: impl Fn() -> Vec<(String, Reader)> + Send + Sync + 'static,
    ) -> Option<Self> {
        let directory = settings.directory.clone()?;
        let started_ms = states.now().since_boot_ms;
        Some(Self {
            settings: settings.clone(),
            directory,
            state_dir: state_dir.into(),
            schedule,
            states,
            stores: Box::new(stores),
            started_ms,
            tried_bytes: BTreeMap::new(),
            on_step: Arc::new(|_| Ok(())),
        })
    }

    /// Replaces the observer of the steps.
    #[cfg(test)]
    pub(super) fn observed(self, on_step: OnStep) -> Self {
        Self { on_step, ..self }
    }

    /// Replaces the place of the stores.
    #[cfg(test)]
    pub(super) fn in_place(self, state_dir: &std::path::Path) -> Self {
        Self { state_dir: state_dir.to_owned(), ..self }
    }

    /// Makes backups until the shutdown. One that is under way then ends after its page; its thread is not waited for.
    pub async fn run(mut self, shutdown: Shutdown) {
        while !shutdown.is_requested() {
            self.make_due(&shutdown).await;
            tokio::select! {
                () = shutdown.requested() => return,
                () = tokio::time::sleep(CHECK_INTERVAL) => {}
            }
        }
    }

    /// Makes the backups that are due now, one after the other.
    pub(super) async fn make_due(&mut self, shutdown: &Shutdown) {
        let stores = (self.stores)();
        let all: Vec<(String, StoreId)> = stores.iter().map(|(site, reader)| (site.clone(), reader.store())).collect();
        self.states.enter(&all, &self.directory, self.started_ms);
        for (site, reader) in stores {
            if !shutdown.is_requested() && self.states.wait(&site, &self.schedule).is_zero() {
                self.attempt(site, reader, shutdown).await;
            }
        }
    }

    async fn attempt(&mut self, site: String, reader: Reader, shutdown: &Shutdown) {
        let job = Job {
            settings: self.settings.clone(),
            directory: self.directory.clone(),
            state_dir: self.state_dir.clone(),
            site: site.clone(),
            reader,
            schedule: self.schedule.clone(),
            states: self.states.clone(),
            tried_bytes: self.tried_bytes.get(&site).copied().unwrap_or(0),
            shutdown: shutdown.clone(),
            on_step: self.on_step.clone(),
        };
        self.states.begin(&site);
        let failed = |why: String| Outcome::Failed { error: NightlyError::Thread(why), found: None, tried_bytes: 0 };
        let outcome = match WorkerThread::spawn(THREAD_NAME, async move { job.run() }) {
            Err(error) => failed(error.to_string()),
            Ok(mut thread) => tokio::select! {
                // A thread that hangs in a system call must not hold the process.
                () = shutdown.requested() => Outcome::Interrupted,
                outcome = thread.join() => outcome.unwrap_or_else(|| failed("it panicked".to_owned())),
            },
        };
        self.record(&site, outcome);
    }

    fn record(&mut self, site: &str, outcome: Outcome) {
        match outcome {
            Outcome::Undue(found) => self.states.end_undue(site, found),
            Outcome::Interrupted => self.states.end_interrupted(site),
            Outcome::Verified(file) => {
                let VerifiedFile { path, bytes, change, .. } = &file;
                tracing::info!(site, file = %path.display(), bytes, %change, "the nightly backup is verified");
                self.tried_bytes.remove(site);
                self.states.end_verified(site, file);
            }
            Outcome::Failed { error, found, tried_bytes } => {
                self.tried_bytes.insert(site.to_owned(), tried_bytes);
                if self.states.end_failed(site, &error, found) {
                    tracing::warn!(site, %error, "there is no new backup; it is tried again");
                } else {
                    tracing::debug!(site, %error, "there is still no new backup");
                }
            }
        }
    }
}
