//! Where one stands in a log: identity, epoch, sequence, digest.
//!
//! A [`Position`] is never a bare number: two histories may both have a change 17, and only the digest tells
//! whether it is the same one.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The number of a Change: gapless, in the order of commits, the first one is 1. 0 stands before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(pub u64);

impl Sequence {
    /// Before the first change.
    pub const ZERO: Self = Self(0);

    /// The number of the change after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Counts the writers of one history, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u32);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text is not the lower-case hexadecimal form of so many bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} hexadecimal digits, found `{found}`")]
pub struct NotHex {
    expected: usize,
    found: String,
}

fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], NotHex> {
    let mut bytes = [0; N];
    match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(NotHex { expected: 2 * N, found: text.chars().take(2 * N + 8).collect() }),
    }
}

/// Bytes that are shown, and written to JSON, as lower-case hexadecimal, and kept as they are in postcard.
macro_rules! hex_bytes {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $length]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = NotHex;
            fn from_str(text: &str) -> Result<Self, NotHex> {
                from_hex(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                if to.is_human_readable() { to.collect_str(self) } else { self.0.serialize(to) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                if from.is_human_readable() {
                    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
                } else {
                    Deserialize::deserialize(from).map(Self)
                }
            }
        }
    };
}

hex_bytes! {
    /// The identity of one history: 128 random bits, drawn when a store is made.
    StoreId, 16
}

hex_bytes! {
    /// A BLAKE3 digest: of the chain over the log, or over the rows that the fold wrote.
    Digest, 32
}

/// A place in a history, with the digest that proves which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The history.
    pub store: StoreId,
    /// The writer in force at `sequence`; 0 only before the first change.
    pub epoch: Epoch,
    /// The last change included.
    pub sequence: Sequence,
    /// The chain digest after that change.
    pub digest: Digest,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (store, digest) = (self.store.to_string(), self.digest.to_string());
        write!(f, "{}:{}:{}:{}", &store[..8], self.epoch, self.sequence, &digest[..12])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back_from_its_own_text_and_refuses_any_other_length() {
        let digest = Digest([0xa7; 32]);
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert!("a7a7".parse::<Digest>().is_err());
        assert!("zz".repeat(32).parse::<Digest>().is_err());
    }

    #[test]
    fn identities_are_text_in_json_and_bare_bytes_in_postcard() {
        let store = StoreId([0x0f; 16]);
        assert_eq!(serde_json::to_string(&store).unwrap(), format!("\"{}\"", "0f".repeat(16)));
        assert_eq!(postcard::to_stdvec(&store).unwrap(), vec![0x0f; 16]);
    }
}
