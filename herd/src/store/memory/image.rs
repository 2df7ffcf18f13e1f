//! The content of a file in memory: what the process sees, and what a power cut leaves of it.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;

/// Unit that a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;
/// Unit in which the kernel caches a file.
const PAGE_BYTES: usize = 4_096;

/// An operation on a file.
#[derive(Clone, Debug)]
pub(super) enum FileOperation {
    Length(usize),
    Write { offset: usize, data: Vec<u8> },
    Sync,
}

#[derive(Debug, Default)]
pub(super) struct Image {
    /// Content as the process sees it: that of the kernel's cache.
    pub(super) current: Vec<u8>,
    /// Content that a power cut leaves at least.
    pub(super) synced: Vec<u8>,
    /// Operations on `current` since `synced`, in order, that the kernel has still to write.
    unsynced: Vec<PendingWrite>,
    /// Pages of `current` that a failed sync has marked as clean, although the disk does not have them.
    lying: BTreeSet<usize>,
    /// Number of syncs after which one fails, once; `None` for never.
    pub(super) fails_at_sync: Option<u64>,
    /// Number of writes and syncs that still succeed; `None` for no limit.
    pub(super) fails_after: Option<u64>,
    /// Reads of any of these bytes fail.
    pub(super) unreadable: Range<usize>,
    /// The next read or sync panics, as code with a defect does.
    pub(super) panics: bool,
    /// Syncs are confirmed and not done.
    pub(super) ignores_syncs: bool,
    /// The length that the file cannot exceed.
    pub(super) max_bytes: Option<usize>,
}

#[derive(Clone, Debug)]
enum PendingWrite {
    Length(usize),
    Write { offset: usize, data: Vec<u8> },
}

impl PendingWrite {
    fn is_length(&self) -> bool {
        matches!(self, Self::Length(_))
    }

    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Length(length) => file.resize(*length, 0),
            Self::Write { offset, data } => write_within(file, *offset, data),
        }
    }

    /// Returns the pages that it changes.
    fn pages(&self) -> Range<usize> {
        match self {
            Self::Length(_) => 0..0,
            Self::Write { offset, data } => pages(&(*offset..offset + data.len())),
        }
    }
}

impl Image {
    /// Returns a file whose whole content is durable.
    pub(super) fn durable(content: Vec<u8>) -> Self {
        Self { current: content.clone(), synced: content, ..Self::default() }
    }

    /// Returns the file as the kernel has it, without any fault.
    pub(super) fn cached(&self) -> Self {
        let Self { current, synced, unsynced, lying, .. } = self;
        let (current, synced) = (current.clone(), synced.clone());
        Self { current, synced, unsynced: unsynced.clone(), lying: lying.clone(), ..Self::default() }
    }

    /// Fails a sync as Linux does: what could not be written counts as clean, and stays in the cache.
    ///
    /// The length of the file is not lost: the file system writes it with its next commit.
    pub(super) fn fail_sync(&mut self) {
        let (lengths, writes) = std::mem::take(&mut self.unsynced).into_iter().partition(PendingWrite::is_length);
        self.unsynced = lengths;
        let written: Vec<PendingWrite> = writes;
        self.lying.extend(written.iter().flat_map(PendingWrite::pages));
    }

    /// Drops the pages of the cache that count as clean. Those that are to be written stay.
    pub(super) fn drop_clean(&mut self) {
        self.current = self.synced.clone();
        self.unsynced.iter().for_each(|pending| pending.apply(&mut self.current));
        self.lying.clear();
    }

    /// Counts a sync, and returns whether it is the one that fails.
    pub(super) fn is_failing_sync(&mut self) -> bool {
        match self.fails_at_sync {
            Some(0) => {
                self.fails_at_sync = None;
                true
            }
            Some(left) => {
                self.fails_at_sync = Some(left - 1);
                false
            }
            None => false,
        }
    }

    /// Returns the bytes that a write makes dirty: itself, and all of each page that the disk lacks.
    fn dirtied(&mut self, offset: usize, length: usize) -> Range<usize> {
        let span = offset..offset + length;
        let pages = pages(&span);
        if !pages.clone().any(|page| self.lying.contains(&page)) {
            return span;
        }
        self.lying.retain(|page| !pages.contains(page));
        pages.start * PAGE_BYTES..(pages.end * PAGE_BYTES).min(self.current.len())
    }

    /// Panics if a test wants that, once.
    ///
    /// # Panics
    /// If [`MemoryDisk::panic_once`](super::MemoryDisk::panic_once) was called.
    pub(super) fn maybe_panic(&mut self) {
        assert!(!std::mem::take(&mut self.panics), "the test wants a panic");
    }

    /// Counts an operation that may be made to fail.
    pub(super) fn spend(&mut self) -> Result<(), io::Error> {
        match &mut self.fails_after {
            Some(0) => Err(failing()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn apply(&mut self, operation: &FileOperation) -> Result<(), io::Error> {
        match operation {
            FileOperation::Length(length) => {
                if self.max_bytes.is_some_and(|max| *length > max) {
                    return Err(io::Error::from(io::ErrorKind::StorageFull));
                }
                self.current.resize(*length, 0);
                self.unsynced.push(PendingWrite::Length(*length));
            }
            FileOperation::Write { offset, data } => {
                let span = span(*offset as u64, data.len())?;
                self.current.get_mut(span).ok_or_else(beyond_end)?.copy_from_slice(data);
                let dirtied = self.dirtied(*offset, data.len());
                let data = self.current[dirtied.clone()].to_vec();
                self.unsynced.push(PendingWrite::Write { offset: dirtied.start, data });
            }
            FileOperation::Sync => {
                for pending in std::mem::take(&mut self.unsynced) {
                    pending.apply(&mut self.synced);
                }
            }
        }
        Ok(())
    }
}

pub(super) fn failing() -> io::Error {
    io::Error::other("the simulated disk fails")
}

pub(super) fn beyond_end() -> io::Error {
    io::Error::from(io::ErrorKind::UnexpectedEof)
}

pub(super) fn span(offset: u64, length: usize) -> Result<Range<usize>, io::Error> {
    let start = usize::try_from(offset).map_err(|_| beyond_end())?;
    Ok(start..start.checked_add(length).ok_or_else(beyond_end)?)
}

/// Returns the pages that hold a range of bytes.
fn pages(span: &Range<usize>) -> Range<usize> {
    span.start / PAGE_BYTES..span.end.div_ceil(PAGE_BYTES)
}

/// Writes the part of `data` that lies within the file. The rest has no place if the file was not extended in time.
fn write_within(file: &mut [u8], offset: usize, data: &[u8]) {
    let Some(place) = file.get_mut(offset..) else { return };
    let fits = place.len().min(data.len());
    place[..fits].copy_from_slice(&data[..fits]);
}

/// Returns the synced content, with those later sectors that the coin lets through.
///
/// The length is not torn: file systems journal it before data past the end can be found.
pub(super) fn torn(image: &Image, coin: &mut Coin) -> Vec<u8> {
    let mut found = image.synced.clone();
    let odds = coin.odds();
    for done in &image.unsynced {
        match done {
            PendingWrite::Length(len) => found.resize(*len, 0),
            PendingWrite::Write { offset, data } => {
                let mut at = *offset;
                let end = offset + data.len();
                while at < end {
                    let sector_end = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;
                    let until = sector_end.min(end);
                    if coin.falls_within(odds) {
                        write_within(&mut found, at, &data[at - offset..until - offset]);
                    }
                    at = until;
                }
            }
        }
    }
    found
}

/// Random bits from a seed: `SplitMix64` (Steele, Lea, Flood 2014), good enough to choose sectors.
pub(super) struct Coin(u64);

impl Coin {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns the number of sectors of 256 that survive a power cut: few, about half, or nearly all.
    fn odds(&mut self) -> u64 {
        [16, 128, 240][usize::try_from(self.throw() % 3).unwrap_or(0)]
    }

    fn falls_within(&mut self, odds_of_256: u64) -> bool {
        self.throw() % 256 < odds_of_256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches seeds that lead to other disks than they did when a failure was reported.
    #[test]
    fn a_seed_gives_the_numbers_of_splitmix64() {
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423_u64];
        let mut coin = Coin::new(1_234_567);
        assert_eq!([(); 3].map(|()| coin.throw()), expected);
        // The first of them decides here: its rest by 3, and by 256.
        assert_eq!((Coin::new(1_234_567).odds(), expected[0] % 3), (16, 0));
        assert_eq!([133, 134].map(|odds| Coin::new(1_234_567).falls_within(odds)), [false, true]);
    }
}
