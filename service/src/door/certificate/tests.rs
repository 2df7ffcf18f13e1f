use super::*;
use crate::lifecycle::ShutdownTrigger;
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use x509_parser::extensions::GeneralName;

fn made(dir: &Path) -> Identity {
    let names = [SanEntry::Dns("barn.example".into()), SanEntry::Ip([192, 168, 7, 7].into())];
    Identity::load_or_make(dir, &names).unwrap()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_made_pair_is_for_all_names_and_for_a_hundred_years_and_its_key_is_its_owners() {
    let dir = tempfile::tempdir().unwrap();
    let identity = made(dir.path());
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
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing unfinished is left");
}

#[test]
fn a_second_start_shows_the_same_certificate_and_a_removed_certificate_comes_back_with_the_same_key() {
    let dir = tempfile::tempdir().unwrap();
    let first = made(dir.path());
    assert_eq!(made(dir.path()).leaf_der(), first.leaf_der());
    std::fs::remove_file(&first.files().certificate).unwrap();
    std::fs::write(dir.path().join("certificate.pem.new"), "cut").unwrap();
    let renewed = Identity::load_or_make(dir.path(), &[]).unwrap();
    assert_ne!(renewed.leaf_der(), first.leaf_der());
    assert_eq!(renewed.spki_sha256(), first.spki_sha256());
}

#[test]
fn a_lost_key_is_not_replaced_behind_the_back_of_those_who_pinned_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::remove_file(&made(dir.path()).files().key).unwrap();
    assert!(matches!(Identity::load_or_make(dir.path(), &[]), Err(CertificateError::KeyLost { .. })));
}

#[test]
fn every_way_in_which_files_are_wrong_has_its_own_error() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let right = made(dir.path()).files().clone();
    let foreign = made(other.path()).files().clone();
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "no PEM here\n").unwrap();
    let junk = dir.path().join("junk.pem");
    std::fs::write(&junk, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let load = |certificate: &Path, key: &Path| {
        Identity::load(IdentityFiles { certificate: certificate.into(), key: key.into() }).map(|_| ())
    };
    let gone = dir.path().join("gone.pem");
    assert!(matches!(load(&gone, &right.key), Err(CertificateError::Missing { what: "certificate", .. })));
    assert!(matches!(load(&right.certificate, &gone), Err(CertificateError::Missing { what: "private key", .. })));
    assert!(matches!(load(&empty, &right.key), Err(CertificateError::Empty { what: "certificate", .. })));
    assert!(matches!(load(&right.certificate, &empty), Err(CertificateError::Empty { what: "private key", .. })));
    assert!(matches!(load(&junk, &right.key), Err(CertificateError::Malformed { .. })));
    assert!(matches!(load(&right.certificate, &foreign.key), Err(CertificateError::KeyMismatch { .. })));
    assert!(matches!(load(dir.path(), &right.key), Err(CertificateError::Read { .. })));
    load(&right.certificate, &right.key).unwrap();
}

#[test]
fn a_broken_replacement_leaves_the_identity_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let identity = made(dir.path());
    let before = identity.leaf_der();
    std::fs::write(&identity.files().certificate, "half a cert").unwrap();
    assert!(identity.reload().is_err());
    assert_eq!(identity.leaf_der(), before);
}

#[tokio::test]
async fn watching_ends_with_the_shutdown_and_when_its_sender_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let identity = made(dir.path());
    for said in [true, false] {
        let stop = ShutdownTrigger::default();
        let stopping = stop.signal();
        let watching = tokio::spawn(identity.clone().watch_files_every(Duration::from_secs(600), stopping));
        if said {
            stop.request();
        } else {
            drop(stop);
        }
        tokio::time::timeout(Duration::from_secs(10), watching).await.unwrap().unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_content_of_the_files_makes_loading_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
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
