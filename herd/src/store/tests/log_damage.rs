//! A log with a damaged row in the middle.
//!
//! Catches: damage that is served, folded, shown or decided on as if it were sound; damage that is not named; and damage that
//! takes down what it does not concern.

use super::super::*;
use crate::catalog::Catalog;
use crate::change::{AnimalId, BatchId, Change, Correction, Origin};
use crate::clock::{ClockReading, EARLIEST_US, RawReading};
use crate::decide::{CorrectionError, CorrectionRequest};
use crate::position::StoreId;
use crate::query::{AnimalView, PayloadFilter, PayloadStatus};
use crate::testing::{all_pages, page_limit};
use redb::{ReadableDatabase, TableDefinition};
use std::ops::ControlFlow;

const CHANGES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("changes");
const STORE: StoreId = StoreId([7; 16]);
/// The row that is damaged: the second group of ten. Change 1 begins the epoch.
pub(super) const DAMAGED: DamagedRow = DamagedRow { first: Sequence(12), last: Sequence(21) };
/// The last change.
pub(super) const HEAD: Sequence = Sequence(41);

fn incoming(n: u64) -> Incoming {
    let origin = Origin { channel: "radio1".into(), reader_group: "main".into(), ..Origin::default() };
    Incoming { raw: format!("hxb:LOT{}:LF{n}:UHF{n}", n % 3).into_bytes(), origin, at: RawReading::default() }
}

pub(super) fn opened(disk: &MemoryDisk) -> Result<Store, StoreError> {
    Store::open_source(disk, Rules::default(), ClockReading { boot: 1, ..ClockReading::default() }, || STORE)
}

/// A source with four rows of ten payloads, and its closed disk.
pub(super) fn filled() -> MemoryDisk {
    filled_with(incoming)
}

fn filled_with(incoming: impl Fn(u64) -> Incoming) -> MemoryDisk {
    let disk = MemoryDisk::default();
    let mut store = opened(&disk).unwrap();
    store.settle().unwrap();
    for group in 0..4 {
        let group: Vec<_> = (0..10).map(|n| incoming(group * 10 + n)).collect();
        store.append(&group).unwrap();
        store.settle().unwrap();
    }
    disk
}

/// Alters the row that holds a change.
pub(super) fn alter_row(disk: &dyn Disk, of: Sequence, alter: impl FnOnce(&mut Vec<u8>)) {
    let database = disk.open(LOG_FILE, 0).unwrap();
    let (first, mut row) = {
        let reading = database.begin_read().unwrap().open_table(CHANGES).unwrap();
        let (first, row) = reading.range(..=of.0).unwrap().next_back().unwrap().unwrap();
        (first.value(), row.value().to_vec())
    };
    alter(&mut row);
    let writing = database.begin_write().unwrap();
    writing.open_table(CHANGES).unwrap().insert(first, row.as_slice()).unwrap();
    writing.commit().unwrap();
}

/// A way to damage a row, by its name.
pub(super) type Damage = (&'static str, fn(&mut Vec<u8>));

/// Ways to damage a row, each of which another part of it does not agree with.
pub(super) fn damages() -> [Damage; 6] {
    [
        ("a bit of a change", |row| *row.last_mut().unwrap() ^= 1),
        ("the digest before", |row| row[5] ^= 1),
        ("the version", |row| row[0] = 9),
        ("a lower number of changes", |row| row[1] = 3),
        ("a higher number of changes", |row| row[1] = 200),
        ("a truncated end", |row| row.truncate(300)),
    ]
}

fn damaged(alter: fn(&mut Vec<u8>)) -> MemoryDisk {
    let disk = filled();
    alter_row(&disk, DAMAGED.first, alter);
    disk
}

fn row_in<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> DamagedRow {
    match outcome {
        Err(StoreError::DamagedLog { row, .. }) => row,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_damaged_row_is_found_by_every_read_and_named_and_what_lies_around_it_is_served() {
    let sound = opened(&filled()).unwrap();
    let sound = sound.reader();
    let position = |sequence| sound.position_at(Sequence(sequence)).unwrap().unwrap();
    for (what, alter) in damages() {
        let store = opened(&damaged(alter)).unwrap();
        let reader = store.reader();
        assert_eq!(reader.damaged_rows(), [], "{what}: a start does not read the row");
        // Up to it, in one page and then no further.
        let run = reader.run_after(position(0), 10_000, 1 << 20).unwrap();
        assert_eq!(run, sound.run_after(position(0), 11, 1 << 20).unwrap(), "{what}");
        for after in 11..21 {
            assert_eq!(row_in(reader.run_after(position(after), 10_000, 1 << 20)), DAMAGED, "{what} {after}");
            assert_eq!(row_in(reader.change(Sequence(after + 1))), DAMAGED, "{what} {after}");
        }
        // A follower that holds the row goes on behind it.
        for after in 21..=HEAD.0 {
            assert_eq!(reader.position_at(Sequence(after)).unwrap(), Some(position(after)), "{what} {after}");
            let run = reader.run_after(position(after), 10_000, 1 << 20).unwrap();
            assert_eq!(run, sound.run_after(position(after), 10_000, 1 << 20).unwrap(), "{what} {after}");
        }
        assert_eq!(reader.change(HEAD.next()).unwrap(), None, "{what}");
        assert_eq!(reader.damaged_rows(), [DAMAGED], "{what}");
    }
}

#[test]
fn a_barn_with_a_damaged_row_goes_on_recording() {
    for (what, alter) in damages() {
        let disk = damaged(alter);
        assert_eq!(Store::last_boot(&disk).unwrap(), 1, "{what}");
        let mut store = opened(&disk).unwrap();
        let kept = store.append(&[incoming(77)]).unwrap();
        assert_eq!(kept, [Receipt::Kept { sequence: HEAD.next() }], "{what}");
        store.settle().unwrap();
    }
}

/// Catches a correction that is decided without a part of the history, for good.
#[test]
fn a_correction_that_needs_a_damaged_row_is_refused_and_the_writer_goes_on() {
    let mut store = opened(&damaged(|row| *row.last_mut().unwrap() ^= 1)).unwrap();
    let mut correct = |key: &str, sequence| {
        let request = CorrectionRequest {
            author: "J. Doe".to_owned(),
            reason: "read twice".to_owned(),
            idempotency_key: key.to_owned(),
            channel: "office-1".to_owned(),
            correction: Correction::Void { sequence: Sequence(sequence) },
        };
        store.correct(&request, RawReading::default()).unwrap()
    };
    let refusal = CorrectionError::DamagedHistory { first: DAMAGED.first, last: DAMAGED.last };
    assert_eq!(correct("k1", 15), CorrectionReceipt::Refused(refusal));
    assert_eq!(correct("k2", 30), CorrectionReceipt::Kept { sequence: HEAD.next() });
}

/// Catches tables that are folded from damaged changes, and a start that goes on without them.
#[test]
fn missing_tables_are_not_folded_over_a_damaged_row() {
    for (what, alter) in damages() {
        let disk = damaged(alter);
        disk.remove(TABLES_FILE).unwrap();
        assert_eq!(row_in(opened(&disk)), DAMAGED, "{what}");
    }
}

#[test]
fn verify_names_every_damaged_row() {
    for (what, alter) in damages() {
        let disk = damaged(alter);
        alter_row(&disk, Sequence(32), |row| row.truncate(300));
        match verify_disk(&disk, &mut |_| {}) {
            Err(VerifyError::Damaged { rows }) => {
                assert_eq!(rows, [DAMAGED, DamagedRow { first: Sequence(32), last: HEAD }], "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

/// Catches a store that continues a row whose end may not be what it says: its numbers could be given twice.
#[test]
fn a_log_whose_last_row_is_damaged_is_not_continued() {
    for (what, alter) in damages() {
        let disk = filled();
        alter_row(&disk, Sequence(32), alter);
        disk.remove(JOURNAL_FILE).unwrap();
        assert_eq!(row_in(opened(&disk)).first, Sequence(32), "{what}");
    }
}

#[test]
fn a_missing_row_is_named_by_the_changes_that_it_held() {
    let disk = filled();
    let database = disk.open(LOG_FILE, 0).unwrap();
    let writing = database.begin_write().unwrap();
    writing.open_table(CHANGES).unwrap().remove(DAMAGED.first.0).unwrap();
    writing.commit().unwrap();
    drop(database);
    match verify_disk(&disk, &mut |_| {}) {
        Err(VerifyError::Damaged { rows }) => assert_eq!(rows, [DAMAGED]),
        other => panic!("{other:?}"),
    }
    let store = opened(&disk).unwrap();
    let after = opened(&filled()).unwrap().reader().position_at(Sequence(11)).unwrap().unwrap();
    assert_eq!(row_in(store.reader().run_after(after, 10_000, 1 << 20)), DAMAGED);
    assert!(Change::from_bytes(&store.reader().change(Sequence(22)).unwrap().unwrap()).is_ok());
}

/// Catches a start that takes damage for loss, and ends although only a few changes cannot be shown.
#[test]
fn a_barn_that_remembers_a_change_of_a_damaged_row_starts() {
    let expected = opened(&filled()).unwrap().reader().position_at(Sequence(15)).unwrap().unwrap();
    for (what, alter) in damages() {
        let clock = ClockReading { boot: 1, ..ClockReading::default() };
        let opened = Store::open_source_after(&damaged(alter), Some(&expected), Rules::default(), clock, || STORE);
        assert_eq!(opened.unwrap().head().position.sequence, HEAD, "{what}");
    }
}

/// Catches a catalog that ends at a damaged row, goes on without a word, or reads it without end.
#[test]
fn a_catalog_leaves_the_changes_of_a_damaged_row_out_and_counts_them() {
    let store = opened(&damaged(|row| *row.last_mut().unwrap() ^= 1)).unwrap();
    let mut steps = 0..9;
    let mut watch = |_| if steps.next().is_some() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
    let catalog = Catalog::build(&store.reader(), &mut watch).unwrap();
    assert_eq!((catalog.as_of(), catalog.unread()), (HEAD, 10));
    assert_eq!((catalog.counts().all, catalog.read_total(&(i64::MIN..i64::MAX)).received), (40, 30));
}

/// Returns a reading of a clock that was set.
fn at(n: u64) -> RawReading {
    let received_at_us = EARLIEST_US + i64::try_from(n).unwrap() * 1_000_000;
    RawReading { received_at_us, synchronized: true, since_boot_ms: n * 1_000 }
}

/// Returns the ids of animals in order, and those of them whose first sighting is unknown.
fn ids(animals: &[AnimalView]) -> (Vec<u64>, Vec<u64>) {
    let unknown = animals.iter().filter(|animal| animal.first_seen.is_none());
    (animals.iter().map(|animal| animal.id.0).collect(), unknown.map(|animal| animal.id.0).collect())
}

/// Catches a list that shows nothing because the time of one animal cannot be read.
#[test]
fn lists_show_all_animals_though_the_log_of_some_is_damaged() {
    let all: Vec<_> = (2..=HEAD.0).collect();
    let lost: Vec<_> = (DAMAGED.first.0..=DAMAGED.last.0).collect();
    for (what, alter) in damages() {
        let disk = filled_with(|n| Incoming { at: at(n), ..incoming(n) });
        alter_row(&disk, DAMAGED.first, alter);
        let store = opened(&disk).unwrap();
        let snapshot = store.reader().snapshot().unwrap();
        let animals = all_pages(|from| snapshot.animals(from.map(AnimalId), page_limit(7)).unwrap());
        assert_eq!(ids(&animals), (all.clone(), lost.clone()), "{what}");
        let through = |from: Option<u64>| snapshot.animals_through(HEAD, from.map(AnimalId), page_limit(7)).unwrap();
        assert_eq!(ids(&all_pages(through)), (all.clone(), lost.clone()), "{what}");
        let members = all_pages(|from| snapshot.members(BatchId(3), from.map(AnimalId), page_limit(7)).unwrap());
        let members: Vec<_> = members.into_iter().map(|member| member.animal).collect();
        let in_batch = |ids: &[u64]| ids.iter().copied().filter(|id| id % 3 == 0).collect::<Vec<_>>();
        assert_eq!(ids(&members), (in_batch(&all), in_batch(&lost)), "{what}");
        assert_eq!(snapshot.animal(AnimalId(15)).unwrap().unwrap().first_seen, None, "{what}");
    }
}

/// Catches a list of payloads that ends at a damaged row, and one that never gets past it.
#[test]
fn a_list_of_payloads_goes_on_behind_a_damaged_row() {
    // Each third payload is rejected.
    let mixed = |n: u64| match n % 3 {
        0 => Incoming { raw: format!("noise {n}").into_bytes(), ..incoming(n) },
        _ => incoming(n),
    };
    let disk = filled_with(mixed);
    alter_row(&disk, DAMAGED.first, |row| *row.last_mut().unwrap() ^= 1);
    let store = opened(&disk).unwrap();
    let snapshot = store.reader().snapshot().unwrap();
    let listed = |filter: PayloadFilter, limit: u64| {
        let page = |from: Option<u64>| snapshot.payloads(from.map(Sequence), page_limit(limit), filter).unwrap();
        all_pages(page).into_iter().map(|payload| payload.id.0).collect::<Vec<_>>()
    };
    let sound = |is_listed: fn(u64) -> bool| {
        let sound = (2..=HEAD.0).rev().filter(|n| !(DAMAGED.first.0..=DAMAGED.last.0).contains(n));
        sound.filter(|n| is_listed(*n)).collect::<Vec<_>>()
    };
    for limit in [1, 4, 100] {
        assert_eq!(listed(PayloadFilter::All, limit), sound(|_| true), "{limit}");
        assert_eq!(listed(PayloadFilter::Status(PayloadStatus::Error), limit), sound(|n| n % 3 == 2), "{limit}");
    }
}

/// Catches a status that nobody can ask for, and a proposal that tells less than the order would do as if it were all.
#[test]
fn a_proposal_before_a_damaged_row_says_at_least() {
    let colliding = |n: u64| {
        let raw = match n {
            0..5 => format!("event:hxbchi{n}|lid:{}|weight:200", n + 1),
            5..10 => format!("event:hxbchi{}|lid:{}|weight:300", n - 5, n - 4),
            _ => return incoming(n),
        };
        Incoming { raw: raw.into_bytes(), ..incoming(n) }
    };
    let text = |disk: &MemoryDisk| {
        let proposals = opened(disk).unwrap().reader().snapshot().unwrap().reader_era_proposals().unwrap();
        let [proposal] = &proposals[..] else { panic!("{proposals:?}") };
        proposal.text.clone()
    };
    let disk = filled_with(colliding);
    assert!(text(&disk).contains("reprocesses 5 rejected payloads"), "{}", text(&disk));
    alter_row(&disk, DAMAGED.first, |row| *row.last_mut().unwrap() ^= 1);
    assert!(text(&disk).contains("reprocesses at least 5 rejected payloads"), "{}", text(&disk));
}

/// Catches a list of missed counters that shows nothing because the read beside one of them cannot be read.
#[test]
fn a_gap_beside_a_damaged_row_is_shown_without_its_time() {
    let counted = |n: u64| Incoming { raw: format!("event:hxbchi{}|lid:1", n * 2).into_bytes(), ..incoming(n) };
    let disk = filled_with(counted);
    alter_row(&disk, DAMAGED.first, |row| *row.last_mut().unwrap() ^= 1);
    let store = opened(&disk).unwrap();
    let snapshot = store.reader().snapshot().unwrap();
    let gaps = snapshot.gaps(None, page_limit(100)).unwrap().data;
    let neighbors = snapshot.gap_neighbors(&gaps).unwrap();
    assert_eq!((gaps.len(), neighbors.len()), (39, 39));
    let before = neighbors.iter().map(|[before, _]| before.as_ref().unwrap().sequence.0).collect::<Vec<_>>();
    assert_eq!(before, (2..HEAD.0).collect::<Vec<_>>());
}
