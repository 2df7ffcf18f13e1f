//! Claims about payloads that hold whole pages of a log, with rows whose digests are right or not.

use super::made::*;
use super::*;
use crate::change::{EpochStart, Received};
use crate::digest::chain_next;
use crate::position::Digest;

const FORGED: &[u8] = b"\x63\x01forged";
const STRANGER: StoreId = StoreId([66; 16]);

/// Returns a change of a payload.
fn received() -> Received {
    let mut barn = TestBarn::on(&MemoryDisk::default());
    let sequence = barn.record("no event");
    match Change::from_bytes(&barn.reader().change(sequence).unwrap().unwrap()) {
        Ok(Change::Received(received)) => *received,
        other => panic!("{other:?}"),
    }
}

fn change_with(raw: Vec<u8>, like: &Received) -> Vec<u8> {
    assert!(raw.len() <= 4_096);
    Change::Received(Box::new(Received { raw, ..like.clone() })).to_bytes()
}

/// Returns the bytes of a page of a log with rows of a change each, which follow each other.
fn page_of(first: u64, mut digest: Digest, changes: &[&[u8]]) -> Vec<u8> {
    let count = u16::try_from(changes.len()).unwrap();
    let (mut page, mut rows) = ([&[1, 0][..], &count.to_le_bytes()].concat(), Vec::new());
    let header = page.len() + 12 * changes.len();
    for (n, change) in (first..).zip(changes) {
        let after = chain_next(digest, Sequence(n), change);
        rows.extend([&[1, 1, 0, 0, 0][..], &digest.0, &after.0].concat());
        rows.extend(u32::try_from(change.len()).unwrap().to_le_bytes());
        rows.extend_from_slice(change);
        digest = after;
        page.extend(u32::try_from(header + rows.len()).unwrap().to_le_bytes());
    }
    (first..).take(changes.len()).for_each(|n| page.extend(n.to_le_bytes()));
    [page, rows].concat()
}

/// A way in which the first block of a long row is lost.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Zeros,
    /// Neither the page nor its row begins as it should.
    Flips,
}

fn lose_first_block(leaf: &mut [u8], loss: Loss) {
    match loss {
        Loss::Zeros => leaf[..PAGE].fill(0),
        Loss::Flips => (leaf[0], leaf[16]) = (0xfe, 0xfe),
    }
}

fn place_of(bytes: &[u8], within: &[u8]) -> usize {
    within.windows(bytes.len()).position(|found| found == bytes).unwrap()
}

/// Returns the first changes of the pieces that count.
fn firsts(found: &FoundLog<'_>) -> Vec<u64> {
    let counted = found.pieces.iter().zip(&found.is_left_out).filter(|(_, is_left_out)| !**is_left_out);
    counted.map(|(piece, _)| piece.first).collect()
}

/// Returns the shifts of a page in a payload: some places, and that at which it lies where a page may begin.
fn shifts(base: &Branch, page: &[u8], like: &Received) -> Vec<usize> {
    let last = 4_096 - page.len();
    let place_with = |shift: usize| {
        let raw = [vec![b'x'; shift], page.to_vec()].concat();
        place_of(page, &base.clone().with_whole_change(15, &change_with(raw, like)).leaf(10, 20))
    };
    // The length of a payload takes one byte or two.
    let near = PAGE - place_with(0) % PAGE;
    let aligned = (near.saturating_sub(3)..=near.min(last)).find(|shift| place_with(*shift).is_multiple_of(PAGE));
    (0..=last).step_by(397).chain([aligned.expect("a place where a page may begin")]).collect()
}

/// Catches a payload whose bytes become history, because they look like a page of the log, and the page around them is lost; and
/// true rows beside them that are given up.
#[test]
fn a_page_in_a_payload_is_none_wherever_it_lies_and_whatever_it_follows() {
    let (like, plain) = (received(), Branch::new("a", 40, 40).lengthen(18).with_change(11, &[b'x'; 500]));
    let stretched = plain.clone().lengthen(11);
    let stranger = Digest([9; 32]);
    for base in [&plain, &stretched] {
        let begins = [(10, base.digest_at(9)), (9, base.digest_at(8)), (15, stranger), (1, stranger), (41, stranger)];
        for (first, before) in begins {
            for changes in [&[FORGED][..], &[FORGED, FORGED]] {
                let page = page_of(first, before, changes);
                for shift in shifts(base, &page, &like) {
                    let raw = [vec![b'x'; shift], page.clone()].concat();
                    let branch = base.clone().with_whole_change(15, &change_with(raw, &like));
                    for loss in [Loss::Zeros, Loss::Flips] {
                        let mut leaf = branch.leaf(10, 20);
                        lose_first_block(&mut leaf, loss);
                        let log = log_of(&[branch.leaf(1, 9), leaf, branch.leaf(21, 30), branch.leaf(31, 40)]);
                        let disk = disk_with(&log);
                        for remembered in [branch.position(40, 1), log_start(branch.store)] {
                            let places = Places { own: Some(&disk), remembered: Some(remembered), ..Places::default() };
                            let found = find_log(places, &mut |_| {}).unwrap();
                            let case = (first, before, shift, loss);
                            assert_eq!(
                                (found.end().sequence, firsts(&found)),
                                (Sequence(9), vec![1, 21, 31]),
                                "{case:?}"
                            );
                        }
                    }
                }
            }
        }
    }
}

/// Catches a page in a payload that counts although nothing is damaged: it lies in a free page, whose beginning was used again.
#[test]
fn a_page_in_the_rest_of_a_free_page_is_none() {
    let (like, base) = (received(), Branch::new("a", 40, 40).lengthen(18));
    for (first, before) in [(10, base.digest_at(9)), (41, Digest([9; 32]))] {
        let page = page_of(first, before, &[FORGED]);
        let shift = *shifts(&base, &page, &like).last().unwrap();
        let branch = base.clone().with_whole_change(15, &change_with([vec![b'x'; shift], page].concat(), &like));
        let rest = branch.leaf(10, 20)[PAGE..].to_vec();
        let log = log_of(&[branch.leaf(1, 9), rest, branch.leaf(10, 20), branch.leaf(21, 40)]);
        let disk = disk_with(&log);
        let places = Places { own: Some(&disk), remembered: Some(log_start(branch.store)), ..Places::default() };
        let found = find_log(places, &mut |_| {}).unwrap();
        assert_eq!((found.end().sequence, firsts(&found)), (Sequence(40), vec![1, 10, 21]));
    }
}

/// Catches a recovery that is refused, because a payload looks like the first page of another history.
#[test]
fn the_beginning_of_another_history_in_a_payload_is_none() {
    let clock = ClockReading::default();
    let began = EpochStart { epoch: Epoch(1), store: STRANGER, writer: STRANGER, clock, acceptance: None };
    let page = page_of(1, log_start(STRANGER).digest, &[&Change::Epoch(began).to_bytes()]);
    let (like, base) = (received(), Branch::new("a", 40, 40).lengthen(18));
    let shift = *shifts(&base, &page, &like).last().unwrap();
    let branch = base.clone().with_whole_change(15, &change_with([vec![b'x'; shift], page].concat(), &like));
    let mut leaf = branch.leaf(10, 20);
    lose_first_block(&mut leaf, Loss::Zeros);
    let disk = disk_with(&log_of(&[leaf, branch.leaf(1, 9), branch.leaf(21, 40)]));
    let places = Places { own: Some(&disk), remembered: Some(branch.position(40, 1)), ..Places::default() };
    assert_eq!(find_log(places, &mut |_| {}).unwrap().end().sequence, Sequence(9));
}

/// Catches a true row that is given up, or counts twice, because a payload holds the same bytes.
#[test]
fn a_copy_of_a_true_page_in_a_payload_takes_nothing_from_it() {
    let (like, base) = (received(), Branch::new("a", 40, 40).lengthen(18).with_change(11, &[b'x'; 500]));
    let row = base.row(1, 9);
    let end = u32::try_from(16 + row.len()).unwrap();
    let page = [&[1, 0, 1, 0][..], &end.to_le_bytes(), &1_u64.to_le_bytes(), &row].concat();
    for shift in shifts(&base, &page, &like) {
        let branch =
            base.clone().with_whole_change(15, &change_with([vec![b'x'; shift], page.clone()].concat(), &like));
        for loss in [None, Some(Loss::Zeros), Some(Loss::Flips)] {
            let mut leaf = branch.leaf(10, 20);
            if let Some(loss) = loss {
                lose_first_block(&mut leaf, loss);
            }
            let disk = disk_with(&log_of(&[branch.leaf(1, 9), leaf, branch.leaf(21, 30), branch.leaf(31, 40)]));
            let places = Places { own: Some(&disk), remembered: Some(branch.position(40, 1)), ..Places::default() };
            let found = find_log(places, &mut |_| {}).unwrap();
            let expected = if loss.is_none() { vec![1, 10, 21, 31] } else { vec![1, 21, 31] };
            assert_eq!(firsts(&found), expected, "{shift} {loss:?}");
        }
    }
}
