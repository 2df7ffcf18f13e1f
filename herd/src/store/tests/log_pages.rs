//! A log whose pages hold anything else.
//!
//! Catches: a panic of redb that ends a start, a verification, a reader or a writer instead of an error that names the damage;
//! changes that are served although they are not those that were written; and a barn that hears nothing, start after start,
//! because a page of earlier rows is damaged.

use super::super::raw::{RawRow, announced_rows};
use super::super::*;
use super::log_damage::opened;
use crate::change::Origin;
use crate::clock::RawReading;
use crate::position::StoreId;
use std::collections::BTreeSet;

const PAGE_BYTES: usize = 4_096;
/// Number of changes from one run to the next.
const STEP: usize = 97;
/// A kind of page that redb does not know.
const NO_KIND: u8 = 40;

/// Number of the first ways to damage a page, each of which alters its kind.
const DAMAGES_OF_ANY_PAGE: usize = 3;
/// Ways to damage a page. In a page with rows, the numbers of four bytes from the fifth on say where each row ends.
const DAMAGES: [fn(&mut [u8]); 9] = [
    |page| page[0] = NO_KIND,
    |page| page.fill(0xa5),
    |page| page.fill(0),
    |page| page[2] ^= 0x10,
    |page| page[3] ^= 1,
    |page| page[5] ^= 0x10,
    |page| page[6] ^= 1,
    |page| page[7] ^= 0x80,
    |page| page[10] ^= 1,
];

fn incoming(n: usize) -> Incoming {
    let origin = Origin { channel: "radio1".into(), reader_group: "main".into(), ..Origin::default() };
    Incoming { raw: format!("hxb:LOT{}:LF{n}:UHF{n}", n % 3).into_bytes(), origin, at: RawReading::default() }
}

/// Returns the disk of a closed source, whose log has rows on many pages: some share a page, some take several.
fn filled(groups: usize) -> MemoryDisk {
    let disk = MemoryDisk::default();
    let mut store = opened(&disk).unwrap();
    let mut numbers = 0..;
    for payloads in [20, 2, 60, 20].into_iter().cycle().take(groups) {
        let group: Vec<_> = numbers.by_ref().take(payloads).map(incoming).collect();
        store.append(&group).unwrap();
        store.settle().unwrap();
    }
    disk
}

/// Returns the head of a closed source's log, and all changes.
fn content_of(disk: &MemoryDisk) -> (Position, Vec<Vec<u8>>) {
    let store = opened(disk).unwrap();
    let (reader, head) = (store.reader(), store.head().position);
    (head, (1..=head.sequence.0).map(|n| reader.change(Sequence(n)).unwrap().unwrap()).collect())
}

/// Checks that a store serves no change but those that were written, from wherever it is read.
fn serves_nothing_else(reader: &Reader, written: &[Vec<u8>]) {
    for (n, expected) in (1..).zip(written) {
        if let Ok(Some(found)) = reader.change(Sequence(n)) {
            assert_eq!(&found, expected, "change {n}");
        }
    }
    for n in (0..written.len()).step_by(STEP) {
        let Ok(Some(after)) = reader.position_at(Sequence(n as u64)) else { continue };
        if let Ok(run) = reader.run_after(after, STEP, 1 << 20) {
            assert!(run.changes.iter().zip(&written[n..]).all(|(found, expected)| found == expected), "after {n}");
        }
    }
}

/// Damages the pages of a log that begin at some offsets.
fn damage_pages(disk: &MemoryDisk, pages: impl Iterator<Item = usize>, damage: fn(&mut [u8])) {
    let mut content = disk.content(LOG_FILE).unwrap();
    for page in pages {
        let end = (page + PAGE_BYTES).min(content.len());
        damage(&mut content[page..end]);
    }
    assert!(disk.overwrite(LOG_FILE, &content));
}

/// Returns the first changes of the rows of a page, if one is there.
fn rows_at(content: &[u8], page: usize) -> Vec<u64> {
    let rows = announced_rows(&content[page..(page + PAGE_BYTES).min(content.len())]);
    let is_row = |row: &RawRow<'_>, first| row.is_intact_from(first);
    let place = |offset: u64| content.get(page + usize::try_from(offset).unwrap()..);
    let found =
        rows.iter().filter(|row| place(row.offset).and_then(RawRow::at).is_some_and(|found| is_row(&found, row.first)));
    found.map(|row| row.first.0).collect()
}

#[test]
fn no_page_of_the_log_ends_a_start_a_verification_a_reader_or_a_writer() {
    let disk = filled(24);
    let (head, written) = content_of(&disk);
    let content = disk.content(LOG_FILE).unwrap();
    let last = (0..content.len()).step_by(PAGE_BYTES).flat_map(|page| rows_at(&content, page)).max().unwrap();
    let (mut refused, mut recorded) = (0, 0);
    for page in (0..content.len()).step_by(PAGE_BYTES) {
        let rows = rows_at(&content, page);
        for (number, damage) in DAMAGES.into_iter().enumerate() {
            // Where free pages are counted, redb panics at some damage, and once more while it cleans up. That ends any process.
            if rows.is_empty() && number >= DAMAGES_OF_ANY_PAGE {
                continue;
            }
            let damaged = disk.after_kill();
            damage_pages(&damaged, std::iter::once(page), damage);
            match verify_disk(&damaged, &mut |_| {}) {
                Ok(outcome) => assert_eq!(outcome.head, head, "page {page}"),
                Err(_) => refused += 1,
            }
            let Ok(mut store) = opened(&damaged) else { continue };
            serves_nothing_else(&store.reader(), &written);
            let outcome = store.append(&[incoming(9_999)]).and_then(|_| store.settle());
            // A write needs the page of the last row, those above it, and those that count free pages.
            if !rows.is_empty() && !rows.contains(&last) {
                outcome.unwrap_or_else(|error| panic!("page {page}, damage {number}: {error}"));
                recorded += 1;
            }
        }
    }
    assert!(refused > 20, "only {refused} damages were found: the pages are not those that count");
    assert!(recorded > 100, "only {recorded} pages hold earlier rows");
}

/// Catches a barn that records nothing because earlier rows cannot be read, damage that health does not name, and an office
/// that ends the barn's writer because it returns what the page does not take.
#[test]
fn a_barn_goes_on_with_any_earlier_row_unreadable_and_names_it() {
    let disk = filled(12);
    let (_, written) = content_of(&disk);
    let content = disk.content(LOG_FILE).unwrap();
    let pages: Vec<_> = (0..content.len()).step_by(PAGE_BYTES).map(|page| (page, rows_at(&content, page))).collect();
    let firsts: BTreeSet<_> = pages.iter().flat_map(|(_, rows)| rows).copied().collect();
    let (mut named, mut mended, mut unmended) = (0, 0, 0);
    for first in &firsts {
        // Former versions of the page hold the row as well.
        let of_row: Vec<_> = pages.iter().filter(|(_, rows)| rows.contains(first)).collect();
        if of_row.iter().any(|(_, rows)| rows.contains(firsts.last().unwrap())) {
            continue;
        }
        for (number, damage) in DAMAGES.into_iter().enumerate() {
            let what = format!("row {first}, damage {number}");
            // A build with debug assertions reads all pages at a start, so they are damaged after it.
            let damaged = disk.after_kill().uncached();
            let mut store = opened(&damaged).unwrap();
            damage_pages(&damaged, of_row.iter().map(|(page, _)| *page), damage);
            record(&mut store, &what);
            let lost = named_changes(&store.reader(), &written, &what);
            named += usize::from(lost > 0);
            for is_mended in give_back(&mut store, &written, &what) {
                *(if is_mended { &mut mended } else { &mut unmended }) += 1;
            }
            record(&mut store, &what);
            drop(store);
            match opened(&damaged) {
                Ok(mut store) => record(&mut store, &what),
                Err(_) if cfg!(debug_assertions) => {}
                Err(error) => panic!("{what}: {error}"),
            }
        }
    }
    assert!(named > 80 && mended > 20 && unmended > 20, "{named} named, {mended} mended, {unmended} not");
}

fn record(store: &mut Store, what: &str) {
    let next = store.head().position.sequence.next();
    let kept = store.append(&[incoming(usize::try_from(next.0 + 9_000).unwrap())]);
    assert_eq!(kept.unwrap_or_else(|error| panic!("{what}: {error}")), [Receipt::Kept { sequence: next }], "{what}");
    store.settle().unwrap_or_else(|error| panic!("{what}: {error}"));
}

/// Returns the number of changes that cannot be read, after a check that they were noted before they were looked for.
fn named_changes(reader: &Reader, written: &[Vec<u8>], what: &str) -> usize {
    let noted = reader.damaged_rows();
    let is_lost = |(n, expected): (u64, &Vec<u8>)| match reader.change(Sequence(n)) {
        Ok(found) => {
            assert_eq!(found.as_ref(), Some(expected), "{what}: change {n}");
            false
        }
        Err(StoreError::DamagedLog { row, .. }) => {
            let holds = |row: &DamagedRow| (row.first..=row.last).contains(&Sequence(n));
            assert!(holds(&row) && noted.iter().any(holds), "{what}: change {n} in {row} of {noted:?}");
            true
        }
        Err(error) => panic!("{what}: change {n}: {error}"),
    };
    (1..).zip(written).filter(|change| is_lost(*change)).count()
}

/// Returns the changes of the damaged rows to their places, and whether each row took them.
fn give_back(store: &mut Store, written: &[Vec<u8>], what: &str) -> Vec<bool> {
    let mut outcomes = Vec::new();
    for row in store.reader().damaged_rows().into_iter().rev() {
        let run = run_of(row, written, store.reader().store());
        let receipt = store.mend(&run).unwrap_or_else(|error| panic!("{what}: {row}: {error}"));
        let is_mended = receipt == MendReceipt::Mended { row };
        if is_mended {
            let found = store.reader().run_after(run.after, run.changes.len(), usize::MAX).unwrap();
            assert_eq!(found, run, "{what}: {row}");
        }
        outcomes.push(is_mended);
    }
    outcomes
}

/// Returns the changes of a row as a whole copy has them.
fn run_of(row: DamagedRow, written: &[Vec<u8>], store: StoreId) -> ChangeRun {
    let place = |sequence: u64| usize::try_from(sequence).unwrap();
    let (before, changes) = written[..place(row.last.0)].split_at(place(row.first.0 - 1));
    let before: Changes = before.iter().map(Vec::as_slice).collect();
    let after = ChangeRun::following(crate::digest::log_start(store), before).end;
    ChangeRun::following(after, changes.iter().map(Vec::as_slice).collect())
}

/// Catches a barn that hears nothing because the medium does not return earlier rows.
#[test]
fn a_barn_records_although_the_medium_does_not_return_earlier_rows() {
    let disk = filled(12).after_kill().uncached();
    let mut store = opened(&disk).unwrap();
    let next = store.head().position.sequence.next();
    assert!(disk.fail_reads(LOG_FILE));
    assert_eq!(store.append(&[incoming(9_999)]).unwrap(), [Receipt::Kept { sequence: next }]);
    drop(store);
    assert_eq!(opened(&disk.after_power_cut()).unwrap().head().position.sequence, next);
}

/// Catches a bad sector under earlier rows that ends the barn: whoever read them had redb refuse everything from then on, and
/// the next take-over of the journal failed.
#[test]
fn a_page_that_the_medium_does_not_return_costs_its_own_rows_alone() {
    let full = filled(12);
    let pages = full.content(LOG_FILE).unwrap().len() / PAGE_BYTES;
    let mut contained = 0;
    for page in 1..pages {
        let disk = full.after_kill().uncached();
        let mut store = opened(&disk).unwrap();
        let (reader, last) = (store.reader(), store.head().position.sequence);
        assert!(disk.fail_reads_of(LOG_FILE, page * PAGE_BYTES..(page + 1) * PAGE_BYTES));
        let unreadable: Vec<_> = (1..=last.0).map(Sequence).filter(|n| reader.change(*n).is_err()).collect();
        if unreadable.is_empty() || unreadable.contains(&last) {
            continue;
        }
        contained += 1;
        let rows = reader.damaged_rows();
        assert!(unreadable.iter().all(|n| rows.iter().any(|row| row.holds(*n))), "page {page}: {rows:?}");
        assert_eq!(store.append(&[incoming(9_999)]).unwrap(), [Receipt::Kept { sequence: last.next() }]);
        store.settle().unwrap_or_else(|error| panic!("page {page}: log.redb takes nothing over: {error}"));
        assert!(reader.change(last).unwrap().is_some(), "page {page}");
        drop((store, reader));
        assert_eq!(opened(&disk.after_power_cut()).unwrap().head().position.sequence, last.next(), "page {page}");
    }
    assert!(contained > 5, "{contained} of {pages} pages");
}

/// Catches a log that passes for whole although a page with its free space is damaged: the next group that it takes over would
/// end the writer, at each start, and a recovery would leave such a log as it is.
#[test]
fn a_log_that_proves_itself_takes_what_follows() {
    let disk = filled(24);
    let content = disk.content(LOG_FILE).unwrap();
    let (mut refused, mut whole) = (0, 0);
    for page in (PAGE_BYTES..content.len()).step_by(PAGE_BYTES) {
        for (offset, is_started) in [5, 40, 200, 1_000].into_iter().flat_map(|offset| [(offset, false), (offset, true)])
        {
            let (damaged, mut bytes) = (disk.after_kill(), content.clone());
            bytes[page + offset] ^= 0x04;
            assert!(damaged.overwrite(LOG_FILE, &bytes));
            if is_started {
                // A start and a stop write the damage once more, with right digests.
                drop(opened(&damaged));
            }
            if verify_disk(&damaged, &mut |_| {}).is_ok() {
                whole += 1;
                takes_more(&damaged).unwrap_or_else(|error| {
                    panic!("page {}, byte {offset}, started {is_started}: {error}", page / PAGE_BYTES)
                });
            } else {
                refused += 1;
            }
        }
    }
    assert!(refused > 20 && whole > 20, "{refused} damages were found, and {whole} were none");
}

/// Appends some groups, and verifies the log with them.
fn takes_more(disk: &MemoryDisk) -> Result<(), VerifyError> {
    let mut store = opened(disk)?;
    for n in 0..8 {
        store.append(&[incoming(9_000 + n)])?;
        store.settle()?;
    }
    drop(store);
    verify_disk(disk, &mut |_| {}).map(drop)
}
