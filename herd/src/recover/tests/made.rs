//! Files made by hand: rows and pages that begin and end where a test wants them to.

use super::*;
use crate::digest::chain_next;
use crate::position::Digest;
use crate::store::{ChangeRun, Changes, Disk as _};
use crate::wire::{BarnHead, Page, to_blob};

/// Changes of a history, and the digest after each.
#[derive(Clone)]
pub(super) struct Branch {
    pub(super) store: StoreId,
    changes: Vec<Vec<u8>>,
}

impl Branch {
    /// A history of `changes` changes. Those after `common` are its own, and tell its name.
    pub(super) fn new(name: &str, common: u64, changes: u64) -> Self {
        let text = |n: u64| if n > common { format!("\x63\x01{name} {n}") } else { format!("\x63\x01common {n}") };
        Self { store: StoreId([1; 16]), changes: (1..=changes).map(|n| text(n).into_bytes()).collect() }
    }

    /// Makes this change longer than any payload.
    pub(super) fn lengthen(mut self, sequence: u64) -> Self {
        let index = usize::try_from(sequence - 1).unwrap();
        self.changes[index].extend(vec![b'x'; 5_000]);
        self
    }

    /// Replaces a change.
    pub(super) fn with_change(mut self, sequence: u64, change: &[u8]) -> Self {
        let index = usize::try_from(sequence - 1).unwrap();
        self.changes[index] = [b"\x63\x01", change].concat();
        self
    }

    /// Puts a change in the place of another one.
    pub(super) fn with_whole_change(mut self, sequence: u64, change: &[u8]) -> Self {
        let index = usize::try_from(sequence - 1).unwrap();
        self.changes[index] = change.to_vec();
        self
    }

    pub(super) fn digest_at(&self, sequence: u64) -> Digest {
        let numbered = (1..=sequence).zip(&self.changes);
        numbered.fold(log_start(self.store).digest, |digest, (n, change)| chain_next(digest, Sequence(n), change))
    }

    pub(super) fn position(&self, sequence: u64, epoch: u32) -> Position {
        let digest = self.digest_at(sequence);
        Position { store: self.store, epoch: Epoch(epoch), sequence: Sequence(sequence), digest }
    }

    fn run(&self, first: u64, last: u64) -> &[Vec<u8>] {
        &self.changes[usize::try_from(first - 1).unwrap()..usize::try_from(last).unwrap()]
    }

    /// Returns the changes up to one of them.
    pub(super) fn through(&self, last: u64) -> Vec<Vec<u8>> {
        self.run(1, last).to_vec()
    }

    /// Returns the bytes of a row with these changes.
    pub(super) fn row(&self, first: u64, last: u64) -> Vec<u8> {
        let count = u32::try_from(last - first + 1).unwrap();
        let mut row = [&[1][..], &count.to_le_bytes(), &self.digest_at(first - 1).0, &self.digest_at(last).0].concat();
        for change in self.run(first, last) {
            row.extend(u32::try_from(change.len()).unwrap().to_le_bytes());
            row.extend(change);
        }
        row
    }

    /// Returns a page of a log with this row, as long as redb would make it.
    pub(super) fn leaf(&self, first: u64, last: u64) -> Vec<u8> {
        let row = self.row(first, last);
        let end = u32::try_from(16 + row.len()).unwrap();
        let mut page = [&[1, 0, 1, 0][..], &end.to_le_bytes(), &first.to_le_bytes(), &row].concat();
        page.resize(page.len().div_ceil(PAGE).next_power_of_two() * PAGE, 0);
        page
    }

    /// Returns a page of a backup with these changes, which tells an epoch.
    pub(super) fn page(&self, first: u64, last: u64, epoch: u32) -> Vec<u8> {
        let changes: Changes = self.run(first, last).iter().map(Vec::as_slice).collect();
        let run = ChangeRun::following(self.position(first - 1, epoch), changes);
        to_blob(&Page::new(run, Sequence(last), BarnHead::default()))
    }
}

/// Returns a log of leaves with these rows.
pub(super) fn log_of(leaves: &[Vec<u8>]) -> Vec<u8> {
    let mut file = vec![0; PAGE];
    for leaf in leaves {
        file.extend(leaf);
    }
    file
}

/// Puts a file on a disk.
pub(super) fn put(disk: &MemoryDisk, file: &str, content: &[u8]) {
    drop(disk.open_bytes(file).unwrap());
    assert!(disk.overwrite(file, content));
}

/// Returns a disk with this log.
pub(super) fn disk_with(log: &[u8]) -> MemoryDisk {
    let disk = MemoryDisk::default();
    put(&disk, LOG_FILE, log);
    disk
}

/// Returns the changes of the chain of a found log.
pub(super) fn chain_of(found: &FoundLog<'_>) -> Vec<Vec<u8>> {
    let disk = MemoryDisk::default();
    let end = found.write(&disk, &mut |_| {}).unwrap();
    let store = Store::open_replica(&disk, end.store).unwrap();
    (1..=end.sequence.0).map(|n| store.reader().change(Sequence(n)).unwrap().unwrap()).collect()
}
