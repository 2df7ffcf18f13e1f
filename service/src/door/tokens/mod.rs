//! Tokens: stand-ins for a key that end after a day, so that a program need not carry the key itself around.
//!
//! A token has the scopes of its key and ends with it. It also ends after [`TOKEN_LIFETIME`] or when the machine
//! restarts, whichever comes first. It survives a restart of the process.
//!
//! A token is random, and stored as its hash like a key. Its age is measured in time since the machine's boot, which
//! nobody can set. Signed tokens were rejected: their expiry date needs a clock, which a barn may not have, and their
//! signing secret would be one more thing to keep.
//!
//! A key has at most [`MAX_TOKENS_PER_KEY`] valid tokens; a further one ends the oldest. Without the limit, a program
//! that requests a token with every call would fill the file.

use super::auth::Authenticator;
use super::keys::{KeyInfo, KeyRing};
use super::secret::{SECRET_CHARS, Secret, TOKEN_PREFIX, hash_secret};
use herd::clock::Clock;
use herd::randomness::{Randomness, RandomnessError};
use herd::store::{LocalError, LocalFile};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::sync::watch;

/// Namespace in `local.redb` that maps a token's hash, in hexadecimal, to its row.
pub const TOKENS_NAMESPACE: &str = "tokens";

/// Lifetime of a token: one day.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(86_400);

/// Maximum number of valid tokens per key; a further one ends the oldest.
pub const MAX_TOKENS_PER_KEY: usize = 16;

/// A token as stored. It does not contain the token's text. The order of the fields is frozen in `local.redb`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TokenRow {
    /// BLAKE3 hash of the key's secret.
    key: [u8; 32],
    /// Boot of the machine in which the token was issued.
    boot_id: String,
    /// Time of issue, in milliseconds since that boot.
    made_since_boot_ms: u64,
    /// Running number, which orders tokens that were issued in the same millisecond.
    number: u64,
}

/// Failure to issue a token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The key was revoked in the meantime.
    #[error("the key of the token was revoked")]
    KeyRevoked,
    /// `local.redb` failed.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// No token could be generated.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
}

/// The tokens of a process and the keys behind them; as an [`Authenticator`] it accepts both.
pub struct TokenRing {
    keys: Arc<KeyRing>,
    file: LocalFile,
    clock: Arc<dyn Clock>,
    boot_id: String,
    /// Locked during a change, so that the file and the map change together.
    randomness: Mutex<Box<dyn Randomness>>,
    by_hash: RwLock<HashMap<[u8; 32], TokenRow>>,
}

impl fmt::Debug for TokenRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRing").field("file", &self.file).finish_non_exhaustive()
    }
}

impl TokenRing {
    /// Loads the tokens from `local.redb`, and removes those that have ended from it.
    ///
    /// `file` must be the file that holds `keys`.
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
        let (mut valid, mut ended) = (HashMap::new(), Vec::new());
        for (name, row) in ring.file.list::<TokenRow>(TOKENS_NAMESPACE)? {
            let mut hash = [0; 32];
            match hex::decode_to_slice(&name, &mut hash) {
                Ok(()) if ring.is_row_valid(&row, now_ms) => drop(valid.insert(hash, row)),
                _ => ended.push(name),
            }
        }
        if !ended.is_empty()
            && let Err(error) = ring.file.replace::<TokenRow>(TOKENS_NAMESPACE, &ended, None)
        {
            // They are not valid any more, and the next token removes them. To end would make a barn deaf.
            tracing::warn!(%error, "tokens that have ended stay in the file");
        }
        *ring.by_hash.write().unwrap_or_else(PoisonError::into_inner) = valid;
        Ok(ring)
    }

    /// Returns the keys behind the tokens.
    pub fn keys(&self) -> &Arc<KeyRing> {
        &self.keys
    }

    /// Returns the number of tokens in memory: the valid ones, and those that ended since the last one was issued.
    pub fn count(&self) -> usize {
        self.by_hash.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Issues a token for `key` that is valid for [`TOKEN_LIFETIME`].
    ///
    /// The same commit removes the tokens that have ended, and the key's oldest tokens above [`MAX_TOKENS_PER_KEY`].
    /// Syncs the disk: call it on a blocking thread from asynchronous code.
    pub fn issue(&self, key: &KeyInfo) -> Result<Secret, TokenError> {
        let mut randomness = self.randomness.lock().unwrap_or_else(PoisonError::into_inner);
        let key = self.keys.by_hash(&key.hash).ok_or(TokenError::KeyRevoked)?;
        let token = Secret::generate(TOKEN_PREFIX, randomness.as_mut())?;
        let made_since_boot_ms = self.since_boot_ms();
        let (replaced, number) = self.plan_issue(&key, made_since_boot_ms);
        let row = TokenRow { key: key.hash, boot_id: self.boot_id.clone(), made_since_boot_ms, number };
        let names: Vec<String> = replaced.iter().map(hex::encode).collect();
        self.file.replace(TOKENS_NAMESPACE, &names, Some((&hex::encode(token.hash()), &row)))?;
        let mut by_hash = self.by_hash.write().unwrap_or_else(PoisonError::into_inner);
        by_hash.retain(|hash, _| !replaced.contains(hash));
        by_hash.insert(token.hash(), row);
        drop(by_hash);
        if !replaced.is_empty() {
            self.keys.notify_change();
        }
        Ok(token)
    }

    /// Returns the tokens that a new token of `key` replaces, and the number of the new one.
    fn plan_issue(&self, key: &KeyInfo, now_ms: u64) -> (Vec<[u8; 32]>, u64) {
        let by_hash = self.by_hash.read().unwrap_or_else(PoisonError::into_inner);
        let (mut replaced, mut of_key, mut last) = (Vec::new(), Vec::new(), 0);
        for (hash, row) in by_hash.iter() {
            last = last.max(row.number);
            match self.is_row_valid(row, now_ms) {
                true if row.key == key.hash => of_key.push((row.number, *hash)),
                true => {}
                false => replaced.push(*hash),
            }
        }
        of_key.sort_unstable();
        let excess = (of_key.len() + 1).saturating_sub(MAX_TOKENS_PER_KEY);
        replaced.extend(of_key.into_iter().take(excess).map(|(_, hash)| hash));
        (replaced, last.saturating_add(1))
    }

    /// Returns whether a token has not ended and its key still exists.
    fn is_row_valid(&self, row: &TokenRow, now_ms: u64) -> bool {
        self.remaining_at(row, now_ms).is_some() && self.keys.by_hash(&row.key).is_some()
    }

    /// Returns the remaining lifetime of a token; `None` if it has ended or does not exist.
    fn remaining_of(&self, hash: &[u8; 32]) -> Option<Duration> {
        self.remaining_at(&self.row(hash)?, self.since_boot_ms())
    }

    fn remaining_at(&self, row: &TokenRow, now_ms: u64) -> Option<Duration> {
        if row.boot_id != self.boot_id {
            return None;
        }
        let age = Duration::from_millis(now_ms.saturating_sub(row.made_since_boot_ms));
        TOKEN_LIFETIME.checked_sub(age).filter(|remaining| !remaining.is_zero())
    }

    fn since_boot_ms(&self) -> u64 {
        self.clock.read().since_boot_ms
    }

    /// Returns the row of a token. The hash is compared in constant time, like a key's.
    fn row(&self, hash: &[u8; 32]) -> Option<TokenRow> {
        let by_hash = self.by_hash.read().unwrap_or_else(PoisonError::into_inner);
        let (stored, row) = by_hash.get_key_value(hash)?;
        let equal: bool = stored.ct_eq(hash).into();
        equal.then(|| row.clone())
    }
}

impl Authenticator for TokenRing {
    fn authenticate(&self, presented: &str) -> Option<KeyInfo> {
        if !presented.starts_with(TOKEN_PREFIX) {
            return self.keys.check(presented);
        }
        if presented.len() != SECRET_CHARS {
            return None;
        }
        let hash = hash_secret(presented);
        let row = self.row(&hash)?;
        self.remaining_at(&row, self.since_boot_ms())?;
        Some(KeyInfo { token: Some(hash), ..self.keys.by_hash(&row.key)? })
    }

    fn is_valid(&self, key: &KeyInfo) -> bool {
        key.token.is_none_or(|token| self.remaining_of(&token).is_some()) && self.keys.contains(key)
    }

    fn remaining(&self, key: &KeyInfo) -> Option<Duration> {
        Some(self.remaining_of(&key.token?).unwrap_or_default())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.keys.changes()
    }
}

#[cfg(test)]
pub(super) mod tests;
