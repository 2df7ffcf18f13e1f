//! A barn whose log vanished or went back, and its acceptance by a person.
//!
//! Catches: a start that goes on with less than the machine had and gives numbers a second time, a start that writes before
//! it refuses, and an acceptance that an office cannot tell from the history it follows.

use crate::world::{STORE, World, all_changes};
use herd::change::{Acceptance, Change};
use herd::clock::{ClockReading, RawReading};
use herd::decide::Rules;
use herd::position::{Epoch, Position, Sequence, StoreId};
use herd::store::{
    DamagedRow, Disk as _, JOURNAL_FILE, LOG_FILE, MemoryDisk, Store, StoreError, TABLES_FILE, is_acceptable,
    set_journal_aside,
};

const FILES: [&str; 3] = [LOG_FILE, JOURNAL_FILE, TABLES_FILE];

fn clock() -> ClockReading {
    RawReading::default().in_boot(2)
}

fn open(disk: &MemoryDisk, expected: Option<&Position>) -> Result<Store, StoreError> {
    Store::open_source_after(disk, expected, Rules::default(), clock(), || StoreId([8; 16]))
}

fn accept(disk: &MemoryDisk, expected: Option<&Position>) -> Store {
    let acceptance = Acceptance { author: "J. Doe".to_owned(), reason: "the card died".to_owned() };
    Store::accept_source(disk, expected, acceptance, &Rules::default(), clock(), || StoreId([8; 16])).unwrap()
}

/// A barn with seven payloads whose files were copied after the second, and its position at the end. The last payload is in
/// the journal only. Both segments of the journal were used again since the copy, so it cannot mend it.
struct Barn {
    disk: MemoryDisk,
    copy: MemoryDisk,
    end: Position,
}

fn barn() -> Barn {
    let mut world = World::new();
    for n in 0..2 {
        world.keeps(&format!("hxb:L1:A{n}:U{n}"));
    }
    world.store.settle().unwrap();
    let copy = world.disk.after_kill();
    for n in 2..6 {
        world.keeps(&format!("hxb:L1:A{n}:U{n}"));
        world.store.settle().unwrap();
    }
    world.keeps("hxb:L1:A6:U6");
    let end = world.store.head().position;
    drop(world.store);
    Barn { disk: world.disk, copy, end }
}

/// Puts a file of the copy back, or removes it if the copy has none.
fn put_back(barn: &Barn, file: &str) {
    let content = barn.copy.content(file).unwrap();
    assert!(barn.disk.overwrite(file, &content));
}

/// A way to lose changes, by its name.
type Loss = (&'static str, fn(&Barn));

/// Ways to lose changes, as a person or a card does it.
fn losses() -> [Loss; 7] {
    [
        ("the log vanished", |barn| FILES.iter().for_each(|file| barn.disk.remove(file).unwrap())),
        ("log.redb vanished", |barn| barn.disk.remove(LOG_FILE).unwrap()),
        ("log.redb is empty", |barn| assert!(barn.disk.overwrite(LOG_FILE, b""))),
        ("the journal vanished", |barn| barn.disk.remove(JOURNAL_FILE).unwrap()),
        ("log.redb went back", |barn| put_back(barn, LOG_FILE)),
        ("the log went back", |barn| FILES[..2].iter().for_each(|file| put_back(barn, file))),
        ("all files went back", |barn| FILES.iter().for_each(|file| put_back(barn, file))),
    ]
}

#[test]
fn a_log_that_holds_what_it_had_is_opened() {
    let Barn { disk, end, .. } = barn();
    let start = Position { sequence: Sequence::ZERO, digest: herd::digest::chain_start(STORE), epoch: Epoch(0), ..end };
    for expected in [None, Some(&start), Some(&end)] {
        assert_eq!(open(&disk.after_kill(), expected).unwrap().head().position, end);
    }
}

#[test]
fn a_log_that_lacks_what_it_had_is_refused_and_nothing_is_written() {
    for (what, lose) in losses() {
        let barn = barn();
        lose(&barn);
        let content = || (FILES.map(|file| barn.disk.has_content(file)), barn.disk.content(JOURNAL_FILE));
        let before = content();
        for _ in 0..2 {
            let refused = open(&barn.disk, Some(&barn.end)).unwrap_err();
            assert!(is_acceptable(&refused), "{what}: {refused}");
            match refused {
                StoreError::LostLog(lost) => assert_eq!(lost.expected, barn.end, "{what}"),
                other => panic!("{what}: {other}"),
            }
        }
        assert!(before == content(), "{what}: nothing is written");
    }
}

/// Catches a start after a reboot that names the journal in the place of what is missing, and that nobody can accept: the boot
/// is numbered before the log is opened.
#[test]
fn a_boot_is_numbered_whatever_the_log_lacks() {
    for (what, lose) in losses() {
        let barn = barn();
        lose(&barn);
        let has_log = barn.disk.has_content(LOG_FILE);
        assert_eq!(Store::last_boot(&barn.disk).unwrap(), u32::from(has_log), "{what}");
    }
}

/// Catches a start that takes another history for its own, and a branch that went on from the same copy.
#[test]
fn another_log_is_refused() {
    let (barn, other) = (barn(), World::new());
    let elsewhere = Position { store: StoreId([9; 16]), ..barn.end };
    let branch = Position { digest: other.store.head().position.digest, ..barn.end };
    for expected in [elsewhere, branch] {
        assert!(matches!(open(&barn.disk, Some(&expected)), Err(StoreError::LostLog(_))));
    }
}

/// Catches a start that rebuilds the tables of a log that went back together with what the machine remembered of it.
#[test]
fn tables_that_are_ahead_of_the_log_are_evidence_at_a_source_and_none_at_a_replica() {
    let barn = barn();
    put_back(&barn, LOG_FILE);
    put_back(&barn, JOURNAL_FILE);
    let replica = Store::open_replica(&barn.disk.after_kill(), STORE).unwrap();
    assert_eq!(replica.head().folded, Sequence(3));
    match open(&barn.disk, None) {
        Err(StoreError::LostLog(lost)) => assert_eq!(lost.expected.sequence, Sequence(7)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_accepted_log_begins_the_next_epoch_and_names_who_decided() {
    for (what, lose) in losses() {
        let barn = barn();
        lose(&barn);
        let store = accept(&barn.disk, Some(&barn.end));
        let head = store.head();
        assert_eq!((head.position.store, head.position.epoch), (STORE, Epoch(2)), "{what}");
        assert_eq!(head.folded, head.position.sequence, "{what}");
        let last = all_changes(&store).pop().unwrap();
        match Change::from_bytes(&last).unwrap() {
            Change::Epoch(began) => {
                let acceptance = began.acceptance.unwrap();
                assert_eq!((began.epoch, &*acceptance.author), (Epoch(2), "J. Doe"), "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
        drop(store);
        let again = open(&barn.disk, Some(&head.position)).unwrap();
        assert_eq!(again.head(), head, "{what}");
    }
}

/// Catches an acceptance that deletes what only the journal held.
#[test]
fn a_journal_that_does_not_continue_the_accepted_log_is_kept() {
    let barn = barn();
    barn.disk.remove(LOG_FILE).unwrap();
    let journal = barn.disk.content(JOURNAL_FILE).unwrap();
    drop(accept(&barn.disk, Some(&barn.end)));
    assert_eq!(barn.disk.content("log.journal.set-aside-1").unwrap(), journal);
}

/// Catches an acceptance of a log over what a retry would bring back, or a repair.
#[test]
fn only_a_log_that_lacks_changes_can_be_accepted() {
    let file = || LOG_FILE.to_owned();
    for error in [
        StoreError::MissingLog { journal: STORE },
        StoreError::DamagedJournal { offset: 0, at: Sequence(1), why: "" },
        StoreError::ForeignJournal { journal: STORE, log: STORE },
    ] {
        assert!(is_acceptable(&error), "{error}");
    }
    for error in [
        StoreError::Locked { file: file() },
        StoreError::Canceled { file: file() },
        StoreError::Storage { doing: "read", file: file(), why: String::new() },
        StoreError::DamagedFile { file: file(), why: String::new() },
        StoreError::DamagedLog { row: DamagedRow { first: Sequence(1), last: Sequence(2) }, why: "" },
        StoreError::Interrupted,
    ] {
        assert!(!is_acceptable(&error), "{error}");
    }
    // Such a failure leaves the journal where it is.
    let barn = barn();
    assert!(barn.disk.fail_reads(LOG_FILE));
    let acceptance = Acceptance { author: "J. Doe".to_owned(), reason: "the card died".to_owned() };
    let accepted = Store::accept_source(&barn.disk, Some(&barn.end), acceptance, &Rules::default(), clock(), || STORE);
    assert!(accepted.is_err() && barn.disk.holds(JOURNAL_FILE));
}

/// Catches a journal that is set aside over another one, which may hold the only copy of changes.
#[test]
fn a_hundred_journals_are_set_aside_under_names_of_their_own() {
    let disk = MemoryDisk::default();
    for n in 1..=100 {
        drop(disk.open_bytes(JOURNAL_FILE).unwrap());
        assert_eq!(set_journal_aside(&disk).unwrap(), format!("log.journal.set-aside-{n}"));
    }
    drop(disk.open_bytes(JOURNAL_FILE).unwrap());
    assert!(matches!(set_journal_aside(&disk), Err(StoreError::Storage { doing: "set aside", .. })));
    assert!(disk.holds(JOURNAL_FILE));
}

/// Catches damage of the journal that is told as a lost log, although `log.redb` holds all that the machine remembers; and a
/// log that went back which is told as damage of the journal.
#[test]
fn a_damaged_journal_is_a_loss_only_behind_the_end_of_the_log() {
    let mut world = World::new();
    world.store.settle().unwrap();
    let body = world.store.head().position;
    for n in 0..3 {
        world.keeps(&format!("hxb:L1:A{n}:U{n}"));
    }
    let end = world.store.head().position;
    drop(world.store);
    let mut journal = world.disk.content(JOURNAL_FILE).unwrap();
    // The second record of the second segment.
    journal[64 * 1_024 + 4_096 + 100] ^= 1;
    assert!(world.disk.overwrite(JOURNAL_FILE, &journal));
    let refused = |expected: &Position| open(&world.disk, Some(expected)).unwrap_err();
    assert!(matches!(refused(&body), StoreError::DamagedJournal { .. }));
    match refused(&end) {
        StoreError::LostLog(lost) => assert_eq!((lost.expected, lost.found), (end, Some(body))),
        other => panic!("{other}"),
    }
}
