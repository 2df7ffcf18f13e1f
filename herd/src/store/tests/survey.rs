//! A look at a log that a restore may replace.
//!
//! Catches: a restore over the only copy of a payload, and one that is refused although nothing would be lost.

use super::super::*;
use crate::change::{Acceptance, Origin};
use crate::clock::{ClockReading, RawReading};
use crate::position::{Epoch, StoreId};

fn opened(disk: &MemoryDisk) -> Store {
    Store::open_source(disk, Rules::default(), ClockReading { boot: 1, ..ClockReading::default() }, || StoreId([7; 16]))
        .unwrap()
}

fn survey(disk: &MemoryDisk) -> LogSurvey {
    LogSurvey::of(disk).unwrap().unwrap()
}

#[test]
fn a_log_has_payloads_once_it_holds_more_than_starts_of_writers() {
    let disk = MemoryDisk::default();
    drop(opened(&disk));
    let clock = ClockReading::default();
    let acceptance = Acceptance { author: "J. Doe".to_owned(), reason: "the card died".to_owned() };
    drop(Store::accept_source(&disk, None, acceptance, &Rules::default(), clock, || StoreId([8; 16])).unwrap());
    assert_eq!((survey(&disk).has_payloads(), survey(&disk).end().sequence), (false, Sequence(2)));
    let counted = disk.after_kill();
    let suppressed = crate::change::Suppressed { channel: "radio1".to_owned(), count: 1, first: clock, last: clock };
    opened(&counted).append_suppressed(suppressed).unwrap();
    opened(&disk)
        .append(&[Incoming { raw: b"?".to_vec(), origin: Origin::default(), at: RawReading::default() }])
        .unwrap();
    let unknown = MemoryDisk::default();
    let mut replica = Store::open_replica(&unknown, StoreId([7; 16])).unwrap();
    let later = [&b"\x63\x01?"[..]].into_iter().collect();
    replica.apply(ChangeRun::following(replica.head().position, later)).unwrap();
    drop(replica);
    for disk in [&counted, &disk, &unknown] {
        assert!(survey(disk).has_payloads());
    }
}

#[test]
fn a_survey_knows_the_positions_of_its_log_and_no_others() {
    let disk = MemoryDisk::default();
    let mut store = opened(&disk);
    store.append(&[Incoming { raw: b"?".to_vec(), origin: Origin::default(), at: RawReading::default() }]).unwrap();
    let (head, start) = (store.head().position, crate::digest::log_start(StoreId([7; 16])));
    let began = store.reader().position_at(Sequence(1)).unwrap().unwrap();
    drop(store);
    let survey = survey(&disk);
    assert_eq!(survey.end(), head);
    assert_eq!(
        [0, 1, 2, 3].map(|n| survey.position_at(Sequence(n)).unwrap()),
        [Some(start), Some(began), Some(head), None]
    );
    let other = Digest([9; 32]);
    for (position, expected) in [
        (head, true),
        (began, true),
        (Position { store: StoreId([8; 16]), ..head }, false),
        (Position { digest: other, ..head }, false),
        (Position { epoch: Epoch(2), ..head }, false),
        (Position { sequence: Sequence(3), ..head }, false),
    ] {
        assert_eq!(survey.holds(&position).unwrap(), expected, "{position}");
    }
}

#[test]
fn a_journal_without_its_log_is_not_nothing() {
    let disk = MemoryDisk::default();
    assert!(LogSurvey::of(&disk).unwrap().is_none());
    drop(opened(&disk));
    disk.remove(LOG_FILE).unwrap();
    let alone = |content: &[u8]| {
        assert!(disk.overwrite(JOURNAL_FILE, content));
        LogSurvey::of(&disk).map(|found| found.is_none())
    };
    let journal = disk.content(JOURNAL_FILE).unwrap();
    assert!(matches!(alone(&journal), Err(StoreError::MissingLog { journal: StoreId([7, ..]) })));
    let mut torn = journal.clone();
    torn[200..].fill(0);
    assert!(matches!(alone(&torn[..2_000]), Err(StoreError::DamagedJournal { offset: 0, at: Sequence(1), .. })));
    assert!(alone(&vec![0; journal.len()]).unwrap(), "as after its allocation");
    assert!(!disk.holds(LOG_FILE), "nothing was made");
}
