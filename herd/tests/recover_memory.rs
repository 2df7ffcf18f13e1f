//! The memory of a recovery, counted by the kernel. The file has one test, so that nothing else runs in its process.

#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

use herd::digest::chain_start;
use herd::position::{Digest, Epoch, Position, Sequence, StoreId};
use herd::recover::{MAX_RECOVER_BYTES, Places, RecoverProgress, find_log};
use herd::store::{Changes, Directory};

/// Number of pieces of a history that are known at once.
const MAX_PIECES: u64 = 256 * 1024;
const PAGE_BYTES: usize = 4_096;
/// Number of rows in a page.
const ROWS: u64 = 40;
const STORE: StoreId = StoreId([7; 16]);

/// Returns a log with one change a row, and each row a piece: none lies behind the one that it follows. One change is missing.
fn log_of_pieces(missing: u64) -> Vec<u8> {
    let (mut file, mut digest) = (vec![0; PAGE_BYTES], chain_start(STORE));
    for first in (1..=MAX_PIECES + 1).step_by(usize::try_from(ROWS).unwrap()) {
        let mut rows = Vec::new();
        for n in (first..first + ROWS).take_while(|n| *n <= MAX_PIECES + 1) {
            let (row, after) = row(n, digest);
            digest = after;
            rows.extend((n != missing).then_some((n, row)));
        }
        rows.sort_by_key(|(n, _)| (n % 2, *n));
        file.extend(page(&rows));
    }
    file
}

fn row(sequence: u64, before: Digest) -> (Vec<u8>, Digest) {
    let change = [&b"\x63\x01"[..], &sequence.to_le_bytes()].concat();
    let changes: Changes = [change.as_slice()].into_iter().collect();
    let after = changes.chain(before, Sequence(sequence - 1));
    let length = u32::try_from(change.len()).unwrap();
    ([&[1][..], &1_u32.to_le_bytes(), &before.0, &after.0, &length.to_le_bytes(), &change].concat(), after)
}

/// Encodes a leaf of `log.redb`.
fn page(rows: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut page = [&[1, 0][..], &u16::try_from(rows.len()).unwrap().to_le_bytes()].concat();
    let mut end = page.len() + 12 * rows.len();
    for (_, row) in rows {
        end += row.len();
        page.extend(u32::try_from(end).unwrap().to_le_bytes());
    }
    for (n, _) in rows {
        page.extend(n.to_le_bytes());
    }
    for (_, row) in rows {
        page.extend(row);
    }
    assert!(page.len() <= PAGE_BYTES);
    page.resize(PAGE_BYTES, 0);
    page
}

/// Returns a number of bytes in `/proc/self/status` (man 5 `proc_pid_status`), whose unit is KiB although it says kB.
fn status_bytes(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1_024
}

/// Catches a recovery that takes as much memory as the log has rows, on a Pi with little of it, and one that writes the whole
/// log in one commit.
#[test]
fn a_log_at_the_limit_of_pieces_is_recovered_in_bounded_memory() {
    let missing = MAX_PIECES / 4 * 3;
    let log = log_of_pieces(missing);
    let place = tempfile::tempdir().unwrap();
    let disk = Directory::new(place.path()).unwrap();
    let before = status_bytes("VmRSS");
    let start = Position { store: STORE, epoch: Epoch(0), sequence: Sequence::ZERO, digest: chain_start(STORE) };
    let places = Places { given: Some(&log), remembered: Some(start), ..Places::default() };
    let found = find_log(places, &mut |_| {}).unwrap();
    assert_eq!(found.end().sequence, Sequence(missing - 1));
    let gaps = found.gaps(found.end(), None);
    assert_eq!((gaps.changes, gaps.last_known), (1, Sequence(MAX_PIECES + 1)));
    found.latest(None).unwrap();
    assert_eq!(found.last_boot().unwrap(), 0);
    let searched = status_bytes("VmHWM").saturating_sub(before);
    println!("searching took {} KiB", searched / 1_024);
    assert!(searched <= MAX_RECOVER_BYTES, "{searched}");
    let mut committed = Vec::new();
    let mut note = |progress| {
        if let RecoverProgress::Writing { done, .. } = progress {
            committed.push(done);
        }
    };
    assert_eq!(found.write(&disk, &mut note).unwrap().sequence, Sequence(missing - 1));
    assert_eq!(committed, [40_000, 80_000, 120_000, 160_000, missing - 1]);
    println!("with writing {} KiB", status_bytes("VmHWM").saturating_sub(before) / 1_024);
}
