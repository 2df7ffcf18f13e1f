//! Durations in settings.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A whole number of hours, minutes, seconds or milliseconds, written as text: `1h`, `5m`, `10s`, `250ms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DurationSetting(Duration);

/// Units with their length in milliseconds, longest first.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// The text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration; write a whole number and a unit, like \"250ms\", \"10s\", \"5m\" or \"1h\"")]
pub struct DurationError(String);

impl DurationSetting {
    /// Creates a duration of `ms` milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// Creates a duration of `s` seconds.
    pub const fn from_secs(s: u64) -> Self {
        Self(Duration::from_secs(s))
    }

    /// Returns the duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl From<DurationSetting> for Duration {
    fn from(setting: DurationSetting) -> Self {
        setting.0
    }
}

impl FromStr for DurationSetting {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let error = || DurationError(text.chars().take(40).collect());
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(error)?;
        let number: u64 = number.parse().map_err(|_| error())?;
        number.checked_mul(*unit_ms).map(Self::from_ms).ok_or_else(error)
    }
}

/// Uses the largest unit that divides the duration; omits anything finer than a millisecond.
impl fmt::Display for DurationSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if ms == 0 {
            return f.write_str("0s");
        }
        let whole = UNITS.iter().find(|(_, unit_ms)| ms % unit_ms == 0);
        let (unit, unit_ms) = whole.unwrap_or(&("ms", 1));
        write!(f, "{}{unit}", ms / unit_ms)
    }
}

impl Serialize for DurationSetting {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DurationSetting {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Catches a unit that is misread, and a duration that is printed in another unit than people use.
    #[test]
    fn a_duration_parses_and_prints_in_its_largest_unit() {
        for (text, ms) in [("250ms", 250), ("10s", 10_000), ("5m", 300_000), ("1h", 3_600_000), ("0s", 0)] {
            assert_eq!(text.parse(), Ok(DurationSetting::from_ms(ms)));
            assert_eq!(DurationSetting::from_ms(ms).to_string(), text);
        }
    }

    /// Catches a typo that becomes some other duration.
    #[test]
    fn text_that_is_not_a_duration_is_refused() {
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "10 s",
            "10S",
            "1d",
            "1h30m",
            "99999999999999999999s",
            "9999999999999999999h",
        ] {
            assert!(text.parse::<DurationSetting>().is_err(), "{text}");
        }
    }

    proptest! {
        /// Catches a duration that `config` prints and `check` refuses.
        #[test]
        fn every_duration_parses_back_from_its_text(ms in any::<u64>()) {
            let setting = DurationSetting::from_ms(ms);
            prop_assert_eq!(setting.to_string().parse(), Ok(setting));
        }

        /// Catches a panic on arbitrary input.
        #[test]
        fn no_text_makes_parsing_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<DurationSetting>();
        }
    }
}
