//! Opening the files of a barn, for `run` and for commands while the daemon is not running.
//!
//! # Decisions
//!
//! - **Commands on the files need no certificate, except for `pair`.** As a credential of the service it exists only while
//!   the service runs, and commands read the files when it does not.
//! - **A shutdown interrupts the opening after the current step.** Folding a large log takes longer than the 10 s after
//!   which systemd kills the process. Each step is a commit, so the next start continues from it.
//! - **A `local.redb` that is damaged or cannot be opened closes the doors, not the ears.** Without it no key is known, so
//!   nobody is let in, not even from this machine. What the radios hear is recorded. To end would lose it, and a new file would
//!   forget every revocation. `closed_doors` opens them again.
//! - **A certificate that cannot be used closes the doors as well.** A renewal may have failed half-way, and nobody finds that
//!   until the next power cut. A pair in memory takes its place, which offices and programs refuse, until the files are right.
//! - **A log that lacks what `local.redb` remembers ends the start,** before anything is written; see `log_position`.

use crate::boot::{BootError, boot_number};
use crate::log_position::{RecoverNote, RestoreNote, is_accepting, note_accepting, read_position, write_accepted};
use crate::settings::Settings;
use herd::change::Acceptance;
use herd::clock::{Clock, SystemClock};
use herd::position::{Position, StoreId};
use herd::randomness::{Randomness as _, RandomnessError, SystemRandomness};
use herd::store::{Directory, LOG_FILE, LocalError, LocalFile, OpenProgress, Store, StoreError, is_acceptable};
use service::door::certificate::Identity;
use service::door::keys::{KeyError, KeyRing};
use service::door::pair::PairingSource;
use service::lifecycle::Exit;
use service::process::{StateDir, StateDirError};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Reason why the barn could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The state directory or the certificate cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// `local.redb` failed.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The keys in `local.redb` cannot be read.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The boot could not be numbered.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// No random bytes for the identity of the store or its writer.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
    /// The log or the tables failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The acceptance of a log was interrupted.
    #[error("`herdlinxd accept-log` was interrupted: run it again, which completes it")]
    AcceptInterrupted,
    /// A recovery exchanges the files, and was interrupted.
    #[error("the recovery of the log was interrupted: run `herdlinxd recover` again, which completes it")]
    RecoverInterrupted,
    /// A restore exchanges the files, and was interrupted.
    #[error(
        "the restore of a backup that ends at change {} of history {} was interrupted: run `herdlinxd restore FILE` with \
         that file again, which completes it", .end.sequence, .end.store
    )]
    RestoreInterrupted {
        /// End of the backup.
        end: Box<Position>,
    },
}

impl OpenError {
    /// Returns true if the caller interrupted the opening.
    pub fn is_interrupted(&self) -> bool {
        matches!(
            self,
            Self::Store(StoreError::Canceled { .. }) | Self::Boot(BootError::Store(StoreError::Canceled { .. }))
        )
    }
}

impl From<&OpenError> for Exit {
    fn from(error: &OpenError) -> Self {
        match error {
            OpenError::StateDir(error) => Self::from(error),
            OpenError::Local(error)
            | OpenError::Keys(KeyError::Local(error))
            | OpenError::Boot(BootError::Local(error)) => Self::from(error),
            OpenError::Store(error) | OpenError::Boot(BootError::Store(error)) => Self::from(error),
            OpenError::RestoreInterrupted { .. } | OpenError::RecoverInterrupted | OpenError::AcceptInterrupted => {
                Self::Damaged
            }
            OpenError::Keys(_) | OpenError::Randomness(_) => Self::Failure,
        }
    }
}

/// The open files of a barn, without its history: they open at once, however long that is. `local.redb` is locked against
/// a second process.
#[derive(Debug)]
pub struct BarnFiles {
    /// The file that is never replicated.
    pub local: LocalFile,
    /// API keys.
    pub keys: Arc<KeyRing>,
    /// TLS certificate and key of the server.
    pub identity: Identity,
    /// `local.redb` could not be opened, for a reason that may pass.
    pub local_may_open_later: bool,
}

/// Opens the API keys alone.
pub fn open_keys(settings: &Settings) -> Result<(LocalFile, KeyRing), OpenError> {
    let directory = StateDir::new(&settings.state_dir);
    directory.create()?;
    let local = open_local(&directory)?;
    let keys = load_keys(&local)?;
    Ok((local, keys))
}

pub(crate) fn load_keys(local: &LocalFile) -> Result<KeyRing, KeyError> {
    KeyRing::load(local.clone(), Arc::new(SystemClock::default()), SystemRandomness)
}

/// Opens `local.redb`. An existing file without content beside a log has lost what was in it.
pub(crate) fn open_local(directory: &StateDir) -> Result<LocalFile, LocalError> {
    directory.open_local(&[LOG_FILE])
}

impl BarnFiles {
    /// Opens the files for a daemon. A `local.redb` that fails stays closed, and with it the doors: there is no key. So does a
    /// certificate that cannot be used. The barn records what its radios hear.
    pub fn open_to_run(settings: &Settings) -> Result<Self, OpenError> {
        let (local, keys, local_may_open_later) = match open_keys(settings) {
            Err(OpenError::Local(error) | OpenError::Keys(KeyError::Local(error))) if !is_locked(&error) => {
                tracing::error!(%error, "nobody is let in until local.redb is repaired; the radios are recorded");
                let local = LocalFile::closed(StateDir::new(&settings.state_dir).local_file(), &error.to_string());
                let keys = load_keys(&local)?;
                (local, keys, error.may_pass())
            }
            opened => {
                let (local, keys) = opened?;
                (local, keys, false)
            }
        };
        let identity = open_identity_to_run(settings)?;
        Ok(Self { local, keys: Arc::new(keys), identity, local_may_open_later })
    }

    /// Opens the files and creates those that are missing: a first start needs nothing but the settings.
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        let (local, keys) = open_keys(settings)?;
        let identity = open_identity(settings)?;
        Ok(Self { local, keys: Arc::new(keys), identity, local_may_open_later: false })
    }

    /// Opens the history or creates it, and reports each step to `on_progress`, which may interrupt the opening.
    pub fn open_store(
        &self,
        settings: &Settings,
        clock: &dyn Clock,
        on_progress: impl Fn(&OpenProgress<'_>) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Result<Store, OpenError> {
        let disk = Directory::new(&settings.state_dir)?.with_progress(on_progress);
        open_store_in(&disk, settings, &self.local, clock)
    }
}

/// Returns the facts for a pairing line. `store` is the identity of the history.
pub(crate) fn pairing_source(settings: &Settings, identity: &Identity, store: StoreId) -> PairingSource {
    let (site, spki_sha256) = (settings.site.clone(), identity.spki_sha256());
    PairingSource { site, listen: settings.listen, path: String::new(), spki_sha256, store }
}

fn is_locked(error: &LocalError) -> bool {
    matches!(error, LocalError::Locked { .. })
}

pub(crate) fn open_identity(settings: &Settings) -> Result<Identity, StateDirError> {
    StateDir::new(&settings.state_dir).identity(&settings.tls)
}

fn open_identity_to_run(settings: &Settings) -> Result<Identity, StateDirError> {
    match open_identity(settings) {
        Err(StateDirError::Certificate(error)) => {
            tracing::error!(%error, "nobody is let in until the certificate can be used; the radios are recorded");
            StateDir::new(&settings.state_dir).identity_in_place(&settings.tls, &error)
        }
        opened => opened,
    }
}

/// Returns true if another process has the files of the barn open, or may have. It also has the radios then.
pub fn are_files_in_use(settings: &Settings) -> bool {
    !matches!(StateDir::new(&settings.state_dir).user_of_files(), Ok(None))
}

/// Opens the store alone, for commands that read the files.
pub fn open_store(settings: &Settings, clock: &dyn Clock) -> Result<Store, OpenError> {
    let local = open_local(&StateDir::new(&settings.state_dir))?;
    open_store_in(&Directory::new(&settings.state_dir)?, settings, &local, clock)
}

pub(crate) fn open_store_in(
    disk: &Directory,
    settings: &Settings,
    local: &LocalFile,
    clock: &dyn Clock,
) -> Result<Store, OpenError> {
    if let Some(RestoreNote { summary, .. }) = RestoreNote::read(local)? {
        return Err(OpenError::RestoreInterrupted { end: Box::new(summary.end) });
    }
    if RecoverNote::read(local)?.is_some() {
        return Err(OpenError::RecoverInterrupted);
    }
    if is_accepting(local)? {
        return Err(OpenError::AcceptInterrupted);
    }
    let boot = boot_number(local, disk, clock)?;
    let expected = read_position(local)?;
    let clock = clock.read().in_boot(boot);
    Ok(Store::open_source_after(disk, expected.as_ref(), settings.rules(), clock, new_ids()?)?)
}

/// Returns the identities that a store needs: that of its writer and, if it is new, its own.
pub(crate) fn new_ids() -> Result<impl FnMut() -> StoreId, RandomnessError> {
    let mut ids = [draw_id()?, draw_id()?].into_iter();
    Ok(move || ids.next().expect("a store needs at most two identities"))
}

/// Accepts a log that lacks changes: begins the next epoch on what is there. Returns its position then, or `None` if the log
/// lacks nothing.
pub fn accept_log(
    settings: &Settings,
    acceptance: &Acceptance,
    clock: &dyn Clock,
) -> Result<Option<Position>, OpenError> {
    let local = open_local(&StateDir::new(&settings.state_dir))?;
    let disk = Directory::new(&settings.state_dir)?;
    match open_store_in(&disk, settings, &local, clock) {
        Err(OpenError::Store(error)) if is_acceptable(&error) => note_accepting(&local, acceptance)?,
        Err(OpenError::AcceptInterrupted) => {}
        Err(error) => return Err(error),
        Ok(_) => return Ok(None),
    }
    let expected = read_position(&local)?;
    let clock = clock.read().in_boot(boot_number(&local, &disk, clock)?);
    let (rules, accepted) = (settings.rules(), acceptance.clone());
    let store = Store::accept_source(&disk, expected.as_ref(), accepted, &rules, clock, new_ids()?)?;
    let position = store.head().position;
    write_accepted(&local, expected, acceptance.clone(), &position)?;
    Ok(Some(position))
}

fn draw_id() -> Result<StoreId, RandomnessError> {
    let mut bytes = [0; 16];
    SystemRandomness.fill(&mut bytes)?;
    Ok(StoreId(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::store::TABLES_FILE;
    use service::process::TLS_DIRECTORY;

    /// Catches keys that vanished with a file that was made anew, and a first start that passes for it.
    #[test]
    fn a_file_of_keys_without_content_is_damage_only_beside_a_log() {
        let directory = tempfile::tempdir().unwrap();
        let place = StateDir::new(directory.path());
        let log = directory.path().join(LOG_FILE);
        drop(open_local(&place).unwrap());
        drop(open_local(&place).unwrap());
        std::fs::write(&log, "").unwrap();
        drop(open_local(&place).unwrap());
        std::fs::write(&log, "a log").unwrap();
        assert!(matches!(open_local(&place), Err(LocalError::Damaged { .. })), "it has no row");
        std::fs::remove_file(place.local_file()).unwrap();
        let local = open_local(&place).unwrap();
        local.put("keys", "gate", &1).unwrap();
        drop(local);
        drop(open_local(&place).unwrap());
        std::fs::write(place.local_file(), "").unwrap();
        assert!(matches!(open_local(&place), Err(LocalError::Damaged { .. })), "it has no byte");
    }

    /// Catches a barn that gives numbers of lost changes again in their epoch: the journal was set aside, and power failed before
    /// the next epoch began.
    #[test]
    fn an_interrupted_acceptance_is_completed_before_the_barn_starts() {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings { state_dir: directory.path().to_owned(), ..Settings::default() };
        let (clock, acceptance) =
            (SystemClock::default(), Acceptance { author: "Ana".to_owned(), reason: "old card".to_owned() });
        drop(open_store(&settings, &clock).unwrap());
        assert!(accept_log(&settings, &acceptance, &clock).unwrap().is_none(), "it lacks nothing");
        note_accepting(&open_local(&StateDir::new(directory.path())).unwrap(), &acceptance).unwrap();
        let refused = open_store(&settings, &clock).unwrap_err();
        assert!(matches!(refused, OpenError::AcceptInterrupted) && Exit::from(&refused) == Exit::Damaged, "{refused}");
        let accepted = accept_log(&settings, &acceptance, &clock).unwrap().unwrap();
        assert_eq!(open_store(&settings, &clock).unwrap().head().position, accepted);
        assert_eq!(accepted.epoch.0, 2);
    }

    /// Catches a barn that is deaf because its keys cannot be read, and a start beside another process that has the file open,
    /// and that closes the doors as if the keys were lost.
    #[test]
    fn a_file_of_keys_that_fails_closes_the_doors_of_a_barn_that_runs_and_one_in_use_ends_the_start() {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings { state_dir: directory.path().to_owned(), ..Settings::default() };
        let place = StateDir::new(directory.path());
        let other = open_local(&place).unwrap();
        let refused = BarnFiles::open_to_run(&settings).map(drop);
        assert!(matches!(refused, Err(OpenError::Local(LocalError::Locked { .. }))), "{refused:?}");
        drop(other);
        std::fs::write(place.local_file(), "no keys").unwrap();
        let files = BarnFiles::open_to_run(&settings).unwrap();
        assert!(files.local.damage().is_some() && !files.local_may_open_later, "{files:?}");
        std::fs::remove_file(place.local_file()).unwrap();
        std::fs::create_dir(place.local_file()).unwrap();
        let files = BarnFiles::open_to_run(&settings).unwrap();
        assert!(files.local.damage().is_some_and(|damage| damage.contains("cannot open")), "{files:?}");
        assert!(files.local_may_open_later, "{files:?}");
    }

    /// Catches a barn that is deaf because a renewal of its certificate failed half-way, and one that offers a pair to the end
    /// that nobody knows.
    #[tokio::test]
    async fn a_certificate_that_cannot_be_used_closes_the_doors_until_its_files_are_right() {
        let (directory, renewed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let settings = Settings { state_dir: directory.path().to_owned(), ..Settings::default() };
        let before = BarnFiles::open_to_run(&settings).unwrap().identity;
        assert_eq!(before.failure(), None);
        let other = Identity::load_or_generate(renewed.path(), &[]).unwrap();
        std::fs::copy(&other.files().certificate, &before.files().certificate).unwrap();
        let identity = BarnFiles::open_to_run(&settings).unwrap().identity;
        assert!(identity.failure().is_some_and(|why| why.contains("does not belong")), "{identity:?}");
        assert!(![before.spki_sha256(), other.spki_sha256()].contains(&identity.spki_sha256()));
        assert!(!identity.renew_if_due(&[], herd::clock::EARLIEST_US).unwrap(), "the files are not its own");
        std::fs::copy(&other.files().key, &before.files().key).unwrap();
        identity.reload().unwrap();
        assert_eq!((identity.failure(), identity.spki_sha256()), (None, other.spki_sha256()));
    }

    /// Catches a radio that is taken for free while a daemon starts, with whole files or with damaged keys, and one that never
    /// is.
    #[test]
    fn files_are_in_use_as_long_as_a_process_has_one_open() {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings { state_dir: directory.path().to_owned(), ..Settings::default() };
        assert!(!are_files_in_use(&settings), "there is none");
        let local = open_local(&StateDir::new(directory.path())).unwrap();
        assert!(are_files_in_use(&settings));
        drop(local);
        assert!(!are_files_in_use(&settings));
        let store = open_store(&settings, &SystemClock::default()).unwrap();
        assert!(are_files_in_use(&settings));
        drop(store);
        assert!(!are_files_in_use(&settings));
    }

    /// Catches a shutdown that is reported as a failure, which a supervisor would answer with a restart.
    #[test]
    fn an_interrupted_opening_is_not_a_failure_and_the_store_opens_without_a_certificate() {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings { state_dir: directory.path().into(), ..Settings::default() };
        let clock = SystemClock::default();
        drop(BarnFiles::open(&settings).unwrap());
        drop(open_store(&settings, &clock).unwrap());
        std::fs::remove_file(directory.path().join(TABLES_FILE)).unwrap();
        let files = BarnFiles::open(&settings).unwrap();
        let interrupted = files.open_store(&settings, &clock, |_| ControlFlow::Break(())).unwrap_err();
        assert!(interrupted.is_interrupted(), "{interrupted}");
        drop(files);
        std::fs::remove_dir_all(directory.path().join(TLS_DIRECTORY)).unwrap();
        let store = open_store(&settings, &clock).unwrap();
        assert_eq!(store.head().folded, store.head().position.sequence);
        assert!(!directory.path().join(TLS_DIRECTORY).exists());
    }
}
