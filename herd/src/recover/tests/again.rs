//! Claims about payloads that come back a second time, by way of another history.

use super::*;
use crate::change::ChangeKind;
use crate::position::Digest;

/// Catches a payload that comes back to the log which still holds it in its first place, and is appended once more.
#[test]
fn what_a_recovered_log_readmitted_is_a_duplicate_in_the_log_that_never_lost_it() {
    let yard = Yard::with(60);
    let whole = MemoryDisk::default();
    for file in [LOG_FILE, JOURNAL_FILE] {
        made::put(&whole, file, &yard.content(file));
    }
    yard.damage_rows(10..=10);
    let mut moved = recover(own(&yard)).unwrap();
    assert!(moved.readmitted.kept > 20);
    let at = crate::clock::RawReading::default();
    let new = crate::store::Incoming { raw: b"a new text".to_vec(), origin: crate::change::Origin::default(), at };
    moved.store.append(&[new]).unwrap();
    let backup = backup_of(&moved.store.reader());

    let clock = ClockReading { boot: 3, ..ClockReading::default() };
    let mut store = Store::open_source(&whole, Rules::default(), clock, || StoreId([50; 16])).unwrap();
    let end = store.head().position;
    assert!(end.sequence >= yard.head.sequence);
    let places = Places { given: Some(&backup), history: Some(end.store), ..Places::default() };
    let readmitted =
        find_log(places, &mut |_| {}).unwrap().readmit(&mut store, end, &acceptance(), &mut |_| {}).unwrap();
    assert_eq!((readmitted.kept, readmitted.duplicates), (1, moved.readmitted.kept));
}

/// Catches a payload of a later version that is taken for a correction, and left out.
#[test]
fn a_change_that_may_be_a_payload_of_a_later_program_is_refused() {
    let yard = Yard::with(3);
    let mut store = recover(own(&yard)).unwrap().store;
    let before = store.head();
    for (kind, is_refused) in [(ChangeKind::Received as u8, true), (99, true), (ChangeKind::Corrected as u8, false)] {
        let changes = [&[kind, 200, 1][..]].into_iter().collect();
        let after = Position { digest: Digest([7; 32]), ..yard.head };
        let readmitted = store.readmit(&crate::store::ChangeRun::following(after, changes), &acceptance());
        match readmitted {
            Ok(done) => assert_eq!((done.not_repeated_count, is_refused), (1, false)),
            Err(error @ crate::store::StoreError::UnknownLost { .. }) => {
                assert!(is_refused && store.has_refused(&error), "the store takes the next request");
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(store.head(), before);
}
