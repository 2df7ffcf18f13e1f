//! A disk in memory, for simulated worlds: synced data survives a power cut, other data may be lost or torn.
//!
//! It has faults that otherwise only a real disk shows: writes that reach the platter out of order or in part, and a file
//! that fails with an I/O error from some operation on.

use super::disk::{Disk, open_error};
use super::error::StoreError;
use redb::{Builder, Database, StorageBackend};
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Unit that a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// A disk in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    files: Arc<Mutex<HashMap<String, MemoryFile>>>,
    uncached: bool,
}

#[derive(Clone, Debug, Default)]
struct MemoryFile {
    image: Arc<Mutex<Image>>,
    gate: Arc<Gate>,
}

/// Blocks syncs while it is closed.
#[derive(Debug, Default)]
struct Gate {
    closed: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn set(&self, closed: bool) {
        *lock(&self.closed) = closed;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let closed = lock(&self.closed);
        drop(self.opened.wait_while(closed, |closed| *closed).unwrap_or_else(PoisonError::into_inner));
    }
}

/// Blocks the syncs of a file until it is dropped.
#[derive(Debug)]
#[must_use = "the syncs go on when this is dropped"]
pub struct SyncGate(Arc<Gate>);

impl Drop for SyncGate {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

#[derive(Debug, Default)]
struct Image {
    /// Content as the process sees it.
    current: Vec<u8>,
    /// Content that a power cut leaves at least.
    synced: Vec<u8>,
    /// Operations on `current` since `synced`, in order.
    unsynced: Vec<PendingWrite>,
    /// Number of writes and syncs that still succeed; `None` for no limit.
    fails_after: Option<u64>,
    /// Every read fails.
    unreadable: bool,
}

#[derive(Clone, Debug)]
enum PendingWrite {
    Length(usize),
    Write { offset: usize, data: Vec<u8> },
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryDisk {
    /// Returns the same disk for stores without a page cache, so that every read reaches it.
    #[must_use]
    pub fn uncached(self) -> Self {
        Self { uncached: true, ..self }
    }

    /// Returns the disk after a power cut now: each file as it was last synced.
    #[must_use]
    pub fn after_power_cut(&self) -> Self {
        self.found(|image| image.synced.clone())
    }

    /// Returns the disk after a power cut now, if the drive's cache had written parts of the unsynced data.
    ///
    /// `seed` decides which sectors survive. Equal seeds give equal disks.
    #[must_use]
    pub fn after_torn_power_cut(&self, seed: u64) -> Self {
        let mut coin = Coin::new(seed);
        self.found(|image| torn(image, &mut coin))
    }

    /// Returns the disk after a kill of the process: the kernel keeps what was written.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        self.found(|image| image.current.clone())
    }

    /// Makes writes and syncs of `file` fail after `operations` more of them. Returns whether the file exists.
    ///
    /// A disk from one of the `after_...` functions has no such fault.
    pub fn fail_after(&self, file: &str, operations: u64) -> bool {
        let files = lock(&self.files);
        let found = files.get(file);
        if let Some(file) = found {
            lock(&file.image).fails_after = Some(operations);
        }
        found.is_some()
    }

    /// Makes all reads of `file` fail. Returns whether the file exists.
    ///
    /// A store still has what it has cached, unless the disk is [`uncached`](Self::uncached). A disk from one of the
    /// `after_...` functions has no such fault.
    pub fn fail_reads(&self, file: &str) -> bool {
        let files = lock(&self.files);
        let found = files.get(file);
        if let Some(file) = found {
            lock(&file.image).unreadable = true;
        }
        found.is_some()
    }

    /// Blocks all syncs of `file`, as on a card that hangs, until the returned gate is dropped.
    ///
    /// Returns `None` if the file does not exist. The syncing thread blocks, so the writer must not share the test's thread.
    pub fn hold_syncs(&self, file: &str) -> Option<SyncGate> {
        let gate = lock(&self.files).get(file)?.gate.clone();
        gate.set(true);
        Some(SyncGate(gate))
    }

    fn found(&self, mut survive: impl FnMut(&Image) -> Vec<u8>) -> Self {
        let files = lock(&self.files);
        // In the order of names, so that a seed gives the same result in every run.
        let mut names: Vec<_> = files.iter().collect();
        names.sort_unstable_by_key(|(name, _)| *name);
        let survivors = names.into_iter().map(|(name, file)| {
            let synced = survive(&lock(&file.image));
            let image = Image { current: synced.clone(), synced, ..Image::default() };
            (name.clone(), MemoryFile { image: Arc::new(Mutex::new(image)), gate: Arc::default() })
        });
        Self { files: Arc::new(Mutex::new(survivors.collect())), ..*self }
    }
}

impl Disk for MemoryDisk {
    fn open(&self, file: &str, cache_bytes: usize) -> Result<Database, StoreError> {
        let opened = lock(&self.files).entry(file.to_owned()).or_default().clone();
        Builder::new()
            .set_cache_size(if self.uncached { 0 } else { cache_bytes })
            .create_with_backend(opened)
            .map_err(|error| open_error(error, file.to_owned()))
    }

    fn holds(&self, file: &str) -> bool {
        lock(&self.files).contains_key(file)
    }

    fn remove(&self, file: &str) -> Result<(), StoreError> {
        lock(&self.files).remove(file);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let mut files = lock(&self.files);
        if let Some(file) = files.remove(from) {
            files.insert(to.to_owned(), file);
        }
        Ok(())
    }

    fn place(&self) -> PathBuf {
        "memory".into()
    }
}

impl Image {
    /// Counts an operation that may be made to fail.
    fn spend(&mut self) -> Result<(), io::Error> {
        match &mut self.fails_after {
            Some(0) => Err(failing()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn failing() -> io::Error {
    io::Error::other("the simulated disk fails")
}

fn beyond_end() -> io::Error {
    io::Error::from(io::ErrorKind::UnexpectedEof)
}

fn span(offset: u64, length: usize) -> Result<Range<usize>, io::Error> {
    let start = usize::try_from(offset).map_err(|_| beyond_end())?;
    Ok(start..start.checked_add(length).ok_or_else(beyond_end)?)
}

impl StorageBackend for MemoryFile {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(lock(&self.image).current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let image = lock(&self.image);
        if image.unreadable {
            return Err(failing());
        }
        out.copy_from_slice(image.current.get(span(offset, out.len())?).ok_or_else(beyond_end)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        let len = span(len, 0)?.start;
        let mut image = lock(&self.image);
        image.spend()?;
        image.current.resize(len, 0);
        image.unsynced.push(PendingWrite::Length(len));
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.gate.pass();
        let mut image = lock(&self.image);
        image.spend()?;
        for done in std::mem::take(&mut image.unsynced) {
            match done {
                PendingWrite::Length(len) => image.synced.resize(len, 0),
                PendingWrite::Write { offset, data } => write_within(&mut image.synced, offset, &data),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let span = span(offset, data.len())?;
        let mut image = lock(&self.image);
        image.spend()?;
        image.current.get_mut(span.clone()).ok_or_else(beyond_end)?.copy_from_slice(data);
        image.unsynced.push(PendingWrite::Write { offset: span.start, data: data.to_vec() });
        Ok(())
    }
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
fn torn(image: &Image, coin: &mut Coin) -> Vec<u8> {
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
struct Coin(u64);

impl Coin {
    fn new(seed: u64) -> Self {
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
