//! Fuzzes the blobs that a source and a follower send each other, and those of a backup.
//!
//! The first byte of an input selects its form: bytes as they are, or a body of one kind, for which the target makes header
//! and digest. A blob that is read has the length that its header states, is encoded to a blob that reads as the same
//! body, and is refused under every other kind, with a byte more or less, and with any bit flipped. The beginning of a page
//! yields its first changes.
#![no_main]

use fuzz::{seeds, source};
use herd::clock::WallTime;
use herd::position::{Epoch, Sequence};
use herd::store::{ChangeRun, Head};
use herd::wire::{
    Acknowledgment, BackupStart, BarnHead, BarnHealth, Body, ExportEnd, HealthFinding, Heartbeat, Page, Schema,
    WIRE_VERSION, blob_kind, blob_length, from_blob, read_cut_page, to_blob,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

const HEADER_BYTES: usize = 14;
const DIGEST_BYTES: usize = 32;

libfuzzer_sys::fuzz_target!(init: seeds::write(seeds()), |bytes: &[u8]| check(bytes));

fn seeds() -> Vec<Vec<u8>> {
    let log = source::log();
    let head =
        Head { position: log.positions[3], folded: Sequence(3), fold_digest: log.positions[3].digest, blocked: None };
    let state = Heartbeat::new(&head, BarnHead { head: Sequence(300), age_ms: Some(7), duplicates: 2 });
    let run = |start: usize, count| ChangeRun::following(log.positions[start], log.run(start, count));
    let page = |start, count| to_blob(&Page::new(run(start, count), Sequence(300), BarnHead::default()));
    let finding = HealthFinding { part: "disk".to_owned(), failing: true, text: "make room".to_owned() };
    let epochs = vec![(Epoch(1), Sequence(1))];
    let backup = BackupStart { site: "north".to_owned(), made: WallTime::default(), end: log.positions[3], epochs };
    let blobs = [
        to_blob(&backup),
        page(0, 3),
        page(4, 1),
        page(2, 0),
        to_blob(&Acknowledgment { durable: log.positions[2] }),
        to_blob(&state),
        to_blob(&Schema { wire_version: WIRE_VERSION, state }),
        to_blob(&ExportEnd { count: 7, end: log.positions[1] }),
        to_blob(&BarnHealth::of_barn(vec![finding])),
    ];
    let both = blobs.iter().flat_map(|blob| {
        let body = &blob[HEADER_BYTES..blob.len() - DIGEST_BYTES];
        [[&[0][..], blob].concat(), [&[blob[9]][..], body].concat()]
    });
    both.collect()
}

fn check(bytes: &[u8]) {
    let Some((form, bytes)) = bytes.split_first() else { return };
    match form {
        0 => check_blob(bytes),
        kind => check_blob(&signed(*kind, bytes)),
    }
}

/// Returns the blob of a body.
fn signed(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let blob = [&b"HERDLINX"[..], &[WIRE_VERSION, kind], &length.to_le_bytes(), body].concat();
    let digest = blake3::hash(&blob);
    [&blob, &digest.as_bytes()[..]].concat()
}

fn check_blob(blob: &[u8]) {
    let read = [
        check_as::<Page>(blob),
        check_as::<Acknowledgment>(blob),
        check_as::<Heartbeat>(blob),
        check_as::<Schema>(blob),
        check_as::<ExportEnd>(blob),
        check_as::<BarnHealth>(blob),
        check_as::<BackupStart>(blob),
    ];
    let count = read.into_iter().filter(|is_read| *is_read).count();
    assert!(count <= 1, "a blob is of {count} kinds");
    if count == 1 {
        assert!(blob_kind(blob).is_ok());
        assert_eq!(blob_length(blob), Ok(Some(blob.len())));
    }
    check_cut_page(blob);
}

/// Checks the claims about a blob that is read as a `T`, and returns whether it is.
fn check_as<T: Body + Serialize + DeserializeOwned + Debug + PartialEq>(blob: &[u8]) -> bool {
    let Ok(body) = from_blob::<T>(blob) else { return false };
    assert_eq!(from_blob::<T>(&to_blob(&body)), Ok(body));
    assert!(from_blob::<T>(&[blob, b"x"].concat()).is_err());
    assert!(from_blob::<T>(&blob[..blob.len() - 1]).is_err());
    // Any place will do, and the digest selects one by chance.
    let place = usize::from(blob[blob.len() - 1]) * 251 % blob.len();
    let mut altered = blob.to_vec();
    altered[place] ^= 1;
    assert!(from_blob::<T>(&altered).is_err(), "bit flipped at {place}");
    true
}

/// Checks what is read of a page whose connection was cut at the end of these bytes, or half-way.
fn check_cut_page(bytes: &[u8]) {
    let Ok(Some(all)) = read_cut_page(bytes) else { return };
    if let Ok(page) = from_blob::<Page>(bytes) {
        assert_eq!((all.after, &all.changes), (page.after, &page.changes));
    }
    assert_eq!(all, ChangeRun::following(all.after, all.changes.clone()));
    if let Ok(Some(half)) = read_cut_page(&bytes[..bytes.len() / 2]) {
        assert_eq!(half.after, all.after);
        assert!(half.changes.iter().eq(all.changes.iter().take(half.changes.len())));
    }
}
