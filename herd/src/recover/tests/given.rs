//! Claims about a given file: what its payloads contain hides none of it.

use super::made::*;
use super::*;
use crate::store::ChangeRun;
use crate::wire::{BackupStart, to_blob};

fn start_blob(store: StoreId) -> Vec<u8> {
    let end = Position { store, ..log_start(store) };
    let made = WallTime { at_us: 0, synchronized: false };
    to_blob(&BackupStart { site: String::new(), made, end, epochs: Vec::new() })
}

/// Catches a copy of a log that is taken for a backup, of another barn or with no page, because of one payload in it.
#[test]
fn a_payload_that_looks_like_the_start_of_a_backup_hides_no_row_of_a_copy() {
    let of_own = Yard::with(1).head.store;
    for store in [StoreId([77; 16]), of_own] {
        let disk = MemoryDisk::default();
        let mut barn = TestBarn::on(&disk);
        barn.record_bytes(&start_blob(store));
        for n in 0..80 {
            barn.record(&format!("hxb:LOT1:LF{n}:UHF{n}"));
        }
        let head = barn.reader().head().position;
        drop(barn);
        let yard = Yard { disk, head, stored: BTreeMap::new() };
        let copy = yard.content(LOG_FILE);
        let last = yard.rows().last().map(|(first, count, ..)| first + count - 1).unwrap();
        yard.damage_rows(10..=last);
        let found = find_log(Places { given: Some(&copy), ..own(&yard) }, &mut |_| {}).unwrap();
        assert!(found.end().sequence.0 >= last, "{store}: {}", found.end().sequence);
    }
}

/// Catches a file that holds nothing of a log, and is accepted for its first bytes.
#[test]
fn the_start_of_a_backup_alone_is_a_wrong_file() {
    let yard = Yard::with(20);
    for given in [start_blob(yard.head.store), [b"PNG".to_vec(), start_blob(yard.head.store)].concat()] {
        let refused = find_log(Places { given: Some(&given), ..own(&yard) }, &mut |_| {}).err();
        assert!(matches!(refused, Some(RecoverError::WrongFile)), "{refused:?}");
    }
}

/// Catches a header in a damaged page whose length is believed, so that the whole pages behind it are skipped.
#[test]
fn a_forged_header_in_a_damaged_page_hides_no_page_behind_it() {
    let mut branch = Branch::new("a", 0, 40);
    for kind in [1, 2, 5, 6] {
        let header = [b"HERDLINX", &[1, kind][..], &2_000_u32.to_le_bytes()].concat();
        branch = branch.with_change(15, &header);
        let mut damaged = branch.page(11, 20, 1);
        let middle = damaged.len() - 40;
        damaged[middle] ^= 1;
        let file = [start_blob(branch.store), branch.page(1, 10, 1), damaged, branch.page(21, 30, 1)].concat();
        let file = [file, branch.page(31, 40, 1)].concat();
        let found = find_log(Places { given: Some(&file), ..Places::default() }, &mut |_| {}).unwrap();
        let firsts: Vec<_> = found.pieces.iter().map(|piece| piece.first).collect();
        assert_eq!((firsts, found.unplaced()), (vec![1, 21, 31], 0), "kind {kind}");
    }
}

/// Catches two backups that were joined, of which the second one goes into the log of the first.
#[test]
fn a_file_of_two_histories_is_refused() {
    let branch = Branch::new("a", 0, 10);
    let file = [start_blob(branch.store), branch.page(1, 10, 1), start_blob(StoreId([77; 16]))].concat();
    let refused = find_log(Places { given: Some(&file), ..Places::default() }, &mut |_| {}).err();
    assert!(matches!(refused, Some(RecoverError::TwoHistories { .. })), "{refused:?}");
}

/// Catches an epoch number that is given a second time, because the change that began it is lost.
#[test]
fn the_next_epoch_is_above_each_one_that_a_backup_states() {
    let branch = Branch::new("a", 0, 60);
    let disk = disk_with(&log_of(&[branch.leaf(1, 10)]));
    let start = BackupStart {
        site: String::new(),
        made: WallTime { at_us: 0, synchronized: false },
        end: branch.position(60, 9),
        epochs: Vec::new(),
    };
    for (file, expected) in [
        ([start_blob(branch.store), branch.page(31, 40, 7)].concat(), 7),
        ([to_blob(&start), branch.page(31, 40, 7)].concat(), 9),
    ] {
        let places = Places { own: Some(&disk), given: Some(&file), ..Places::default() };
        assert_eq!(find_log(places, &mut |_| {}).unwrap().latest(None).unwrap().epoch, Epoch(expected));
    }
}

/// Catches changes that are named as lost because a file of another branch begins behind the end.
#[test]
fn another_branch_leaves_no_gap() {
    let (own, other) = (Branch::new("own", 6, 107), Branch::new("other", 6, 1_000));
    let disk = disk_with(&log_of(&[own.leaf(1, 107)]));
    let whole = [other.page(1, 500, 1), other.page(501, 1_000, 1)].concat();
    let remembered = Some(own.position(107, 2));
    let found =
        find_log(Places { own: Some(&disk), given: Some(&whole), remembered, history: None }, &mut |_| {}).unwrap();
    assert_eq!((found.gaps(found.end(), None).changes, found.leads_further()), (0, false));
    let end = other.page(901, 1_000, 1);
    let found =
        find_log(Places { own: Some(&disk), given: Some(&end), remembered, history: None }, &mut |_| {}).unwrap();
    // It may follow this history: nothing shows that it does not.
    assert_eq!((found.gaps(found.end(), None).changes, found.leads_further()), (793, false));
}

/// Catches a page that counts although its changes do not lead to where it says, or cannot be changes of a log.
#[test]
fn a_page_that_no_writer_makes_is_ignored() {
    let branch = Branch::new("a", 0, 10);
    let after = branch.position(4, 1);
    let run = |after, changes: &[&[u8]]| ChangeRun::following(after, changes.iter().copied().collect());
    let (right, last) = (run(after, &[b"\x63\x01one"]), Position { sequence: Sequence(u64::MAX), ..after });
    let ends_at = |end| ChangeRun { end, ..right.clone() };
    for (what, run) in [
        ("another digest", ends_at(Position { digest: after.digest, ..right.end })),
        ("another number", ends_at(Position { sequence: Sequence(9), ..right.end })),
        ("an empty change", run(after, &[b"\x63\x01one", b""])),
        ("no change", run(after, &[])),
        ("past the last number", run(last, &[b"\x63\x01one"])),
    ] {
        assert!(matches!(find_page(&branch, run), Err(RecoverError::WrongFile)), "{what}");
    }
    assert_eq!(find_page(&branch, right).unwrap(), 1);
}

/// Returns the number of pieces in a backup with this page.
fn find_page(branch: &Branch, run: ChangeRun) -> Result<usize, RecoverError> {
    let head = run.end.sequence;
    let file = [start_blob(branch.store), to_blob(&Page::new(run, head, BarnHead::default()))].concat();
    let found = find_log(Places { given: Some(&file), ..Places::default() }, &mut |_| {})?;
    Ok(found.pieces.len())
}
