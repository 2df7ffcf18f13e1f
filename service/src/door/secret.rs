//! The text that a caller presents: the secret of an API key, or a token.
//!
//! Both are a prefix, which tells them apart, and 256 random bits in base64url. Only their BLAKE3 hashes are stored.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use herd::randomness::{Randomness, RandomnessError};

/// Random bytes in a secret.
pub const SECRET_BYTES: usize = 32;

/// Prefix of a key's secret.
pub(super) const KEY_PREFIX: &str = "hxb_";

/// Prefix of a token.
pub(super) const TOKEN_PREFIX: &str = "hxt_";

/// Length of a secret's text: the prefix, and [`SECRET_BYTES`] in base64 without padding.
pub(super) const SECRET_CHARS: usize = KEY_PREFIX.len() + 43;

const _: () = assert!(KEY_PREFIX.len() == TOKEN_PREFIX.len());

/// The secret of a key, or a token.
///
/// It implements neither `Debug` nor `Display`, so it cannot end in a log by accident.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Generates a secret that starts with `prefix`.
    pub(super) fn generate(prefix: &str, randomness: &mut dyn Randomness) -> Result<Self, RandomnessError> {
        let mut bytes = [0; SECRET_BYTES];
        randomness.fill(&mut bytes)?;
        Ok(Self(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// Returns the secret of a key that both sides of a pairing derive.
    pub fn of_key(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(format!("{KEY_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Returns the text, for the one place that shows it once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        hash_secret(&self.0)
    }
}

/// Returns the BLAKE3 hash under which a secret is stored.
pub(super) fn hash_secret(text: &str) -> [u8; 32] {
    *blake3::hash(text.as_bytes()).as_bytes()
}
