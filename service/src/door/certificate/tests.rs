use super::*;
use crate::lifecycle::ShutdownTrigger;
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use x509_parser::extensions::GeneralName;

fn generated(dir: &Path) -> Identity {
    let names = [SanEntry::Dns("barn.example".into()), SanEntry::Ip([192, 168, 7, 7].into())];
    Identity::load_or_generate(dir, &names).unwrap()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Catches a missing name, a short validity, and a key that other users can read.
#[test]
fn a_generated_certificate_has_all_names_and_a_validity_of_a_hundred_years() {
    let dir = tempfile::tempdir().unwrap();
    let identity = generated(dir.path());
    assert_eq!((mode(&identity.files().key), mode(&identity.files().certificate)), (0o600, 0o644));
    let der = identity.leaf_der();
    let (_, leaf) = x509_parser::parse_x509_certificate(&der).unwrap();
    assert_eq!(leaf.validity().not_before.timestamp(), 1_577_836_800);
    assert_eq!(identity.not_after_s(), 4_733_510_400);
    let names = &leaf.subject_alternative_name().unwrap().unwrap().value.general_names;
    for name in ["barn.example", "localhost"] {
        assert!(names.contains(&GeneralName::DNSName(name)), "{name}: {names:?}");
    }
    for ip in [&[127, 0, 0, 1][..], &[192, 168, 7, 7], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]] {
        assert!(names.contains(&GeneralName::IPAddress(ip)), "{ip:?}: {names:?}");
    }
    assert_eq!(spki_sha256(&der), Some(identity.spki_sha256()));
    assert_eq!(spki_sha256_of_file(&identity.files().certificate).unwrap(), identity.spki_sha256());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "temporary files must be gone");
}

/// Catches a new key where peers have pinned the old one, and an interrupted start that blocks the next one.
#[test]
fn a_second_start_keeps_the_certificate_and_a_removed_one_is_generated_for_the_same_key() {
    let dir = tempfile::tempdir().unwrap();
    let first = generated(dir.path());
    assert_eq!(generated(dir.path()).leaf_der(), first.leaf_der());
    std::fs::remove_file(&first.files().certificate).unwrap();
    std::fs::write(dir.path().join("certificate.pem.new"), "interrupted").unwrap();
    let renewed = Identity::load_or_generate(dir.path(), &[]).unwrap();
    assert_ne!(renewed.leaf_der(), first.leaf_der());
    assert_eq!(renewed.spki_sha256(), first.spki_sha256());
}

/// Catches a new key that locks out every paired office without a word.
#[test]
fn a_missing_key_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::remove_file(&generated(dir.path()).files().key).unwrap();
    assert!(matches!(Identity::load_or_generate(dir.path(), &[]), Err(CertificateError::MissingKey { .. })));
}

/// Catches a directory that cannot be looked into and that passes for an empty one.
#[test]
fn files_that_cannot_be_looked_for_are_not_generated() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let refused = Identity::load_or_generate(file.path(), &[]).map(drop);
    assert!(matches!(refused, Err(CertificateError::Read { .. })), "{refused:?}");
}

/// Catches a chain whose end is lost, so that a client does not find the authority.
#[test]
fn a_chain_of_many_certificates_is_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let files = generated(dir.path()).files().clone();
    let leaf = std::fs::read_to_string(&files.certificate).unwrap();
    std::fs::write(&files.certificate, leaf.repeat(50)).unwrap();
    assert_eq!(Identity::load(files).unwrap().current().certified.cert.len(), 50);
}

/// Catches an error that sends the operator to the wrong file.
#[test]
fn every_kind_of_invalid_file_has_its_own_error() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let right = generated(dir.path()).files().clone();
    let foreign = generated(other.path()).files().clone();
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "no PEM here\n").unwrap();
    let junk = dir.path().join("junk.pem");
    std::fs::write(&junk, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let load = |certificate: &Path, key: &Path| {
        Identity::load(IdentityFiles { certificate: certificate.into(), key: key.into() }).map(|_| ())
    };
    let missing = dir.path().join("missing.pem");
    assert!(matches!(load(&missing, &right.key), Err(CertificateError::Missing { what: "certificate", .. })));
    assert!(matches!(load(&right.certificate, &missing), Err(CertificateError::Missing { what: "private key", .. })));
    assert!(matches!(load(&empty, &right.key), Err(CertificateError::Empty { what: "certificate", .. })));
    assert!(matches!(load(&right.certificate, &empty), Err(CertificateError::Empty { what: "private key", .. })));
    assert!(matches!(load(&junk, &right.key), Err(CertificateError::Malformed { .. })));
    assert!(matches!(load(&right.certificate, &foreign.key), Err(CertificateError::KeyMismatch { .. })));
    assert!(matches!(load(dir.path(), &right.key), Err(CertificateError::Read { .. })));
    load(&right.certificate, &right.key).unwrap();
}

/// Catches a half-written file that replaces a usable certificate.
#[test]
fn an_invalid_replacement_leaves_the_identity_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let identity = generated(dir.path());
    let before = identity.leaf_der();
    std::fs::write(&identity.files().certificate, "half a cert").unwrap();
    assert!(identity.reload().is_err());
    assert_eq!(identity.leaf_der(), before);
}

/// Catches a watch that keeps the process alive, and one that ends by itself.
#[tokio::test(start_paused = true)]
async fn watching_ends_on_shutdown_and_when_the_trigger_is_dropped_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let identity = generated(dir.path());
    for requested in [true, false] {
        let trigger = ShutdownTrigger::default();
        let mut watching = tokio::spawn(identity.clone().watch_files(trigger.signal()));
        assert!(tokio::time::timeout(WATCH_INTERVAL * 3, &mut watching).await.is_err(), "it ended by itself");
        if requested {
            trigger.request();
        } else {
            drop(trigger);
        }
        tokio::time::timeout(Duration::from_secs(10), watching).await.unwrap().unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Catches a parser that panics on files of other content.
    #[test]
    fn arbitrary_file_content_is_an_error(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let dir = tempfile::tempdir().unwrap();
        let files = IdentityFiles { certificate: dir.path().join("c"), key: dir.path().join("k") };
        let pem = |kind: &str| {
            use base64::Engine;
            let body = base64::engine::general_purpose::STANDARD.encode(&text);
            format!("-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n")
        };
        std::fs::write(&files.certificate, pem("CERTIFICATE")).unwrap();
        std::fs::write(&files.key, pem("PRIVATE KEY")).unwrap();
        prop_assert!(Identity::load(files.clone()).is_err());
        std::fs::write(&files.certificate, &text).unwrap();
        prop_assert!(Identity::load(files).is_err());
        prop_assert!(spki_sha256(&text).is_none());
    }
}
