//! The content of a file in memory: what the process sees, and what a power cut leaves of it.

use std::io;
use std::ops::Range;

/// Unit that a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;
/// An operation on a file.
#[derive(Clone, Debug)]
pub(super) enum FileOperation {
    Length(usize),
    Write { offset: usize, data: Vec<u8> },
    Sync,
}

#[derive(Debug, Default)]
pub(super) struct Image {
    /// Content as the process sees it.
    pub(super) current: Vec<u8>,
    /// Content that a power cut leaves at least.
    pub(super) synced: Vec<u8>,
    /// Operations on `current` since `synced`, in order.
    unsynced: Vec<PendingWrite>,
    /// Number of writes and syncs that still succeed; `None` for no limit.
    pub(super) fails_after: Option<u64>,
    /// Every read fails.
    pub(super) unreadable: bool,
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

impl Image {
    /// Returns a file whose whole content is durable.
    pub(super) fn durable(content: Vec<u8>) -> Self {
        Self { current: content.clone(), synced: content, ..Self::default() }
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
                self.unsynced.push(PendingWrite::Write { offset: *offset, data: data.clone() });
            }
            FileOperation::Sync => {
                for done in std::mem::take(&mut self.unsynced) {
                    match done {
                        PendingWrite::Length(len) => self.synced.resize(len, 0),
                        PendingWrite::Write { offset, data } => write_within(&mut self.synced, offset, &data),
                    }
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
