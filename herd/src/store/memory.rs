//! Files in memory, for simulated worlds: what was synced survives a power cut, what was not may be gone, or torn.
//!
//! Faults that only a real disk would otherwise show: writes that reach the platter out of order or in part, and a
//! file that from some operation on answers with an I/O error.

use super::disk::{Disk, open_error};
use super::error::StoreError;
use redb::{Builder, Database, StorageBackend};
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What a disk writes as a whole or not at all.
const SECTOR_BYTES: usize = 512;

/// A disk in memory. Clones are the same disk.
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

/// Where syncs wait while they are held.
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

/// While it lives, no sync of the file returns.
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
    /// As the process sees it.
    current: Vec<u8>,
    /// As a power cut would leave it at least.
    synced: Vec<u8>,
    /// What was done to `current` since it was `synced`, in order.
    unsynced: Vec<Unsynced>,
    /// So many more writes and syncs succeed; none for no bound.
    fails_after: Option<u64>,
    /// Every read fails.
    unreadable: bool,
}

#[derive(Clone, Debug)]
enum Unsynced {
    Length(usize),
    Write { offset: usize, data: Vec<u8> },
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryDisk {
    /// The same disk for stores that keep no page of it: whatever they read, they read here.
    #[must_use]
    pub fn uncached(self) -> Self {
        Self { uncached: true, ..self }
    }

    /// The disk as it would be found after a power cut at this moment: each file as it was last synced.
    #[must_use]
    pub fn after_power_cut(&self) -> Self {
        self.found(|image| image.synced.clone())
    }

    /// The disk as it could be found after a power cut at this moment, where the cache of a drive had written any part
    /// of what was not synced: each sector of it survives or not, as `seed` decides. Equal seeds, equal disks.
    #[must_use]
    pub fn after_torn_power_cut(&self, seed: u64) -> Self {
        let mut coin = Coin::new(seed);
        self.found(|image| torn(image, &mut coin))
    }

    /// The disk as the next process finds it when this one is killed: the kernel keeps what was written.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        self.found(|image| image.current.clone())
    }

    /// After so many more writes and syncs each further one to `file` fails, until the disk is looked at by one of
    /// the `after_...` functions. Whether there is such a file.
    pub fn fail_after(&self, file: &str, operations: u64) -> bool {
        let files = lock(&self.files);
        let found = files.get(file);
        if let Some(file) = found {
            lock(&file.image).fails_after = Some(operations);
        }
        found.is_some()
    }

    /// Each further read of `file` fails, until the disk is looked at by one of the `after_...` functions; what a store
    /// has cached it still has, unless the disk is [`uncached`](Self::uncached). Whether there is such a file.
    pub fn fail_reads(&self, file: &str) -> bool {
        let files = lock(&self.files);
        let found = files.get(file);
        if let Some(file) = found {
            lock(&file.image).unreadable = true;
        }
        found.is_some()
    }

    /// From now on no sync of `file` returns, as on a card that hangs, until what this gives is dropped. None where
    /// there is no such file. The thread that syncs blocks: the writer must be on another one than the test.
    pub fn hold_syncs(&self, file: &str) -> Option<SyncGate> {
        let gate = lock(&self.files).get(file)?.gate.clone();
        gate.set(true);
        Some(SyncGate(gate))
    }

    fn found(&self, mut survive: impl FnMut(&Image) -> Vec<u8>) -> Self {
        let files = lock(&self.files);
        // In the order of names, so that a seed means the same on every run.
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
    /// An operation that may fail is about to be done.
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
        image.unsynced.push(Unsynced::Length(len));
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.gate.pass();
        let mut image = lock(&self.image);
        image.spend()?;
        for done in std::mem::take(&mut image.unsynced) {
            match done {
                Unsynced::Length(len) => image.synced.resize(len, 0),
                Unsynced::Write { offset, data } => write_within(&mut image.synced, offset, &data),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let span = span(offset, data.len())?;
        let mut image = lock(&self.image);
        image.spend()?;
        image.current.get_mut(span.clone()).ok_or_else(beyond_end)?.copy_from_slice(data);
        image.unsynced.push(Unsynced::Write { offset: span.start, data: data.to_vec() });
        Ok(())
    }
}

/// Writes what of `data` lies within the file: a file that was not made longer in time has no place for the rest.
fn write_within(file: &mut [u8], offset: usize, data: &[u8]) {
    let Some(place) = file.get_mut(offset..) else { return };
    let fits = place.len().min(data.len());
    place[..fits].copy_from_slice(&data[..fits]);
}

/// What is synced, and of the rest the sectors that the coin lets through. The length is not torn: file systems
/// journal it before what lies beyond it can be found.
fn torn(image: &Image, coin: &mut Coin) -> Vec<u8> {
    let mut found = image.synced.clone();
    let odds = coin.odds();
    for done in &image.unsynced {
        match done {
            Unsynced::Length(len) => found.resize(*len, 0),
            Unsynced::Write { offset, data } => {
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

/// Coin throws from a seed: `SplitMix64` (Steele, Lea, Flood 2014), enough to choose sectors.
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

    /// How many sectors of 256 survive one cut: few, about half, or nearly all.
    fn odds(&mut self) -> u64 {
        [16, 128, 240][usize::try_from(self.throw() % 3).unwrap_or(0)]
    }

    fn falls_within(&mut self, odds_of_256: u64) -> bool {
        self.throw() % 256 < odds_of_256
    }
}
