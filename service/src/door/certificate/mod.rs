//! The identity that a server shows: a certificate chain and its private key, in two PEM files.
//!
//! Who pairs with it pins the SHA-256 of the public key, so a renewed certificate with the same key is the same
//! identity. Files that are replaced while the process runs are picked up; a broken replacement is not.

mod files;
mod generate;
mod watch;

pub use files::IdentityFiles;
pub use generate::SanEntry;
pub use watch::WATCH_EVERY;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// Protocols offered, the preferred one first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why there is no identity to show.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file is not there.
    #[error("the {what} {} is missing; give its right path, or remove both settings to have a pair made", path.display())]
    Missing {
        /// `certificate` or `private key`.
        what: &'static str,
        /// The path asked for.
        path: PathBuf,
    },
    /// The certificate that was made here has lost its key.
    #[error("the private key {} is missing while its certificate is there; put it back, or remove the certificate too: then a new pair is made, and every office must be paired again", path.display())]
    KeyLost {
        /// Where the key should be.
        path: PathBuf,
    },
    /// The file is there and cannot be read.
    #[error("reading {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A PEM file without what it should hold.
    #[error("{} holds no {what} in PEM form", path.display())]
    Empty {
        /// `certificate` or `private key`.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// PEM, and yet not what it says it is.
    #[error("{} cannot be used: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Two files of different pairs.
    #[error("the private key {} does not belong to the certificate {}; replace both files together", key.display(), certificate.display())]
    KeyMismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// A pair could not be made.
    #[error("making a certificate: {0}")]
    Make(String),
    /// The pair that was made could not be written.
    #[error("writing {}: {source}; check that the directory exists and belongs to this user", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The TLS library refused its set-up.
    #[error("setting TLS up: {0}")]
    Tls(#[from] rustls::Error),
}

/// What the two files said when they were last read whole.
#[derive(Debug)]
struct Loaded {
    certified: Arc<CertifiedKey>,
    spki_sha256: [u8; 32],
    not_after_s: i64,
}

/// The identity of a server. Clones are cheap and share it, so a replacement shows in all of them.
#[derive(Clone, Debug)]
pub struct Identity {
    files: Arc<IdentityFiles>,
    loaded: Arc<RwLock<Arc<Loaded>>>,
}

impl Identity {
    /// Reads the user's own pair.
    pub fn load(files: IdentityFiles) -> Result<Self, CertificateError> {
        let loaded = load(&files)?;
        Ok(Self { files: Arc::new(files), loaded: Arc::new(RwLock::new(Arc::new(loaded))) })
    }

    /// Reads `certificate.pem` and `key.pem` in `dir`, which must be there, after making what is missing of them:
    /// a P-256 pair for `names`, this machine's names and the loopback addresses. A key without a certificate (a
    /// first start that was cut, a certificate removed on purpose) is kept and gets a new one.
    pub fn load_or_make(dir: &Path, names: &[SanEntry]) -> Result<Self, CertificateError> {
        let files = IdentityFiles { certificate: dir.join("certificate.pem"), key: dir.join("key.pem") };
        generate::make_missing(&files, names)?;
        Self::load(files)
    }

    /// Where the pair is read from.
    pub fn files(&self) -> &IdentityFiles {
        &self.files
    }

    /// SHA-256 of the leaf's `SubjectPublicKeyInfo` in DER (RFC 5280, 4.1.2.7): what a peer pins (RFC 7469, 2.4).
    pub fn spki_sha256(&self) -> [u8; 32] {
        self.current().spki_sha256
    }

    /// The end of the leaf's validity, seconds since 1970 UTC.
    pub fn not_after_s(&self) -> i64 {
        self.current().not_after_s
    }

    /// The leaf in DER.
    pub fn leaf_der(&self) -> Vec<u8> {
        self.current().certified.cert.first().map(|leaf| leaf.to_vec()).unwrap_or_default()
    }

    /// Reads the files again. On an error the identity stays what it was.
    pub fn reload(&self) -> Result<(), CertificateError> {
        let loaded = Arc::new(load(&self.files)?);
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(())
    }

    /// TLS 1.2 and 1.3 with this identity, h2 and HTTP/1.1. New handshakes see a reloaded identity.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, CertificateError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = ALPN.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }

    fn current(&self) -> Arc<Loaded> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current().certified))
    }
}

/// The one provider of cryptography for both sides of TLS, named so that no other can slip in.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// SHA-256 of the `SubjectPublicKeyInfo` of a certificate in DER: for the side that pins. `None` if it is no
/// certificate.
pub fn spki_sha256(certificate_der: &[u8]) -> Option<[u8; 32]> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate_der).ok()?;
    Some(Sha256::digest(certificate.tbs_certificate.subject_pki.raw).into())
}

fn load(files: &IdentityFiles) -> Result<Loaded, CertificateError> {
    let malformed =
        |path: &Path, reason: String| -> CertificateError { CertificateError::Malformed { path: path.into(), reason } };
    let chain = files::read_chain(&files.certificate)?;
    let key = files::read_key(&files.key)?;
    let leaf = chain.first().map(|leaf| leaf.to_vec()).unwrap_or_default();
    let signing =
        provider().key_provider.load_private_key(key).map_err(|error| malformed(&files.key, error.to_string()))?;
    let certified = CertifiedKey::new(chain, signing);
    certified.keys_match().map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            CertificateError::KeyMismatch { certificate: files.certificate.clone(), key: files.key.clone() }
        }
        other => malformed(&files.certificate, other.to_string()),
    })?;
    let (_, parsed) =
        x509_parser::parse_x509_certificate(&leaf).map_err(|error| malformed(&files.certificate, error.to_string()))?;
    Ok(Loaded {
        certified: Arc::new(certified),
        spki_sha256: Sha256::digest(parsed.tbs_certificate.subject_pki.raw).into(),
        not_after_s: parsed.validity().not_after.timestamp(),
    })
}

#[cfg(test)]
mod tests;
