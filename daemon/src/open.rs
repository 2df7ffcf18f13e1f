//! Opening what a barn holds: the same for `run` and for commands that work while it does not.

use crate::boot::{BootError, boot_number};
use crate::pair::Barn;
use crate::settings::Settings;
use herd::clock::{Clock, SystemClock};
use herd::position::StoreId;
use herd::randomness::{Randomness as _, RandomnessError, SystemRandomness};
use herd::store::{Directory, LocalError, LocalFile, Opening, Store, StoreError};
use service::door::certificate::{CertificateError, Identity, IdentityFiles, SanEntry};
use service::door::keys::{KeyError, KeyRing};
use std::fs::DirBuilder;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is never replicated.
pub const LOCAL_FILE: &str = "local.redb";
/// Where the certificate is that the daemon made for itself.
pub const TLS_DIRECTORY: &str = "tls";
/// The state directory holds secrets.
const OWNER_ONLY: u32 = 0o700;

/// Why the barn could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The state directory.
    #[error("making the directory {}: {source}; set `state_dir` to one that this user may write to", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `local.redb`.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The keys in it.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The number of the boot.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// The identity of a new store.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
    /// The log and the tables.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpenError {
    /// Whether whoever waited for the opening broke it off.
    pub fn is_broken_off(&self) -> bool {
        matches!(
            self,
            Self::Store(StoreError::BrokenOff { .. }) | Self::Boot(BootError::Store(StoreError::BrokenOff { .. }))
        )
    }

    /// Whether another process has the files; trying again can help.
    pub fn is_locked(&self) -> bool {
        matches!(
            self,
            Self::Local(LocalError::Locked { .. })
                | Self::Keys(KeyError::Local(LocalError::Locked { .. }))
                | Self::Store(StoreError::Locked { .. })
                | Self::Boot(BootError::Local(LocalError::Locked { .. }) | BootError::Store(StoreError::Locked { .. }))
        )
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

/// Makes the state directory, for its owner alone. One that is there already is taken as it is.
pub fn make_state_dir(path: &Path) -> Result<(), OpenError> {
    make_directory(path)
}

fn make_directory(path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Directory { path: path.into(), source };
    DirBuilder::new().recursive(true).mode(OWNER_ONLY).create(path).map_err(failed)
}

/// Opens the keys, which need nothing else.
pub fn open_keys(settings: &Settings) -> Result<(LocalFile, KeyRing), OpenError> {
    make_state_dir(&settings.state_dir)?;
    let local = LocalFile::open(settings.state_dir.join(LOCAL_FILE))?;
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
        told: impl Fn(&Opening<'_>) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Result<Self, OpenError> {
        let (local, keys) = open_keys(settings)?;
        let identity = open_identity(settings)?;
        let disk = Directory::new(&settings.state_dir)?.telling(told);
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

fn open_identity(settings: &Settings) -> Result<Identity, OpenError> {
    if let Some(tls) = &settings.tls {
        let files = IdentityFiles { certificate: tls.certificate.clone(), key: tls.key.clone() };
        return Ok(Identity::load(files)?);
    }
    let directory = settings.state_dir.join(TLS_DIRECTORY);
    make_directory(&directory)?;
    // Offices pin the key; the names are for those who check them, and addresses that cannot be listed are left out.
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let names: Vec<_> = interfaces.iter().map(|interface| SanEntry::Ip(interface.ip())).collect();
    Ok(Identity::load_or_generate(&directory, &names)?)
}

/// Opens the history alone, for whoever asks the files and is no client.
pub fn open_store(settings: &Settings, clock: &dyn Clock) -> Result<Store, OpenError> {
    let local = LocalFile::open(settings.state_dir.join(LOCAL_FILE))?;
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
