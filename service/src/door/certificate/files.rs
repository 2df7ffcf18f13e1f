//! The two PEM files, read and written.

use super::CertificateError;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A chain of certificates with its key is a few kilobytes; more is another file.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Permission bits that let others than the owner look into a file.
const OTHERS_READ: u32 = 0o044;

/// Where a pair is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The leaf's private key: PKCS#8, SEC1 or PKCS#1, not encrypted.
    pub key: PathBuf,
}

pub(super) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let text = read("certificate", path)?;
    let chain = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| refused("certificate", path, &error))?;
    if chain.is_empty() {
        return Err(CertificateError::Empty { what: "certificate", path: path.into() });
    }
    Ok(chain)
}

pub(super) fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    let text = read("private key", path)?;
    warn_if_open(path);
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| refused("private key", path, &error))
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, CertificateError> {
    let reading = |source| CertificateError::Read { path: path.into(), source };
    let file = File::open(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => CertificateError::Missing { what, path: path.into() },
        _ => reading(source),
    })?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(reading)?;
    Ok(bytes)
}

fn refused(what: &'static str, path: &Path, error: &pem::Error) -> CertificateError {
    match error {
        pem::Error::NoItemsFound => CertificateError::Empty { what, path: path.into() },
        other => CertificateError::Malformed { path: path.into(), reason: other.to_string() },
    }
}

/// The user's own files are the user's own business, so this is a warning and no refusal. What systemd hands over is for
/// this service alone, whatever its mode looks like: its access list shows as the rights of a group.
fn warn_if_open(path: &Path) {
    let handed_over = std::env::var_os("CREDENTIALS_DIRECTORY").is_some_and(|directory| path.starts_with(directory));
    if handed_over {
        return;
    }
    if std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & OTHERS_READ != 0) {
        tracing::warn!(key = %path.display(), "the private key can be read by other users; take that from them with chmod 600");
    }
}

/// Writes a file so that its path shows the whole of it or nothing, and that it never has another mode than `mode`.
pub(super) fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), CertificateError> {
    let failed = |source| CertificateError::Write { path: path.into(), source };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let unfinished = path.with_file_name(name);
    // A start that was cut may have left one; `create_new` below must not follow whatever lies there.
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&unfinished).map_err(failed)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&unfinished, path).map_err(failed)?;
    let dir = path.parent().unwrap_or(Path::new("/"));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
}
