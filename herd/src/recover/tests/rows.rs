//! Claims about bytes that look like rows.

use super::made::*;
use super::*;

/// Five bytes that begin a row. Repeated, they also give each such row a length.
const SIGN: &[u8] = b"\x01\x01\x00\x00\x00";

/// Catches a recovery that is refused, or takes hours, because payloads in a damaged row look like thousands of rows.
#[test]
fn a_flood_of_signs_in_a_damaged_row_refuses_nothing() {
    let disk = MemoryDisk::default();
    let (mut barn, mut stored) = (TestBarn::on(&disk), BTreeMap::new());
    for n in 0..10 {
        let text = format!("hxb:LOT1:LF{n}:UHF{n}");
        stored.insert(barn.record(&text).0, text.into_bytes());
    }
    let flood = SIGN.repeat(819);
    let first = barn.record_bytes(&flood).0;
    let last = (1..16).map(|_| barn.record_bytes(&flood).0).last().unwrap();
    (first..=last).for_each(|n| drop(stored.insert(n, flood.clone())));
    for n in 10..300 {
        let text = format!("hxb:LOT1:LF{n}:UHF{n}");
        stored.insert(barn.record(&text).0, text.into_bytes());
    }
    let head = barn.reader().head().position;
    drop(barn);
    let yard = Yard { disk, head, stored };
    let rows = yard.rows();
    let whole: Vec<_> = rows.iter().filter(|(from, count, ..)| from + count <= first || *from > last).collect();
    yard.damage_rows(first..=last);
    let found = find_log(own(&yard), &mut |_| {}).unwrap();
    assert!(found.unplaced() > 0);
    let recovered = recover(own(&yard)).unwrap();
    recovered.invents_nothing(&yard);
    let payloads: BTreeMap<_, _> = recovered.payloads().into_iter().collect();
    for n in whole.iter().flat_map(|(first, count, ..)| *first..first + count).filter(|n| yard.stored.contains_key(n)) {
        assert!(payloads.contains_key(&n), "{n}");
    }
}

/// Catches the bytes of a payload that are taken for a row, because the first block of a long row is lost, and with it the
/// announcement. A payload has up to 4 KiB.
#[test]
fn a_row_in_a_payload_is_none_although_nothing_announces_the_row_around_it() {
    let short = Branch::new("forged", 9, 10);
    let long = short.clone().with_change(10, &[b'x'; 3_800]);
    for forged in [short, long].map(|forged| forged.row(10, 10)) {
        let branch = Branch::new("a", 40, 40).lengthen(12).with_change(15, &forged);
        let mut leaf = branch.leaf(10, 20);
        assert!(leaf.len() > PAGE);
        leaf[..PAGE].fill(0);
        let disk = disk_with(&log_of(&[branch.leaf(1, 9), leaf, branch.leaf(21, 30), branch.leaf(31, 40)]));
        let places = Places { own: Some(&disk), remembered: Some(branch.position(40, 1)), ..Places::default() };
        let found = find_log(places, &mut |_| {}).unwrap();
        let firsts: Vec<_> = found.pieces.iter().map(|piece| piece.first).collect();
        let expected = (Sequence(9), vec![1, 21, 31]);
        assert_eq!((found.end().sequence, firsts), expected, "a row of {} bytes", forged.len());
    }
}
