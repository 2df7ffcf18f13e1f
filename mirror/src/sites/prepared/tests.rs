use super::*;
use crate::sites::files::SiteFiles;
use crate::sites::register::{AddOptions, PairingOutcome};
use herd::pairing::Pairing;
use herd::position::StoreId;
use herd::randomness::SeededRandomness;

const OFFICE: Fingerprint = Fingerprint([0x0f; 32]);
const BARN: [u8; 32] = [0xb0; 32];

fn code(seed: u64) -> PairingCode {
    PairingCode::generate(&mut SeededRandomness::new(seed)).unwrap()
}

fn name(name: &str) -> SiteName {
    name.parse().unwrap()
}

fn addresses() -> Vec<Address> {
    vec!["herdlinx-north.local:5001".parse().unwrap()]
}

fn local() -> (tempfile::TempDir, LocalFile) {
    let directory = tempfile::tempdir().unwrap();
    let file = LocalFile::open(directory.path().join("local.redb")).unwrap();
    (directory, file)
}

/// Returns the pairing that a barn with this code gives this office.
fn pairing(code: &PairingCode) -> Pairing {
    let ends = Fingerprints { barn: Fingerprint(BARN), office: OFFICE };
    Pairing {
        site: "North Barn".into(),
        addresses: vec!["127.0.0.1:1".into()],
        spki_sha256: BARN,
        store: StoreId([1; 16]),
        key: Secret::of_key(code.key().api_key(&ends)).reveal().into(),
    }
}

/// Catches codes that pile up, and an old one that keeps a new one out.
#[test]
fn the_number_of_prepared_barns_is_limited_and_old_ones_make_room() {
    let (_directory, file) = local();
    let prepared = PreparedSites::new(file);
    for n in 0..MAX_PREPARED {
        prepared.add(name(&format!("barn-{n}")), &code(1), addresses(), 0).unwrap();
    }
    let more = |now_us| prepared.add(name("more"), &code(1), addresses(), now_us);
    assert!(matches!(more(PREPARED_LIFETIME_DAYS * DAY_US), Err(PreparedError::TooMany)));
    prepared.add(name("barn-3"), &code(2), addresses(), 5).unwrap();
    assert_eq!(prepared.list().unwrap().len(), MAX_PREPARED);
    more(PREPARED_LIFETIME_DAYS * DAY_US + 1).unwrap();
    let left: Vec<_> = prepared.list().unwrap().into_iter().map(|site| site.name.to_string()).collect();
    assert_eq!(left, ["barn-3", "more"]);
    assert!(matches!(prepared.add(name("x"), &code(1), Vec::new(), 0), Err(PreparedError::NoAddress)));
}

/// Catches an office that the barn takes for another one after its certificate was replaced.
#[test]
fn the_public_key_of_the_first_search_is_kept() {
    let (_directory, file) = local();
    let prepared = PreparedSites::new(file);
    prepared.add(name("north"), &code(1), addresses(), 0).unwrap();
    assert_eq!(prepared.to_search(&[], OFFICE).unwrap()[0].office, Some(OFFICE));
    assert_eq!(prepared.to_search(&[], Fingerprint([1; 32])).unwrap()[0].office, Some(OFFICE));
}

/// Catches a crash between the two writes of a completed pairing, after which the office searches forever.
#[test]
fn a_barn_that_became_a_site_is_not_searched_again() {
    let (directory, file) = local();
    let (files, prepared) = (SiteFiles::new(file.clone(), directory.path()), PreparedSites::new(file));
    prepared.add(name("north"), &code(1), addresses(), 0).unwrap();
    prepared.add(name("south"), &code(2), addresses(), 0).unwrap();
    assert_eq!(files.prepared_to_search(OFFICE).unwrap().len(), 2);
    files.add(&pairing(&code(1)), &AddOptions::default(), 0).unwrap();
    let left = files.prepared_to_search(OFFICE).unwrap();
    assert_eq!((left.len(), left[0].name.as_str()), (1, "south"));
    assert_eq!(prepared.list().unwrap(), left);
}

/// Catches a pairing that comes true although the operator has canceled or replaced it, and one under a wrong name.
#[test]
fn a_prepared_barn_becomes_a_site_under_its_name_unless_it_was_canceled() {
    let (directory, file) = local();
    let files = SiteFiles::new(file, directory.path());
    let first = files.prepare(name("north"), &code(1), addresses(), 0).unwrap();
    let second = files.prepare(name("north"), &code(2), addresses(), 0).unwrap();
    assert_eq!(files.complete(&first, &pairing(&code(1)), 0).unwrap(), None);
    let receipt = files.complete(&second, &pairing(&code(2)), 0).unwrap().unwrap();
    assert_eq!(receipt.site.name, name("north"));
    assert_eq!(files.complete(&second, &pairing(&code(2)), 0).unwrap(), None);
    // The card of a known barn is made anew: the site keeps its name, and gets the new key.
    let again = files.prepare(name("other"), &code(3), addresses(), 0).unwrap();
    let receipt = files.complete(&again, &pairing(&code(3)), 0).unwrap().unwrap();
    assert_eq!((receipt.site.name.as_str(), files.list().unwrap().len()), ("north", 1));
    let canceled = files.prepare(name("south"), &code(4), addresses(), 0).unwrap();
    assert!(files.forget_prepared("south").unwrap() && !files.forget_prepared("south").unwrap());
    assert_eq!(files.complete(&canceled, &pairing(&code(4)), 0).unwrap(), None);
}

/// Catches a barn that is refused for ever because another one got its name while its card was on the way, two sites of one
/// name, and a name that is taken from another prepared barn.
#[test]
fn a_prepared_barn_whose_name_is_taken_gets_a_number() {
    let (directory, file) = local();
    let files = SiteFiles::new(file, directory.path());
    let line = |seed, store| Pairing { store: StoreId([store; 16]), ..pairing(&code(seed)) };
    let first = files.prepare(name("north"), &code(1), addresses(), 0).unwrap();
    files.complete(&first, &line(1, 1), 0).unwrap().unwrap();
    let second = files.prepare(name("north"), &code(2), addresses(), 0).unwrap();
    let receipt = files.complete(&second, &line(2, 2), 0).unwrap().unwrap();
    assert_eq!((receipt.site.name, receipt.outcome), (name("north-2"), PairingOutcome::New));
    assert_eq!(files.find("north").unwrap().store, StoreId([1; 16]), "the first one keeps its name");
    assert_eq!(files.prepared_to_search(OFFICE).unwrap(), []);
    // `north-3` is the name of a card that is on its way.
    let waiting = files.prepare(name("north-3"), &code(3), addresses(), 0).unwrap();
    let third = files.prepare(name("north"), &code(4), addresses(), 0).unwrap();
    assert_eq!(files.complete(&third, &line(4, 4), 0).unwrap().unwrap().site.name, name("north-4"));
    assert_eq!(files.complete(&waiting, &line(3, 3), 0).unwrap().unwrap().site.name, name("north-3"));
    assert_eq!((files.list().unwrap().len(), files.prepared_to_search(OFFICE).unwrap().len()), (4, 0));
}

/// Catches a change of the stored form, after which an office would forget the barns that it waits for.
#[test]
fn the_stored_row_is_frozen() {
    let code: PairingCode = "pair-0c51-260z-4rpk-8et2-9585-eqk5-dhsq-n0c8-vtb2".parse().unwrap();
    let addresses = vec!["barn.local:5001".parse().unwrap()];
    let site =
        PreparedSite { name: name("north"), key: code.key(), addresses, prepared_at_us: 7, office: Some(OFFICE) };
    let key = hex::decode("607fd8100dcab9d09b27ca95e1fd870d006fb5ce3fdb5d7a9fb9ebdea5f17ab2").unwrap();
    let office = "0f".repeat(32);
    let golden = [&b"\x05north"[..], &key, b"\x01\x0fbarn.local:5001", b"\x0e", b"\x01\x40", office.as_bytes()];
    assert_eq!(postcard::to_stdvec(&site).unwrap(), golden.concat());
}

/// Catches a code or a key in a log.
#[test]
fn debug_outputs_hide_the_code() {
    let (_directory, file) = local();
    let site = PreparedSites::new(file).add(name("north"), &code(1), addresses(), 0).unwrap();
    assert!(format!("{site:?}").contains("CodeKey(hidden)"));
}
