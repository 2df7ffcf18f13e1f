//! Fuzzes rows of the log.
//!
//! An input is the number of a row's first change and the bytes of the row. The target reads them as they are, and then
//! with the digest that the row's changes lead to. The changes of an intact row are all there and lead from the digest
//! before it to the one after it. Written again, they give the same bytes. A row that is cut or altered is not intact.
#![no_main]

use fuzz::formats::{self, ROW_AFTER, ROW_HEADER_BYTES};
use fuzz::script::{Script, ScriptWriter};
use fuzz::{seeds, source};
use herd::digest::chain_next;
use herd::position::{Digest, Sequence};
use herd::store::fuzzing::{RowContent, read_row, write_rows};

/// Highest first change of a row that is written again: no log has numbers near the end of the range.
const MAX_FIRST: u64 = u64::MAX / 2;

libfuzzer_sys::fuzz_target!(init: seeds::write(seeds()), |bytes: &[u8]| check(Script::new(bytes)));

fn seeds() -> Vec<Vec<u8>> {
    let log = source::log();
    let row = |start: usize, count: usize| {
        let changes: Vec<&[u8]> = log.changes[start..start + count].iter().map(Vec::as_slice).collect();
        let first = Sequence(start as u64 + 1);
        let (row, _) = formats::row(first, log.positions[start].digest, &changes);
        [ScriptWriter::default().number(first.0).finish(), row].concat()
    };
    vec![row(0, 1), row(0, 5), row(3, 20), row(1, 0)]
}

fn check(mut script: Script<'_>) {
    let first = Sequence(script.number());
    let bytes = script.rest();
    let Some(row) = read_row(first, bytes) else {
        assert!(bytes.len() < ROW_HEADER_BYTES || bytes[0] != 1 || bytes[1..5] == [0; 4], "a row cannot be read");
        return;
    };
    let is_whole = row.changes.len() as u64 == row.count;
    let leads_on = is_whole && end_of(first, &row) == row.after;
    assert_eq!(row.is_intact, leads_on);
    if is_whole && (1..=MAX_FIRST).contains(&first.0) {
        check_sealed(first, bytes, &row);
    }
}

/// Returns the digest that the changes of a row lead to.
fn end_of(first: Sequence, row: &RowContent) -> Digest {
    let mut sequence = first;
    let mut digest = row.before;
    for change in row.changes.iter() {
        digest = chain_next(digest, sequence, change);
        sequence = sequence.next();
    }
    digest
}

/// Checks the row with the digest that its changes lead to.
fn check_sealed(first: Sequence, bytes: &[u8], row: &RowContent) {
    let used = ROW_HEADER_BYTES + row.changes.iter().map(|change| 4 + change.len()).sum::<usize>();
    let mut sealed = bytes[..used].to_vec();
    sealed[ROW_AFTER..ROW_HEADER_BYTES].copy_from_slice(&end_of(first, row).0);
    let read = read_row(first, &sealed);
    assert!(read.is_some_and(|read| read.is_intact && read.changes == row.changes));

    let written = write_rows(Sequence(first.0 - 1), row.before, &row.changes);
    if let [(again, written)] = written.as_slice() {
        assert_eq!((*again, written), (first, &sealed), "the row is written in another way");
    } else {
        assert!(written.iter().all(|(first, row)| read_row(*first, row).is_some_and(|row| row.is_intact)));
    }

    let is_intact = |bytes: &[u8]| read_row(first, bytes).is_some_and(|row| row.is_intact);
    assert!(!is_intact(&sealed[..used - 1]), "a cut row is intact");
    let place = usize::from(sealed[ROW_AFTER]) * 251 % used;
    sealed[place] ^= 1;
    assert!(!is_intact(&sealed), "bit flipped at {place}");
}
