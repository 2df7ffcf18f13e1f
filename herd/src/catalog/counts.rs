//! Counts of animals by state, and of what people should look at.

use super::columns::{Marks, NO_WEIGHT};
use super::filter::Matcher;
use super::{AnimalFilter, Catalog};
use crate::position::Sequence;
use std::ops::Range;

/// Number of animals by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadCounts {
    /// All animals that are neither merged into others nor voided.
    pub all: u64,
    /// On the yard.
    pub on_yard: u64,
    /// On the yard, without a tag of a kind that at least one in ten head on the yard wears.
    pub tag_missing: u64,
    /// On the yard, without an LF tag.
    pub no_lf: u64,
    /// On the yard, without a UHF tag.
    pub no_epc: u64,
    /// On the yard, with an unconfirmed tag.
    pub unconfirmed: u64,
    /// On the yard, without a weight.
    pub not_weighed: u64,
    /// On the yard, with a weight that differs much from the one before.
    pub odd_weight: u64,
    /// On the yard, with a time whose clock followed no time source.
    pub doubtful_time: u64,
    /// Left in an export.
    pub exported: u64,
    /// Dead.
    pub dead: u64,
}

/// Counts of what people should look at. Missed events and proposals are in the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToLookAt {
    /// Head by state, now.
    pub head: HeadCounts,
    /// Payloads of the range that are still rejected.
    pub rejected: u64,
    /// Events of the range with an implausible weight.
    pub refused_weights: u64,
    /// Payloads of the range that arrived while the barn's clock followed no time source.
    pub doubtful: u64,
    /// Payloads of the range with a weak signal.
    pub weak: u64,
    /// Corrections in the range.
    pub corrections: u64,
}

impl Catalog {
    /// Counts all animals by state.
    pub fn counts(&self) -> HeadCounts {
        self.counts_of(&AnimalFilter::default())
    }

    /// Counts the animals by state that pass a filter, whose own state is ignored.
    pub fn counts_of(&self, filter: &AnimalFilter) -> HeadCounts {
        let (columns, matcher, expected) = (&self.columns, Matcher::new(self, filter), self.expected_tags());
        let mut counts = HeadCounts::default();
        for place in (0..columns.len()).filter(|place| matcher.matches_but_show(*place)) {
            let marks = columns.marks[place];
            counts.all += 1;
            counts.exported += u64::from(marks.has(Marks::EXPORTED));
            counts.dead += u64::from(marks.has(Marks::DEAD));
            if !marks.has(Marks::ACTIVE) {
                continue;
            }
            counts.on_yard += 1;
            counts.tag_missing += u64::from(self.lacks_tag(place, expected));
            counts.no_lf += u64::from(!columns.lf[place].is_present());
            counts.no_epc += u64::from(!columns.epc[place].is_present());
            counts.unconfirmed += u64::from(marks.has(Marks::UNCONFIRMED));
            counts.not_weighed += u64::from(columns.grams[place] == NO_WEIGHT);
            counts.odd_weight += u64::from(marks.has(Marks::ODD_WEIGHT));
            counts.doubtful_time += u64::from(marks.has(Marks::DOUBTFUL));
        }
        counts
    }

    /// Counts what people should look at: of the yard as it is now, and of what happened in a range of microseconds.
    pub fn to_look_at(&self, range: &Range<i64>) -> ToLookAt {
        let reads = self.read_total(range);
        ToLookAt {
            head: self.counts(),
            rejected: reads.rejected.into(),
            refused_weights: reads.refused_weights.into(),
            doubtful: reads.doubtful.into(),
            weak: reads.weak.into(),
            corrections: self.corrections_in(range),
        }
    }

    /// Counts the corrections in a range of microseconds, by the barn's clock.
    pub fn corrections_in(&self, range: &Range<i64>) -> u64 {
        self.corrections.iter().filter(|(_, at_us)| range.contains(at_us)).count() as u64
    }

    /// Yields the changes of the corrections before a change, latest first; all without one.
    pub fn corrections(&self, before: Option<Sequence>) -> impl Iterator<Item = Sequence> {
        let all = self.corrections.len();
        let end = before.map_or(all, |before| self.corrections.partition_point(|(at, _)| *at < before));
        self.corrections.iter().take(end).rev().map(|(at, _)| *at)
    }
}
