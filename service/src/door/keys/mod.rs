//! Named API keys: created once, shown once, stored as hashes, compared in constant time, revocable at once.
//!
//! The keys are held in memory, where requests are checked, and in `local.redb`, which is never replicated.
//!
//! Decision: a new key is accepted once it is on disk, and a revoked one is rejected before. So neither a full disk nor a
//! broken one keeps a stolen key valid. A revocation that could not be written is tried again until it is.

use super::secret::{KEY_PREFIX, SECRET_CHARS, Secret, hash_secret};
use crate::lifecycle::{Exit, Shutdown};
use herd::clock::Clock;
use herd::randomness::{Randomness, RandomnessError};
use herd::store::{LocalError, LocalFile};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::sync::watch;

/// Namespace in `local.redb` that maps the name of a key to its [`KeyRow`].
pub const KEYS_NAMESPACE: &str = "keys";

/// Maximum number of keys.
///
/// A yard has far fewer devices. The limit bounds the map in memory and the list that a command prints.
pub const MAX_KEYS: usize = 1000;

/// Interval at which a revocation that could not be written is tried again.
pub const SAVE_INTERVAL: Duration = Duration::from_secs(5);

/// Maximum length of a key's name, in characters.
pub const MAX_NAME_CHARS: usize = 64;

/// A permission of a key.
///
/// No scope includes another. An administrator's key that also delivers payloads gets both scopes, so the list of keys
/// shows every permission.
///
/// The order of the variants is frozen: rows in `local.redb` store their index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Deliver payloads.
    Ingest,
    /// Read batches, animals and payloads.
    Read,
    /// Follow the log.
    Sync,
    /// Correct records, and reprocess rejected payloads.
    Correct,
    /// The same, for an administrator's key.
    Admin,
}

impl Scope {
    /// Returns the scope's name in JSON and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Sync => "sync",
            Self::Correct => "correct",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A key as stored. It does not contain the secret. The order of the fields is frozen in `local.redb`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    /// Name, unique among the keys of the process.
    pub name: String,
    /// Permissions of the key.
    pub scopes: BTreeSet<Scope>,
    /// BLAKE3 hash of the secret's text.
    pub hash: [u8; 32],
    /// Time of creation by the clock of the process, in microseconds since the Unix epoch.
    pub made_at_us: i64,
}

/// The key of an authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Name of the key. If the key delivers payloads, this is their channel.
    pub name: String,
    /// Permissions of the key.
    pub scopes: BTreeSet<Scope>,
    pub(super) hash: [u8; 32],
    /// BLAKE3 hash of the token that the caller presented instead of the key.
    pub(super) token: Option<[u8; 32]>,
}

impl KeyInfo {
    fn from_row(row: &KeyRow) -> Self {
        Self { name: row.name.clone(), scopes: row.scopes.clone(), hash: row.hash, token: None }
    }

    /// Returns whether the key has `scope`.
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// Failure to read or change the keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The name is empty, too long, or has other characters. Names appear in logs, in origins and in URLs of pages.
    #[error("invalid key name `{0}`: use 1 to {MAX_NAME_CHARS} letters, digits, `.`, `_` or `-`")]
    Name(String),
    /// Another key has this name.
    #[error("a key named `{0}` already exists; revoke it first, or choose another name")]
    Exists(String),
    /// There is no key to revoke.
    #[error("there is no key named `{0}`; `key list` prints the existing keys")]
    Unknown(String),
    /// A key without a scope permits nothing.
    #[error("a key needs at least one scope")]
    NoScope,
    /// There are [`MAX_KEYS`] keys.
    #[error("there are already {MAX_KEYS} keys; revoke some first")]
    TooMany,
    /// The key is revoked, but only in memory.
    #[error(
        "the key `{name}` is rejected from now on, but its removal is not on disk ({source}). A running process tries \
         again; until then, a restart would accept the key again"
    )]
    NotSaved {
        /// Name of the key.
        name: String,
        /// Reason.
        source: LocalError,
    },
    /// `local.redb` failed.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// No secret could be generated.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
}

impl From<&KeyError> for Exit {
    fn from(error: &KeyError) -> Self {
        match error {
            KeyError::Local(error) | KeyError::NotSaved { source: error, .. } => Self::from(error),
            _ => Self::Failure,
        }
    }
}

/// Effect of [`KeyRing::adopt`] if another key has the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakenName {
    /// Refuse the new key.
    Refuse,
    /// Replace the other key, which is rejected from then on.
    Replace,
}

/// The keys of a process: in memory to check requests, in `local.redb` for the next start.
pub struct KeyRing {
    file: LocalFile,
    clock: Arc<dyn Clock>,
    /// Locked during a change, so that the file and the map change together.
    randomness: Mutex<Box<dyn Randomness>>,
    by_hash: RwLock<HashMap<[u8; 32], KeyRow>>,
    changes: watch::Sender<u64>,
    /// Names of revoked keys that are still in the file.
    unsaved: Mutex<BTreeSet<String>>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("file", &self.file).finish_non_exhaustive()
    }
}

impl KeyRing {
    /// Loads the keys from `local.redb`.
    pub fn load(
        file: LocalFile,
        clock: Arc<dyn Clock>,
        randomness: impl Randomness + 'static,
    ) -> Result<Self, KeyError> {
        let rows = file.list::<KeyRow>(KEYS_NAMESPACE)?;
        let by_hash = rows.into_iter().map(|(_, row)| (row.hash, row)).collect();
        Ok(Self {
            file,
            clock,
            randomness: Mutex::new(Box::new(randomness)),
            by_hash: RwLock::new(by_hash),
            changes: watch::Sender::new(0),
            unsaved: Mutex::default(),
        })
    }

    /// Creates a key and returns its secret, which is stored nowhere.
    ///
    /// When this returns, the key is on disk and accepted. Syncs the disk: call it on a blocking thread from
    /// asynchronous code.
    pub fn add(&self, name: &str, scopes: BTreeSet<Scope>) -> Result<Secret, KeyError> {
        let secret = Secret::generate(KEY_PREFIX, self.lock_changes().as_mut())?;
        self.adopt(name, scopes, secret.hash(), TakenName::Refuse)?;
        Ok(secret)
    }

    /// Stores a key by the hash of its secret, which was made elsewhere.
    ///
    /// Changes nothing if the secret is accepted already, whatever the name of its key. Durable and blocking like
    /// [`Self::add`].
    pub fn adopt(&self, name: &str, scopes: BTreeSet<Scope>, hash: [u8; 32], taken: TakenName) -> Result<(), KeyError> {
        if !is_valid_name(name, MAX_NAME_CHARS) {
            return Err(KeyError::Name(name.chars().take(MAX_NAME_CHARS + 1).collect()));
        }
        if scopes.is_empty() {
            return Err(KeyError::NoScope);
        }
        let _one_change_at_a_time = self.lock_changes();
        let existing = self.list();
        if existing.iter().any(|row| row.hash == hash) {
            return Ok(());
        }
        let replaced = existing.iter().find(|row| row.name == name).map(|row| row.hash);
        match replaced {
            Some(_) if taken == TakenName::Refuse => return Err(KeyError::Exists(name.to_owned())),
            None if existing.len() >= MAX_KEYS => return Err(KeyError::TooMany),
            _ => {}
        }
        let row = KeyRow { name: name.to_owned(), scopes, hash, made_at_us: self.clock.read().received_at_us };
        self.file.put(KEYS_NAMESPACE, name, &row)?;
        self.unsaved().remove(name);
        self.change(|by_hash| {
            replaced.map(|old| by_hash.remove(&old));
            by_hash.insert(row.hash, row)
        });
        Ok(())
    }

    /// Revokes a key.
    ///
    /// When this returns, the key is rejected, now and after a restart. If the disk cannot be written, it is rejected now,
    /// and the error says so. Syncs the disk: call it on a blocking thread from asynchronous code.
    pub fn revoke(&self, name: &str) -> Result<(), KeyError> {
        let _one_change_at_a_time = self.lock_changes();
        let Some(row) = self.list().into_iter().find(|row| row.name == name) else {
            return Err(KeyError::Unknown(name.chars().take(MAX_NAME_CHARS + 1).collect()));
        };
        self.change(|by_hash| by_hash.remove(&row.hash));
        self.unsaved().insert(name.to_owned());
        self.save_revocations().map_err(|source| KeyError::NotSaved { name: name.to_owned(), source })
    }

    /// Removes the revoked keys from the file, as far as they are still there.
    fn save_revocations(&self) -> Result<(), LocalError> {
        let names: Vec<String> = self.unsaved().iter().cloned().collect();
        for name in names {
            self.file.remove(KEYS_NAMESPACE, &name)?;
            self.unsaved().remove(&name);
        }
        Ok(())
    }

    /// Saves revocations that failed, every [`SAVE_INTERVAL`] until the shutdown.
    pub async fn keep_saved(self: Arc<Self>, shutdown: Shutdown) {
        loop {
            tokio::select! {
                biased;
                () = shutdown.requested() => return,
                () = tokio::time::sleep(SAVE_INTERVAL) => {}
            }
            if self.unsaved().is_empty() {
                continue;
            }
            let keys = self.clone();
            let saved = tokio::task::spawn_blocking(move || {
                let _one_change_at_a_time = keys.lock_changes();
                keys.save_revocations()
            });
            match saved.await {
                Ok(Ok(())) => tracing::info!("the revoked keys are removed from the disk now"),
                Ok(Err(error)) => tracing::error!(%error, "revoked keys are rejected, but still on disk"),
                Err(error) => tracing::error!(%error, "failed to remove revoked keys from the disk"),
            }
        }
    }

    /// Returns why the keys on disk cannot be changed at the moment; `None` if they can.
    pub fn failure(&self) -> Option<String> {
        self.file.failure()
    }

    fn unsaved(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns all keys, sorted by name.
    pub fn list(&self) -> Vec<KeyRow> {
        let by_hash = self.by_hash.read().unwrap_or_else(PoisonError::into_inner);
        let mut rows: Vec<KeyRow> = by_hash.values().cloned().collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        rows
    }

    /// Returns whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.by_hash.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Returns the key whose secret is `presented`.
    ///
    /// The lookup is by a hash that the caller cannot steer, and the hash that it finds is compared in constant time.
    /// So the duration does not reveal how close a guess was.
    pub fn check(&self, presented: &str) -> Option<KeyInfo> {
        if presented.len() != SECRET_CHARS {
            return None;
        }
        let hash = hash_secret(presented);
        let by_hash = self.by_hash.read().unwrap_or_else(PoisonError::into_inner);
        let row = by_hash.get(&hash)?;
        let equal: bool = row.hash.ct_eq(&hash).into();
        equal.then(|| KeyInfo::from_row(row))
    }

    /// Returns the key whose secret has this hash.
    pub(super) fn by_hash(&self, hash: &[u8; 32]) -> Option<KeyInfo> {
        self.by_hash.read().unwrap_or_else(PoisonError::into_inner).get(hash).map(KeyInfo::from_row)
    }

    /// Returns whether a key that was accepted earlier still exists, for connections that outlive their request.
    pub fn contains(&self, key: &KeyInfo) -> bool {
        self.by_hash.read().unwrap_or_else(PoisonError::into_inner).contains_key(&key.hash)
    }

    /// Returns a channel that counts the changes, so that long connections know when to call [`Self::contains`] again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn lock_changes(&self) -> MutexGuard<'_, Box<dyn Randomness>> {
        self.randomness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut HashMap<[u8; 32], KeyRow>) -> T) {
        change(&mut self.by_hash.write().unwrap_or_else(PoisonError::into_inner));
        self.notify_change();
    }

    /// Makes long connections check their key or token again.
    pub(super) fn notify_change(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Returns true if the name has 1 to `max_chars` ASCII letters, digits, `.`, `_` or `-`.
///
/// So are the names of keys and radios, which are the channels of payloads, and those of reader groups and offices. They
/// appear in logs, in changes and in the keys of tables.
pub fn is_valid_name(name: &str, max_chars: usize) -> bool {
    (1..=max_chars).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests;
