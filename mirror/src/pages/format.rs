//! Numbers, times and states as people read them.

use crate::sites::LinkState;
pub(super) use service::sheet::visible;
use std::fmt::Display;

const SECOND_US: u64 = 1_000_000;

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
    fn ages_use_the_largest_unit() {
        let texts = [-5, 0, 59, 60, 3_599, 3_600, 172_800].map(|s: i64| ago(0, s * 1_000_000));
        assert_eq!(texts, ["now", "now", "59 s ago", "1 min ago", "59 min ago", "1 h ago", "2 days ago"]);
    }
}
