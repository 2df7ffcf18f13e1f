//! The content of a payload: its trimmed text and the hash of it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::ops::Range;

/// Returns the trimmed text. Two payloads with equal texts have the same content.
///
/// UTF-8 is trimmed of all Unicode whitespace, by `str::trim`. Bytes that are not UTF-8 are trimmed of ASCII whitespace
/// only. So a reader that ends its packets with a line end and one that does not send the same content.
pub fn trimmed(raw: &[u8]) -> &[u8] {
    &raw[trimmed_range(raw)]
}

/// Returns the range of the trimmed text in `raw`.
pub(super) fn trimmed_range(raw: &[u8]) -> Range<usize> {
    let (from_start, trimmed) = match std::str::from_utf8(raw) {
        Ok(text) => (text.trim_start().len(), text.trim().len()),
        Err(_) => (raw.trim_ascii_start().len(), raw.trim_ascii().len()),
    };
    let start = raw.len() - from_start;
    start..start + trimmed
}

/// Returns the SHA-256 of [`trimmed`]`(raw)`: the `payload_hash` of the HTTP interface.
pub fn content_hash(raw: &[u8]) -> ContentHash {
    ContentHash(Sha256::digest(trimmed(raw)).into())
}

/// The SHA-256 of a payload's trimmed text, shown as 64 lower-case hexadecimal digits.
///
/// Serialized as an array of 32 bytes, without a length.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// Returns the 32 bytes, in the order that SHA-256 defines.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for ContentHash {
    /// Wraps an existing hash, for example a key of a table.
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_sha_256_of_the_trimmed_text_in_lower_hex() {
        // Taken from sha256sum, not from this code: printf 'hxb:TEST001:LF999:UHF888' | sha256sum
        let expected = "4da47a0322b940378b964cfa248f0e409245bf107a839c48d7d080fd22985fc0";
        assert_eq!(content_hash(b"hxb:TEST001:LF999:UHF888").to_string(), expected);
        assert_eq!(content_hash(b" \thxb:TEST001:LF999:UHF888\r\n").to_string(), expected);
    }

    #[test]
    fn all_unicode_whitespace_around_text_is_trimmed() {
        assert_eq!(trimmed("\u{a0}\u{3000} hxb \u{2003}\u{85}".as_bytes()), b"hxb");
    }

    #[test]
    fn a_payload_of_whitespace_has_an_empty_range_at_its_end() {
        assert_eq!([trimmed_range(b""), trimmed_range(b" \n "), trimmed_range(b"\xff")], [0..0, 3..3, 0..1]);
    }

    #[test]
    fn invalid_utf_8_loses_only_ascii_whitespace() {
        assert_eq!(trimmed(b" \n\xff\xa0 \r\n"), b"\xff\xa0");
    }

    #[test]
    fn a_hash_is_frozen_as_its_32_bytes_alone() {
        let hash = content_hash(b"hxb");
        assert_eq!(postcard::to_stdvec(&hash).unwrap(), hash.as_bytes());
        assert_eq!(postcard::from_bytes::<ContentHash>(hash.as_bytes()).unwrap(), hash);
    }
}
