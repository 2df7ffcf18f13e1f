//! Whom to believe to be the barn. There is no third way, and no way around both.

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

/// What shows that whoever answers is the paired barn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trust {
    /// It holds the private key whose `SubjectPublicKeyInfo` (DER, RFC 5280 section 4.1.2.7) has this SHA-256. Names
    /// and dates of the certificate are not looked at: a barn may have no clock, and is reached by many names.
    Pin([u8; 32]),
    /// Its certificate was signed by an authority of this PEM file, for the name that was dialed, and is in date.
    Authority(PathBuf),
}

/// Why what was given cannot be trusted in.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file of the authority's certificates does not read.
    #[error(
        "could not read the authority's certificates from {}: {why}. The file must lie where the user of this process \
         may read it; a service sees no homes",
        path.display()
    )]
    File {
        /// Which.
        path: PathBuf,
        /// What was wrong.
        why: String,
    },
    /// There is no certificate in it.
    #[error("{} holds no certificate: give the PEM file of the authority that signed the barn's", path.display())]
    NoCertificate {
        /// Which.
        path: PathBuf,
    },
    /// The TLS library refuses the set-up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// What a client of this barn offers and checks: TLS 1.2 or 1.3, HTTP/1.1 alone (pages are large and asked for one
/// after the other, and the live connection is a WebSocket, which the barn serves over HTTP/1.1).
pub fn client_config(trust: &Trust) -> Result<ClientConfig, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::Pin(spki_sha256) => Arc::new(PinVerifier { spki_sha256: *spki_sha256, provider: provider.clone() }),
        Trust::Authority(path) => WebPkiServerVerifier::builder_with_provider(authority(path)?, provider.clone())
            .build()
            .map_err(|error| TrustError::File { path: path.clone(), why: error.to_string() })?,
    };
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

/// Another key than the paired one was shown.
#[derive(Debug, thiserror::Error)]
#[error("it showed the public key {found}, paired was {expected} (SHA-256)")]
struct OtherKey {
    expected: String,
    found: String,
}

/// Accepts one public key, and whoever proves in the handshake to hold its private half.
#[derive(Debug)]
struct PinVerifier {
    spki_sha256: [u8; 32],
    provider: Arc<CryptoProvider>,
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
        let shown = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
        let found: [u8; 32] = Sha256::digest(&shown).into();
        if found == self.spki_sha256 {
            return Ok(ServerCertVerified::assertion());
        }
        let other = OtherKey { expected: hex::encode(self.spki_sha256), found: hex::encode(found) };
        Err(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(other)))))
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

/// Whether an error of the network, or one that it wraps, says that the other side is not the one we trust.
pub(super) fn distrust(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return tells_of_another(tls).then(|| reason(tls));
        }
        // An I/O error passes over what it wraps when asked for its source.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn tells_of_another(error: &rustls::Error) -> bool {
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
