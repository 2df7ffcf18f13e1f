//! Named API keys: made once, shown once, kept as hashes, checked in constant time, revocable at once.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use herd::clock::Clock;
use herd::randomness::{NoRandomness, Randomness};
use herd::store::{LocalError, LocalFile};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use subtle::ConstantTimeEq;
use tokio::sync::watch;

/// Where the local file keeps the rows, by name.
pub const KEYS_SPACE: &str = "keys";

/// More names than a yard has devices; bounds the map in memory and the list that a command prints.
pub const MAX_KEYS: usize = 1000;

/// Bytes of randomness in a secret.
pub const SECRET_BYTES: usize = 32;

/// Longest name of a key, in characters.
pub const MAX_NAME_CHARS: usize = 64;

const SECRET_PREFIX: &str = "hxb_";

/// Of a secret as text: a prefix of four letters and 32 bytes in base64 without padding.
pub(super) const SECRET_CHARS: usize = SECRET_PREFIX.len() + 43;

/// What a key is good for. No scope includes another: an administrator's key that shall also deliver payloads is
/// given both, so that the list of keys tells all there is to know.
///
/// The order is frozen: rows in local files hold the number of the variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Deliver payloads.
    Ingest,
    /// Look at batches, animals and payloads.
    Read,
    /// Follow the log.
    Sync,
    /// Correct what was recorded.
    Correct,
    /// Have rejected payloads judged anew, and what else changes the running of the process.
    Admin,
}

impl Scope {
    /// The word for it in JSON and on the command line.
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

/// The text that its holder presents: `hxb_`, of a token `hxt_`, and 256 random bits in base64url. It is neither `Debug` nor `Display`:
/// who wants to show it must say so.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Draws a new one for a key.
    pub fn draw(from: &mut dyn Randomness) -> Result<Self, NoRandomness> {
        Self::draw_after(SECRET_PREFIX, from)
    }

    /// Draws a new one whose text begins with `prefix`.
    pub(super) fn draw_after(prefix: &str, from: &mut dyn Randomness) -> Result<Self, NoRandomness> {
        let mut bytes = [0; SECRET_BYTES];
        from.fill(&mut bytes)?;
        Ok(Self(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// The text itself, for the one place that shows it once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        hash_of(&self.0)
    }
}

pub(super) fn hash_of(secret: &str) -> [u8; 32] {
    *blake3::hash(secret.as_bytes()).as_bytes()
}

/// A key as it is kept: nothing in it opens a door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    /// Unique among the keys of the process.
    pub name: String,
    /// What it is good for.
    pub scopes: BTreeSet<Scope>,
    /// BLAKE3 of the secret's text.
    pub hash: [u8; 32],
    /// When it was made, microseconds since 1970 UTC by the clock of the process.
    pub made_at_us: i64,
}

/// Who stands at the door, once the secret was found to be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// The key's name; of a key that delivers payloads it is the channel.
    pub name: String,
    /// What it is good for.
    pub scopes: BTreeSet<Scope>,
    pub(super) hash: [u8; 32],
    /// BLAKE3 of the token that was presented in the key's place.
    pub(super) token: Option<[u8; 32]>,
}

impl KeyInfo {
    fn of(row: &KeyRow) -> Self {
        Self { name: row.name.clone(), scopes: row.scopes.clone(), hash: row.hash, token: None }
    }

    /// Whether it is good for `scope`.
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// Why the keys could not be changed or read.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Names stand in logs, in origins and in URLs of pages.
    #[error("`{0}` is no name for a key: use 1 to {MAX_NAME_CHARS} letters, digits, `.`, `_` or `-`")]
    Name(String),
    /// A name is given once.
    #[error("there is a key named `{0}` already; revoke it first, or choose another name")]
    Exists(String),
    /// Nothing to revoke.
    #[error("there is no key named `{0}`; `key list` shows those there are")]
    Unknown(String),
    /// A key without a scope opens nothing.
    #[error("a key needs at least one scope")]
    NoScope,
    /// The bound on keys is reached.
    #[error("there are {MAX_KEYS} keys already; revoke some first")]
    TooMany,
    /// The file that keeps them failed.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// No secret could be drawn.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// The keys of one process: in memory for the check, in the local file for the next start.
pub struct KeyRing {
    file: LocalFile,
    clock: Arc<dyn Clock>,
    /// Held during a change, so that file and map change together.
    randomness: Mutex<Box<dyn Randomness>>,
    by_hash: RwLock<HashMap<[u8; 32], KeyRow>>,
    changes: watch::Sender<u64>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("file", &self.file).finish_non_exhaustive()
    }
}

impl KeyRing {
    /// Reads the keys out of the local file.
    pub fn load(
        file: LocalFile,
        clock: Arc<dyn Clock>,
        randomness: impl Randomness + 'static,
    ) -> Result<Self, KeyError> {
        let rows = file.list::<KeyRow>(KEYS_SPACE)?;
        let by_hash = rows.into_iter().map(|(_, row)| (row.hash, row)).collect();
        Ok(Self {
            file,
            clock,
            randomness: Mutex::new(Box::new(randomness)),
            by_hash: RwLock::new(by_hash),
            changes: watch::Sender::new(0),
        })
    }

    /// Makes a key. It is good from the moment this returns, and it is on the disk then; the secret is nowhere else.
    /// Syncs the disk: from asynchronous code, call it on a blocking thread.
    pub fn add(&self, name: &str, scopes: BTreeSet<Scope>) -> Result<Secret, KeyError> {
        if !is_name(name) {
            return Err(KeyError::Name(name.chars().take(MAX_NAME_CHARS + 1).collect()));
        }
        if scopes.is_empty() {
            return Err(KeyError::NoScope);
        }
        let mut randomness = self.randomness.lock().unwrap_or_else(PoisonError::into_inner);
        let held = self.list();
        if held.iter().any(|row| row.name == name) {
            return Err(KeyError::Exists(name.to_owned()));
        }
        if held.len() >= MAX_KEYS {
            return Err(KeyError::TooMany);
        }
        let secret = Secret::draw(randomness.as_mut())?;
        let made_at_us = self.clock.read().received_at_us;
        let row = KeyRow { name: name.to_owned(), scopes, hash: secret.hash(), made_at_us };
        self.file.put(KEYS_SPACE, name, &row)?;
        self.change(|by_hash| by_hash.insert(row.hash, row));
        Ok(secret)
    }

    /// Takes a key away: from the moment this returns it opens nothing, now and after a restart.
    /// Syncs the disk: from asynchronous code, call it on a blocking thread.
    pub fn revoke(&self, name: &str) -> Result<(), KeyError> {
        let _one_change_at_a_time = self.randomness.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(row) = self.list().into_iter().find(|row| row.name == name) else {
            return Err(KeyError::Unknown(name.chars().take(MAX_NAME_CHARS + 1).collect()));
        };
        self.file.remove(KEYS_SPACE, name)?;
        self.change(|by_hash| by_hash.remove(&row.hash));
        Ok(())
    }

    /// All keys, ordered by name.
    pub fn list(&self) -> Vec<KeyRow> {
        let by_hash = self.by_hash.read().unwrap_or_else(PoisonError::into_inner);
        let mut rows: Vec<KeyRow> = by_hash.values().cloned().collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        rows
    }

    /// Whose secret `presented` is, if it is one.
    ///
    /// The map is searched by a hash that whoever presents a text cannot steer, and the hash found is compared in
    /// constant time: neither tells how near a guess was.
    pub fn check(&self, presented: &str) -> Option<KeyInfo> {
        if presented.len() != SECRET_CHARS {
            return None;
        }
        let hash = hash_of(presented);
        let by_hash = self.by_hash.read().unwrap_or_else(PoisonError::into_inner);
        let row = by_hash.get(&hash)?;
        let same: bool = row.hash.ct_eq(&hash).into();
        same.then(|| KeyInfo::of(row))
    }

    /// The key whose secret has this hash.
    pub(super) fn by_hash(&self, hash: &[u8; 32]) -> Option<KeyInfo> {
        self.by_hash.read().unwrap_or_else(PoisonError::into_inner).get(hash).map(KeyInfo::of)
    }

    /// Whether the key that was let in once is still one: for connections that outlive a request.
    pub fn still_holds(&self, key: &KeyInfo) -> bool {
        self.by_hash.read().unwrap_or_else(PoisonError::into_inner).contains_key(&key.hash)
    }

    /// Counts the changes, so that long connections can look again with [`Self::still_holds`].
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn change<T>(&self, change: impl FnOnce(&mut HashMap<[u8; 32], KeyRow>) -> T) {
        change(&mut self.by_hash.write().unwrap_or_else(PoisonError::into_inner));
        self.announce_change();
    }

    /// Long connections look again.
    pub(super) fn announce_change(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME_CHARS).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::clock::SystemClock;
    use herd::randomness::SeededRandomness;
    use proptest::prelude::*;
    use std::path::Path;

    fn ring(dir: &Path, seed: u64) -> KeyRing {
        let file = LocalFile::open(dir.join("local.redb")).unwrap();
        KeyRing::load(file, Arc::new(SystemClock::default()), SeededRandomness::new(seed)).unwrap()
    }

    fn scopes(of: &[Scope]) -> BTreeSet<Scope> {
        of.iter().copied().collect()
    }

    #[test]
    fn a_key_opens_what_it_was_made_for_at_once_and_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let keys = ring(dir.path(), 1);
        let secret = keys.add("chute-1", scopes(&[Scope::Ingest])).unwrap();
        let found = keys.check(secret.reveal()).unwrap();
        assert_eq!((found.name.as_str(), found.has(Scope::Ingest), found.has(Scope::Read)), ("chute-1", true, false));
        drop(keys);
        assert_eq!(ring(dir.path(), 2).check(secret.reveal()), Some(found));
    }

    #[test]
    fn administration_does_not_include_the_delivery_of_payloads() {
        let dir = tempfile::tempdir().unwrap();
        let keys = ring(dir.path(), 3);
        let secret = keys.add("boss", scopes(&[Scope::Admin])).unwrap();
        assert!(!keys.check(secret.reveal()).unwrap().has(Scope::Ingest));
    }

    #[test]
    fn a_revoked_key_opens_nothing_now_nor_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let keys = ring(dir.path(), 4);
        let secret = keys.add("office", scopes(&[Scope::Sync])).unwrap();
        let (held, changes) = (keys.check(secret.reveal()).unwrap(), keys.changes());
        keys.revoke("office").unwrap();
        assert_eq!(keys.check(secret.reveal()), None);
        assert!(!keys.still_holds(&held) && changes.has_changed().unwrap());
        assert!(matches!(keys.revoke("office"), Err(KeyError::Unknown(_))));
        drop(keys);
        assert_eq!(ring(dir.path(), 5).check(secret.reveal()), None);
    }

    #[test]
    fn a_name_is_given_once_and_holds_no_surprises() {
        let dir = tempfile::tempdir().unwrap();
        let keys = ring(dir.path(), 6);
        keys.add("a.b_c-9", scopes(&[Scope::Read])).unwrap();
        assert!(matches!(keys.add("a.b_c-9", scopes(&[Scope::Read])), Err(KeyError::Exists(_))));
        assert!(matches!(keys.add("x", BTreeSet::new()), Err(KeyError::NoScope)));
        for bad in ["", "a b", "ä", "a/b", "a\n", &"x".repeat(65)] {
            assert!(matches!(keys.add(bad, scopes(&[Scope::Read])), Err(KeyError::Name(_))), "{bad:?}");
        }
        assert_eq!(keys.list().len(), 1);
    }

    #[test]
    fn a_secret_has_its_prefix_and_256_bits_and_the_file_does_not_hold_it() {
        let dir = tempfile::tempdir().unwrap();
        let keys = ring(dir.path(), 7);
        let secret = keys.add("a", scopes(&[Scope::Read])).unwrap();
        let text = secret.reveal();
        assert_eq!(text.len(), SECRET_CHARS);
        assert_eq!(URL_SAFE_NO_PAD.decode(&text["hxb_".len()..]).unwrap().len(), SECRET_BYTES);
        drop(keys);
        let bytes = std::fs::read(dir.path().join("local.redb")).unwrap();
        assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()));
    }

    #[test]
    fn the_bytes_of_a_row_are_those_of_version_1() {
        let every = [Scope::Ingest, Scope::Read, Scope::Sync, Scope::Correct, Scope::Admin];
        let row = KeyRow { name: "k".into(), scopes: scopes(&every), hash: [7; 32], made_at_us: 1 };
        let golden = [&[1, b'k', 5, 0, 1, 2, 3, 4][..], &[7; 32], &[2]].concat();
        assert_eq!(postcard::to_stdvec(&row).unwrap(), golden);
    }

    #[test]
    fn the_words_for_scopes_are_the_same_everywhere() {
        for scope in <Scope as clap::ValueEnum>::value_variants() {
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.name());
            assert_eq!(clap::ValueEnum::to_possible_value(scope).unwrap().get_name(), scope.name());
        }
    }

    proptest! {
        // Every case makes a file and syncs it.
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn no_other_text_is_ever_taken_for_a_key(text in ".{0,60}", flipped in 0_usize..SECRET_CHARS) {
            let dir = tempfile::tempdir().unwrap();
            let keys = ring(dir.path(), 8);
            let secret = keys.add("a", scopes(&[Scope::Read])).unwrap();
            prop_assert!(keys.check(&text).is_none());
            let mut near = secret.reveal().as_bytes().to_vec();
            near[flipped] ^= 1;
            prop_assert!(keys.check(&String::from_utf8_lossy(&near)).is_none());
        }
    }
}
