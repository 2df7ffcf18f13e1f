//! The state directory of a process, and the files in it that both processes have.

use crate::control::{LOCKED_RETRY, LOCKED_TIMEOUT, SOCKET_NAME};
use crate::door::certificate::{CertificateError, Identity, SanEntry};
use crate::lifecycle::Exit;
use crate::settings::TlsSettings;
use herd::store::{LocalError, LocalFile};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use tokio::time::{Instant, sleep};

/// The file that is never replicated: keys, tokens, counters.
pub const LOCAL_FILE: &str = "local.redb";
/// Directory of the certificate that the process makes for itself.
pub const TLS_DIRECTORY: &str = "tls";
/// Mode of the directories: they hold secrets.
const OWNER_ONLY: u32 = 0o700;

/// Reason why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// A directory cannot be created.
    #[error("cannot create {}: {source}; set `state_dir` to a directory that this user may write to", path.display())]
    Create {
        /// The directory.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

impl From<&StateDirError> for Exit {
    fn from(error: &StateDirError) -> Self {
        match error {
            StateDirError::Create { .. } => Self::Failure,
            StateDirError::Certificate(_) => Self::Usage,
        }
    }
}

/// A state directory, which may not exist yet.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// Names a directory; creates nothing.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the control socket.
    pub fn socket(&self) -> PathBuf {
        self.path.join(SOCKET_NAME)
    }

    /// Returns the path of `local.redb`.
    pub fn local_file(&self) -> PathBuf {
        self.path.join(LOCAL_FILE)
    }

    /// Creates the directory, for its owner alone. An existing one is left as it is.
    pub fn create(&self) -> Result<(), StateDirError> {
        create_directory(&self.path)
    }

    /// Opens `local.redb`, creating it if it does not exist.
    pub fn open_local(&self) -> Result<LocalFile, LocalError> {
        LocalFile::open(self.local_file())
    }

    /// Opens `local.redb`, waiting while a command has it open, at most [`LOCKED_TIMEOUT`].
    pub async fn wait_for_local(&self) -> Result<LocalFile, LocalError> {
        let start = Instant::now();
        loop {
            match self.open_local() {
                Err(LocalError::Locked { .. }) if start.elapsed() < LOCKED_TIMEOUT => sleep(LOCKED_RETRY).await,
                opened => return opened,
            }
        }
    }

    /// Loads the operator's certificate, or the process's own. The latter is created at the first start, for the addresses
    /// of this machine.
    pub fn identity(&self, tls: &TlsSettings) -> Result<Identity, StateDirError> {
        if let Some(files) = tls.files() {
            return Ok(Identity::load(files)?);
        }
        let directory = self.path.join(TLS_DIRECTORY);
        create_directory(&directory)?;
        Ok(Identity::load_or_generate(&directory, &own_addresses())?)
    }
}

/// Returns the addresses of this machine, as names of its certificate. If they cannot be listed, the certificate does without them: peers that pin the
/// key ignore its names.
pub fn own_addresses() -> Vec<SanEntry> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    interfaces.iter().map(|interface| SanEntry::Ip(interface.ip())).collect()
}

fn create_directory(path: &Path) -> Result<(), StateDirError> {
    let created = DirBuilder::new().recursive(true).mode(OWNER_ONLY).create(path);
    created.map_err(|source| StateDirError::Create { path: path.into(), source })
}
