//! Tests of the list of sites.

use super::*;

fn register() -> (tempfile::TempDir, Register) {
    let directory = tempfile::tempdir().unwrap();
    let file = LocalFile::open(directory.path().join("local.redb")).unwrap();
    (directory, Register::new(file))
}

fn line(site: &str, store: u8) -> Pairing {
    Pairing {
        site: site.into(),
        addresses: vec!["192.168.7.2:5001".into(), "barn.local:5001".into()],
        spki_sha256: [store; 32],
        store: StoreId([store; 16]),
        key: format!("hxb_{store}"),
    }
}

fn add(register: &Register, line: &Pairing) -> PairingReceipt {
    register.add(line, &AddOptions::default(), 7).unwrap()
}

#[test]
fn adding_the_same_line_twice_changes_nothing() {
    let (_directory, register) = register();
    let first = add(&register, &line("barn", 1));
    assert_eq!(first.outcome, PairingOutcome::New);
    let again = register.add(&line("barn", 1), &AddOptions::default(), 99).unwrap();
    assert_eq!(again.outcome, PairingOutcome::Known { changed: vec![] });
    assert_eq!(register.list().unwrap(), [first.site]);
}

#[test]
fn a_new_line_of_the_same_barn_replaces_its_pairing_and_reports_the_changes() {
    let (_directory, register) = register();
    add(&register, &line("barn", 1));
    let renewed = Pairing {
        addresses: vec!["10.0.0.9:5001".into()],
        spki_sha256: [9; 32],
        key: "hxb_new".into(),
        ..line("called otherwise now", 1)
    };
    let added = add(&register, &renewed);
    assert_eq!(added.outcome, PairingOutcome::Known { changed: vec!["addresses", "trust", "key"] });
    assert_eq!((added.site.name.as_str(), added.site.added_at_us), ("barn", 7));
    assert_eq!(register.find("barn").unwrap().key, "hxb_new");
}

#[test]
fn two_barns_with_one_name_are_two_sites() {
    let (_directory, register) = register();
    add(&register, &line("barn", 1));
    assert_eq!(add(&register, &line("barn", 2)).site.name.as_str(), "barn-2");
    let wanted = AddOptions { name: Some("barn".parse().unwrap()), ..AddOptions::default() };
    assert!(matches!(register.add(&line("x", 3), &wanted, 0), Err(SitesError::Taken(_))));
    assert!(
        matches!(register.add(&line("x", 2), &wanted, 0), Err(SitesError::PairedAs(name)) if name.as_str() == "barn-2")
    );
}

#[test]
fn options_override_the_pin_and_the_addresses_of_the_line() {
    let (_directory, register) = register();
    let file = tempfile::NamedTempFile::new().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    std::fs::write(file.path(), certificate.pem()).unwrap();
    let options = AddOptions {
        authority: Some(file.path().into()),
        addresses: vec!["barn.example:5001".parse().unwrap()],
        name: None,
    };
    let site = register.add(&line("barn", 1), &options, 0).unwrap().site;
    assert_eq!(site.trust, Trust::Authority(file.path().into()));
    assert_eq!(site.addresses, options.addresses);

    let missing = AddOptions { authority: Some("no-such-file.pem".into()), ..AddOptions::default() };
    assert!(matches!(register.add(&line("barn", 1), &missing, 0), Err(SitesError::Link(_))));
    assert_eq!(register.find("barn").unwrap(), site, "a rejected pairing must change nothing");
}

#[test]
fn addresses_that_cannot_be_dialed_are_skipped_and_reported() {
    let (_directory, register) = register();
    let mut with_zone = line("barn", 1);
    with_zone.addresses.insert(0, "[fe80::1%eth0]:5001".into());
    let added = add(&register, &with_zone);
    assert_eq!((added.site.addresses.len(), added.unusable.len()), (2, 1));
    with_zone.addresses.truncate(1);
    assert!(matches!(
        register.add(&with_zone, &AddOptions::default(), 0),
        Err(SitesError::Link(LinkSetupError::NoAddress))
    ));
}

#[test]
fn removing_a_site_frees_its_name() {
    let (_directory, register) = register();
    let site = add(&register, &line("barn", 1)).site;
    register.remove(&site.name).unwrap();
    let error = register.find("barn").unwrap_err();
    assert_eq!(error.to_string(), "there is no site `barn`; paired: none");
    assert_eq!(add(&register, &line("barn", 2)).site.name.as_str(), "barn");
}

/// Catches an office that takes one barn too few or too many, and one that refuses to renew a pairing because it is full.
#[test]
fn the_number_of_sites_is_limited_but_known_ones_are_renewed() {
    let (_directory, register) = register();
    for n in 0..u8::try_from(MAX_SITES).unwrap() {
        add(&register, &line("barn", n));
    }
    let more = register.add(&line("more", 200), &AddOptions::default(), 0);
    assert!(matches!(more, Err(SitesError::TooMany)), "{more:?}");
    let renewed = Pairing { key: "hxb_new".into(), ..line("barn", 3) };
    assert_eq!(add(&register, &renewed).outcome, PairingOutcome::Known { changed: vec!["key"] });
    assert_eq!(register.list().unwrap().len(), MAX_SITES);
}

/// Catches a renewal that is told as another one, and a name given again that counts as another one.
#[test]
fn each_changed_part_of_a_pairing_is_told_by_itself() {
    let (_directory, register) = register();
    add(&register, &line("barn", 1));
    let named = AddOptions { name: Some("barn".parse().unwrap()), ..AddOptions::default() };
    let moved = Pairing { addresses: vec!["192.168.7.2:5001".into()], ..line("barn", 1) };
    let outcome = register.add(&moved, &named, 0).unwrap().outcome;
    assert_eq!(outcome, PairingOutcome::Known { changed: vec!["addresses"] });
    let outcome = add(&register, &Pairing { spki_sha256: [9; 32], ..moved }).outcome;
    assert_eq!(outcome, PairingOutcome::Known { changed: vec!["trust"] });
    let unknown = register.find(&"x".repeat(500)).unwrap_err().to_string();
    assert!(unknown.ends_with("`; paired: barn") && unknown.len() < 150, "{unknown}");
}

#[test]
fn the_stored_row_is_frozen_and_debug_output_hides_the_key() {
    let (_directory, register) = register();
    let site = add(&register, &line("b", 1)).site;
    let golden =
        [&b"\x01b\x02\x10192.168.7.2:5001\x0fbarn.local:5001\x00"[..], &[1; 32], b"\x05hxb_1", &[1; 16], b"\x0e"]
            .concat();
    assert_eq!(postcard::to_stdvec(&site).unwrap(), golden);
    assert!(!format!("{site:?}").contains("hxb_1"));
}
