//! The content of a payload: its trimmed text and the hash of it.

use super::blank::{self, is_blank};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::ops::Range;

/// Byte order mark in UTF-8, which some programs write before a text.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Returns the trimmed text. Two payloads with equal texts have the same content.
///
/// UTF-8 is trimmed of Unicode whitespace, NUL, byte order marks and zero-width marks; other bytes are trimmed of ASCII
/// whitespace, NUL and byte order marks. So a reader that ends its packets with a line end, one that fills them up with
/// zeros, and one that does neither send the same content.
pub fn trimmed(raw: &[u8]) -> &[u8] {
    &raw[trimmed_range(raw)]
}

/// Returns the range of the trimmed text in `raw`.
pub(super) fn trimmed_range(raw: &[u8]) -> Range<usize> {
    let (from_start, trimmed) = if let Ok(text) = std::str::from_utf8(raw) {
        (text.trim_start_matches(is_blank).len(), blank::trimmed(text).len())
    } else {
        let from_start = without_blanks_before(raw);
        (from_start.len(), without_blanks_behind(from_start).len())
    };
    let start = raw.len() - from_start;
    start..start + trimmed
}

fn without_blanks_before(mut bytes: &[u8]) -> &[u8] {
    loop {
        bytes = match bytes {
            [first, rest @ ..] if is_blank_byte(*first) => rest,
            _ => match bytes.strip_prefix(BYTE_ORDER_MARK) {
                Some(rest) => rest,
                None => return bytes,
            },
        };
    }
}

fn without_blanks_behind(mut bytes: &[u8]) -> &[u8] {
    loop {
        bytes = match bytes {
            [rest @ .., last] if is_blank_byte(*last) => rest,
            _ => match bytes.strip_suffix(BYTE_ORDER_MARK) {
                Some(rest) => rest,
                None => return bytes,
            },
        };
    }
}

fn is_blank_byte(byte: u8) -> bool {
    byte.is_ascii() && is_blank(char::from(byte))
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

    /// Catches a good read that counts as another text, because its reader fills packets up with zeros.
    #[test]
    fn zeros_and_marks_around_a_text_are_trimmed() {
        let padded = ["hxb:Q:a:b\0\0\0", "\u{feff}hxb:Q:a:b", "\u{a0}hxb:Q:a:b\r", "\0\u{200b}hxb:Q:a:b\u{2060} "];
        for text in padded {
            assert_eq!(trimmed(text.as_bytes()), b"hxb:Q:a:b", "{text:?}");
        }
    }

    #[test]
    fn invalid_utf_8_loses_only_ascii_blanks_and_byte_order_marks() {
        assert_eq!(trimmed(b" \n\xff\xa0 \r\n\0"), b"\xff\xa0");
        assert_eq!(trimmed(b"\0\xef\xbb\xbf \xff\0\xff\xef\xbb\xbf\0"), b"\xff\0\xff");
    }

    #[test]
    fn a_hash_is_frozen_as_its_32_bytes_alone() {
        let hash = content_hash(b"hxb");
        assert_eq!(postcard::to_stdvec(&hash).unwrap(), hash.as_bytes());
        assert_eq!(postcard::from_bytes::<ContentHash>(hash.as_bytes()).unwrap(), hash);
    }
}
