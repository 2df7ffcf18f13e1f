//! The bytes of a key.
//!
//! # Decisions
//!
//! - **A key of up to 30 bytes needs no allocation.** Each row that the fold touches has its key in three or four places:
//!   the look-up, the map, the list of written rows, the generation. In the field, keys have 8 to 25 bytes.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// Maximum length of a key that is kept in place. The key then has the size of four words.
const IN_PLACE_BYTES: usize = 30;

/// The key of a row. Keys are compared as their bytes are.
#[derive(Clone)]
pub struct Key(KeyBytes);

#[derive(Clone)]
enum KeyBytes {
    InPlace(InPlace),
    Boxed(Box<[u8]>),
}

/// The bytes of a key, zeros up to [`IN_PLACE_BYTES`], and the length.
///
/// The order of these bytes is that of the keys: if one key is the beginning of another, zeros or the length decide.
#[derive(Clone, Copy, PartialEq, Eq)]
struct InPlace([u8; IN_PLACE_BYTES + 1]);

impl InPlace {
    /// Returns all bytes as numbers, the last of which overlap. Comparing these needs no call.
    #[inline]
    fn numbers(&self) -> (u64, u64, u64, u64) {
        let number = |at: usize| self.0[at..].first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        (number(0), number(8), number(16), number(IN_PLACE_BYTES + 1 - 8))
    }
}

impl Key {
    /// Makes the key without bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self(KeyBytes::InPlace(InPlace([0; IN_PLACE_BYTES + 1])))
    }

    /// Makes a key of parts that follow one another. Inlined, because the lengths of most parts are known where it is called.
    #[inline]
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let Some(length) = u8::try_from(total).ok().filter(|_| total <= IN_PLACE_BYTES) else {
            return Self(KeyBytes::Boxed(parts.concat().into()));
        };
        let mut bytes = [0; IN_PLACE_BYTES + 1];
        let mut rest = bytes.as_mut_slice();
        for part in parts {
            let (place, after) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = after;
        }
        bytes[IN_PLACE_BYTES] = length;
        Self(KeyBytes::InPlace(InPlace(bytes)))
    }
}

impl Default for Key {
    fn default() -> Self {
        Self::new()
    }
}

impl From<&[u8]> for Key {
    fn from(bytes: &[u8]) -> Self {
        Self::of(&[bytes])
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl Deref for Key {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            KeyBytes::InPlace(InPlace(bytes)) => &bytes[..usize::from(bytes[IN_PLACE_BYTES])],
            KeyBytes::Boxed(bytes) => bytes,
        }
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Ord for Key {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (KeyBytes::InPlace(own), KeyBytes::InPlace(other)) => own.numbers().cmp(&other.numbers()),
            _ => (**self).cmp(&**other),
        }
    }
}

impl PartialOrd for Key {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (KeyBytes::InPlace(own), KeyBytes::InPlace(other)) => own == other,
            _ => **self == **other,
        }
    }
}

impl Eq for Key {}

/// Equal to the hash of the slice, so that a map finds a key by its bytes.
impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::hash::BuildHasher;

    /// Returns bytes of few values, so that two of them often begin alike, around the length that is kept in place.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(0), Just(1), Just(u8::MAX)];
        prop_oneof![prop::collection::vec(byte.clone(), 0..4), prop::collection::vec(byte, 28..34)]
    }

    proptest! {
        /// Catches keys whose order differs from that of their bytes: a merge of sorted rows would then lose some.
        #[test]
        fn keys_are_compared_hashed_and_read_as_their_bytes(one in bytes(), other in bytes(), cut in 0_usize..34) {
            let (key, other_key) = (Key::from(one.as_slice()), Key::from(other.as_slice()));
            prop_assert_eq!(&*key, one.as_slice());
            prop_assert_eq!(key.cmp(&other_key), one.cmp(&other));
            prop_assert_eq!(key == other_key, one == other);
            let (start, end) = one.split_at(cut.min(one.len()));
            prop_assert_eq!(&Key::of(&[start, end]), &key);
            let state = std::hash::RandomState::new();
            prop_assert_eq!(state.hash_one(&key), state.hash_one(one.as_slice()));
        }
    }

    #[test]
    fn a_key_takes_four_words() {
        assert_eq!(size_of::<Key>(), 32);
        assert_eq!(Key::of(&[&[1; 20], &[2; 20]]).len(), 40);
    }
}
