//! A damaged row whose changes come back from a copy.
//!
//! Catches: changes that nothing proves and that are written, a row that stays named after it was mended, tables that change
//! with it, and a power cut in the middle that leaves neither.

use super::super::*;
use super::log_damage::{DAMAGED, Damage, HEAD, alter_row, damages, filled, opened};
use crate::position::StoreId;

/// Returns the changes of a row as an intact copy has them.
fn changes_of(row: DamagedRow) -> ChangeRun {
    let copy = opened(&filled()).unwrap().reader();
    let after = copy.position_at(Sequence(row.first.0 - 1)).unwrap().unwrap();
    copy.run_after(after, usize::try_from(row.last.0 - row.first.0 + 1).unwrap(), 1 << 20).unwrap()
}

/// Opens a store, and reads it to its end, so that its damage is known.
fn read_through(disk: &MemoryDisk) -> Store {
    let store = opened(disk).unwrap();
    drop(verify_reader(&store.reader(), &mut |_| {}));
    store
}

fn mended(row: DamagedRow) -> MendReceipt {
    MendReceipt::Mended { row }
}

fn refused(receipt: Result<MendReceipt, StoreError>) -> MendError {
    match receipt {
        Ok(MendReceipt::Refused(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn damaged_by((_, alter): Damage) -> MemoryDisk {
    let disk = filled();
    alter_row(&disk, DAMAGED.first, alter);
    disk
}

#[test]
fn a_damaged_row_gets_its_changes_back_and_the_store_is_whole() {
    let whole = verify_disk(&filled(), &mut |_| {}).unwrap();
    for damage in damages() {
        let (what, disk) = (damage.0, damaged_by(damage));
        let mut store = read_through(&disk);
        assert_eq!(store.reader().damaged_rows(), [DAMAGED], "{what}");
        assert!(store.reader().change(DAMAGED.first).is_err(), "{what}");
        assert_eq!(store.mend(&changes_of(DAMAGED)).unwrap(), mended(DAMAGED), "{what}");
        let expected = changes_of(DAMAGED);
        let read = store.reader().change(DAMAGED.first).unwrap();
        assert_eq!(read.as_deref(), expected.changes.get(0), "{what}: no reader keeps the damaged row");
        assert_eq!(store.reader().damaged_rows(), [], "{what}");
        assert_eq!(
            store.reader().run_after(expected.after, expected.changes.len(), 1 << 20).unwrap(),
            expected,
            "{what}"
        );
        // A second run has nothing to do, and the head is what it was.
        assert_eq!(refused(store.mend(&changes_of(DAMAGED))), MendError::NotDamaged { row: DAMAGED }, "{what}");
        assert_eq!(store.head().position.sequence, HEAD, "{what}");
        drop(store);
        assert_eq!(verify_disk(&disk.after_power_cut(), &mut |_| {}).unwrap(), whole, "{what}: it was durable");
    }
}

#[test]
fn changes_that_nothing_proves_are_not_written() {
    let disk = damaged_by(damages()[0]);
    let mut store = read_through(&disk);
    let right = changes_of(DAMAGED);
    let mut swapped: Vec<_> = right.changes.iter().collect();
    swapped.swap(0, 1);
    let mut fewer = right.clone();
    fewer.changes = right.changes.iter().take(9).collect();
    let foreign = ChangeRun { after: Position { store: StoreId([9; 16]), ..right.after }, ..right.clone() };
    let mut digest = right.clone();
    digest.after.digest.0[0] ^= 1;
    assert!(matches!(refused(store.mend(&foreign)), MendError::OtherHistory { .. }));
    assert!(matches!(refused(store.mend(&fewer)), MendError::NotDamaged { .. }));
    let neighbor = DamagedRow { first: Sequence(22), last: Sequence(31) };
    assert!(matches!(refused(store.mend(&changes_of(neighbor))), MendError::NotDamaged { .. }), "a sound row");
    for wrong in [ChangeRun { changes: swapped.into_iter().collect(), ..right.clone() }, digest] {
        assert_eq!(refused(store.mend(&wrong)), MendError::Unproven { row: DAMAGED });
    }
    assert_eq!(store.reader().damaged_rows(), [DAMAGED], "nothing was written");
    assert_eq!(store.mend(&right).unwrap(), mended(DAMAGED));
}

/// Catches a row that is taken for right because a damaged one behind it says so.
#[test]
fn of_two_damaged_rows_the_later_one_proves_the_earlier_one_once_it_is_mended() {
    let (disk, later) = (filled(), DamagedRow { first: Sequence(22), last: Sequence(31) });
    for row in [DAMAGED, later] {
        alter_row(&disk, row.first, |row| *row.last_mut().unwrap() ^= 1);
    }
    let mut store = read_through(&disk);
    assert_eq!(store.reader().damaged_rows(), [DAMAGED, later]);
    assert_eq!(refused(store.mend(&changes_of(DAMAGED))), MendError::Unproven { row: DAMAGED });
    assert_eq!(store.mend(&changes_of(later)).unwrap(), mended(later));
    assert_eq!(store.mend(&changes_of(DAMAGED)).unwrap(), mended(DAMAGED));
    assert!(verify_reader(&store.reader(), &mut |_| {}).is_ok());
}

/// Catches a failed write after which the row is neither damaged nor mended, and one that is taken for a refusal.
#[test]
fn a_disk_that_fails_meanwhile_leaves_the_row_as_it_was() {
    let disk = damaged_by(damages()[0]);
    let mut store = read_through(&disk);
    disk.fail_after(LOG_FILE, 1);
    let damaged = StoreError::DamagedLog { row: DAMAGED, why: "it is damaged" };
    assert!(store.has_refused(&damaged));
    let failed = store.mend(&changes_of(DAMAGED)).unwrap_err();
    assert!(matches!(failed, StoreError::Storage { .. }), "{failed:?}");
    assert!(!store.has_refused(&failed) && !store.has_refused(&damaged), "this writer writes no more");
    assert!(matches!(store.mend(&changes_of(DAMAGED)), Err(StoreError::Interrupted)));
    drop(store);
    let disk = disk.after_power_cut();
    let mut store = read_through(&disk);
    assert_eq!(store.reader().damaged_rows(), [DAMAGED]);
    assert_eq!(store.mend(&changes_of(DAMAGED)).unwrap(), mended(DAMAGED));
}
