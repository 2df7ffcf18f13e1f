//! Opening what a barn holds: the same for `run` and for commands that work while it does not.

use crate::boot::{BootError, boot_number};
use crate::pair::Barn;
use crate::settings::Settings;
use herd::clock::{Clock, SystemClock};
use herd::position::StoreId;
use herd::randomness::{Randomness as _, RandomnessError, SystemRandomness};
use herd::store::{Directory, LocalError, LocalFile, OpenProgress, Store, StoreError};
use service::door::certificate::{Identity, SanEntry};
use service::door::keys::{KeyError, KeyRing};
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
    /// The keys in it cannot be read.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The boot could not be numbered.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// A new store has no identity.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
    /// The log or the tables failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpenError {
    /// Whether whoever waited for the opening broke it off.
    pub fn is_broken_off(&self) -> bool {
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
            OpenError::Keys(_) | OpenError::Randomness(_) => Self::Failure,
        }
    }
}

/// All that a barn holds.
#[derive(Debug)]
pub struct Opened {
    /// What is never replicated.
    pub local: LocalFile,
    /// Who may come in.
    pub keys: Arc<KeyRing>,
    /// What the barn shows to clients.
    pub identity: Identity,
    /// The history.
    pub store: Store,
}

/// Opens the keys, which need nothing else.
pub fn open_keys(settings: &Settings) -> Result<(LocalFile, KeyRing), OpenError> {
    let directory = StateDir::new(&settings.state_dir);
    directory.create()?;
    let local = directory.open_local()?;
    let keys = KeyRing::load(local.clone(), Arc::new(SystemClock::default()), SystemRandomness)?;
    Ok((local, keys))
}

impl Opened {
    /// Opens everything, and makes what is missing: a first start needs nothing but the settings.
    pub fn open(settings: &Settings, clock: &dyn Clock) -> Result<Self, OpenError> {
        Self::open_aloud(settings, clock, |_| ControlFlow::Continue(()))
    }

    /// The same, for whoever waits for it and may break it off: a large store takes its time.
    pub fn open_aloud(
        settings: &Settings,
        clock: &dyn Clock,
        told: impl Fn(&OpenProgress<'_>) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Result<Self, OpenError> {
        let (local, keys) = open_keys(settings)?;
        let identity = open_identity(settings)?;
        let disk = Directory::new(&settings.state_dir)?.with_progress(told);
        let store = open_store_in(&disk, settings, &local, clock)?;
        Ok(Self { local, keys: Arc::new(keys), identity, store })
    }

    /// What a pairing line tells of it.
    pub fn barn(&self, settings: &Settings) -> Barn {
        Barn {
            site: settings.site.clone(),
            listen: settings.listen,
            spki_sha256: self.identity.spki_sha256(),
            store: self.store.head().position.store,
        }
    }
}

fn open_identity(settings: &Settings) -> Result<Identity, StateDirError> {
    // Offices pin the key. The names are for clients that check them; addresses that cannot be listed are left out.
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let names: Vec<_> = interfaces.iter().map(|interface| SanEntry::Ip(interface.ip())).collect();
    StateDir::new(&settings.state_dir).identity(&settings.tls, &names)
}

/// Opens the history alone, for whoever asks the files and is no client.
pub fn open_store(settings: &Settings, clock: &dyn Clock) -> Result<Store, OpenError> {
    let local = StateDir::new(&settings.state_dir).open_local()?;
    open_store_in(&Directory::new(&settings.state_dir)?, settings, &local, clock)
}

fn open_store_in(
    disk: &Directory,
    settings: &Settings,
    local: &LocalFile,
    clock: &dyn Clock,
) -> Result<Store, OpenError> {
    let boot = boot_number(local, disk, clock)?;
    let mut ids = [draw_id()?, draw_id()?].into_iter();
    let new_id = || ids.next().expect("a store asks for two identities at most: its writer's and, if new, its own");
    Ok(Store::open_source(disk, settings.rules(), clock.read().in_boot(boot), new_id)?)
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

    /// Catches a stop that is told as a failure, which a supervisor would answer with another start.
    #[test]
    fn an_opening_that_is_broken_off_is_no_failure_and_the_store_can_be_asked_without_a_certificate() {
        let place = tempfile::tempdir().unwrap();
        let settings = Settings { state_dir: place.path().into(), ..Settings::default() };
        let clock = SystemClock::default();
        drop(Opened::open(&settings, &clock).unwrap());
        std::fs::remove_file(place.path().join(TABLES_FILE)).unwrap();
        let broken_off = Opened::open_aloud(&settings, &clock, |_| ControlFlow::Break(())).unwrap_err();
        assert!(broken_off.is_broken_off(), "{broken_off}");
        std::fs::remove_dir_all(place.path().join(TLS_DIRECTORY)).unwrap();
        let store = open_store(&settings, &clock).unwrap();
        assert_eq!(store.head().folded, store.head().position.sequence);
        assert!(!place.path().join(TLS_DIRECTORY).exists());
    }
}
