//! Figures of head, as several pages show them.

use super::format;
use herd::catalog::{HeadFigures, HeadGroup};
use herd::payload::{Grams, WeightUnit};
use serde::Serialize;

/// A mean is rounded to this many grams: more digits would be those of no scale.
const STEP_G: u64 = 100;

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
    let steps = (mean_g + STEP_G / 2) / STEP_G;
    Grams(u32::try_from(steps * STEP_G).unwrap_or(u32::MAX))
}

/// Formats a mean weight; empty if there is none.
pub(super) fn mean_in_words(mean: Option<Grams>, unit: WeightUnit) -> String {
    mean.map(|mean| format::weight(mean, unit, 1)).unwrap_or_default()
}

/// Returns the mean days from the first sighting to now, or to the last export of head that has left.
pub(super) fn days_on_feed(figures: &HeadFigures, now_us: i64) -> Option<i64> {
    let until_us = if figures.on_yard > 0 { now_us } else { figures.last_out_us? };
    format::days_on_feed(figures.mean_in_us?, until_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_US: i64 = 86_400_000_000;

    #[test]
    fn means_have_the_digits_of_a_scale() {
        assert_eq!((rounded(262_149), rounded(262_150)), (Grams(262_100), Grams(262_200)));
        assert_eq!(mean_in_words(Some(Grams(262_000)), WeightUnit::Kg), "262.0");
        assert_eq!(mean_in_words(None, WeightUnit::Lb), "");
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
