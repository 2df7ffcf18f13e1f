//! A disk that is looked at and stays as it is.
//!
//! # Decisions
//!
//! - **What redb writes stays in memory.** It repairs a file when it opens it after a crash, and writes when it closes one:
//!   over old pages, which may hold the only copy of a row. Rejected: opening a copy of the file, for which a card may have no
//!   room.

use super::disk::{Disk, open_error};
use super::error::{StoreError, storage};
use super::tables::TABLES_FILE;
use redb::{Builder, Database, StorageBackend};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Unit in which written bytes are kept.
const BLOCK_BYTES: u64 = 4_096;
/// Maximum number of blocks that are kept, 64 MiB. A repair writes which pages are free, and little else.
const MAX_BLOCKS: usize = 16_384;

/// The log of a disk, to be read. Its tables are left out.
#[derive(Clone, Debug)]
pub struct ReadOnlyDisk(Arc<dyn Disk>);

impl ReadOnlyDisk {
    /// Returns a look at a disk.
    pub fn over(disk: &dyn Disk) -> Self {
        Self(disk.handle())
    }

    fn overlay(&self, file: &str) -> Result<Overlay, StoreError> {
        let base = if self.has_content(file) { Some(self.0.open_bytes(file)?) } else { None };
        let length = base.as_ref().map_or(Ok(0), |base| base.len()).map_err(storage("measure", file))?;
        Ok(Overlay { base, patch: Mutex::new(Patch { length, base_bytes: length, blocks: BTreeMap::new() }) })
    }
}

impl Disk for ReadOnlyDisk {
    fn open(&self, file: &str, cache_bytes: usize) -> Result<Database, StoreError> {
        let opened = Builder::new().set_cache_size(cache_bytes).create_with_backend(self.overlay(file)?);
        opened.map_err(|error| open_error(error, file.to_owned()))
    }

    fn open_bytes(&self, file: &str) -> Result<Box<dyn StorageBackend>, StoreError> {
        Ok(Box::new(self.overlay(file)?))
    }

    fn handle(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }

    fn drop_cached(&self, file: &str) {
        self.0.drop_cached(file);
    }

    fn holds(&self, file: &str) -> bool {
        file != TABLES_FILE && self.0.holds(file)
    }

    fn has_content(&self, file: &str) -> bool {
        file != TABLES_FILE && self.0.has_content(file)
    }

    fn remove(&self, file: &str) -> Result<(), StoreError> {
        Err(storage("remove", file)("the disk is only looked at"))
    }

    fn rename(&self, from: &str, _to: &str) -> Result<(), StoreError> {
        Err(storage("rename", from)("the disk is only looked at"))
    }

    fn place(&self) -> PathBuf {
        self.0.place()
    }
}

/// A file, and what was written over it.
#[derive(Debug)]
struct Overlay {
    base: Option<Box<dyn StorageBackend>>,
    patch: Mutex<Patch>,
}

#[derive(Debug)]
struct Patch {
    length: u64,
    /// Bytes of the file that still count: it may have been cut.
    base_bytes: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    fn patch(&self) -> MutexGuard<'_, Patch> {
        self.patch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the bytes of the file itself, and zeros behind its end.
    fn read_base(&self, base_bytes: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = usize::try_from(base_bytes.saturating_sub(offset)).unwrap_or(usize::MAX).min(out.len());
        let (there, behind) = out.split_at_mut(there);
        behind.fill(0);
        match &self.base {
            Some(base) if !there.is_empty() => base.read(offset, there),
            _ => Ok(()),
        }
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.patch().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let patch = self.patch();
        let end = offset.checked_add(out.len() as u64).filter(|end| *end <= patch.length);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        self.read_base(patch.base_bytes, offset, out)?;
        for (number, block) in patch.blocks.range(offset / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES)) {
            let (from, to) = (offset.max(number * BLOCK_BYTES), end.min((number + 1) * BLOCK_BYTES));
            let part = &block[span(from - number * BLOCK_BYTES, to - number * BLOCK_BYTES)?];
            out[span(from - offset, to - offset)?].copy_from_slice(part);
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut patch = self.patch();
        patch.base_bytes = patch.base_bytes.min(length);
        patch.length = length;
        patch.blocks.retain(|number, _| number * BLOCK_BYTES < length);
        if let Some(block) = patch.blocks.get_mut(&(length / BLOCK_BYTES)) {
            block[span(length % BLOCK_BYTES, BLOCK_BYTES)?].fill(0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut patch = self.patch();
        let end = offset.checked_add(data.len() as u64).ok_or(io::ErrorKind::InvalidInput)?;
        patch.length = patch.length.max(end);
        for number in offset / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES) {
            let start = number * BLOCK_BYTES;
            if !patch.blocks.contains_key(&number) {
                if patch.blocks.len() >= MAX_BLOCKS {
                    return Err(io::ErrorKind::OutOfMemory.into());
                }
                let mut block = vec![0; span(0, BLOCK_BYTES)?.len()];
                self.read_base(patch.base_bytes, start, &mut block)?;
                patch.blocks.insert(number, block);
            }
            let (from, to) = (offset.max(start), end.min(start + BLOCK_BYTES));
            if let Some(block) = patch.blocks.get_mut(&number) {
                block[span(from - start, to - start)?].copy_from_slice(&data[span(from - offset, to - offset)?]);
            }
        }
        Ok(())
    }
}

fn span(from: u64, to: u64) -> io::Result<std::ops::Range<usize>> {
    let place = |at| usize::try_from(at).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
    Ok(place(from)?..place(to)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{LOG_FILE, MemoryDisk, Store, verify_disk};
    use crate::testing::TestBarn;

    /// Catches a look at a log after a crash that repairs it, over the only copy of a row.
    #[test]
    fn a_log_that_needs_a_repair_is_verified_and_stays_as_it_is() {
        let disk = MemoryDisk::default();
        let mut barn = TestBarn::on(&disk);
        for n in 0..600 {
            barn.record(&format!("hxb:LOT1:LF{n}:UHF{n}"));
        }
        let head = barn.reader().head().position;
        let disk = disk.after_kill();
        let before = disk.content(LOG_FILE);
        assert_eq!(verify_disk(&disk, &mut |_| {}).unwrap().head, head);
        assert!(disk.content(LOG_FILE) == before);
        drop(Store::open_replica(&disk, head.store).unwrap());
        assert!(disk.content(LOG_FILE) != before, "the log needed no repair");
    }

    #[test]
    fn what_is_written_is_read_back_over_the_file() {
        let disk = MemoryDisk::default();
        let file = disk.open_bytes("file").unwrap();
        file.set_len(10_000).unwrap();
        file.write(0, &[1; 10_000]).unwrap();
        drop(file);
        let overlay = ReadOnlyDisk::over(&disk).overlay("file").unwrap();
        overlay.write(4_000, &[2; 200]).unwrap();
        let read = |offset, bytes: usize| {
            let mut out = vec![9; bytes];
            overlay.read(offset, &mut out).map(|()| out).ok()
        };
        assert_eq!(read(3_999, 3), Some(vec![1, 2, 2]));
        assert_eq!(read(4_199, 3), Some(vec![2, 1, 1]));
        overlay.set_len(4_100).unwrap();
        overlay.set_len(5_000).unwrap();
        assert_eq!(read(4_099, 3), Some(vec![2, 0, 0]));
        assert_eq!((read(4_999, 2), overlay.len().unwrap()), (None, 5_000));
        assert_eq!(disk.content("file").unwrap(), vec![1; 10_000]);
    }

    /// Catches a look that removes or renames a file, or that has the tables opened and repaired.
    #[test]
    fn a_disk_that_is_looked_at_shows_its_log_and_loses_nothing() {
        let disk = MemoryDisk::default();
        drop(TestBarn::on(&disk));
        let looked = ReadOnlyDisk::over(&disk);
        assert_eq!(looked.place(), disk.place());
        for (file, is_shown) in [(LOG_FILE, true), (TABLES_FILE, false), ("missing", false)] {
            assert_eq!((looked.holds(file), looked.has_content(file)), (is_shown, is_shown), "{file}");
        }
        assert!(matches!(looked.remove(LOG_FILE), Err(StoreError::Storage { doing: "remove", .. })));
        assert!(matches!(looked.rename(LOG_FILE, "other"), Err(StoreError::Storage { doing: "rename", .. })));
        assert!(disk.holds(LOG_FILE) && disk.holds(TABLES_FILE));
    }

    /// Catches a look at a damaged file that takes all memory.
    #[test]
    fn what_is_written_to_a_look_is_bounded() {
        let overlay = ReadOnlyDisk::over(&MemoryDisk::default()).overlay("file").unwrap();
        let write = |block: usize| overlay.write(block as u64 * BLOCK_BYTES, &[1]).map_err(|error| error.kind());
        assert!((0..MAX_BLOCKS).all(|block| write(block).is_ok()));
        assert_eq!(write(MAX_BLOCKS), Err(io::ErrorKind::OutOfMemory));
        assert_eq!(write(MAX_BLOCKS - 1), Ok(()), "a block that is there already");
    }
}
