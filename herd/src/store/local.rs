//! `local.redb`: data that is never replicated (keys, paired sites, users, counters of duplicates).
//!
//! Rows are addressed by (namespace, key). A value is a version byte and postcard. The file is small and holds hashes of
//! secrets, so only its owner can read it, and opening it checks its whole content.

use super::disk::drop_cached;
use redb::{Database, DatabaseError, ReadableDatabase, StorageError, TableDefinition, TableError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Key: the namespace, a zero byte, the key. Value: [`VALUE_VERSION`], then postcard.
const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("local rows");

type RowsRead = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;

/// First byte of every value. Another version would be another frozen type.
const VALUE_VERSION: u8 = 1;

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

/// The open file. Clones are cheap and share it; the last one to be dropped closes it.
///
/// A [`closed`](Self::closed) one stands in for a damaged file: it holds nothing and refuses every write.
///
/// Every call reads or syncs the disk. From asynchronous code, call it on a blocking thread.
#[derive(Clone)]
pub struct LocalFile {
    /// The database, or the damage that keeps it closed.
    database: Result<Arc<Database>, Arc<str>>,
    path: Arc<Path>,
}

impl std::fmt::Debug for LocalFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LocalFile").field(&self.path).finish()
    }
}

impl LocalFile {
    /// Opens the file, or creates it with mode 0600. Its directory must exist.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LocalError> {
        let path = path.as_ref();
        own(path).map_err(|source| LocalError::Open { path: path.into(), source })?;
        drop_cached(path);
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true)
            .create(path)
            .map_err(|error| open_error(path, error))?;
        Ok(Self { database: Ok(Arc::new(database)), path: path.into() })
    }

    /// Stands in for a damaged file, which is left as it is: nothing is found in it, and nothing is written.
    pub fn closed(path: impl AsRef<Path>, damage: &str) -> Self {
        Self { database: Err(damage.into()), path: path.as_ref().into() }
    }

    /// Returns the damage of a file that is [`closed`](Self::closed).
    pub fn damage(&self) -> Option<&str> {
        self.database.as_ref().err().map(|damage| &**damage)
    }

    /// Returns whether nothing was ever written into the file.
    pub fn is_empty(&self) -> Result<bool, LocalError> {
        Ok(self.read()?.is_none())
    }

    /// Returns the value at (`space`, `key`).
    pub fn get<T: DeserializeOwned>(&self, space: &str, key: &str) -> Result<Option<T>, LocalError> {
        let row = row_key(space, key)?;
        let Some(rows) = self.read()? else { return Ok(None) };
        let value = rows.get(row.as_slice()).map_err(|error| self.storage(&error))?;
        value.map(|value| decode(value.value()).map_err(|reason| value_error(space, key, reason))).transpose()
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
        let range = rows.range(from.as_slice()..to.as_slice()).map_err(|error| self.storage(&error))?;
        let mut found = Vec::new();
        for row in range {
            let (key, value) = row.map_err(|error| self.storage(&error))?;
            let key = String::from_utf8_lossy(&key.value()[from.len()..]).into_owned();
            let value = decode(value.value()).map_err(|reason| value_error(space, &key, reason))?;
            found.push((key, value));
        }
        Ok(found)
    }

    fn read(&self) -> Result<Option<RowsRead>, LocalError> {
        let Ok(database) = &self.database else { return Ok(None) };
        let reading = database.begin_read().map_err(|error| self.disk(&error))?;
        match reading.open_table(ROWS) {
            Ok(rows) => Ok(Some(rows)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(self.disk(&error)),
        }
    }

    fn write<T>(
        &self,
        change: impl FnOnce(&mut redb::Table<'_, &'static [u8], &'static [u8]>) -> Result<T, StorageError>,
    ) -> Result<T, LocalError> {
        let writing = self.open_database()?.begin_write().map_err(|error| self.disk(&error))?;
        let mut rows = writing.open_table(ROWS).map_err(|error| self.disk(&error))?;
        let result = change(&mut rows).map_err(|error| self.storage(&error))?;
        drop(rows);
        writing.commit().map_err(|error| self.disk(&error))?;
        Ok(result)
    }

    fn open_database(&self) -> Result<&Database, LocalError> {
        let damaged =
            |damage: &Arc<str>| LocalError::Damaged { path: self.path.to_path_buf(), reason: damage.to_string() };
        self.database.as_deref().map_err(damaged)
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fresh() -> (tempfile::TempDir, LocalFile) {
        let dir = tempfile::tempdir().unwrap();
        let file = LocalFile::open(dir.path().join("local.redb")).unwrap();
        (dir, file)
    }

    #[test]
    fn puts_and_removals_survive_reopening() {
        let (dir, file) = fresh();
        assert_eq!(file.get::<u32>("sites", "a").unwrap(), None);
        file.put("sites", "a", &(7_u32, "seven")).unwrap();
        file.put("sites", "b", &(8_u32, "eight")).unwrap();
        assert!(file.remove("sites", "b").unwrap());
        assert!(!file.remove("sites", "b").unwrap());
        drop(file);
        let file = LocalFile::open(dir.path().join("local.redb")).unwrap();
        assert_eq!(file.get("sites", "a").unwrap(), Some((7_u32, "seven".to_owned())));
        assert_eq!(file.get::<(u32, String)>("sites", "b").unwrap(), None);
    }

    #[test]
    fn a_list_holds_only_its_namespace_in_the_order_of_keys() {
        let (_dir, file) = fresh();
        for (space, key, value) in [("key", "x", 1_u8), ("keys", "b", 2), ("keys", "a", 3), ("keys2", "c", 4)] {
            file.put(space, key, &value).unwrap();
        }
        assert_eq!(file.list::<u8>("keys").unwrap(), [("a".to_owned(), 3), ("b".to_owned(), 2)]);
        assert!(matches!(file.list::<u8>("a\0b"), Err(LocalError::Space(_))));
    }

    #[test]
    fn rows_can_be_replaced_by_another_in_one_commit() {
        let (_dir, file) = fresh();
        for key in ["a", "b", "c"] {
            file.put("s", key, &1_u8).unwrap();
        }
        file.put("t", "a", &9_u8).unwrap();
        file.replace("s", &["a".into(), "c".into(), "never there".into()], Some(("d", &4_u8))).unwrap();
        assert_eq!(file.list::<u8>("s").unwrap(), [("b".to_owned(), 1), ("d".to_owned(), 4)]);
        assert_eq!(file.get::<u8>("t", "a").unwrap(), Some(9));
    }

    #[test]
    fn only_the_owner_can_read_the_file_whoever_created_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("local.redb");
        std::fs::write(&path, b"").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let _file = LocalFile::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn an_open_file_is_locked_for_others() {
        let (dir, file) = fresh();
        let again = LocalFile::open(dir.path().join("local.redb"));
        assert!(matches!(again, Err(LocalError::Locked { .. })), "{again:?}");
        drop(file);
        LocalFile::open(dir.path().join("local.redb")).unwrap();
    }

    #[test]
    fn a_file_that_is_not_a_database_is_damaged_and_a_missing_directory_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("local.redb");
        std::fs::write(&path, [0x5a; 9000]).unwrap();
        assert!(matches!(LocalFile::open(&path), Err(LocalError::Damaged { .. })));
        assert!(matches!(LocalFile::open(dir.path().join("none/local.redb")), Err(LocalError::Open { .. })));
    }

    /// Catches a damaged file that is overwritten, and keys that are made in memory and lost.
    #[test]
    fn a_closed_file_holds_nothing_and_refuses_every_write() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("local.redb");
        let file = LocalFile::closed(&path, "a page is missing");
        assert_eq!((file.get::<u8>("s", "k").unwrap(), file.list::<u8>("s").unwrap()), (None, Vec::new()));
        assert!(matches!(file.put("s", "k", &1_u8), Err(LocalError::Damaged { .. })));
        assert!(matches!(file.remove("s", "k"), Err(LocalError::Damaged { .. })));
        assert_eq!((file.damage(), path.exists()), (Some("a page is missing"), false));
    }

    #[test]
    fn a_value_of_another_type_is_an_error() {
        let (_dir, file) = fresh();
        file.put("s", "k", &(1_u8, 2_u8)).unwrap();
        assert!(matches!(file.get::<u8>("s", "k"), Err(LocalError::Value { .. })));
        assert!(matches!(file.get::<(u8, u8, u8)>("s", "k"), Err(LocalError::Value { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn damage_anywhere_in_the_file_is_harmless_or_an_error_and_never_a_panic(
            at in 0_usize..20_000, flip in 1_u8.., length in 1_usize..600,
        ) {
            let (dir, file) = fresh();
            for key in 0..20 {
                file.put("s", &key.to_string(), &"some text").unwrap();
            }
            drop(file);
            let path = dir.path().join("local.redb");
            let mut bytes = std::fs::read(&path).unwrap();
            bytes.iter_mut().skip(at).take(length).for_each(|byte| *byte ^= flip);
            std::fs::write(&path, bytes).unwrap();
            if let Ok(file) = LocalFile::open(&path) {
                let _ = file.list::<String>("s");
            }
        }
    }

    proptest! {
        #[test]
        fn decoding_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<(String, Vec<u64>)>(&bytes);
        }
    }
}
