//! Making the pair that a process shows when its user has none.

use super::{CertificateError, IdentityFiles, files};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd,
};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// A barn has no clock to trust, and peers pin the key: the dates are as wide as they can be.
const VALID_FROM: (i32, u8, u8) = (2020, 1, 1);
const VALID_TO: (i32, u8, u8) = (2120, 1, 1);

/// The key is for its owner alone; the certificate is public.
const KEY_MODE: u32 = 0o600;
const CERTIFICATE_MODE: u32 = 0o644;

/// A name that the certificate is for (`subjectAltName`, RFC 5280, 4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SanEntry {
    /// A host name.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

/// Writes the key, if there is none, and then the certificate, if there is none: a start that is cut in between
/// leaves a key that the next start goes on with.
pub(super) fn make_missing(files: &IdentityFiles, names: &[SanEntry]) -> Result<(), CertificateError> {
    match (is_there(&files.key)?, is_there(&files.certificate)?) {
        (true, true) => Ok(()),
        (false, true) => Err(CertificateError::KeyLost { path: files.key.clone() }),
        (true, false) => write_certificate(files, &kept_key(files)?, names),
        (false, false) => {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(make_error)?;
            files::write(&files.key, key.serialize_pem().as_bytes(), KEY_MODE)?;
            write_certificate(files, &key, names)
        }
    }
}

/// A link to nowhere is something there: it must not be written over.
fn is_there(path: &Path) -> Result<bool, CertificateError> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(CertificateError::Read { path: path.into(), source }),
    }
}

fn kept_key(files: &IdentityFiles) -> Result<KeyPair, CertificateError> {
    let der = files::read_key(&files.key)?;
    KeyPair::try_from(&der)
        .map_err(|error| CertificateError::Malformed { path: files.key.clone(), reason: error.to_string() })
}

fn write_certificate(files: &IdentityFiles, key: &KeyPair, names: &[SanEntry]) -> Result<(), CertificateError> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = all_names(names).into_iter().filter_map(alternative).collect();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, host_name().unwrap_or_else(|| "herdlinx".to_owned()));
    params.not_before = date_time_ymd(VALID_FROM.0, VALID_FROM.1, VALID_FROM.2);
    params.not_after = date_time_ymd(VALID_TO.0, VALID_TO.1, VALID_TO.2);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(key).map_err(make_error)?;
    files::write(&files.certificate, certificate.pem().as_bytes(), CERTIFICATE_MODE)
}

fn all_names(names: &[SanEntry]) -> BTreeSet<SanEntry> {
    let host = host_name();
    let own = host.into_iter().flat_map(|host| [format!("{host}.local"), host]).chain(["localhost".to_owned()]);
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    own.map(SanEntry::Dns).chain(loopback.map(SanEntry::Ip)).chain(names.iter().cloned()).collect()
}

/// A name that no certificate can hold is left out with a warning: a peer that pins the key does not look at names.
fn alternative(name: SanEntry) -> Option<SanType> {
    match name {
        SanEntry::Ip(ip) => Some(SanType::IpAddress(ip)),
        SanEntry::Dns(name) => match name.as_str().try_into() {
            Ok(text) if !name.is_empty() => Some(SanType::DnsName(text)),
            _ => {
                tracing::warn!(name, "a certificate cannot hold this name; it is left out");
                None
            }
        },
    }
}

fn host_name() -> Option<String> {
    let host = rustix::system::uname().nodename().to_str().ok()?.split('.').next()?.to_owned();
    (!host.is_empty() && host != "localhost").then_some(host)
}

#[expect(clippy::needless_pass_by_value, reason = "the form `map_err` asks for")]
fn make_error(error: rcgen::Error) -> CertificateError {
    CertificateError::Make(error.to_string())
}
