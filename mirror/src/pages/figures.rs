//! Figures of head, as several pages show them.

use herd::catalog::{HeadFigures, HeadGroup};
use herd::payload::{Grams, WeightUnit};
use serde::Serialize;

/// A mean is rounded to this many grams: more digits would be those of no scale.
const MEAN_STEP_G: u64 = 100;
/// Grams of a pound, times 100,000.
const POUND_G_E5: u64 = 45_359_237;
/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;

/// Head of one lot, pen, funder and sex.
#[derive(Clone, Debug, Serialize)]
pub(super) struct GroupView {
    pub(super) lot: Option<String>,
    pub(super) pen: Option<String>,
    pub(super) funder: Option<String>,
    pub(super) sex: Option<String>,
    pub(super) head: u64,
    pub(super) weighed: u64,
    pub(super) mean_weight_kg: Option<Grams>,
    pub(super) tags_missing: u64,
}

impl From<HeadGroup> for GroupView {
    fn from(group: HeadGroup) -> Self {
        Self {
            mean_weight_kg: group.mean_weight_g().map(rounded),
            lot: group.lot.map(Into::into),
            pen: group.pen.map(Into::into),
            funder: group.funder.map(Into::into),
            sex: group.sex.map(Into::into),
            head: group.head,
            weighed: group.weighed,
            tags_missing: group.tag_missing,
        }
    }
}

/// Returns the mean of the weights of several groups.
pub(super) fn mean_of(groups: &[HeadGroup]) -> Option<Grams> {
    let weighed: u64 = groups.iter().map(|group| group.weighed).sum();
    let sum_g: u64 = groups.iter().map(|group| group.weight_sum_g).sum();
    sum_g.checked_div(weighed).map(rounded)
}

/// Rounds a mean weight for people.
pub(super) fn rounded(mean_g: u64) -> Grams {
    let steps = (mean_g + MEAN_STEP_G / 2) / MEAN_STEP_G;
    Grams(u32::try_from(steps * MEAN_STEP_G).unwrap_or(u32::MAX))
}

/// Formats a mean weight; empty if there is none.
pub(super) fn mean_in_words(mean: Option<Grams>, unit: WeightUnit) -> String {
    mean.map(|mean| mean.in_unit(unit)).unwrap_or_default()
}

/// Formats a daily gain to hundredths of the unit; empty if there is none.
pub(super) fn gain_in_words(gain_g: Option<i64>, unit: WeightUnit) -> String {
    let Some(gain_g) = gain_g else { return String::new() };
    let grams = gain_g.unsigned_abs();
    let hundredths = match unit {
        WeightUnit::Kg => grams.saturating_add(5) / 10,
        WeightUnit::Lb => grams.saturating_mul(100).saturating_mul(100_000).saturating_add(POUND_G_E5 / 2) / POUND_G_E5,
    };
    let sign = if gain_g < 0 && hundredths > 0 { "−" } else { "" };
    format!("{sign}{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Returns the mean days from the first sighting to now, or to the last export of head that has left.
pub(super) fn days_on_feed(figures: &HeadFigures, now_us: i64) -> Option<i64> {
    let until_us = if figures.on_yard > 0 { now_us } else { figures.last_out_us? };
    let days = until_us.checked_sub(figures.mean_in_us?)? / DAY_US;
    // A clock of the barn that is wrong may have put the first sighting after now.
    (days >= 0).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_have_the_digits_of_a_scale_and_gains_two_decimals() {
        assert_eq!((rounded(262_149), rounded(262_150)), (Grams(262_100), Grams(262_200)));
        assert_eq!(gain_in_words(Some(1_234), WeightUnit::Kg), "1.23");
        assert_eq!(gain_in_words(Some(1_235), WeightUnit::Kg), "1.24");
        assert_eq!(gain_in_words(Some(-1_500), WeightUnit::Kg), "−1.50");
        assert_eq!(gain_in_words(Some(-4), WeightUnit::Kg), "0.00");
        assert_eq!(gain_in_words(Some(454), WeightUnit::Lb), "1.00");
        assert_eq!(gain_in_words(None, WeightUnit::Lb), "");
    }

    /// Catches days below zero, and head that has left and gets older.
    #[test]
    fn days_on_feed_end_with_the_export() {
        let figures = HeadFigures { on_yard: 3, mean_in_us: Some(DAY_US), ..HeadFigures::default() };
        assert_eq!(days_on_feed(&figures, 31 * DAY_US + 7), Some(30));
        assert_eq!(days_on_feed(&figures, 0), None);
        let left = HeadFigures { on_yard: 0, last_out_us: Some(11 * DAY_US), ..figures };
        assert_eq!(days_on_feed(&left, 31 * DAY_US), Some(10));
        assert_eq!(days_on_feed(&HeadFigures::default(), 31 * DAY_US), None);
    }
}
