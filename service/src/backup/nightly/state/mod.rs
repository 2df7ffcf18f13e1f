//! State of the nightly backups, for status, health and metrics.

#[cfg(test)]
mod tests;

use super::error::NightlyError;
use super::schedule::{Schedule, VerifyTime};
use herd::clock::{Clock, RawReading, SystemClock, iso_utc_if_set};
use herd::position::{Sequence, StoreId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Age of the last verified backup from which health has a note.
pub(super) const MAX_AGE: Duration = Duration::from_secs(2 * 24 * 3600);
/// Time until the first retry after a failure. It doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(60);
/// Number of doublings after which the time is above [`MAX_RETRY`].
const MAX_DOUBLINGS: u32 = 6;
/// Maximum time until a retry.
const MAX_RETRY: Duration = Duration::from_secs(3600);
/// Time until a directory that does not exist is looked for again. That costs nothing, and a person is waiting.
const MISSING_RETRY: Duration = Duration::from_secs(4);

/// A backup that was read to its end and proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VerifiedFile {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// Its last change.
    pub(super) change: Sequence,
    pub(super) time: VerifyTime,
}

/// State of the backups of one store.
#[derive(Debug)]
struct StoreState {
    store: StoreId,
    directory: PathBuf,
    warning: Option<String>,
    started_ms: u64,
    is_running: bool,
    last: Option<VerifiedFile>,
    failure: Option<LastFailure>,
    /// Failures since the last verified backup.
    failures_in_a_row: u32,
    /// Time since the boot before which nothing is tried. It has passed, unless the last attempt failed.
    retry_at_ms: u64,
    verified: u64,
    failed: u64,
}

#[derive(Debug)]
struct LastFailure {
    at: RawReading,
    text: String,
}

/// State of the nightly backups as status and API show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupReport {
    /// Directory of the backups.
    pub directory: PathBuf,
    /// The last verified backup; `None` if there is none, or the directory was not read yet.
    pub last: Option<VerifiedBackup>,
    /// True if there is no verified backup of the last two days.
    pub overdue: bool,
    /// True while a backup is being made.
    pub running: bool,
    /// True if the last attempt failed.
    pub failing: bool,
    /// The last failure since the start of the process.
    pub failure: Option<BackupFailure>,
    /// Backups that were verified since the start of the process.
    pub verified: u64,
    /// Attempts that failed since the start of the process.
    pub failed: u64,
    /// Reason why the place is a bad one.
    pub warning: Option<String>,
}

/// The last verified backup of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedBackup {
    /// The file.
    pub file: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its last change.
    pub change: Sequence,
    /// Seconds since it was verified; `None` if the clock cannot tell.
    pub age_s: Option<u64>,
}

/// A backup that was not made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFailure {
    /// Time of the failure, ISO 8601 in UTC; `None` if the clock was not set.
    pub at: Option<String>,
    /// Seconds since then.
    pub age_s: u64,
    /// Reason and remedy, as a sentence.
    pub text: String,
}

impl StoreState {
    fn new(store: StoreId, directory: &Path, started_ms: u64) -> Self {
        Self {
            store,
            directory: directory.to_owned(),
            warning: None,
            started_ms,
            is_running: false,
            last: None,
            failure: None,
            failures_in_a_row: 0,
            retry_at_ms: 0,
            verified: 0,
            failed: 0,
        }
    }

    /// Returns the age of the last verified backup. Without one, or if its age is unknown, it is at least the time since the
    /// start.
    fn is_overdue(&self, now: RawReading) -> bool {
        let up = Duration::from_millis(now.since_boot_ms.saturating_sub(self.started_ms));
        let age = self.last.as_ref().and_then(|last| last.time.age(now)).unwrap_or(up);
        age >= MAX_AGE
    }

    fn report(&self, now: RawReading) -> BackupReport {
        let seconds = |ms: u64| now.since_boot_ms.saturating_sub(ms) / 1_000;
        BackupReport {
            directory: self.directory.clone(),
            last: self.last.as_ref().map(|last| VerifiedBackup {
                file: last.path.clone(),
                bytes: last.bytes,
                change: last.change,
                age_s: last.time.age(now).map(|age| age.as_secs()),
            }),
            overdue: self.is_overdue(now),
            running: self.is_running,
            failing: self.failures_in_a_row > 0,
            failure: self.failure.as_ref().map(|failure| BackupFailure {
                at: iso_utc_if_set(failure.at.received_at_us),
                age_s: seconds(failure.at.since_boot_ms),
                text: failure.text.clone(),
            }),
            verified: self.verified,
            failed: self.failed,
            warning: self.warning.clone(),
        }
    }
}

impl BackupReport {
    /// Returns a clause about the last verified backup.
    pub fn last_text(&self) -> String {
        match &self.last {
            Some(VerifiedBackup { file, age_s: Some(age_s), .. }) => {
                format!("the last verified backup, {}, is {} old", file.display(), age_text(*age_s))
            }
            Some(VerifiedBackup { file, age_s: None, .. }) => {
                format!("the age of the last backup, {}, is unknown", file.display())
            }
            None => format!("there is no backup in {} yet", self.directory.display()),
        }
    }

    /// Returns a sentence about what needs a look; `None` if nothing does.
    pub fn note(&self) -> Option<String> {
        let last = self.last_text();
        let failure = self.failure.as_ref().filter(|_| self.failing).map(|failure| failure.text.as_str());
        match failure {
            Some(why) => Some(format!("{last}, and the next one failed: {why}")),
            None if self.overdue => Some(format!("{last}; look at the medium and at the log of the service")),
            None => None,
        }
    }
}

fn age_text(age_s: u64) -> String {
    const HOUR_S: u64 = 3_600;
    match age_s / HOUR_S {
        0 => format!("{} minutes", age_s / 60),
        hours if hours < 48 => format!("{hours} hours"),
        hours => format!("{} days", hours / 24),
    }
}

/// State of the nightly backups of a process, by the name of the site. Clones share it.
#[derive(Clone)]
pub struct BackupStates {
    clock: Arc<dyn Clock>,
    stores: Arc<Mutex<BTreeMap<String, StoreState>>>,
}

impl fmt::Debug for BackupStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackupStates").field("stores", &self.lock()).finish_non_exhaustive()
    }
}

impl Default for BackupStates {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock::default()))
    }
}

impl BackupStates {
    /// Creates the state of a process that makes no backups until [`NightlyBackups`](super::NightlyBackups) runs.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, stores: Arc::default() }
    }

    /// Returns the gauge of one site.
    pub fn of_site(&self, site: impl Into<String>) -> BackupGauge {
        BackupGauge(Some((self.clone(), site.into())))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, StoreState>> {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> RawReading {
        self.clock.read()
    }

    /// Enters a store, unless it is known. A site whose history is another one begins anew. Sites that are not among `all`
    /// are forgotten.
    pub(super) fn enter(&self, all: &[(String, StoreId)], directory: &Path, started_ms: u64) {
        let mut stores = self.lock();
        stores.retain(|site, state| all.iter().any(|(name, store)| name == site && *store == state.store));
        for (site, store) in all {
            let new = || StoreState::new(*store, directory, started_ms);
            stores.entry(site.clone()).or_insert_with(new);
        }
    }

    /// Returns the time until a backup of the site is due, or may be tried again.
    pub(super) fn wait(&self, site: &str, schedule: &Schedule) -> Duration {
        let now = self.now();
        let stores = self.lock();
        let Some(state) = stores.get(site) else { return MAX_RETRY };
        let last = state.last.as_ref().map(|last| last.time);
        let retry = Duration::from_millis(state.retry_at_ms.saturating_sub(now.since_boot_ms));
        schedule.wait(now, state.started_ms, last).max(retry)
    }

    /// Returns true if a backup of the site is due when its last one was verified at `found`. It is after a failure: that may
    /// have come after the rename.
    pub(super) fn is_due(&self, site: &str, schedule: &Schedule, found: Option<VerifyTime>) -> bool {
        let now = self.now();
        let stores = self.lock();
        stores.get(site).is_none_or(|state| {
            if state.failures_in_a_row > 0 {
                return true;
            }
            // What this process verified is newer than any time in a directory, if the file is there.
            let last = found.map(|found| state.last.as_ref().map_or(found, |last| last.time));
            schedule.wait(now, state.started_ms, last).is_zero()
        })
    }

    /// Sets the reason why the place is a bad one. Returns true if that is new.
    pub(super) fn warn(&self, site: &str, warning: Option<&str>) -> bool {
        let mut is_new = false;
        self.change(site, |state| {
            is_new = warning.is_some() && state.warning.as_deref() != warning;
            state.warning = warning.map(str::to_owned);
        });
        is_new
    }

    pub(super) fn begin(&self, site: &str) {
        self.change(site, |state| state.is_running = true);
    }

    /// Ends an attempt that was not due after all, with the newest file of the directory.
    pub(super) fn end_undue(&self, site: &str, found: VerifiedFile) {
        self.change(site, |state| {
            (state.is_running, state.failures_in_a_row) = (false, 0);
            state.last.get_or_insert(found);
        });
    }

    pub(super) fn end_verified(&self, site: &str, file: VerifiedFile) {
        self.change(site, |state| {
            (state.is_running, state.failures_in_a_row) = (false, 0);
            state.verified += 1;
            state.last = Some(file);
        });
    }

    /// Ends an attempt that the shutdown interrupted.
    pub(super) fn end_interrupted(&self, site: &str) {
        self.change(site, |state| state.is_running = false);
    }

    /// Ends an attempt that failed. `found` is the newest file of the directory, if it could be read. Returns true if the
    /// reason is another one than before.
    pub(super) fn end_failed(&self, site: &str, error: &NightlyError, found: Option<VerifiedFile>) -> bool {
        let (at, text, mut is_new) = (self.now(), error.to_string(), true);
        self.change(site, |state| {
            is_new = state.failures_in_a_row == 0 || state.failure.as_ref().is_none_or(|last| last.text != text);
            let is_missing = matches!(error, NightlyError::Missing(_));
            let doubled = FIRST_RETRY.saturating_mul(1 << state.failures_in_a_row.min(MAX_DOUBLINGS));
            let retry = if is_missing { MISSING_RETRY } else { doubled.min(MAX_RETRY) };
            state.retry_at_ms = at.since_boot_ms.saturating_add(u64::try_from(retry.as_millis()).unwrap_or(u64::MAX));
            (state.is_running, state.failures_in_a_row) = (false, state.failures_in_a_row.saturating_add(1));
            // A stick that is away for a day is one failure, not one for each look.
            state.failed += u64::from(is_new || !is_missing);
            state.failure = Some(LastFailure { at, text: text.clone() });
            state.last = state.last.take().or(found);
        });
        is_new
    }

    fn change(&self, site: &str, change: impl FnOnce(&mut StoreState)) {
        if let Some(state) = self.lock().get_mut(site) {
            change(state);
        }
    }
}

/// Reads the state of the backups of one site. The default is that of a process which makes none.
#[derive(Clone, Debug, Default)]
pub struct BackupGauge(Option<(BackupStates, String)>);

impl BackupGauge {
    /// Returns the state; `None` if no directory is set.
    pub fn report(&self) -> Option<BackupReport> {
        let (states, site) = self.0.as_ref()?;
        let now = states.now();
        states.lock().get(site).map(|state| state.report(now))
    }
}
