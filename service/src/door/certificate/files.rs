//! Reading and writing the two PEM files.

use super::CertificateError;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Maximum number of bytes read from a file. A certificate chain has a few kilobytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Directory of the credentials of all services. `CREDENTIALS_DIRECTORY` would not do: a check runs under another name
/// than the service, whose path the settings have.
const CREDENTIALS: &str = "/run/credentials";

/// Permission bits that let others than the owner read a file.
const OTHERS_READ: u32 = 0o044;

/// The paths of a certificate chain and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    /// Certificate chain, leaf first.
    pub certificate: PathBuf,
    /// Private key of the leaf: PKCS#8, SEC1 or PKCS#1, not encrypted.
    pub key: PathBuf,
}

impl IdentityFiles {
    /// Returns the paths of a pair that this program makes in `directory`.
    pub fn in_directory(directory: &Path) -> Self {
        Self { certificate: directory.join("certificate.pem"), key: directory.join("key.pem") }
    }
}

pub(super) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let text = read("certificate", path)?;
    let chain = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| pem_error("certificate", path, &error))?;
    if chain.is_empty() {
        return Err(CertificateError::Empty { what: "certificate", path: path.into() });
    }
    Ok(chain)
}

pub(super) fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    let text = read("private key", path)?;
    warn_if_others_can_read(path);
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| pem_error("private key", path, &error))
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, CertificateError> {
    let read_error = |source| CertificateError::Read { path: path.into(), source };
    let file = File::open(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => CertificateError::Missing { what, path: path.into() },
        _ => read_error(source),
    })?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(read_error)?;
    Ok(bytes)
}

fn pem_error(what: &'static str, path: &Path, error: &pem::Error) -> CertificateError {
    match error {
        pem::Error::NoItemsFound => CertificateError::Empty { what, path: path.into() },
        other => CertificateError::Malformed { path: path.into(), reason: other.to_string() },
    }
}

/// Warns if other users can read a private key.
///
/// It is only a warning, because the files belong to the user. Credentials of systemd are skipped: only their service
/// can read them, but their access list shows up in the mode as permissions of the group.
fn warn_if_others_can_read(path: &Path) {
    if path.starts_with(CREDENTIALS) {
        return;
    }
    if std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & OTHERS_READ != 0) {
        tracing::warn!(key = %path.display(), "other users can read the private key; fix that with chmod 600");
    }
}

/// Writes a file atomically: its path shows the whole content or nothing, and never with another mode than `mode`.
pub(super) fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), CertificateError> {
    let write_error = |source| CertificateError::Write { path: path.into(), source };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    // An interrupted start may have left one. It is removed because `create_new` below must not follow a link there.
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(write_error(error)),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary).map_err(write_error)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(write_error)?;
    std::fs::rename(&temporary, path).map_err(write_error)?;
    let dir = path.parent().unwrap_or(Path::new("/"));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(write_error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::recorder::LogRecorder;
    use std::fs::{Permissions, set_permissions};

    /// Catches a key that others read and nobody is told, and a warning about one that is well kept.
    #[test]
    fn only_a_key_that_others_can_read_is_warned_about() {
        let (log, _recording) = LogRecorder::start();
        let file = tempfile::NamedTempFile::new().unwrap();
        for (mode, warns) in
            [(0o600, false), (0o400, false), (0o733, false), (0o640, true), (0o604, true), (0o644, true)]
        {
            set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
            warn_if_others_can_read(file.path());
            let messages = log.take();
            assert_eq!(messages.len(), usize::from(warns), "{mode:o}: {messages:?}");
            assert!(
                messages.iter().all(|it| it.starts_with("WARN other users can read the private key")),
                "{messages:?}"
            );
        }
    }

    /// Catches a write that fails for a reason that another one hides.
    #[test]
    fn what_stands_in_the_way_of_a_write_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("key.pem.new")).unwrap();
        let error = write(&dir.path().join("key.pem"), b"", 0o600).unwrap_err();
        let CertificateError::Write { source, .. } = error else { panic!("{error}") };
        assert_eq!(source.kind(), ErrorKind::IsADirectory);
    }
}
