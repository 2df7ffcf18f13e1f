//! Where a store's files lie. The seam through which simulated worlds and fault tests put their own storage.

use super::error::StoreError;
use super::open_progress::OpenProgress;
use redb::{Builder, Database, DatabaseError, StorageError};
use std::fmt::Debug;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Opens the files of one store.
pub trait Disk: Debug + Send + Sync {
    /// Opens `file`, made empty if it is not there, with a page cache of at most so many bytes.
    fn open(&self, file: &str, cache_bytes: usize) -> Result<Database, StoreError>;

    /// Whether `file` is there.
    fn holds(&self, file: &str) -> bool;

    /// Takes `file` away, if it is there.
    fn remove(&self, file: &str) -> Result<(), StoreError>;

    /// Puts `from` in the place of `to`.
    fn rename(&self, from: &str, to: &str) -> Result<(), StoreError>;

    /// What to call the place in messages.
    fn place(&self) -> PathBuf;

    /// Says how far the opening of the store is, to whoever waits for it, who may break it off.
    fn tell(&self, _at: &OpenProgress<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

type Told = dyn Fn(&OpenProgress<'_>) -> ControlFlow<()> + Send + Sync;

/// A directory.
#[derive(Clone)]
pub struct Directory {
    path: PathBuf,
    told: Arc<Told>,
}

impl Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Directory").field(&self.path).finish()
    }
}

impl Directory {
    /// The directory at this path, made if it is not there.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let path = path.into();
        std::fs::create_dir_all(&path)
            .map_err(super::error::storage("make the directory", &path.display().to_string()))?;
        Ok(Self { path, told: Arc::new(|_| ControlFlow::Continue(())) })
    }

    /// The same directory, and whoever is told how far the opening of a store in it is. A break ends the opening with
    /// [`StoreError::BrokenOff`]; what was done of it is kept.
    #[must_use]
    pub fn telling(self, told: impl Fn(&OpenProgress<'_>) -> ControlFlow<()> + Send + Sync + 'static) -> Self {
        Self { told: Arc::new(told), ..self }
    }

    fn named(&self, file: &str) -> (PathBuf, String) {
        let path = self.path.join(file);
        let name = path.display().to_string();
        (path, name)
    }
}

impl Disk for Directory {
    fn open(&self, file: &str, cache_bytes: usize) -> Result<Database, StoreError> {
        let (path, name) = self.named(file);
        let is_new = !path.exists();
        let (told, checked) = (self.told.clone(), file.to_owned());
        let opened = Builder::new()
            .set_cache_size(cache_bytes)
            .set_repair_callback(move |check| {
                if told(&OpenProgress::checking(&checked, check.progress())).is_break() {
                    check.abort();
                }
            })
            .create(path)
            .map_err(|error| open_error(error, name))?;
        if is_new {
            // What is acknowledged in a file is lost with the power if its name is not durable.
            sync_directory(&self.path)?;
        }
        Ok(opened)
    }

    fn holds(&self, file: &str) -> bool {
        self.path.join(file).exists()
    }

    fn remove(&self, file: &str) -> Result<(), StoreError> {
        let (path, name) = self.named(file);
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(super::error::storage("remove", &name)(error))
            }
            _ => Ok(()),
        }
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let (target, name) = self.named(to);
        std::fs::rename(self.path.join(from), target).map_err(super::error::storage("swap in", &name))?;
        sync_directory(&self.path)
    }

    fn place(&self) -> PathBuf {
        self.path.clone()
    }

    fn tell(&self, at: &OpenProgress<'_>) -> ControlFlow<()> {
        (self.told)(at)
    }
}

/// Makes names in a directory durable: a renamed file is otherwise lost with the power.
pub(crate) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    let name = path.display().to_string();
    let directory = std::fs::File::open(path).map_err(super::error::storage("open the directory", &name))?;
    directory.sync_all().map_err(super::error::storage("sync the directory", &name))
}

/// The error of opening `file`, by what can be done about it.
pub(super) fn open_error(error: DatabaseError, file: String) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::Locked { file },
        DatabaseError::RepairAborted => StoreError::BrokenOff { file },
        DatabaseError::Storage(StorageError::Io(why)) => {
            StoreError::Storage { doing: "open", file, why: why.to_string() }
        }
        why => StoreError::Storage { doing: "open", file, why: why.to_string() },
    }
}
