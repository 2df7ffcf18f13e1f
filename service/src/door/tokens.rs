//! Tokens: what stands for a key for a day, so that a program need not carry the key itself about.
//!
//! A token is a secret as a key is one, kept as its hash, and no signed text: a barn has no clock that an expiry date
//! could be read by, and a signing secret would be one more thing to keep. Its age is the time since the machine's
//! boot, which no one can set; so it ends after [`TOKEN_LIFE`] or with a restart of the machine, whichever is first,
//! and it survives a restart of the process. It has the scopes of its key and dies with it.

use super::auth::Admits;
use super::keys::{KeyInfo, KeyRing, MAX_KEYS, SECRET_CHARS, Secret, hash_of};
use herd::clock::Clock;
use herd::randomness::{NoRandomness, Randomness};
use herd::store::{LocalError, LocalFile};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::sync::watch;

/// Where the local file keeps the rows, by the token's hash in hexadecimal.
pub const TOKENS_SPACE: &str = "tokens";

/// How long a token is good.
pub const TOKEN_LIFE: Duration = Duration::from_secs(86_400);

/// So many tokens of one key are good at a time; a further one ends the oldest.
pub const MAX_TOKENS_A_KEY: usize = 16;

/// So many there are in all: no key has more than its share.
pub const MAX_TOKENS: usize = MAX_KEYS * MAX_TOKENS_A_KEY;

/// What the text of a token begins with.
pub(super) const TOKEN_PREFIX: &str = "hxt_";

/// A token as it is kept: nothing in it opens a door. The order of the fields is frozen in local files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TokenRow {
    /// BLAKE3 of its key's secret.
    key: [u8; 32],
    /// The boot of the machine that it was made in.
    boot_id: String,
    /// How long after that boot, milliseconds.
    made_since_boot_ms: u64,
    /// Counts the tokens of the process: of two made at the same moment, the later.
    number: u64,
}

/// Why no token could be made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Its key was revoked meanwhile.
    #[error("the key that the token is to stand for was revoked")]
    KeyGone,
    /// The file that keeps it failed.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// No secret could be drawn.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// The tokens of one process, with the keys that they stand for: whoever guards a route takes both.
pub struct TokenRing {
    keys: Arc<KeyRing>,
    file: LocalFile,
    clock: Arc<dyn Clock>,
    boot_id: String,
    /// Held during a change, so that file and map change together.
    randomness: Mutex<Box<dyn Randomness>>,
    by_hash: RwLock<HashMap<[u8; 32], TokenRow>>,
}

impl fmt::Debug for TokenRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRing").field("file", &self.file).finish_non_exhaustive()
    }
}

impl TokenRing {
    /// Reads the tokens out of the local file, and removes from it those that have ended. `file` is the one that
    /// `keys` are kept in.
    pub fn load(
        file: LocalFile,
        keys: Arc<KeyRing>,
        clock: Arc<dyn Clock>,
        randomness: impl Randomness + 'static,
    ) -> Result<Self, LocalError> {
        let boot_id = clock.boot_id();
        let ring = Self {
            keys,
            file,
            clock,
            boot_id,
            randomness: Mutex::new(Box::new(randomness)),
            by_hash: RwLock::default(),
        };
        let now_ms = ring.since_boot_ms();
        let (mut good, mut ended) = (HashMap::new(), Vec::new());
        for (name, row) in ring.file.list::<TokenRow>(TOKENS_SPACE)? {
            let mut hash = [0; 32];
            match hex::decode_to_slice(&name, &mut hash) {
                Ok(()) if ring.is_good(&row, now_ms) => drop(good.insert(hash, row)),
                _ => ended.push(name),
            }
        }
        if !ended.is_empty() {
            ring.file.replace::<TokenRow>(TOKENS_SPACE, &ended, None)?;
        }
        *ring.by_hash.write().unwrap_or_else(PoisonError::into_inner) = good;
        Ok(ring)
    }

    /// The keys that the tokens stand for.
    pub fn keys(&self) -> &Arc<KeyRing> {
        &self.keys
    }

    /// How many tokens are held: those that are good, and those that ended since the last one was made.
    pub fn held(&self) -> usize {
        self.by_hash.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Makes a token that stands for `key`, for [`TOKEN_LIFE`] from now on, in one commit with the removal of those
    /// that have ended and of its key's oldest above [`MAX_TOKENS_A_KEY`]. Syncs the disk: from asynchronous code, call
    /// it on a blocking thread.
    pub fn make(&self, key: &KeyInfo) -> Result<Secret, TokenError> {
        let mut randomness = self.randomness.lock().unwrap_or_else(PoisonError::into_inner);
        let key = self.keys.by_hash(&key.hash).ok_or(TokenError::KeyGone)?;
        let token = Secret::draw_after(TOKEN_PREFIX, randomness.as_mut())?;
        let made_since_boot_ms = self.since_boot_ms();
        let (gone, number) = self.giving_way(&key, made_since_boot_ms);
        let row = TokenRow { key: key.hash, boot_id: self.boot_id.clone(), made_since_boot_ms, number };
        let names: Vec<String> = gone.iter().map(hex::encode).collect();
        self.file.replace(TOKENS_SPACE, &names, Some((&hex::encode(token.hash()), &row)))?;
        let mut by_hash = self.by_hash.write().unwrap_or_else(PoisonError::into_inner);
        by_hash.retain(|hash, _| !gone.contains(hash));
        by_hash.insert(token.hash(), row);
        drop(by_hash);
        if !gone.is_empty() {
            self.keys.announce_change();
        }
        Ok(token)
    }

    /// The tokens that a new one of `key` takes the place of, and its number.
    fn giving_way(&self, key: &KeyInfo, now_ms: u64) -> (Vec<[u8; 32]>, u64) {
        let by_hash = self.by_hash.read().unwrap_or_else(PoisonError::into_inner);
        let (mut gone, mut of_key, mut last) = (Vec::new(), Vec::new(), 0);
        for (hash, row) in by_hash.iter() {
            last = last.max(row.number);
            match self.is_good(row, now_ms) {
                true if row.key == key.hash => of_key.push((row.number, *hash)),
                true => {}
                false => gone.push(*hash),
            }
        }
        of_key.sort_unstable();
        let above = (of_key.len() + 1).saturating_sub(MAX_TOKENS_A_KEY);
        gone.extend(of_key.into_iter().take(above).map(|(_, hash)| hash));
        (gone, last.saturating_add(1))
    }

    /// Whether it still stands for a key.
    fn is_good(&self, row: &TokenRow, now_ms: u64) -> bool {
        self.left_at(row, now_ms).is_some() && self.keys.by_hash(&row.key).is_some()
    }

    /// How long a token is still good; none once it has ended, or where there is none.
    fn left(&self, hash: &[u8; 32]) -> Option<Duration> {
        self.left_at(&self.row(hash)?, self.since_boot_ms())
    }

    fn left_at(&self, row: &TokenRow, now_ms: u64) -> Option<Duration> {
        if row.boot_id != self.boot_id {
            return None;
        }
        let age = Duration::from_millis(now_ms.saturating_sub(row.made_since_boot_ms));
        TOKEN_LIFE.checked_sub(age).filter(|left| !left.is_zero())
    }

    fn since_boot_ms(&self) -> u64 {
        self.clock.read().since_boot_ms
    }

    /// The row of a token, compared in constant time as a key's is.
    fn row(&self, hash: &[u8; 32]) -> Option<TokenRow> {
        let by_hash = self.by_hash.read().unwrap_or_else(PoisonError::into_inner);
        let (found, row) = by_hash.get_key_value(hash)?;
        let same: bool = found.ct_eq(hash).into();
        same.then(|| row.clone())
    }
}

impl Admits for TokenRing {
    fn admit(&self, presented: &str) -> Option<KeyInfo> {
        if !presented.starts_with(TOKEN_PREFIX) {
            return self.keys.check(presented);
        }
        if presented.len() != SECRET_CHARS {
            return None;
        }
        let hash = hash_of(presented);
        let row = self.row(&hash)?;
        self.left_at(&row, self.since_boot_ms())?;
        Some(KeyInfo { token: Some(hash), ..self.keys.by_hash(&row.key)? })
    }

    fn still_admits(&self, key: &KeyInfo) -> bool {
        key.token.is_none_or(|token| self.left(&token).is_some()) && self.keys.still_holds(key)
    }

    fn ends_within(&self, key: &KeyInfo) -> Option<Duration> {
        Some(self.left(&key.token?).unwrap_or_default())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.keys.changes()
    }
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
pub(super) mod tests;
