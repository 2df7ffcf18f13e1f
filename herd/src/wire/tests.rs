//! Golden bytes of the blobs, and the refusal of bytes that are not a blob.

use super::*;
use crate::clock::WallTime;
use crate::position::{Digest, Epoch, Position, Sequence, StoreId};
use crate::store::Changes;
use proptest::prelude::*;

fn position(sequence: u64) -> Position {
    let fill = u8::try_from(sequence).unwrap();
    Position { store: StoreId([1; 16]), epoch: Epoch(1), sequence: Sequence(sequence), digest: Digest([fill; 32]) }
}

fn page() -> Page {
    let changes: Changes = [&b"\x01\x01first"[..], b"\x63\x07unknown"].into_iter().collect();
    let barn = BarnHead { head: Sequence(300), age_ms: Some(0), duplicates: 2 };
    Page { after: position(4), end: PageEnd { end: position(6), head: Sequence(300), barn }, changes }
}

/// Catches a change of the header or of a page's field order, which would cut off every follower of another build.
#[test]
fn the_bytes_of_a_page_are_frozen() {
    let (store, one) = ("01".repeat(16), "01");
    let body = [
        &store,
        one,
        "04",
        &"04".repeat(32), // after
        &store,
        one,
        "06",
        &"06".repeat(32), // end
        "ac02",           // head
        "ac02",
        "0100",
        "02", // barn: head, age, duplicates
        "02",
        "07",
        &hex::encode(b"\x01\x01first"),
        "09",
        &hex::encode(b"\x63\x07unknown"),
    ]
    .concat();
    let body = hex::decode(body).unwrap();
    let mut expected = b"HERDLINX\x01\x01".to_vec();
    expected.extend_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
    expected.extend_from_slice(&body);
    let digest = blake3::hash(&expected);
    expected.extend_from_slice(digest.as_bytes());
    assert_eq!(hex::encode(to_blob(&page())), hex::encode(expected));
}

/// Catches a change of the field order of any other body.
#[test]
fn the_bytes_of_the_small_blobs_are_frozen() {
    let heartbeat = Heartbeat {
        position: position(6),
        folded: Sequence(5),
        fold_version: 1,
        fold_digest: Digest([9; 32]),
        barn: BarnHead::default(),
    };
    let at = |n: &str| ["01".repeat(16).as_str(), "01", n, &n.repeat(32)].concat();
    let heartbeat_body = [at("06").as_str(), "05", "01", &"09".repeat(32), "000000"].concat();
    let finding = HealthFinding { part: "disk".to_owned(), failing: true, text: "make room".to_owned() };
    let health = BarnHealth { age_ms: Some(300), findings: vec![finding], omitted: 2 };
    let health_body =
        ["01ac02", "01", "04", &hex::encode("disk"), "01", "09", &hex::encode("make room"), "02"].concat();
    let backup = BackupStart {
        site: "north".to_owned(),
        made: WallTime { at_us: 150, synchronized: true },
        end: position(6),
        epochs: vec![(Epoch(1), Sequence(1)), (Epoch(2), Sequence(300))],
    };
    let backup_body = ["05", &hex::encode("north"), "ac0201", &at("06"), "02", "0101", "02ac02"].concat();
    let golden = [
        (to_blob(&Acknowledgment { durable: position(6) }), "02", at("06")),
        (to_blob(&heartbeat), "03", heartbeat_body.clone()),
        (to_blob(&Schema { wire_version: 1, state: heartbeat }), "04", ["01", heartbeat_body.as_str()].concat()),
        (to_blob(&ExportEnd { count: 7, end: position(6) }), "05", ["07", at("06").as_str()].concat()),
        (to_blob(&health), "06", health_body),
        (to_blob(&backup), "07", backup_body),
    ];
    for (blob, kind, body) in golden {
        let length = u32::try_from(body.len() / 2).unwrap().to_le_bytes();
        let expected = [hex::encode(b"HERDLINX\x01"), kind.to_owned(), hex::encode(length), body].concat();
        assert_eq!(hex::encode(&blob[..blob.len() - 32]), expected);
    }
}

/// Catches a kind that cannot be told from its header, which ends a connection.
#[test]
fn each_kind_is_known_by_its_number_and_others_are_not() {
    for kind in 1..=7 {
        let blob = [b"HERDLINX\x01".as_slice(), &[kind, 0, 0, 0, 0]].concat();
        assert_eq!(blob_kind(&blob).map(|kind| kind as u8), Ok(kind));
    }
    let later = b"HERDLINX\x01\x08\0\0\0\0";
    assert_eq!(blob_kind(later), Err(BlobError::Kind { found: 8, expected: 0 }));
}

/// Catches a decoder that accepts a damaged blob, or one of another kind.
#[test]
fn truncated_altered_and_overlong_blobs_are_refused() {
    let blob = to_blob(&page());
    assert_eq!(from_blob::<Page>(&blob), Ok(page()));
    for end in 0..blob.len() {
        assert!(matches!(from_blob::<Page>(&blob[..end]), Err(BlobError::Truncated { .. })), "cut at {end}");
    }
    for at in 0..blob.len() {
        let mut altered = blob.clone();
        altered[at] ^= 1;
        assert!(from_blob::<Page>(&altered).is_err(), "bit flipped at {at}");
    }
    let longer = [blob.as_slice(), b"x"].concat();
    assert_eq!(from_blob::<Page>(&longer), Err(BlobError::Trailing { bytes: 1 }));
    assert_eq!(from_blob::<Schema>(&blob), Err(BlobError::Kind { found: 1, expected: 4 }));
}

/// Catches an allocation of whatever length a hostile peer announces.
#[test]
fn a_hostile_length_is_refused_from_the_header_alone() {
    let mut blob = to_blob(&page());
    blob[10..14].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(blob_length(&blob), Err(BlobError::TooLong { bytes: u32::MAX as usize }));
    let mut announced = |bytes: usize| {
        blob[10..14].copy_from_slice(&u32::try_from(bytes).unwrap().to_le_bytes());
        blob_length(&blob)
    };
    assert_eq!(announced(MAX_BLOB_BYTES), Ok(Some(MAX_BLOB_BYTES + 46)));
    assert_eq!(announced(MAX_BLOB_BYTES + 1), Err(BlobError::TooLong { bytes: MAX_BLOB_BYTES + 1 }));
}

/// Catches a follower that waits for another number of bytes than its source sends.
#[test]
fn the_length_of_a_blob_is_known_once_its_header_is_there() {
    let blob = to_blob(&page());
    for arrived in 0..=blob.len() {
        let expected = (arrived >= 14).then_some(blob.len());
        assert_eq!(blob_length(&blob[..arrived]), Ok(expected), "{arrived} bytes");
    }
    assert_eq!(blob_length(b"<!doctype html>"), Err(BlobError::BadMagic));
}

/// Catches a full page that its own reader refuses.
#[test]
fn a_full_page_is_within_the_limit_of_a_blob() {
    assert_eq!((MAX_PAGE_BYTES, MAX_PAGE_CHANGES, MAX_BLOB_BYTES), (4_194_304, 10_000, 4_309_840));
    let change = vec![b'x'; MAX_PAGE_BYTES / MAX_PAGE_CHANGES];
    let changes: Changes = std::iter::repeat_n(change.as_slice(), MAX_PAGE_CHANGES).collect();
    let blob = to_blob(&Page { changes, ..page() });
    assert!((MAX_PAGE_BYTES..=MAX_BLOB_BYTES).contains(&blob.len()), "{} bytes", blob.len());
    assert!(blob_length(&blob).is_ok());
}

/// Catches a backup whose name clears the screen of the person who lists it.
#[test]
fn a_name_is_shown_without_control_characters_and_cut() {
    let shown = |site: &str| {
        let start =
            BackupStart { site: site.to_owned(), made: WallTime::default(), end: position(6), epochs: Vec::new() };
        start.shown_site()
    };
    assert_eq!(shown("nor\u{1b}[2Jth\r\n"), "nor[2Jth");
    assert_eq!([60, 61].map(|chars| shown(&"é".repeat(chars)).chars().count()), [60, 60]);
}

proptest! {
    /// Catches a panic on input from the network.
    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200), with_magic: bool,
    ) {
        let bytes = if with_magic { [b"HERDLINX\x01\x01".as_slice(), &bytes].concat() } else { bytes };
        prop_assert!(from_blob::<Page>(&bytes).is_err());
        let _ = blob_kind(&bytes);
        let _ = blob_length(&bytes);
    }
}
