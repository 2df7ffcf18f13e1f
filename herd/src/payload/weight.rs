//! Weights: decimal kilograms as text, stored in grams, without floating point.

use serde::{Deserialize, Serialize};

/// Maximum plausible weight, in grams: no animal weighs more than 2,000 kg.
pub const MAX_WEIGHT_G: u32 = 2_000_000;
/// Grams in a kilogram.
const GRAMS_PER_KG: u32 = 1_000;
/// Decimals of a kilogram that are stored: whole grams.
const DECIMALS: usize = 3;

/// The weight in an event. The order of the variants is frozen in stored changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Weight {
    /// The event has no `weight`.
    #[default]
    Absent,
    /// Empty, zero, or less than half a gram: the scale was not used.
    NotWeighed,
    /// 1 to [`MAX_WEIGHT_G`] grams.
    Grams(u32),
    /// The text of an implausible weight: negative, above [`MAX_WEIGHT_G`], or not a number. The event counts all the
    /// same, because its tags are valid.
    Refused(String),
}

impl Weight {
    /// Reads a decimal number of kilograms: ASCII digits with at most one `.`, rounded half up to grams.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self::NotWeighed;
        }
        match grams_of(text) {
            Some(0) => Self::NotWeighed,
            Some(weight_g) if weight_g <= MAX_WEIGHT_G => Self::Grams(weight_g),
            _ => Self::Refused(text.to_owned()),
        }
    }

    /// Returns the weight in grams, if it is plausible.
    pub fn grams(&self) -> Option<u32> {
        match self {
            Self::Grams(weight_g) => Some(*weight_g),
            Self::Absent | Self::NotWeighed | Self::Refused(_) => None,
        }
    }
}

/// Returns a weight as decimal kilograms without trailing zeros: 245500 becomes `245.5`.
pub(crate) fn kilograms(weight_g: u32) -> String {
    let (whole, rest) = (weight_g / GRAMS_PER_KG, weight_g % GRAMS_PER_KG);
    match rest {
        0 => whole.to_string(),
        _ => format!("{whole}.{rest:03}").trim_end_matches('0').to_owned(),
    }
}

/// Converts a decimal number of kilograms to grams; `None` if it is not such a number or overflows `u32`.
fn grams_of(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut digits = whole.bytes().chain(fraction.bytes());
    if text == "." || !digits.all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let kilograms = digits_value(whole)?;
    let decimal = |place| fraction.as_bytes().get(place).map_or(0, |digit| digit - b'0');
    let decimals = (0..DECIMALS).fold(0, |grams, place| grams * 10 + u32::from(decimal(place)));
    let rounds_up = decimal(DECIMALS) >= 5;
    kilograms.checked_mul(GRAMS_PER_KG)?.checked_add(decimals)?.checked_add(u32::from(rounds_up))
}

/// Converts ASCII digits; no digits are 0 (".5" is half a kilogram). `None` if the number overflows `u32`.
fn digits_value(digits: &str) -> Option<u32> {
    if digits.is_empty() { Some(0) } else { digits.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_kilograms_become_grams() {
        for (text, weight_g) in [
            ("245.5", 245_500),
            ("267.3", 267_300),
            ("300.0", 300_000),
            (" 1 ", 1_000),
            ("0.001", 1),
            (".5", 500),
            ("245.", 245_000),
            ("000000000000245.50000000000000", 245_500),
            ("2000", MAX_WEIGHT_G),
        ] {
            assert_eq!(Weight::parse(text), Weight::Grams(weight_g), "{text:?}");
        }
    }

    #[test]
    fn decimals_past_the_gram_round_half_up() {
        for (text, weight_g) in
            [("1.0004", 1_000), ("1.00049", 1_000), ("1.0005", 1_001), ("1.9996", 2_000), ("0.0005", 1)]
        {
            assert_eq!(Weight::parse(text), Weight::Grams(weight_g), "{text:?}");
        }
        assert_eq!(Weight::parse("2000.0004"), Weight::Grams(MAX_WEIGHT_G));
    }

    #[test]
    fn an_empty_or_zero_weight_is_not_weighed() {
        for text in ["", " ", "0", "0.0", "000.000", ".0", "0.", "0.0004"] {
            assert_eq!(Weight::parse(text), Weight::NotWeighed, "{text:?}");
        }
    }

    #[test]
    fn an_implausible_weight_is_refused_with_its_text() {
        let texts = [
            "-5",
            "-0",
            "+5",
            "NaN",
            "inf",
            "1e3",
            "245,5",
            "245.5 kg",
            "2 45",
            ".",
            "1.2.3",
            "2000.0005",
            "2001",
            "4294967296",
            "99999999999999999999999999",
            "٣",
        ];
        for text in texts {
            assert_eq!(Weight::parse(text), Weight::Refused(text.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn kilograms_have_no_trailing_zeros() {
        let texts = [1, 20, 245_500, 300_000, 2_000_000].map(kilograms);
        assert_eq!(texts, ["0.001", "0.02", "245.5", "300", "2000"]);
    }

    #[test]
    fn only_a_plausible_weight_has_grams() {
        assert_eq!(Weight::parse("245.5").grams(), Some(245_500));
        for weight in [Weight::Absent, Weight::NotWeighed, Weight::Refused("-5".to_owned())] {
            assert_eq!(weight.grams(), None);
        }
    }
}
