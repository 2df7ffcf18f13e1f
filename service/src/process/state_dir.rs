//! The state directory of a process, and the files in it that both processes have.

use crate::control::{LOCKED_RETRY, LOCKED_TIMEOUT, SOCKET_NAME};
use crate::door::certificate::{CertificateError, Identity, IdentityFiles, SanEntry};
use crate::lifecycle::Exit;
use crate::settings::TlsSettings;
use herd::store::{LOG_FILE, LocalError, LocalFile};
use std::fs::{DirBuilder, File};
use std::io;
use std::net::{IpAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use tokio::time::{Instant, sleep};

/// The file that is never replicated: keys, tokens, counters.
pub const LOCAL_FILE: &str = "local.redb";
/// Directory of the certificate that the process makes for itself.
pub const TLS_DIRECTORY: &str = "tls";
/// Namespace of the row in a `local.redb` that was made beside a history.
const MADE_NAMESPACE: &str = "made";
/// Key of that row, whose value names the history.
const MADE_BESIDE: &str = "beside";
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

    /// Returns the owner of the files if a process has them open; it has the radios and the port as well, or is about to.
    ///
    /// One that starts has its control socket only after it has opened its files, which may take minutes, and one that stops
    /// removes the socket first. Changes nothing: the lock that is tried is shared and held for a moment.
    pub fn user_of_files(&self) -> io::Result<Option<u32>> {
        // A process leaves `local.redb` closed if it is damaged.
        for name in [LOCAL_FILE, LOG_FILE] {
            match File::open(self.path.join(name)) {
                Ok(file) if file.try_lock_shared().is_err() => return Ok(Some(file.metadata()?.uid())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Opens `local.redb`, creating it if it does not exist.
    ///
    /// `history` are names in the directory that have content only after something was written into `local.redb`: beside
    /// them, a file without content has lost what was in it.
    pub fn open_local(&self, history: &[&str]) -> Result<LocalFile, LocalError> {
        let path = self.local_file();
        let Some(trace) = history.iter().find(|name| has_content(&self.path.join(name))) else {
            return LocalFile::open(path);
        };
        let lost =
            |path| LocalError::Damaged { path, reason: format!("it is empty, and there is `{trace}` beside it") };
        let before = path.metadata().ok();
        if before.as_ref().is_some_and(|file| file.len() == 0) {
            return Err(lost(path));
        }
        let local = LocalFile::open(&path)?;
        if before.is_none() {
            // Its maker took the old one away. Without a row, the next start would find the new one damaged.
            local.put(MADE_NAMESPACE, MADE_BESIDE, *trace)?;
        }
        if local.is_empty()? { Err(lost(path)) } else { Ok(local) }
    }

    /// Opens `local.redb` like [`open_local`](Self::open_local), waiting while a command has it open, at most
    /// [`LOCKED_TIMEOUT`].
    pub async fn wait_for_local(&self, history: &[&str]) -> Result<LocalFile, LocalError> {
        let start = Instant::now();
        loop {
            match self.open_local(history) {
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

    /// Makes an identity in memory, in the place of the certificate that [`identity`](Self::identity) could not load.
    pub fn identity_in_place(&self, tls: &TlsSettings, error: &CertificateError) -> Result<Identity, StateDirError> {
        let files = tls.files().unwrap_or_else(|| IdentityFiles::in_directory(&self.path.join(TLS_DIRECTORY)));
        Ok(Identity::in_place_of(files, error)?)
    }
}

/// Returns the addresses of this machine, as names of its certificate. If they cannot be listed, the certificate does
/// without them: peers that pin the key ignore its names.
pub fn own_addresses() -> Vec<SanEntry> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    interfaces.iter().map(|interface| SanEntry::Ip(interface.ip())).collect()
}

/// Returns whether this machine has the address, so that a server which listens on it is reached. The kernel knows: not every
/// address that it serves is one of an interface.
pub fn has_address(ip: IpAddr) -> bool {
    !matches!(TcpListener::bind((ip, 0)), Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable)
}

/// Returns true if there is a file with bytes, or a directory with entries.
fn has_content(path: &Path) -> bool {
    match path.metadata() {
        Ok(found) if found.is_dir() => path.read_dir().is_ok_and(|mut entries| entries.next().is_some()),
        Ok(found) => found.len() > 0,
        Err(_) => false,
    }
}

fn create_directory(path: &Path) -> Result<(), StateDirError> {
    let created = DirBuilder::new().recursive(true).mode(OWNER_ONLY).create(path);
    created.map_err(|source| StateDirError::Create { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::net::Ipv4Addr;
    use std::os::unix::fs::PermissionsExt as _;
    use x509_parser::extensions::GeneralName;

    const NO_TLS: TlsSettings = TlsSettings { certificate: None, key: None };

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    /// Catches secrets that other users can read, a directory of an operator whose rights are changed, and a failure that does
    /// not name its place.
    #[test]
    fn the_directory_is_created_for_its_owner_and_an_existing_one_is_left_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        let state = StateDir::new(place.path().join("deep/state"));
        state.create().unwrap();
        assert_eq!((mode(state.path()), mode(&place.path().join("deep"))), (0o700, 0o700));
        fs::set_permissions(state.path(), fs::Permissions::from_mode(0o750)).unwrap();
        state.create().unwrap();
        assert_eq!(mode(state.path()), 0o750);

        fs::write(place.path().join("file"), "").unwrap();
        let refused = StateDir::new(place.path().join("file/state")).create().unwrap_err();
        assert!(
            refused.to_string().contains("file/state") && matches!(refused, StateDirError::Create { .. }),
            "{refused}"
        );
        assert_eq!(Exit::from(&refused), Exit::Failure);
    }

    /// Catches a process and its commands that look for their files in different places.
    #[test]
    fn the_files_have_fixed_places_in_the_directory() {
        let state = StateDir::new("/data");
        let places = (state.path(), state.socket(), state.local_file());
        assert_eq!(places, (Path::new("/data"), "/data/control.sock".into(), "/data/local.redb".into()));
    }

    /// Catches keys that vanished with a file that was made anew, a first start that passes for it, and a file that a person
    /// moved away and that no second start takes.
    #[test]
    fn a_file_of_keys_without_content_is_damage_only_beside_a_history() {
        let place = tempfile::tempdir().unwrap();
        let state = StateDir::new(place.path());
        let (log, copies) = (place.path().join("log"), place.path().join("copies"));
        let open = || state.open_local(&["log", "copies"]);
        let damage = || match open() {
            Err(LocalError::Damaged { reason, .. }) => reason,
            opened => panic!("{opened:?}"),
        };
        drop(open().unwrap());
        fs::write(&log, "").unwrap();
        fs::create_dir(&copies).unwrap();
        drop(open().unwrap());
        for (trace, name) in [(&log, "`log`"), (&copies.join("north"), "`copies`")] {
            fs::remove_file(state.local_file()).unwrap();
            drop(open().unwrap());
            fs::write(trace, "a change").unwrap();
            assert!(damage().contains(name), "it has no row");
            fs::write(state.local_file(), "").unwrap();
            assert!(damage().contains(name), "it has no byte");
            assert_eq!(fs::metadata(state.local_file()).unwrap().len(), 0, "it is left as it is");

            fs::remove_file(state.local_file()).unwrap();
            drop(open().unwrap());
            drop(open().unwrap());
            fs::remove_file(trace).unwrap();
            fs::remove_file(state.local_file()).unwrap();
            fs::write(&log, "").unwrap();
            drop(open().unwrap());
        }
    }

    /// Catches a start that fails because of a command of a second, and one that never ends.
    #[tokio::test(start_paused = true)]
    async fn a_locked_file_is_waited_for_and_not_longer_than_the_timeout() {
        let place = tempfile::tempdir().unwrap();
        let state = StateDir::new(place.path());
        let held = state.open_local(&[]).unwrap();
        let start = Instant::now();
        assert!(matches!(state.wait_for_local(&[]).await, Err(LocalError::Locked { .. })));
        assert_eq!(start.elapsed(), LOCKED_TIMEOUT);
        let (opened, ()) = tokio::join!(state.wait_for_local(&[]), async {
            sleep(LOCKED_TIMEOUT / 2).await;
            drop(held);
        });
        opened.unwrap();
    }

    /// Catches a process that gets a new key at each start, which no paired office accepts, a certificate without the addresses
    /// of its machine, and one of the operator that is ignored.
    #[test]
    fn the_own_certificate_is_made_once_and_the_operators_one_is_loaded() {
        let place = tempfile::tempdir().unwrap();
        let state = StateDir::new(place.path());
        let made = state.identity(&NO_TLS).unwrap();
        assert_eq!(mode(&place.path().join(TLS_DIRECTORY)), 0o700);
        assert_eq!(state.identity(&NO_TLS).unwrap().spki_sha256(), made.spki_sha256());
        let der = made.leaf_der();
        let (_, leaf) = x509_parser::parse_x509_certificate(&der).unwrap();
        let names = &leaf.subject_alternative_name().unwrap().unwrap().value.general_names;
        for own in own_addresses() {
            let SanEntry::Ip(ip) = &own else { continue };
            let bytes = match ip {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            assert!(names.contains(&GeneralName::IPAddress(&bytes)), "{own:?}: {names:?}");
        }

        let files = made.files();
        let own = TlsSettings { certificate: Some(files.certificate.clone()), key: Some(files.key.clone()) };
        let other = tempfile::tempdir().unwrap();
        let loaded = StateDir::new(other.path()).identity(&own).unwrap();
        assert_eq!(loaded.spki_sha256(), made.spki_sha256());
        assert!(!other.path().join(TLS_DIRECTORY).exists());
        let missing = TlsSettings { key: Some("/nowhere/key.pem".into()), ..own };
        assert_eq!(Exit::from(&state.identity(&missing).unwrap_err()), Exit::Usage);
    }

    /// Catches a certificate that lacks the addresses by which the machine is called.
    #[test]
    fn the_addresses_of_the_machine_include_its_loopback() {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert!(own_addresses().iter().any(|name| matches!(name, SanEntry::Ip(ip) if *ip == loopback)));
        // The last one is for documentation (RFC 5737): no machine has it.
        let addresses: [IpAddr; 4] =
            [loopback, [127, 0, 0, 2].into(), Ipv4Addr::UNSPECIFIED.into(), [192, 0, 2, 1].into()];
        assert_eq!(addresses.map(has_address), [true, true, true, false]);
    }
}
