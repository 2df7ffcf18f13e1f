//! The TLS identity of a server: a certificate chain and its private key, in two PEM files.
//!
//! Peers that pair with the server pin the SHA-256 of its public key. So a renewed certificate with the same key is the
//! same identity. Files that are replaced while the process runs are reloaded, unless they are invalid.
//!
//! TLS is rustls with ring, because ring needs only a C compiler to cross-compile. `deny.toml` keeps a second TLS stack
//! out.

mod files;
mod generate;
mod renew;
mod watch;

pub use files::IdentityFiles;
pub use generate::{SanEntry, host_name};
pub use renew::{RENEWED_BEFORE_DAYS, VALID_DAYS};
pub use watch::WATCH_INTERVAL;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// Supported ALPN protocols, the preferred one first.
const ALPN: [&[u8]; 3] = [b"h2", b"http/1.1", b"http/1.0"];

/// Failure to load, generate or use an identity.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file does not exist.
    #[error("the {what} {} is missing; correct its path, or remove both settings to generate a key and a certificate", path.display())]
    Missing {
        /// `certificate` or `private key`.
        what: &'static str,
        /// Path of the file.
        path: PathBuf,
    },
    /// The certificate exists, but its generated key is missing.
    #[error("the private key {} is missing, but its certificate exists; restore the key, or remove the certificate to generate both: then every office must be paired again", path.display())]
    MissingKey {
        /// Expected path of the key.
        path: PathBuf,
    },
    /// The file exists, but cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The file has no PEM section of the expected kind.
    #[error("{} contains no {what} in PEM format", path.display())]
    Empty {
        /// `certificate` or `private key`.
        what: &'static str,
        /// Path of the file.
        path: PathBuf,
    },
    /// The file is PEM, but its content is invalid.
    #[error("{} is invalid: {reason}", path.display())]
    Malformed {
        /// Path of the file.
        path: PathBuf,
        /// Reason given by the parser.
        reason: String,
    },
    /// The key and the certificate are of different pairs.
    #[error("the private key {} does not belong to the certificate {}; replace both files together", key.display(), certificate.display())]
    KeyMismatch {
        /// Path of the certificate.
        certificate: PathBuf,
        /// Path of the key.
        key: PathBuf,
    },
    /// The key or the certificate could not be generated.
    #[error("cannot generate a key and a certificate: {0}")]
    Generate(String),
    /// A generated file could not be written.
    #[error("cannot write {}: {source}; check that the directory exists and belongs to this user", path.display())]
    Write {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The TLS library rejected the configuration.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// The first and the last second of a certificate's validity, since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ValidityPeriod {
    not_before_s: i64,
    not_after_s: i64,
}

/// The content of the two files when they were last valid.
#[derive(Debug)]
struct Credentials {
    certified: Arc<CertifiedKey>,
    spki_sha256: [u8; 32],
    validity: ValidityPeriod,
    /// The leaf is signed by its own key.
    is_self_signed: bool,
    /// Reason why the files cannot be used, if this pair was made in their place.
    failure: Option<String>,
}

/// The TLS identity of a server. Clones are cheap and share it, so all of them see a reloaded identity.
#[derive(Clone, Debug)]
pub struct Identity {
    files: Arc<IdentityFiles>,
    /// The files are in the place where this program makes its own.
    is_own_place: bool,
    current: Arc<RwLock<Arc<Credentials>>>,
}

impl Identity {
    /// Loads the user's own files.
    pub fn load(files: IdentityFiles) -> Result<Self, CertificateError> {
        Self::at(files, false)
    }

    fn at(files: IdentityFiles, is_own_place: bool) -> Result<Self, CertificateError> {
        let credentials = load(&files)?;
        Ok(Self { files: Arc::new(files), is_own_place, current: Arc::new(RwLock::new(Arc::new(credentials))) })
    }

    /// Loads `certificate.pem` and `key.pem` in `dir`, after generating them if they are missing.
    ///
    /// `dir` must exist. The key is a P-256 key; the certificate is valid for `names`, this machine's names and the
    /// loopback addresses. A key without a certificate is kept and gets a new certificate. That happens after an
    /// interrupted first start, or when the certificate was removed on purpose. A certificate without its key is an
    /// error, because a new key would lock out the offices that pinned the old one.
    pub fn load_or_generate(dir: &Path, names: &[SanEntry]) -> Result<Self, CertificateError> {
        let files = IdentityFiles::in_directory(dir);
        generate::generate_missing(&files, names)?;
        Self::at(files, true)
    }

    /// Makes an identity in the place of files that cannot be used because of `error`, until they can.
    ///
    /// Its pair is in memory alone. Peers that pin the right key, or ask an authority, refuse it.
    pub fn in_place_of(files: IdentityFiles, error: &CertificateError) -> Result<Self, CertificateError> {
        let (leaf, key) = generate::make_pair()?;
        let mut credentials = credentials_of(&files, vec![leaf], key)?;
        credentials.failure = Some(error.to_string());
        let current = Arc::new(RwLock::new(Arc::new(credentials)));
        Ok(Self { files: Arc::new(files), is_own_place: false, current })
    }

    /// Returns why the files cannot be used, if another pair is used in their place.
    pub fn failure(&self) -> Option<String> {
        self.current().failure.clone()
    }

    /// Returns the paths of the files.
    pub fn files(&self) -> &IdentityFiles {
        &self.files
    }

    /// Returns the SHA-256 of the leaf's `SubjectPublicKeyInfo` in DER (RFC 5280, 4.1.2.7), which peers pin (RFC 7469,
    /// 2.4).
    pub fn spki_sha256(&self) -> [u8; 32] {
        self.current().spki_sha256
    }

    /// Returns the end of the leaf's validity, in seconds since the Unix epoch.
    pub fn not_after_s(&self) -> i64 {
        self.validity().not_after_s
    }

    fn validity(&self) -> ValidityPeriod {
        self.current().validity
    }

    /// Returns whether this program made the certificate.
    fn is_self_made(&self) -> bool {
        self.is_own_place && self.current().is_self_signed
    }

    /// Returns the leaf certificate in DER.
    pub fn leaf_der(&self) -> Vec<u8> {
        self.current().certified.cert.first().map(|leaf| leaf.to_vec()).unwrap_or_default()
    }

    /// Loads the files again. On an error the current identity stays in use.
    pub fn reload(&self) -> Result<(), CertificateError> {
        let credentials = Arc::new(load(&self.files)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = credentials;
        Ok(())
    }

    /// Creates a configuration for TLS 1.2 and 1.3, with HTTP/2 and HTTP/1. New handshakes use a reloaded identity.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, CertificateError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = ALPN.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }

    fn current(&self) -> Arc<Credentials> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current().certified))
    }
}

/// Returns the cryptography provider for clients and servers. All code names it, so that no other one is used by
/// default.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Returns the SHA-256 of a certificate's `SubjectPublicKeyInfo`, for peers that pin it.
///
/// Returns `None` if the bytes are not a certificate in DER.
pub fn spki_sha256(certificate_der: &[u8]) -> Option<[u8; 32]> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate_der).ok()?;
    Some(Sha256::digest(certificate.tbs_certificate.subject_pki.raw).into())
}

/// Returns the SHA-256 of the public key of the leaf in a PEM file, for those who may not read the private key.
pub fn spki_sha256_of_file(certificate: &Path) -> Result<[u8; 32], CertificateError> {
    let chain = files::read_chain(certificate)?;
    let found = chain.first().and_then(|leaf| spki_sha256(leaf));
    found.ok_or_else(|| CertificateError::Empty { what: "certificate", path: certificate.into() })
}

fn load(files: &IdentityFiles) -> Result<Credentials, CertificateError> {
    credentials_of(files, files::read_chain(&files.certificate)?, files::read_key(&files.key)?)
}

/// Returns the credentials that the files hold.
fn credentials_of(
    files: &IdentityFiles,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Credentials, CertificateError> {
    let malformed =
        |path: &Path, reason: String| -> CertificateError { CertificateError::Malformed { path: path.into(), reason } };
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
    Ok(Credentials {
        certified: Arc::new(certified),
        spki_sha256: Sha256::digest(parsed.tbs_certificate.subject_pki.raw).into(),
        validity: ValidityPeriod {
            not_before_s: parsed.validity().not_before.timestamp(),
            not_after_s: parsed.validity().not_after.timestamp(),
        },
        is_self_signed: parsed.issuer() == parsed.subject(),
        failure: None,
    })
}

#[cfg(test)]
mod tests;
