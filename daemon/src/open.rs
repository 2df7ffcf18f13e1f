//! Opening what a barn holds: the same for `run` and for commands that work while it does not.

use crate::boot::{BootError, boot_number};
use crate::pair::Barn;
use crate::settings::Settings;
use herd::clock::{Clock, SystemClock};
use herd::door::certificate::{CertificateError, Identity, IdentityFiles, SanEntry};
use herd::door::keys::{KeyError, KeyRing};
use herd::position::StoreId;
use herd::randomness::{NoRandomness, Randomness as _, SystemRandomness};
use herd::store::{Directory, LocalError, LocalFile, Opening, Store, StoreError};
use std::fs::DirBuilder;
use std::io;
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
    Randomness(#[from] NoRandomness),
    /// The log and the tables.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpenError {
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
        Self::open_aloud(settings, clock, |_| {})
    }

    /// The same, for whoever waits for it: a large store takes its time.
    pub fn open_aloud(
        settings: &Settings,
        clock: &dyn Clock,
        told: impl Fn(&Opening<'_>) + Send + Sync + 'static,
    ) -> Result<Self, OpenError> {
        let (local, keys) = open_keys(settings)?;
        let identity = open_identity(settings)?;
        let disk = Directory::new(&settings.state_dir)?.telling(told);
        let store = open_store(&disk, settings, &local, clock)?;
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
    Ok(Identity::load_or_make(&directory, &names)?)
}

fn open_store(disk: &Directory, settings: &Settings, local: &LocalFile, clock: &dyn Clock) -> Result<Store, OpenError> {
    let boot = boot_number(local, disk, clock)?;
    let mut ids = [draw_id()?, draw_id()?].into_iter();
    let new_id = || ids.next().expect("a store asks for two identities at most: its writer's and, if new, its own");
    Ok(Store::open_source(disk, settings.rules(), clock.read().in_boot(boot), new_id)?)
}

fn draw_id() -> Result<StoreId, NoRandomness> {
    let mut bytes = [0; 16];
    SystemRandomness.fill(&mut bytes)?;
    Ok(StoreId(bytes))
}
