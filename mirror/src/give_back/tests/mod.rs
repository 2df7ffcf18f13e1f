//! Copies that somebody needs, and those that nobody does.

mod steps;

use super::*;
use herd::store::{LOG_FILE, MemoryDisk};
use herd::testing::TestBarn;

fn held_copies(directory: &std::path::Path, shown: Reader) -> HeldCopies {
    HeldCopies { copies: Copies::open(directory).unwrap(), shown: Some(shown) }
}

/// Makes a complete copy of a barn.
fn copy(copies: &Copies, barn: &TestBarn) -> CopyNumber {
    let (number, source) = (copies.begin(|_| true).unwrap(), barn.reader());
    let disk = Directory::new(copies.path(number)).unwrap();
    let mut store = Store::open_replica(&disk, source.store()).unwrap();
    store.apply(source.run_after(store.head().position, 1_000, 1_000_000).unwrap()).unwrap();
    store.settle().unwrap();
    drop(store);
    copies.finish(number, |_| false).unwrap();
    number
}

/// Overwrites the log of a copy.
fn damage(copies: &Copies, copy: CopyNumber) {
    std::fs::write(copies.path(copy).join(LOG_FILE), b"no log").unwrap();
}

/// Catches a copy that a resync removes although only it holds some reads, and one that is kept forever.
#[test]
fn a_copy_is_needed_until_the_shown_one_or_the_barn_holds_all_of_it() {
    let (directory, disk) = (tempfile::tempdir().unwrap(), MemoryDisk::default());
    let mut lost = TestBarn::on(&disk);
    lost.record("hxb:LOT1:LF1:UHF1");
    let card = disk.after_power_cut();
    let copies = Copies::open(directory.path()).unwrap();
    let early = copy(&copies, &lost);
    for text in ["hxb:LOT1:LF2:UHF2", "hxb:LOT1:LF3:UHF3"] {
        lost.record(text);
    }
    let old = copy(&copies, &lost);
    let mut barn = TestBarn::on(&card);
    barn.record("hxb:LOT1:LF4:UHF4");
    copy(&copies, &barn);

    let held = held_copies(directory.path(), barn.reader());
    assert_eq!(held.count_only_here().changes, Some(2));
    assert!(held.is_spent(early) && !held.is_spent(old));
    let end = lost.reader().head().position;
    assert_eq!(held.open_only_here().unwrap().head().position, end);
    let first = held.first_open(Some(early)).unwrap();
    assert_eq!(first, Some(GiveBackCursor { copy: old, stage: GiveBackStage::Begin }));

    // Once the barn has it, and the shown copy has what the barn made of it.
    let mut given = GivenBack { end, barn: barn.reader().head().position };
    given.barn.sequence = given.barn.sequence.next();
    copies.mark_given_back(old, &given).unwrap();
    assert_eq!((held.count_only_here().changes, held.is_spent(old)), (Some(2), false), "the barn may lose it again");
    let given = GivenBack { end, barn: barn.reader().head().position };
    copies.mark_given_back(old, &given).unwrap();
    assert_eq!((held.count_only_here().changes, held.is_spent(old)), (Some(0), true));
    assert_eq!(held.open_only_here().unwrap().head().position, barn.reader().head().position);
}

/// Catches a note of an earlier end that lets a resync remove what the copy got since then.
#[test]
fn a_copy_that_grew_since_it_was_given_back_is_needed_again() {
    let (directory, mut barn) = (tempfile::tempdir().unwrap(), TestBarn::default());
    let before = barn.reader().head().position;
    barn.record("hxb:LOT1:LF1:UHF1");
    let copies = Copies::open(directory.path()).unwrap();
    let old = copy(&copies, &barn);
    let shown = TestBarn::default();
    let given = GivenBack { end: before, barn: shown.reader().head().position };
    copies.mark_given_back(old, &given).unwrap();
    copy(&copies, &shown);
    assert!(!held_copies(directory.path(), shown.reader()).is_given_back(old).unwrap());
}

/// Catches a count that nobody sees, or one of 0, because some copy cannot be compared.
#[test]
fn a_copy_that_cannot_be_read_is_left_out_of_the_count_and_named() {
    let (directory, disk) = (tempfile::tempdir().unwrap(), MemoryDisk::default());
    let mut lost = TestBarn::on(&disk);
    let card = disk.after_power_cut();
    let copies = Copies::open(directory.path()).unwrap();
    lost.record("hxb:LOT1:LF1:UHF1");
    let forked = copy(&copies, &lost);
    let unreadable = copy(&copies, &lost);
    let mut barn = TestBarn::on(&card);
    barn.record("hxb:LOT1:LF4:UHF4");
    copy(&copies, &barn);
    damage(&copies, unreadable);
    let held = held_copies(directory.path(), barn.reader());
    assert_eq!(held.count_only_here(), OnlyHere { changes: Some(1), uncompared: vec![unreadable] });
    assert_eq!(held.open_only_here().unwrap().head().position, lost.reader().head().position);
    assert!(!held.is_spent(unreadable));

    let note = GivenBack { end: lost.reader().head().position, barn: barn.reader().head().position };
    copies.mark_given_back(forked, &note).unwrap();
    assert_eq!(held.count_only_here(), OnlyHere { changes: None, uncompared: vec![unreadable] }, "it may hold some");
    assert!(matches!(held.open_only_here(), Err(GiveBackError::Store(_))), "nothing else is only here");

    // A person has carried its log to the barn.
    for file in std::fs::read_dir(copies.path(unreadable)).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    assert_eq!(held.count_only_here(), OnlyHere { changes: Some(0), uncompared: vec![] });
    let next = held.first_open(Some(forked)).unwrap();
    assert_eq!(next.map(|cursor| Some(cursor.copy)), Some(copies.current().unwrap()), "it is passed over");
}

/// Catches a sum that loses what a page gave back, and a list of decisions that grows without bound.
#[test]
fn the_results_of_the_pages_add_up_and_a_hundred_decisions_are_named() {
    let row = |n| DamagedRow { first: Sequence(n), last: Sequence(n + 1) };
    let mut total = GiveBackProgress::default();
    for n in 0..3 {
        let not_repeated = (0..40).map(|m| Sequence(n * 40 + m)).collect();
        let (mended, unmended) = (vec![row(n)], vec![row(n + 10), row(n + 20)]);
        let step = GiveBackProgress {
            kept: 5,
            duplicates: 7,
            not_repeated,
            not_repeated_count: 50,
            mended,
            unmended,
            unreadable: vec![UnreadableCopy { copy: serde_json::from_str("2").unwrap(), why: "no log".into() }],
            next: None,
        };
        total.add(step);
    }
    assert_eq!((total.kept, total.duplicates, total.not_repeated_count), (15, 21, 150));
    assert_eq!((total.mended.len(), total.unmended.len(), total.unreadable.len()), (3, 6, 3));
    assert_eq!(total.not_repeated, (0..100).map(Sequence).collect::<Vec<_>>());
}
