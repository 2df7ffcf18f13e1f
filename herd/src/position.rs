//! Position in a log: identity of the history, epoch, sequence and digest.
//!
//! # Decisions
//!
//! - **A [`Position`] is never a bare number.** Two histories may both have a change 17. Only the digest shows
//!   whether it is the same one.
//! - **No timestamp decides what to sync.** Clocks jump, and a barn may have none. Sequence and digest tell exactly
//!   what a follower lacks.
//! - **Ids of animals and batches are sequences**, namely that of the change that created them. A counter would be one
//!   more row to keep, and a UUID would bring randomness into a decision.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Number of a change: gapless and in commit order. The first change is 1; 0 is the position before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(pub u64);

impl Sequence {
    /// Position before the first change.
    pub const ZERO: Self = Self(0);

    /// Returns the number of the next change.
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

/// Number of the writer of a history. Each new writer of the same history gets the next number, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u32);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is not the hexadecimal form of the expected number of bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} hexadecimal digits, found `{found}`")]
pub struct HexError {
    expected: usize,
    found: String,
}

fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let mut bytes = [0; N];
    match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(HexError { expected: 2 * N, found: text.chars().take(2 * N + 8).collect() }),
    }
}

/// Defines an array of bytes that is lower-case hexadecimal in text and JSON, and bare bytes in postcard.
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
            type Err = HexError;
            fn from_str(text: &str) -> Result<Self, HexError> {
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
    /// Identity of one history: 128 random bits, drawn when its store is created.
    StoreId, 16
}

hex_bytes! {
    /// BLAKE3 digest of the chain over the log, or of the rows that the fold wrote.
    Digest, 32
}

/// Place in a history, with the digest that proves which history it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Identity of the history.
    pub store: StoreId,
    /// Epoch of the writer at `sequence`; 0 only before the first change.
    pub epoch: Epoch,
    /// Last change included.
    pub sequence: Sequence,
    /// Chain digest after that change.
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

    /// Catches a parser that accepts a digest of another length, such as one that was cut while copying.
    #[test]
    fn digests_round_trip_through_text_and_other_texts_are_refused() {
        let digest = Digest([0xa7; 32]);
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert!("a7a7".parse::<Digest>().is_err());
        assert!("zz".repeat(32).parse::<Digest>().is_err());
        let refused = |text: &str| text.parse::<Digest>().unwrap_err().to_string();
        assert_eq!(refused("a7a7"), "expected 64 hexadecimal digits, found `a7a7`");
        assert_eq!(refused(&"z".repeat(90)), format!("expected 64 hexadecimal digits, found `{}`", "z".repeat(72)));
    }

    /// Catches a change of the encoding, which is part of stored bytes and of the API.
    #[test]
    fn identities_are_text_in_json_and_bare_bytes_in_postcard() {
        let store = StoreId([0x0f; 16]);
        assert_eq!(serde_json::to_string(&store).unwrap(), format!("\"{}\"", "0f".repeat(16)));
        assert_eq!(postcard::to_stdvec(&store).unwrap(), vec![0x0f; 16]);
        assert_eq!(serde_json::from_str::<StoreId>(&format!("\"{store}\"")).unwrap(), store);
        assert!(serde_json::from_str::<StoreId>("\"0f\"").is_err());
        assert_eq!(postcard::from_bytes::<StoreId>(&[0x0f; 16]).unwrap(), store);
    }

    /// Catches a position in the log that people cannot tell from that of another history.
    #[test]
    fn a_position_is_shown_short() {
        let (store, digest) = (StoreId([0x0f; 16]), Digest([0xa7; 32]));
        let position = Position { store, epoch: Epoch(2), sequence: Sequence(118), digest };
        assert_eq!(position.to_string(), "0f0f0f0f:2:118:a7a7a7a7a7a7");
    }
}
