//! Generation of a key and a self-signed certificate, for users without their own.

use super::{CertificateError, IdentityFiles, ValidityPeriod, files};
use rcgen::{
    Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

/// Validity of a certificate for peers that pin its key, from 2020 to 2120. It is as long as possible: a barn's clock cannot
/// be trusted.
const PINNED_VALIDITY: ValidityPeriod = ValidityPeriod { not_before_s: 1_577_836_800, not_after_s: 4_733_510_400 };

/// Mode of the key's file: only its owner may read it.
const KEY_MODE: u32 = 0o600;
/// Mode of the certificate's file: certificates are public.
const CERTIFICATE_MODE: u32 = 0o644;

/// A name that a certificate is valid for (`subjectAltName`, RFC 5280, 4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SanEntry {
    /// A host name.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
}

/// Generates the files that are missing, first the key and then the certificate.
///
/// If a start is interrupted in between, the next start creates the certificate for the existing key.
pub(super) fn generate_missing(files: &IdentityFiles, names: &[SanEntry]) -> Result<(), CertificateError> {
    match (exists(&files.key)?, exists(&files.certificate)?) {
        (true, true) => Ok(()),
        (false, true) => Err(CertificateError::MissingKey { path: files.key.clone() }),
        (true, false) => write_certificate(files, names, PINNED_VALIDITY),
        (false, false) => {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(generate_error)?;
            files::write(&files.key, key.serialize_pem().as_bytes(), KEY_MODE)?;
            write_certificate(files, names, PINNED_VALIDITY)
        }
    }
}

/// Returns whether a path exists. A dangling link counts, because it must not be overwritten.
fn exists(path: &Path) -> Result<bool, CertificateError> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(CertificateError::Read { path: path.into(), source }),
    }
}

fn existing_key(files: &IdentityFiles) -> Result<KeyPair, CertificateError> {
    let der = files::read_key(&files.key)?;
    KeyPair::try_from(&der)
        .map_err(|error| CertificateError::Malformed { path: files.key.clone(), reason: error.to_string() })
}

/// Writes a certificate for the existing key.
pub(super) fn write_certificate(
    files: &IdentityFiles,
    names: &[SanEntry],
    validity: ValidityPeriod,
) -> Result<(), CertificateError> {
    let certificate = certificate_for(&existing_key(files)?, names, validity)?;
    files::write(&files.certificate, certificate.pem().as_bytes(), CERTIFICATE_MODE)
}

/// Makes a key and a certificate that are in no file.
pub(super) fn make_pair() -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), CertificateError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(generate_error)?;
    let certificate = certificate_for(&key, &[], PINNED_VALIDITY)?;
    Ok((certificate.der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der()).into()))
}

fn certificate_for(
    key: &KeyPair,
    names: &[SanEntry],
    validity: ValidityPeriod,
) -> Result<Certificate, CertificateError> {
    let at = |seconds: i64| date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    let mut params = CertificateParams::default();
    params.subject_alt_names = all_names(host_name(), names).into_iter().filter_map(san_type).collect();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, host_name().unwrap_or_else(|| "herdlinx".to_owned()));
    params.not_before = at(validity.not_before_s);
    params.not_after = at(validity.not_after_s);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.self_signed(key).map_err(generate_error)
}

/// Returns `names`, the names of the machine called `host`, and the loopback addresses.
fn all_names(host: Option<String>, names: &[SanEntry]) -> BTreeSet<SanEntry> {
    let own = host.into_iter().flat_map(|host| [format!("{host}.local"), host]).chain(["localhost".to_owned()]);
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    own.map(SanEntry::Dns).chain(loopback.map(SanEntry::Ip)).chain(names.iter().cloned()).collect()
}

/// Converts a name; returns `None` with a warning if a certificate cannot contain it.
///
/// It is not an error, because peers that pin the key ignore the names.
fn san_type(name: SanEntry) -> Option<SanType> {
    match name {
        SanEntry::Ip(ip) => Some(SanType::IpAddress(ip)),
        SanEntry::Dns(name) => match name.as_str().try_into() {
            Ok(text) if !name.is_empty() => Some(SanType::DnsName(text)),
            _ => {
                tracing::warn!(name, "name left out of the certificate: it is not a valid DNS name");
                None
            }
        },
    }
}

/// Returns the name of this machine without its domain; `None` if that is `localhost`, which names no machine.
pub fn host_name() -> Option<String> {
    host_of_node(rustix::system::uname().nodename().to_str().ok()?)
}

fn host_of_node(node: &str) -> Option<String> {
    let host = node.split('.').next()?;
    (!host.is_empty() && host != "localhost").then(|| host.to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes the error by value")]
fn generate_error(error: rcgen::Error) -> CertificateError {
    CertificateError::Generate(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a barn that is announced under a name that every machine has, or none.
    #[test]
    fn a_machine_is_called_by_its_node_name_without_the_domain() {
        for (node, host) in [
            ("barn", Some("barn")),
            ("barn.example.com", Some("barn")),
            ("", None),
            (".example.com", None),
            ("localhost", None),
            ("localhost.localdomain", None),
        ] {
            assert_eq!(host_of_node(node).as_deref(), host, "{node}");
        }
    }

    /// Catches a phone that finds the barn by its name and refuses the certificate.
    #[test]
    fn a_certificate_is_for_the_name_of_the_machine_also_in_the_local_network() {
        let names = all_names(Some("barn".into()), &[]);
        for name in ["barn", "barn.local", "localhost"] {
            assert!(names.contains(&SanEntry::Dns(name.into())), "{name}: {names:?}");
        }
        assert_eq!(all_names(None, &[]).len(), 3, "localhost, and both loopback addresses");
    }

    /// Catches a name that no certificate can have and that keeps the barn from its start.
    #[test]
    fn a_name_that_is_no_dns_name_is_left_out() {
        assert_eq!(san_type(SanEntry::Dns("barn".into())), Some(SanType::DnsName("barn".try_into().unwrap())));
        for name in ["", "stall-süd"] {
            assert_eq!(san_type(SanEntry::Dns(name.into())), None, "{name}");
        }
    }
}
