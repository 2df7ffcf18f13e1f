//! The setting of a line that may be missing.

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Word for a line that is not wired.
const NONE: &str = "none";

/// A GPIO line, or `"none"` if the module's pin is not wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineSetting {
    /// Number of the line on its GPIO chip.
    Wired(u32),
    /// The pin is not wired.
    None,
}

impl LineSetting {
    /// Returns the number of the line, or `None` if it is not wired.
    pub fn number(self) -> Option<u32> {
        match self {
            Self::Wired(line) => Some(line),
            Self::None => None,
        }
    }
}

impl fmt::Display for LineSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wired(line) => line.fmt(f),
            Self::None => write!(f, "\"{NONE}\""),
        }
    }
}

impl Serialize for LineSetting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Wired(line) => serializer.serialize_u32(*line),
            Self::None => serializer.serialize_str(NONE),
        }
    }
}

impl<'de> Deserialize<'de> for LineSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LineVisitor)
    }
}

/// Accepts a number, the word, and a number in a text, as environment variables give it.
struct LineVisitor;

impl Visitor<'_> for LineVisitor {
    type Value = LineSetting;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the number of a line, or \"{NONE}\" if it is not wired")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<LineSetting, E> {
        u32::try_from(value).map(LineSetting::Wired).map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<LineSetting, E> {
        u32::try_from(value).map(LineSetting::Wired).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<LineSetting, E> {
        match value {
            NONE => Ok(LineSetting::None),
            number => {
                number.parse().map(LineSetting::Wired).map_err(|_| E::invalid_value(Unexpected::Str(value), &self))
            }
        }
    }
}
