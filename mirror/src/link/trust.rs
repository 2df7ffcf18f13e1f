//! Authentication of the barn: its pinned public key, or an operator's certificate authority.
//!
//! There is no third way to follow a barn, and no switch that skips verification. Only the
//! [first contact](super::first_contact) knows no key yet: it learns which one the peer holds, and proves it by a one-time
//! code. TLS is rustls with *ring*: it cross-compiles with only
//! a C compiler, and `deny.toml` keeps a second TLS stack out.

use super::timed_stream::TimedStream;
use herd::pairing::Fingerprint;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme, version,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::client::TlsStream;

/// The proof that a peer has to give to be accepted as the paired barn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trust {
    /// It holds the private key of the public key with this SHA-256, taken over its `SubjectPublicKeyInfo` (DER, RFC
    /// 5280 section 4.1.2.7). Names and dates of the certificate are ignored: a barn may have no clock, and has many
    /// names.
    Pin([u8; 32]),
    /// Its certificate is valid now for the dialed name, and is signed by an authority in this PEM file.
    Authority(PathBuf),
}

/// Reason why a [`Trust`] cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file with the authority's certificates cannot be read.
    #[error(
        "cannot read the authority's certificates in {}: {why}. Put the file where the user of this process can read \
         it; a service cannot see home directories",
        path.display()
    )]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        why: String,
    },
    /// The file has no certificate.
    #[error("{} holds no certificate: use the PEM file of the authority that signed the barn's", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The TLS library rejects the configuration.
    #[error("cannot configure TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Returns the TLS configuration for a client of the barn: TLS 1.2 or 1.3, and HTTP/1.1 only.
///
/// HTTP/2 would gain nothing. Pages are large and requested one after the other, and the barn serves the live
/// connection's WebSocket over HTTP/1.1.
pub fn client_config(trust: &Trust) -> Result<ClientConfig, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::Pin(spki_sha256) => Arc::new(PinVerifier {
            spki_sha256: *spki_sha256,
            signatures: AnyKeyVerifier { provider: provider.clone() },
        }),
        Trust::Authority(path) => WebPkiServerVerifier::builder_with_provider(authority(path)?, provider.clone())
            .build()
            .map_err(|error| TrustError::File { path: path.clone(), why: error.to_string() })?,
    };
    config_with(verifier, provider)
}

/// Returns the TLS configuration for the first contact: the peer must hold the private key of its certificate, which may
/// be any.
pub(super) fn first_contact_config() -> Result<ClientConfig, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    config_with(Arc::new(AnyKeyVerifier { provider: provider.clone() }), provider)
}

/// Returns the SHA-256 of the public key that the peer has proved to hold.
pub(super) fn peer_fingerprint(connection: &TlsStream<TimedStream>) -> Option<Fingerprint> {
    let certificate = connection.get_ref().1.peer_certificates()?.first()?;
    spki_sha256(certificate).ok().map(Fingerprint)
}

fn spki_sha256(certificate: &CertificateDer<'_>) -> Result<[u8; 32], rustls::Error> {
    Ok(Sha256::digest(ParsedCertificate::try_from(certificate)?.subject_public_key_info()).into())
}

fn config_with(
    verifier: Arc<dyn ServerCertVerifier>,
    provider: Arc<CryptoProvider>,
) -> Result<ClientConfig, TrustError> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn authority(path: &Path) -> Result<Arc<RootCertStore>, TrustError> {
    let unreadable = |why: String| TrustError::File { path: path.into(), why };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))? {
        let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unreadable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(TrustError::NoCertificate { path: path.into() });
    }
    Ok(Arc::new(roots))
}

/// The peer presented another key than the paired one.
#[derive(Debug, thiserror::Error)]
#[error("its public key is {found}, but the paired one is {expected} (SHA-256)")]
struct KeyMismatchError {
    expected: String,
    found: String,
}

/// A verifier that accepts one public key, from a peer that proves in the handshake to hold the private key.
#[derive(Debug)]
struct PinVerifier {
    spki_sha256: [u8; 32],
    signatures: AnyKeyVerifier,
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found = spki_sha256(end_entity)?;
        if found == self.spki_sha256 {
            return Ok(ServerCertVerified::assertion());
        }
        let mismatch = KeyMismatchError { expected: hex::encode(self.spki_sha256), found: hex::encode(found) };
        Err(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(mismatch)))))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signatures.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signatures.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signatures.supported_verify_schemes()
    }
}

/// A verifier that accepts any certificate, from a peer that proves in the handshake to hold its private key.
#[derive(Debug)]
struct AnyKeyVerifier {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyKeyVerifier {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Returns the reason if an error, or one that it wraps, says that the peer is not trusted.
pub(super) fn untrusted_reason(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return is_trust_failure(tls).then(|| reason(tls));
        }
        // The source of an I/O error is the source of the error that it wraps, which skips the wrapped error itself.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn is_trust_failure(error: &rustls::Error) -> bool {
    use rustls::Error as E;
    matches!(
        error,
        E::InvalidCertificate(_)
            | E::NoCertificatesPresented
            | E::UnsupportedNameType
            | E::PeerMisbehaved(_)
            | E::PeerIncompatible(_)
            | E::InvalidMessage(_)
    )
}

fn reason(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => inner.to_string(),
        other => other.to_string(),
    }
}
