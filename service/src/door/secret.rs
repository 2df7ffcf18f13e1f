//! The text that a caller presents: the secret of an API key, or a token.
//!
//! Both are a prefix, which tells them apart, and 256 random bits in base64url. Only their BLAKE3 hashes are stored.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use herd::randomness::{Randomness, RandomnessError};
use std::collections::BTreeSet;
use std::str::FromStr;

/// Random bytes in a secret.
pub const SECRET_BYTES: usize = 32;

/// Prefix of a key's secret.
pub(super) const KEY_PREFIX: &str = "hxb_";

/// Prefix of a token.
pub(super) const TOKEN_PREFIX: &str = "hxt_";

/// Length of a secret's text: the prefix, and [`SECRET_BYTES`] in base64 without padding.
pub(super) const SECRET_CHARS: usize = KEY_PREFIX.len() + 43;

const _: () = assert!(KEY_PREFIX.len() == TOKEN_PREFIX.len());

/// Minimum number of different bytes in a key that somebody else generated.
///
/// Of 32 random bytes about 30 differ, and fewer than 16 never will. A key that was typed by hand has fewer.
const MIN_DISTINCT_BYTES: usize = 16;

/// Reason why a text is not the secret of a key. No message contains the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The prefix is missing.
    #[error("must start with {KEY_PREFIX}: copy the whole key")]
    Prefix,
    /// The text is too short or too long.
    #[error("has {0} characters, but a key has {SECRET_CHARS}: copy the whole key")]
    Length(usize),
    /// A character that base64url does not have.
    #[error("contains a character that keys never contain: copy the whole key again")]
    Character,
    /// The bytes were not drawn at random.
    #[error(
        "is not random, so it could be guessed: create one with `openssl rand -base64 32 | tr '+/' '-_' | tr -d '='` and put {KEY_PREFIX} in front"
    )]
    Guessable,
}

/// The secret of a key, or a token.
///
/// It implements neither `Debug` nor `Display`, so it cannot end in a log by accident.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    fn new(prefix: &str, bytes: [u8; SECRET_BYTES]) -> Self {
        Self(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Generates a secret that starts with `prefix`, which tells apart what it is for.
    pub fn generate(prefix: &str, randomness: &mut dyn Randomness) -> Result<Self, RandomnessError> {
        let mut bytes = [0; SECRET_BYTES];
        randomness.fill(&mut bytes)?;
        Ok(Self::new(prefix, bytes))
    }

    /// Returns the secret of a key with these bytes, which both sides of a pairing derive.
    pub fn of_key(bytes: [u8; SECRET_BYTES]) -> Self {
        Self::new(KEY_PREFIX, bytes)
    }

    /// Returns the text, for the one place that shows it once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns the hash under which the secret is stored.
    pub fn hash(&self) -> [u8; 32] {
        hash_secret(&self.0)
    }
}

/// Parses the secret of a key that somebody else generated.
///
/// It must have the form of a generated one, with 256 bits that look random.
impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix(KEY_PREFIX).ok_or(SecretError::Prefix)?;
        if text.len() != SECRET_CHARS {
            return Err(SecretError::Length(text.chars().count()));
        }
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| SecretError::Character)?;
        let bytes: [u8; SECRET_BYTES] = bytes.try_into().map_err(|_| SecretError::Character)?;
        let is_random = BTreeSet::from(bytes).len() >= MIN_DISTINCT_BYTES;
        if is_random { Ok(Self::of_key(bytes)) } else { Err(SecretError::Guessable) }
    }
}

/// Returns the BLAKE3 hash under which a secret is stored.
pub fn hash_secret(text: &str) -> [u8; 32] {
    *blake3::hash(text.as_bytes()).as_bytes()
}
