//! Fuzzes the search for a log in a file that somebody gives to `recover`.
//!
//! An input is the file: a copy of `log.redb`, or a backup. What is found of it leads from digest to digest, so the log that is
//! written of it proves itself, and ends where the chain does. Any other file is refused.
#![no_main]

use fuzz::source::{self, STORE};
use fuzz::{formats, seeds};
use herd::clock::WallTime;
use herd::position::Sequence;
use herd::recover::{Places, RecoverError, find_log};
use herd::store::{ChangeRun, MemoryDisk};
use herd::wire::{BackupStart, BarnHead, Page, to_blob};

/// Unit of the pages of `log.redb`.
const PAGE_BYTES: usize = 4_096;

libfuzzer_sys::fuzz_target!(init: seeds::write(seeds()), |bytes: &[u8]| check(&bytes.to_vec()));

fn seeds() -> Vec<Vec<u8>> {
    let log = [page_of_log(0, 4), page_of_log(4, 3)].concat();
    let backup = [start_of_backup(7), page_of_backup(0, 4), page_of_backup(4, 3)].concat();
    let island = [page_of_log(0, 2), page_of_log(5, 2)].concat();
    vec![log, backup, island]
}

/// Encodes a page of `log.redb` with a row of these changes.
fn page_of_log(start: usize, count: usize) -> Vec<u8> {
    let log = source::log();
    let changes: Vec<&[u8]> = log.changes[start..start + count].iter().map(Vec::as_slice).collect();
    let first = Sequence(start as u64 + 1);
    let (row, _) = formats::row(first, log.positions[start].digest, &changes);
    let end = u32::try_from(16 + row.len()).unwrap_or(u32::MAX);
    let mut page = [&[1, 0, 1, 0][..], &end.to_le_bytes(), &first.0.to_le_bytes(), &row].concat();
    page.resize(page.len().next_multiple_of(PAGE_BYTES), 0);
    page
}

fn page_of_backup(start: usize, count: usize) -> Vec<u8> {
    let log = source::log();
    let run = ChangeRun::following(log.positions[start], log.run(start, count));
    let end = run.end.sequence;
    to_blob(&Page::new(run, end, BarnHead::default()))
}

fn start_of_backup(end: usize) -> Vec<u8> {
    let end = source::log().positions[end];
    to_blob(&BackupStart { site: "north".to_owned(), made: WallTime::default(), end, epochs: Vec::new() })
}

fn check(file: &Vec<u8>) {
    let remembered = source::log().positions.first().copied();
    let places = Places { given: Some(file), remembered, ..Places::default() };
    let found = match find_log(places, &mut |_| {}) {
        Ok(found) => found,
        Err(
            RecoverError::WrongFile
            | RecoverError::OtherHistory { .. }
            | RecoverError::Unproven
            | RecoverError::TwoHistories { .. }
            | RecoverError::TooManyRows { .. },
        ) => return,
        Err(other) => panic!("{other}"),
    };
    assert_eq!(found.store(), STORE);
    match found.write(&MemoryDisk::default(), &mut |_| {}) {
        Ok(end) => assert_eq!((end.sequence, end.digest), (found.end().sequence, found.end().digest)),
        // A change that is longer than any that a barn makes.
        Err(RecoverError::Apply(_)) => {}
        Err(other) => panic!("{other}"),
    }
}
