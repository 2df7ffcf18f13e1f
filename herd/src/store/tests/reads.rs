//! Reads of a range of the log, and their limits.

use super::super::*;
use super::log_damage::{filled, opened};
use crate::clock::WallTime;
use crate::fold::KeyRange;
use crate::tables::{Key, Table, number_key};

/// Number of bytes that is more than the log has.
const MUCH: usize = 1 << 20;

/// Catches a page without end, and one that a follower cannot take; whole rows are preferred, because they have their digest.
#[test]
fn a_page_keeps_to_both_limits_and_has_one_change_at_least() {
    let store = opened(&filled()).unwrap();
    let reader = store.reader();
    let bytes = |first: u64, last: u64| -> usize {
        (first..=last).map(|n| reader.change(Sequence(n)).unwrap().unwrap().len()).sum()
    };
    // The rows hold change 1, 2 to 11, 12 to 21 and so on. A row has 69 bytes, and 4 for each change.
    let two_rows = bytes(2, 11) + 69 + 40 + bytes(12, 21);
    for (after, limit, max_bytes, count) in [
        (0, 41, MUCH, 41),
        (0, 11, MUCH, 11),
        (0, 10, MUCH, 1),
        (11, 3, MUCH, 3),
        (14, 7, MUCH, 7),
        (14, 1, MUCH, 1),
        (1, 41, two_rows, 20),
        (1, 41, two_rows - 1, 10),
        (1, 41, bytes(2, 3), 2),
        (1, 41, bytes(2, 3) - 1, 1),
        (1, 41, 1, 1),
        (41, 9, MUCH, 0),
    ] {
        let from = reader.position_at(Sequence(after)).unwrap().unwrap();
        let run = reader.run_after(from, limit, max_bytes).unwrap();
        let end = reader.position_at(Sequence(after + count)).unwrap().unwrap();
        assert_eq!((run.changes.len() as u64, run.end), (count, end), "{limit} after {after}, {max_bytes} bytes");
    }
}

/// Catches queries whose cost nobody sees grow.
#[test]
fn a_snapshot_counts_what_is_read_of_it() {
    let store = opened(&filled()).unwrap();
    let snapshot = store.reader().snapshot().unwrap();
    let everything = KeyRange { from: &[], to: None, backwards: false, limit: 7 };
    let mut seen = vec![snapshot.reads()];
    let mut note = |read: &dyn Fn()| {
        read();
        seen.push(snapshot.reads());
    };
    note(&|| assert!(snapshot.get(Table::Animals, &number_key(2)).unwrap().is_some()));
    note(&|| assert!(snapshot.get(Table::Animals, &Key::from(&b"?"[..])).unwrap().is_none()));
    note(&|| assert_eq!(snapshot.range(Table::Animals, everything).unwrap().len(), 7));
    note(&|| assert!(snapshot.change(Sequence(2)).unwrap().is_some()));
    note(&|| assert!(snapshot.change(Sequence(99)).unwrap().is_none()));
    let counts = seen.iter().map(|reads| (reads.searches, reads.rows, reads.changes)).collect::<Vec<_>>();
    assert_eq!(counts, [(0, 0, 0), (1, 1, 0), (2, 1, 0), (3, 8, 0), (3, 8, 1), (3, 8, 2)]);
    let state = snapshot.state().unwrap();
    assert_eq!(
        (snapshot.folded().unwrap(), state.folded, state.position.sequence),
        (Sequence(41), Sequence(41), Sequence(41))
    );
}

/// Catches a time that is looked up again and again, and one that is missing for good because it was missing once.
#[test]
fn a_time_that_was_found_is_looked_up_once_by_all_snapshots() {
    let store = opened(&filled()).unwrap();
    let (reader, mut looked) = (store.reader(), 0);
    let at = WallTime { at_us: 7, synchronized: true };
    for (found, expected) in [(None, None), (Some(at), Some(at)), (None, Some(at))] {
        let look_up = || {
            looked += 1;
            Ok::<_, ()>(found)
        };
        assert_eq!(reader.snapshot().unwrap().known_time(Sequence(7), look_up), Ok(expected));
    }
    assert_eq!(looked, 2);
}

/// Catches a head that tells readers of changes which they do not see, or hides those that nobody will see for long.
#[test]
fn readers_are_told_of_what_the_tables_show_unless_those_are_blocked() {
    let head = Head { folded: Sequence(30), ..opened(&filled()).unwrap().head() };
    assert_eq!((head.visible(), head.unfolded()), (Sequence(30), 11));
    let blocked = Head { blocked: Some(ChangeError::Damaged { kind: 1, version: 1 }), ..head };
    assert_eq!((blocked.visible(), blocked.unfolded()), (Sequence(41), 0));
}
