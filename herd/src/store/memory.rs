//! Files in memory, for simulated worlds: what was synced survives a power cut, what was not is gone.

use super::disk::{Disk, open_error};
use super::error::StoreError;
use redb::{Builder, Database, StorageBackend};
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    files: Arc<Mutex<HashMap<String, MemoryFile>>>,
}

#[derive(Clone, Debug, Default)]
struct MemoryFile {
    image: Arc<Mutex<Image>>,
}

#[derive(Debug, Default)]
struct Image {
    /// As the process sees it.
    current: Vec<u8>,
    /// As a power cut would leave it.
    synced: Vec<u8>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryDisk {
    /// The disk as it would be found after a power cut at this moment: each file as it was last synced.
    #[must_use]
    pub fn after_power_cut(&self) -> Self {
        let survive = |file: &MemoryFile| {
            let synced = lock(&file.image).synced.clone();
            MemoryFile { image: Arc::new(Mutex::new(Image { current: synced.clone(), synced })) }
        };
        let files = lock(&self.files).iter().map(|(name, file)| (name.clone(), survive(file))).collect();
        Self { files: Arc::new(Mutex::new(files)) }
    }
}

impl Disk for MemoryDisk {
    fn open(&self, file: &str, cache_bytes: usize) -> Result<Database, StoreError> {
        let opened = lock(&self.files).entry(file.to_owned()).or_default().clone();
        Builder::new()
            .set_cache_size(cache_bytes)
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

fn beyond_end() -> io::Error {
    io::Error::from(io::ErrorKind::UnexpectedEof)
}

fn span(offset: u64, length: usize) -> Result<std::ops::Range<usize>, io::Error> {
    let start = usize::try_from(offset).map_err(|_| beyond_end())?;
    Ok(start..start.checked_add(length).ok_or_else(beyond_end)?)
}

impl StorageBackend for MemoryFile {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(lock(&self.image).current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let image = lock(&self.image);
        out.copy_from_slice(image.current.get(span(offset, out.len())?).ok_or_else(beyond_end)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        let len = span(len, 0)?.start;
        lock(&self.image).current.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut image = lock(&self.image);
        image.synced = image.current.clone();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut image = lock(&self.image);
        image.current.get_mut(span(offset, data.len())?).ok_or_else(beyond_end)?.copy_from_slice(data);
        Ok(())
    }
}
