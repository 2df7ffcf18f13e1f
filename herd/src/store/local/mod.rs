//! `local.redb`: data that is never replicated (keys, paired sites, users, counters of duplicates).
//!
//! Rows are addressed by (namespace, key). A value is a version byte and postcard. The file is small and holds hashes of
//! secrets, so only its owner can read it, and opening it checks its whole content.
//!
//! # Decisions
//!
//! - **After a failed write the file is closed, and the next call opens it again.** A database that has seen an error of
//!   the disk refuses every later call. To end the process instead was rejected: a barn must hear its radios whatever
//!   happens to its keys. [`LocalFile::failure`] says what is wrong until a write succeeds.

use super::disk::{Disk as _, drop_cached};
use super::guarded::{GuardedDatabase, PANICKED, guarded_with};
use super::memory::MemoryDisk;
use redb::{Builder, Database, DatabaseError, ReadableDatabase as _, StorageError, TableDefinition, TableError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Key: the namespace, a zero byte, the key. Value: [`VALUE_VERSION`], then postcard.
const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("local rows");

type RowsRead = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;

/// First byte of every value. Another version would be another frozen type.
const VALUE_VERSION: u8 = 1;

/// Name of the file.
const LOCAL_FILE: &str = "local.redb";

/// Page cache. The file holds some hundred small rows.
const CACHE_BYTES: usize = 1024 * 1024;

const OWNER_ONLY: u32 = 0o600;

/// Why the local file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Another process has the file open. A retry can help.
    #[error("cannot open {}: another process has it open; stop that process, or use its commands", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused to open the file.
    #[error("cannot open {}: {source}; check that the directory exists and belongs to this user", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The file is damaged.
    #[error("cannot read {}: {reason}; the file is damaged: restore it from a backup, or move it away and create keys and pairings again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Kind of the fault.
        reason: String,
    },
    /// The disk failed to read or write the file.
    #[error("cannot use {}: {reason}; check the disk, then restart: after a failed write the file must be reopened", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// Message of the database.
        reason: String,
    },
    /// A value cannot be decoded or encoded as the requested type.
    #[error("invalid value `{key}` in `{space}`: {reason}; another version of this program wrote it, or it is damaged")]
    Value {
        /// The namespace.
        space: String,
        /// The key in that namespace.
        key: String,
        /// Kind of the fault.
        reason: String,
    },
    /// A namespace is empty or contains a zero byte. Only the program chooses these names.
    #[error("invalid namespace name `{0}`")]
    Space(String),
}

impl LocalError {
    /// Returns whether the same file may open later, although nobody repairs it.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Locked { .. } | Self::Open { .. } | Self::Disk { .. })
    }
}

/// The open file. Clones are cheap and share it; the last one to be dropped closes it.
///
/// A [`closed`](Self::closed) one stands in for a damaged file: it holds nothing and refuses every write.
///
/// Every call reads or syncs the disk. From asynchronous code, call it on a blocking thread.
#[derive(Clone)]
pub struct LocalFile {
    path: Arc<Path>,
    state: Arc<Mutex<FileState>>,
    /// The damage that keeps a file closed.
    damage: Option<Arc<str>>,
}

/// Opens the database at a path. Tests put a faulty disk below it.
type Opener = Box<dyn Fn(&Path) -> Result<Database, LocalError> + Send>;

struct FileState {
    open: Opener,
    /// `None` after a failed write, until the file is open again.
    database: Option<Arc<GuardedDatabase>>,
    failure: Option<String>,
}

impl FileState {
    fn database(&mut self, path: &Path) -> Result<Arc<GuardedDatabase>, LocalError> {
        if let Some(database) = &self.database {
            return Ok(database.clone());
        }
        let opened = guarded_at(path, || (self.open)(path));
        let opened = opened.inspect_err(|error| self.failure = Some(error.to_string()))?;
        Ok(self.database.insert(Arc::new(GuardedDatabase::new(opened, LOCAL_FILE))).clone())
    }
}

impl std::fmt::Debug for LocalFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LocalFile").field(&self.path).finish()
    }
}

impl LocalFile {
    /// Opens the file, or creates it with mode 0600. Its directory must exist.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LocalError> {
        Self::open_with(path.as_ref(), Box::new(open_database))
    }

    fn open_with(path: &Path, open: Opener) -> Result<Self, LocalError> {
        let mut state = FileState { open, database: None, failure: None };
        state.database(path)?;
        Ok(Self { path: path.into(), state: Arc::new(Mutex::new(state)), damage: None })
    }

    /// Stands in for a damaged file, which is left as it is: nothing is found in it, and nothing is written.
    pub fn closed(path: impl AsRef<Path>, damage: &str) -> Self {
        let reason = damage.to_owned();
        let open = move |path: &Path| Err(LocalError::Damaged { path: path.into(), reason: reason.clone() });
        let state = FileState { open: Box::new(open), database: None, failure: None };
        Self { path: path.as_ref().into(), state: Arc::new(Mutex::new(state)), damage: Some(damage.into()) }
    }

    /// Returns the damage of a file that is [`closed`](Self::closed).
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// Returns whether nothing was ever written into the file.
    pub fn is_empty(&self) -> Result<bool, LocalError> {
        Ok(self.read()?.is_none())
    }

    /// Opens the file `local.redb` of a disk in memory, for tests of what a failing disk does.
    pub fn open_in(disk: &MemoryDisk) -> Result<Self, LocalError> {
        let disk = disk.clone();
        let open = move |path: &Path| {
            let opened = disk.open(LOCAL_FILE, CACHE_BYTES);
            opened.map_err(|error| LocalError::Disk { path: path.into(), reason: error.to_string() })
        };
        Self::open_with(Path::new(LOCAL_FILE), Box::new(open))
    }

    /// Returns why the file cannot be written at the moment; `None` if the last write succeeded.
    pub fn failure(&self) -> Option<String> {
        self.state().failure.clone()
    }

    fn state(&self) -> MutexGuard<'_, FileState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the value at (`space`, `key`).
    pub fn get<T: DeserializeOwned>(&self, space: &str, key: &str) -> Result<Option<T>, LocalError> {
        let row = row_key(space, key)?;
        let Some(rows) = self.read()? else { return Ok(None) };
        guarded_at(&self.path, || {
            let value = rows.get(row.as_slice()).map_err(|error| self.storage(&error))?;
            value.map(|value| decode(value.value()).map_err(|reason| value_error(space, key, reason))).transpose()
        })
    }

    /// Writes the value at (`space`, `key`). It is durable when this returns.
    pub fn put<T: Serialize + ?Sized>(&self, space: &str, key: &str, value: &T) -> Result<(), LocalError> {
        let row = row_key(space, key)?;
        let bytes = encode(value).map_err(|reason| value_error(space, key, reason))?;
        self.write(|rows| rows.insert(row.as_slice(), bytes.as_slice()).map(|_| ()))
    }

    /// Removes the value at (`space`, `key`), and returns whether there was one. The removal is durable when this returns.
    pub fn remove(&self, space: &str, key: &str) -> Result<bool, LocalError> {
        let row = row_key(space, key)?;
        self.write(|rows| rows.remove(row.as_slice()).map(|was| was.is_some()))
    }

    /// Removes the values of `gone` from a namespace and writes `put` into it, in one commit.
    ///
    /// A power cut leaves both done or neither.
    pub fn replace<T: Serialize + ?Sized>(
        &self,
        space: &str,
        gone: &[String],
        put: Option<(&str, &T)>,
    ) -> Result<(), LocalError> {
        let gone = gone.iter().map(|key| row_key(space, key)).collect::<Result<Vec<_>, _>>()?;
        let put = match put {
            Some((key, value)) => {
                let bytes = encode(value).map_err(|reason| value_error(space, key, reason))?;
                Some((row_key(space, key)?, bytes))
            }
            None => None,
        };
        self.write(|rows| {
            for row in &gone {
                rows.remove(row.as_slice())?;
            }
            if let Some((row, bytes)) = &put {
                rows.insert(row.as_slice(), bytes.as_slice())?;
            }
            Ok(())
        })
    }

    /// Returns all values of a namespace, ordered by the bytes of the keys.
    pub fn list<T: DeserializeOwned>(&self, space: &str) -> Result<Vec<(String, T)>, LocalError> {
        let from = row_key(space, "")?;
        let Some(rows) = self.read()? else { return Ok(Vec::new()) };
        // The byte after the separator ends the namespace: rows of no other one lie between.
        let mut to = from.clone();
        if let Some(separator) = to.last_mut() {
            *separator = 1;
        }
        guarded_at(&self.path, || {
            let range = rows.range(from.as_slice()..to.as_slice()).map_err(|error| self.storage(&error))?;
            let mut found = Vec::new();
            for row in range {
                let (key, value) = row.map_err(|error| self.storage(&error))?;
                let key = String::from_utf8_lossy(&key.value()[from.len()..]).into_owned();
                let value = decode(value.value()).map_err(|reason| value_error(space, &key, reason))?;
                found.push((key, value));
            }
            Ok(found)
        })
    }

    fn read(&self) -> Result<Option<RowsRead>, LocalError> {
        if self.damage.is_some() {
            return Ok(None);
        }
        let database = self.state().database(&self.path)?;
        guarded_at(&self.path, || {
            let reading = database.open().map_err(|error| self.disk(&error))?;
            let reading = reading.begin_read().map_err(|error| self.disk(&error))?;
            match reading.open_table(ROWS) {
                Ok(rows) => Ok(Some(rows)),
                Err(TableError::TableDoesNotExist(_)) => Ok(None),
                Err(error) => Err(self.disk(&error)),
            }
        })
    }

    fn write<T>(
        &self,
        change: impl FnOnce(&mut redb::Table<'_, &'static [u8], &'static [u8]>) -> Result<T, StorageError>,
    ) -> Result<T, LocalError> {
        // Held during the write: whoever writes next finds the file open, or closed.
        let mut state = self.state();
        let database = state.database(&self.path)?;
        let written = guarded_at(&self.path, || self.write_to(&database, change));
        state.failure = written.as_ref().err().map(ToString::to_string);
        if written.is_err() {
            state.database = None;
        }
        written
    }

    fn write_to<T>(
        &self,
        database: &GuardedDatabase,
        change: impl FnOnce(&mut redb::Table<'_, &'static [u8], &'static [u8]>) -> Result<T, StorageError>,
    ) -> Result<T, LocalError> {
        let database = database.open().map_err(|error| self.disk(&error))?;
        let writing = database.begin_write().map_err(|error| self.disk(&error))?;
        let mut rows = writing.open_table(ROWS).map_err(|error| self.disk(&error))?;
        let result = change(&mut rows).map_err(|error| self.storage(&error))?;
        drop(rows);
        writing.commit().map_err(|error| self.disk(&error))?;
        Ok(result)
    }

    fn disk(&self, error: &dyn std::error::Error) -> LocalError {
        LocalError::Disk { path: self.path.to_path_buf(), reason: error.to_string() }
    }

    fn storage(&self, error: &StorageError) -> LocalError {
        match error {
            StorageError::Corrupted(reason) => {
                LocalError::Damaged { path: self.path.to_path_buf(), reason: reason.clone() }
            }
            other => self.disk(other),
        }
    }
}

/// Runs a part of redb. Makes a panic damage of the file.
fn guarded_at<T>(path: &Path, run: impl FnOnce() -> Result<T, LocalError>) -> Result<T, LocalError> {
    guarded_with(|| LocalError::Damaged { path: path.into(), reason: PANICKED.to_owned() }, run)
}

fn open_database(path: &Path) -> Result<Database, LocalError> {
    own(path).map_err(|source| LocalError::Open { path: path.into(), source })?;
    drop_cached(path);
    builder().create(path).map_err(|error| open_error(path, error))
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

/// Creates the file if it is missing. Others can never read it, not even between two calls.
fn own(path: &Path) -> std::io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(OWNER_ONLY).open(path)?;
    if file.metadata()?.permissions().mode() & 0o777 != OWNER_ONLY {
        file.set_permissions(Permissions::from_mode(OWNER_ONLY))?;
    }
    Ok(())
}

fn open_error(path: &Path, error: DatabaseError) -> LocalError {
    let path = path.to_path_buf();
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => LocalError::Locked { path },
        DatabaseError::Storage(StorageError::Io(source)) if source.kind() != ErrorKind::InvalidData => {
            LocalError::Open { path, source }
        }
        other => LocalError::Damaged { path, reason: other.to_string() },
    }
}

fn row_key(space: &str, key: &str) -> Result<Vec<u8>, LocalError> {
    if space.is_empty() || space.contains('\0') {
        return Err(LocalError::Space(space.to_owned()));
    }
    Ok([space.as_bytes(), &[0], key.as_bytes()].concat())
}

fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, String> {
    postcard::to_extend(value, vec![VALUE_VERSION]).map_err(|error| error.to_string())
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match bytes.split_first() {
        Some((&VALUE_VERSION, body)) => match postcard::take_from_bytes(body) {
            Ok((value, [])) => Ok(value),
            Ok((_, rest)) => Err(format!("{} bytes too many", rest.len())),
            Err(error) => Err(error.to_string()),
        },
        Some((version, _)) => Err(format!("its version is {version}, this program knows {VALUE_VERSION}")),
        None => Err("it is empty".to_owned()),
    }
}

fn value_error(space: &str, key: &str, reason: String) -> LocalError {
    LocalError::Value { space: space.to_owned(), key: key.to_owned(), reason }
}

#[cfg(test)]
mod tests;
