//! A log whose pages hold anything else.
//!
//! Catches: a panic of redb that ends a start, a verification or a reader instead of an error that names the file; and changes
//! that are served although they are not those that were written.

use super::super::*;
use super::log_damage::opened;
use crate::change::Origin;
use crate::clock::RawReading;

const PAGE_BYTES: usize = 4_096;
/// A kind of page that redb does not know.
const NO_KIND: u8 = 40;

/// Ways to damage a page.
const DAMAGES: [fn(&mut [u8]); 3] = [|page| page[0] = NO_KIND, |page| page.fill(0xa5), |page| page.fill(0)];

fn incoming(n: usize) -> Incoming {
    let origin = Origin { channel: "radio1".into(), reader_group: "main".into(), ..Origin::default() };
    Incoming { raw: format!("hxb:LOT{}:LF{n}:UHF{n}", n % 3).into_bytes(), origin, at: RawReading::default() }
}

/// Returns the disk of a closed source, whose log has rows on many pages.
fn filled() -> MemoryDisk {
    let disk = MemoryDisk::default();
    let mut store = opened(&disk).unwrap();
    for group in 0..40 {
        let group: Vec<_> = (0..20).map(|n| incoming(group * 20 + n)).collect();
        store.append(&group).unwrap();
        store.settle().unwrap();
    }
    disk
}

/// Checks that a store serves no change but those that were written.
fn serves_nothing_else(reader: &Reader, written: &[Vec<u8>]) {
    for (n, expected) in (1..).zip(written) {
        if let Ok(Some(found)) = reader.change(Sequence(n)) {
            assert_eq!(&found, expected, "change {n}");
        }
    }
    let start = crate::digest::log_start(reader.store());
    if let Ok(run) = reader.run_after(start, written.len(), 1 << 20) {
        assert!(run.changes.iter().zip(written).all(|(found, expected)| found == expected));
    }
}

#[test]
fn no_page_of_the_log_ends_a_start_a_verification_or_a_reader() {
    let disk = filled();
    let (content, head, written) = {
        let store = opened(&disk).unwrap();
        let (reader, head) = (store.reader(), store.head().position);
        let written = (1..=head.sequence.0).map(|n| reader.change(Sequence(n)).unwrap().unwrap()).collect::<Vec<_>>();
        drop((store, reader));
        (disk.content(LOG_FILE).unwrap(), head, written)
    };
    let mut refused = 0;
    for page in (0..content.len()).step_by(PAGE_BYTES) {
        for damage in DAMAGES {
            let (damaged, mut bytes) = (disk.after_kill(), content.clone());
            damage(&mut bytes[page..(page + PAGE_BYTES).min(content.len())]);
            assert!(damaged.overwrite(LOG_FILE, &bytes));
            match verify_disk(&damaged, &mut |_| {}) {
                Ok(outcome) => assert_eq!(outcome.head, head, "page {page}"),
                Err(_) => refused += 1,
            }
            let Ok(mut store) = opened(&damaged) else { continue };
            serves_nothing_else(&store.reader(), &written);
            // It may find the damage only now.
            drop(store.append(&[incoming(9_999)]).and_then(|_| store.settle()));
        }
    }
    assert!(refused > 20, "only {refused} damages were found: the pages are not those that count");
}

/// Catches a log that passes for whole although a page with its free space is damaged: the next group that it takes over would
/// end the writer, at each start, and a recovery would leave such a log as it is.
#[test]
fn a_log_that_proves_itself_takes_what_follows() {
    let disk = filled();
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
