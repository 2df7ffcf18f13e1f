//! Numbers, times and states as people read them.

use crate::sites::LinkState;
use herd::payload::{Grams, WeightUnit};
use std::borrow::Borrow;
use std::fmt::Display;

const SECOND_US: u64 = 1_000_000;
/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;
/// Grams of a pound, times 100,000.
const POUND_E5: u64 = 45_359_237;
/// Grams of a kilogram, times 100,000.
const KILOGRAM_E5: u64 = 100_000_000;
/// Number of digits of an EID.
const EID_CHARS: usize = 15;
/// Digits of an EID that stand together: code of the country or manufacturer, and the first half of the number.
const EID_GROUPS: [usize; 2] = [3, 9];

/// Formats a whole number in groups of three digits: `1,234,567`.
pub(super) fn grouped(number: impl Display) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Formats a count with its noun: `1 batch`, `2 batches`.
pub(super) fn counted(number: impl Display, singular: &str, plural: &str) -> String {
    let number = grouped(number);
    let noun = if number == "1" { singular } else { plural };
    format!("{number} {noun}")
}

/// Formats the age of a time in its largest unit: `3 s ago`.
///
/// A time in the future is `now`, because the clocks of barn and office differ a little.
pub(super) fn ago(at_us: i64, now_us: i64) -> String {
    match age_s(at_us, now_us) {
        0 => "now".to_owned(),
        seconds => format!("{} ago", self::seconds(seconds)),
    }
}

/// Returns the age of a time in seconds; 0 for a time in the future.
pub(super) fn age_s(at_us: i64, now_us: i64) -> u64 {
    u64::try_from(now_us.saturating_sub(at_us)).unwrap_or(0) / SECOND_US
}

/// Formats a duration in its largest unit: `3 days`.
pub(super) fn duration(us: i64) -> String {
    seconds(us.unsigned_abs() / SECOND_US)
}

/// Formats seconds in their largest unit: `3 days`.
pub(super) fn seconds(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", grouped(seconds / 86_400)),
    }
}

/// Formats a weight with at least this many decimals, so that those of a column stand below each other.
pub(super) fn weight(weight: impl Borrow<Grams>, unit: WeightUnit, decimals: usize) -> String {
    let text = weight.borrow().in_unit(unit);
    let (whole, present) = text.split_once('.').unwrap_or((&text, ""));
    format!("{whole}.{present:0<decimals$}")
}

/// Formats a weight or a sum of weights, in grams, to the tenth, as most scales show it.
pub(super) fn tenths(weight_g: impl Into<u64>, unit: WeightUnit) -> String {
    // A sum of tons in hundred-thousandths of a gram does not fit into 64 bits.
    let weight_e6 = u128::from(weight_g.into()) * 1_000_000;
    let unit_e5 = u128::from(match unit {
        WeightUnit::Kg => KILOGRAM_E5,
        WeightUnit::Lb => POUND_E5,
    });
    let tenths = (weight_e6 + unit_e5 / 2) / unit_e5;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Returns the number of decimals that show all of these weights: at least one.
pub(super) fn decimals(weights: impl Iterator<Item = Grams>, unit: WeightUnit) -> usize {
    let decimals = |weight: Grams| weight.in_unit(unit).split_once('.').map_or(0, |(_, decimals)| decimals.len());
    weights.map(decimals).fold(1, usize::max)
}

/// Formats a daily gain in grams in a unit, with two decimals: `1.42`, `-0.30`.
pub(super) fn gain(gain_g: i64, unit: WeightUnit) -> String {
    let grams = gain_g.unsigned_abs();
    let hundredths = match unit {
        WeightUnit::Kg => grams.saturating_add(5) / 10,
        WeightUnit::Lb => grams.saturating_mul(10_000_000).saturating_add(POUND_E5 / 2) / POUND_E5,
    };
    let sign = if gain_g < 0 && hundredths > 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Returns the whole days from a first sighting to a time; `None` if a wrong clock has put the sighting after it.
pub(super) fn days_on_feed(in_us: i64, until_us: i64) -> Option<i64> {
    let us = until_us.checked_sub(in_us)?;
    (us >= 0).then_some(us / DAY_US)
}

/// Returns the groups of an EID of 15 digits; `None` for any other text.
pub(super) fn eid_groups(text: &str) -> Option<[&str; 3]> {
    if text.len() != EID_CHARS || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (code, number) = text.split_at(EID_GROUPS[0]);
    let (first, last) = number.split_at(EID_GROUPS[1] - EID_GROUPS[0]);
    Some([code, first, last])
}

/// Splits a message at its backquotes. Yields each piece, and true for one that stood between two of them.
pub(super) fn pieces(message: &str) -> Vec<(&str, bool)> {
    let mut pieces: Vec<_> = message.split('`').zip([false, true].into_iter().cycle()).collect();
    // A single backquote quotes nothing.
    if pieces.len().is_multiple_of(2)
        && let Some((_, is_code)) = pieces.last_mut()
    {
        *is_code = false;
    }
    pieces
}

/// End of a message about texts that a form has anyway.
const FOR_PROGRAMS: &str = "; a correction needs an author, a reason and an idempotency key";
/// Names of JSON, as a message quotes them, and what the forms of the pages call the same.
const KEYS: [(&str, &str); 13] = [
    ("`author`", "the name"),
    ("`reason`", "the reason"),
    ("`idempotency_key`", "the form"),
    ("`weight_kg`", "the weight"),
    ("`weighed_at`", "day and time"),
    ("`replaces`", "the wrong weight"),
    ("`tag_kind`", "the kind of tag"),
    ("`tag`", "the tag"),
    ("`pen`", "the pen"),
    ("`batch_number`", "the number of the batch"),
    ("`absorbed`", "the id of the other animal"),
    ("`notes`", "the notes"),
    ("`animal`", "the id of the animal"),
];

/// Replaces the names of JSON in a message that programs get too by the words that stand on a page.
pub(super) fn without_keys(message: &str) -> String {
    let message = message.replace(FOR_PROGRAMS, "");
    KEYS.iter().fold(message, |text, (key, words)| text.replace(key, words))
}

/// Replaces the underscores of a name: `check_in` becomes `check in`.
pub(super) fn spaced(name: impl AsRef<str>) -> String {
    name.as_ref().replace('_', " ")
}

/// Texts of the pages for the state of a link.
impl LinkState {
    /// Returns the state in one word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Live => "Live",
            Self::Pulling => "Pulling",
            Self::Unwell => "Barn unwell",
            Self::Away => "Away",
            Self::Stopped => "Stopped",
            Self::Copying => "Copying",
            Self::Opening => "Opening",
        }
    }

    /// Explains the state in a sentence or two.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Live => "Reads arrive here as soon as the barn records them.",
            Self::Pulling => "This office asks the barn for new reads at intervals.",
            Self::Unwell => "Connected, but the barn reports what stands below. What it records arrives here.",
            Self::Away => "The barn cannot be reached. Reads that it records meanwhile arrive when it is back.",
            Self::Stopped => "Copying from the barn has stopped. An operator must decide how to go on.",
            Self::Copying => "A copy of the barn is being made.",
            Self::Opening => "The copy of this barn is here, and is shown as soon as it is open.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        let texts = [0, 999, 1_000, 12_345, 1_234_567].map(|n: u64| grouped(n));
        assert_eq!(texts, ["0", "999", "1,000", "12,345", "1,234,567"]);
        assert_eq!(counted(1, "batch", "batches"), "1 batch");
        assert_eq!(counted(0, "batch", "batches"), "0 batches");
    }

    #[test]
    fn gains_have_two_decimals_in_either_unit() {
        let kg = [1_420, 0, -304, -4, 5, 12_345].map(|gain_g| gain(gain_g, WeightUnit::Kg));
        assert_eq!(kg, ["1.42", "0.00", "-0.30", "0.00", "0.01", "12.35"]);
        assert_eq!(gain(1_420, WeightUnit::Lb), "3.13");
        assert_eq!(gain(-454, WeightUnit::Lb), "-1.00");
    }

    #[test]
    fn weights_of_a_column_have_the_same_decimals() {
        let weights = [Grams(245_000), Grams(245_500), Grams(249_476)];
        let decimals_of = |weights: &[Grams]| decimals(weights.iter().copied(), WeightUnit::Kg);
        assert_eq!((decimals_of(&weights[..1]), decimals_of(&weights[..2]), decimals_of(&weights)), (1, 1, 3));
        assert_eq!(weights.map(|grams| weight(grams, WeightUnit::Kg, 1)), ["245.0", "245.5", "249.476"]);
        assert_eq!(weight(weights[0], WeightUnit::Kg, 3), "245.000");
        assert_eq!(weights.map(|grams| tenths(grams.0, WeightUnit::Kg)), ["245.0", "245.5", "249.5"]);
        assert_eq!(tenths(113_443_u32, WeightUnit::Lb), "250.1", "a tenth of a pound has 45 g");
        assert_eq!(weight(Grams(45_359), WeightUnit::Lb, 1), "100.0");
    }

    #[test]
    fn what_stands_in_backquotes_is_code() {
        assert_eq!(pieces("run `verify` here"), [("run ", false), ("verify", true), (" here", false)]);
        assert_eq!(pieces("`a`"), [("", false), ("a", true), ("", false)]);
        assert_eq!(pieces("one ` alone"), [("one ", false), (" alone", false)]);
        assert_eq!(pieces(""), [("", false)]);
    }

    #[test]
    fn fifteen_digits_are_grouped_and_nothing_else_is() {
        assert_eq!(eid_groups("124000224161433"), Some(["124", "000224", "161433"]));
        for text in ["", "12400022416143", "1240002241614330", "12400022416143X", "\u{664}24000224161433"] {
            assert_eq!(eid_groups(text), None, "{text}");
        }
    }

    #[test]
    fn days_on_feed_are_whole_and_never_negative() {
        assert_eq!([0, DAY_US - 1, DAY_US, 3 * DAY_US].map(|until| days_on_feed(0, until)), [0, 0, 1, 3].map(Some));
        assert_eq!((days_on_feed(1, 0), days_on_feed(i64::MIN, 1)), (None, None));
    }

    #[test]
    fn durations_have_one_unit_and_no_sign() {
        let texts = [0, -59, 60, -3_599, 3_600, 172_799, 172_800, 86_400_000].map(|s: i64| duration(s * 1_000_000));
        assert_eq!(texts, ["0 s", "59 s", "1 min", "59 min", "1 h", "47 h", "2 days", "1,000 days"]);
        assert_eq!((age_s(1, 2_000_000), age_s(5, 4)), (1, 0));
    }

    /// Catches the words of programs on a page of people.
    #[test]
    fn the_names_of_json_are_those_of_the_forms() {
        assert_eq!(without_keys("`weight_kg` is no number"), "the weight is no number");
        assert_eq!(without_keys(&format!("`tag` and `tag_kind`{FOR_PROGRAMS}")), "the tag and the kind of tag");
        assert_eq!((spaced("check_in_now"), spaced("died")), ("check in now".to_owned(), "died".to_owned()));
    }

    #[test]
    fn ages_use_the_largest_unit() {
        let texts = [-5, 0, 59, 60, 3_599, 3_600, 172_800].map(|s: i64| ago(0, s * 1_000_000));
        assert_eq!(texts, ["now", "now", "59 s ago", "1 min ago", "59 min ago", "1 h ago", "2 days ago"]);
    }
}
