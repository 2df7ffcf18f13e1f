//! Numbers and times as people read them.

use std::fmt::Display;

const SECOND_US: u64 = 1_000_000;

/// A whole number in groups of three: `1,234,567`.
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

/// A count with its noun: `1 batch`, `2 batches`.
pub(super) fn counted(number: impl Display, one: &str, many: &str) -> String {
    let number = grouped(number);
    let noun = if number == "1" { one } else { many };
    format!("{number} {noun}")
}

/// How long ago something was, in its largest unit: `3 s ago`. A time ahead of ours is `now`: clocks differ a little.
pub(super) fn ago(at_us: i64, now_us: i64) -> String {
    let seconds = u64::try_from(now_us.saturating_sub(at_us)).unwrap_or(0) / SECOND_US;
    match seconds {
        0 => "now".to_owned(),
        1..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", grouped(seconds / 86_400)),
    }
}

/// An ISO time without its `T` and below the second: `2026-01-15 10:35:20`. All times are UTC, and the page says so.
pub(super) fn clock(iso: impl AsRef<str>) -> String {
    let iso = iso.as_ref();
    match (iso.get(..10), iso.get(10..11), iso.get(11..19)) {
        (Some(day), Some("T"), Some(time)) => format!("{day} {time}"),
        _ => iso.to_owned(),
    }
}

/// A stable name as words: `check_in` is `check in`.
pub(super) fn spaced(name: impl AsRef<str>) -> String {
    name.as_ref().replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_in_groups_of_three() {
        let told = [0, 999, 1_000, 12_345, 1_234_567].map(|n: u64| grouped(n));
        assert_eq!(told, ["0", "999", "1,000", "12,345", "1,234,567"]);
        assert_eq!(counted(1, "batch", "batches"), "1 batch");
        assert_eq!(counted(0, "batch", "batches"), "0 batches");
    }

    #[test]
    fn ages_are_told_in_their_largest_unit() {
        let told = [-5, 0, 59, 60, 3_599, 3_600, 172_800].map(|s: i64| ago(0, s * 1_000_000));
        assert_eq!(told, ["now", "now", "59 s ago", "1 min ago", "59 min ago", "1 h ago", "2 days ago"]);
    }

    #[test]
    fn times_lose_what_people_do_not_read_and_odd_ones_nothing() {
        assert_eq!(clock("2026-01-15T10:35:20.123Z"), "2026-01-15 10:35:20");
        assert_eq!(clock("9 us since 1970"), "9 us since 1970");
    }
}
