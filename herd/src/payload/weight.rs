//! Weights: decimal kilograms or pounds as text, stored in grams, without floating point.

use super::blank::{is_blank, says_nothing};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// Maximum plausible weight, in grams: no animal weighs more than 2,000 kg.
pub const MAX_WEIGHT_G: u32 = 2_000_000;
/// Decimals of a weight that are read. The seventh decimal of a pound is less than a thousandth of a gram.
const DECIMALS: usize = 6;
/// Millionths in one.
const MILLIONTHS: u64 = 1_000_000;
/// Texts for "not a number". A scale that sends one has failed, which is told apart from a scale that was not used.
const NOT_A_NUMBER: &str = "nan";

/// A weight in grams. As text and in JSON it is in kilograms, as a decimal number without trailing zeros: 245500 is `245.5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grams(pub u32);

impl Grams {
    /// Returns the number of units as a decimal number: of kilograms to the gram, of pounds to the tenth, as scales show it.
    /// Weights that scales sent in tenths of a pound come back as they were sent.
    #[must_use]
    pub fn in_unit(self, unit: WeightUnit) -> String {
        let tenths = |grams: u64| (grams * 1_000_000 + WeightUnit::Lb.grams_e5() / 2) / WeightUnit::Lb.grams_e5();
        match unit {
            WeightUnit::Kg => decimal(u64::from(self.0), 3),
            WeightUnit::Lb => decimal(tenths(u64::from(self.0)), 1),
        }
    }
}

impl fmt::Display for Grams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_unit(WeightUnit::Kg))
    }
}

impl Serialize for Grams {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Unit of a weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightUnit {
    /// Kilogram.
    #[default]
    Kg,
    /// International avoirdupois pound, 453.59237 g (International Yard and Pound Agreement of 1959).
    Lb,
}

impl WeightUnit {
    /// Returns the grams of one unit, times 100,000.
    const fn grams_e5(self) -> u64 {
        match self {
            Self::Kg => 100_000_000,
            Self::Lb => 45_359_237,
        }
    }

    /// Returns the name on pages and in settings. Stable.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kg => "kg",
            Self::Lb => "lb",
        }
    }

    /// Splits a unit off the end of a text, in any case.
    fn split(text: &str) -> (&str, Option<Self>) {
        let names = [("kgs", Self::Kg), ("kg", Self::Kg), ("lbs", Self::Lb), ("lb", Self::Lb)];
        for (name, unit) in names {
            if let Some(at) = text.len().checked_sub(name.len())
                && let Some((number, end)) = text.split_at_checked(at)
                && end.eq_ignore_ascii_case(name)
            {
                return (number.trim_end_matches(is_blank), Some(unit));
            }
        }
        (text, None)
    }
}

/// The weight in an event. The order of the variants is frozen in stored changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Weight {
    /// The event has no `weight`.
    #[default]
    Absent,
    /// A text that says nothing, zero, or less than half a gram: the scale was not used.
    NotWeighed,
    /// 1 to [`MAX_WEIGHT_G`] grams.
    Grams(u32),
    /// The text of an implausible weight: negative, above [`MAX_WEIGHT_G`], or not a number. The event counts all the
    /// same, because its tags are valid.
    Refused(String),
}

impl Weight {
    /// Reads a decimal number: ASCII digits with at most one `.` or `,`, rounded half up to grams.
    ///
    /// `kg` or `lb` may follow; a number alone is in `unit`.
    pub fn parse(text: &str, unit: WeightUnit) -> Self {
        let text = text.trim_matches(is_blank);
        if says_nothing(text) && !text.eq_ignore_ascii_case(NOT_A_NUMBER) {
            return Self::NotWeighed;
        }
        let (number, own_unit) = WeightUnit::split(text);
        match grams_of(number, own_unit.unwrap_or(unit)) {
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

/// Writes a number that is given in units of its last decimal, without trailing zeros.
fn decimal(number: u64, decimals: u32) -> String {
    let (whole, rest) = (number / 10_u64.pow(decimals), number % 10_u64.pow(decimals));
    match rest {
        0 => whole.to_string(),
        _ => format!("{whole}.{rest:0width$}", width = decimals as usize).trim_end_matches('0').to_owned(),
    }
}

/// Converts a decimal number of `unit` to grams; `None` if it is not such a number or overflows.
fn grams_of(text: &str, unit: WeightUnit) -> Option<u32> {
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let mut digits = whole.bytes().chain(fraction.bytes());
    if whole.len() + fraction.len() == 0 || !digits.all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let decimal = |place| fraction.as_bytes().get(place).map_or(0, |digit| u64::from(digit - b'0'));
    let decimals = (0..DECIMALS).fold(0, |millionths, place| millionths * 10 + decimal(place));
    let millionths = u64::from(digits_value(whole)?).checked_mul(MILLIONTHS)?.checked_add(decimals)?;
    // In units of 1e-11 g. Half a gram is added to round.
    let per_gram = u128::from(MILLIONTHS) * 100_000;
    let grams = (u128::from(millionths) * u128::from(unit.grams_e5()) + per_gram / 2) / per_gram;
    u32::try_from(grams).ok()
}

/// Converts ASCII digits; no digits are 0 (".5" is half a kilogram). `None` if the number overflows `u32`.
fn digits_value(digits: &str) -> Option<u32> {
    if digits.is_empty() { Some(0) } else { digits.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Weight {
        Weight::parse(text, WeightUnit::Kg)
    }

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
            ("245,5", 245_500),
            (",5", 500),
            ("245.5 kg", 245_500),
            ("245,5KG", 245_500),
            ("245 Kgs", 245_000),
        ] {
            assert_eq!(parsed(text), Weight::Grams(weight_g), "{text:?}");
        }
    }

    #[test]
    fn decimals_past_the_gram_round_half_up() {
        for (text, weight_g) in
            [("1.0004", 1_000), ("1.00049", 1_000), ("1.0005", 1_001), ("1.9996", 2_000), ("0.0005", 1)]
        {
            assert_eq!(parsed(text), Weight::Grams(weight_g), "{text:?}");
        }
        assert_eq!(parsed("2000.0004"), Weight::Grams(MAX_WEIGHT_G));
    }

    /// Catches pounds that are stored as kilograms, which makes an animal more than twice as heavy.
    #[test]
    fn pounds_become_grams_by_their_unit_or_by_that_of_their_reader() {
        for (text, weight_g) in [("540 lb", 244_940), ("540,5LBS", 245_167), ("1lb", 454), ("4409.245 lb", 2_000_000)] {
            assert_eq!(parsed(text), Weight::Grams(weight_g), "{text:?}");
        }
        assert_eq!(Weight::parse("540", WeightUnit::Lb), Weight::Grams(244_940));
        assert_eq!(Weight::parse("245.5 kg", WeightUnit::Lb), Weight::Grams(245_500));
        assert_eq!(Weight::parse("4409.248", WeightUnit::Lb), Weight::Refused("4409.248".to_owned()));
    }

    #[test]
    fn an_empty_or_zero_weight_is_not_weighed() {
        for text in
            ["", " ", "0", "0.0", "000.000", ".0", "0.", "0.0004", "0 kg", "0,0", "-0", "None", "-", "null", "n/a", "?"]
        {
            assert_eq!(parsed(text), Weight::NotWeighed, "{text:?}");
        }
    }

    #[test]
    fn an_implausible_weight_is_refused_with_its_text() {
        let texts = [
            "-5",
            "-0.5",
            "+5",
            "NaN",
            "inf",
            "1e3",
            "1,245.5",
            "245.5 g",
            "245.5 kg lb",
            "kg",
            ".kg",
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
            assert_eq!(parsed(text), Weight::Refused(text.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn kilograms_have_no_trailing_zeros() {
        let texts = [1, 20, 245_500, 300_000, 2_000_000].map(|weight_g| Grams(weight_g).to_string());
        assert_eq!(texts, ["0.001", "0.02", "245.5", "300", "2000"]);
        assert_eq!(serde_json::to_string(&Grams(245_500)).unwrap(), "\"245.5\"");
    }

    /// Catches an office that shows other pounds than the scale did.
    #[test]
    fn tenths_of_a_pound_come_back_as_they_were_sent() {
        for tenths in 1..=44_092_u64 {
            let sent = decimal(tenths, 1);
            let Weight::Grams(weight_g) = Weight::parse(&sent, WeightUnit::Lb) else { panic!("{sent}") };
            assert_eq!(Grams(weight_g).in_unit(WeightUnit::Lb), sent);
        }
        assert_eq!(Grams(MAX_WEIGHT_G).in_unit(WeightUnit::Lb), "4409.2");
    }

    #[test]
    fn only_a_plausible_weight_has_grams() {
        assert_eq!(parsed("245.5").grams(), Some(245_500));
        for weight in [Weight::Absent, Weight::NotWeighed, Weight::Refused("-5".to_owned())] {
            assert_eq!(weight.grams(), None);
        }
    }
}
