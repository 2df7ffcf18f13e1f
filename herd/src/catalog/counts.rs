//! Counts of animals by state, and of what people should look at.

use super::columns::{Cohort, Entry, Marks};
use super::filter::Matcher;
use super::{AnimalFilter, Catalog, MAP_ENTRY_BYTES};
use crate::position::Sequence;
use std::collections::{BTreeMap, btree_map};
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

/// Number of listed animals by cohort. A yard has some dozens of different marks, and a handful of funders and sexes.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<Cohort, u64>);

impl Tally {
    /// Counts animals whose cohorts follow each other. Those of neighbors are mostly the same.
    fn of(all: impl Iterator<Item = Cohort>) -> Self {
        let mut tally = Self::default();
        let mut run = None;
        for cohort in all {
            run = match run {
                Some((same, count)) if same == cohort => Some((same, count + 1)),
                before => {
                    tally.add_run(before);
                    Some((cohort, 1))
                }
            };
        }
        tally.add_run(run);
        tally
    }

    fn add_run(&mut self, run: Option<(Cohort, u64)>) {
        if let Some((cohort, count)) = run {
            *self.0.entry(cohort).or_default() += count;
        }
    }

    /// Moves an animal to its new cohort.
    pub(super) fn replace(&mut self, before: Cohort, after: Cohort) {
        if before.marks.has(Marks::LISTED)
            && let btree_map::Entry::Occupied(mut count) = self.0.entry(before)
        {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        self.add_run(Some((after, 1)).filter(|_| after.marks.has(Marks::LISTED)));
    }

    /// Yields the cohorts with their number of animals.
    pub(super) fn cohorts(&self) -> impl Iterator<Item = (Cohort, u64)> {
        self.0.iter().map(|(cohort, count)| (*cohort, *count))
    }

    /// Yields marks with their number of animals. The same marks may come several times.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Marks, u64)> {
        self.cohorts().map(|(cohort, count)| (cohort.marks, count))
    }

    /// Returns the memory of the tally, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.0.len() * MAP_ENTRY_BYTES
    }

    /// Returns the number of all animals.
    pub(super) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Counts by state, where `expected` are the marks of head that lacks a tag.
    fn counts(&self, expected: u16) -> HeadCounts {
        let mut counts = HeadCounts::default();
        for (marks, count) in self.iter() {
            let add = |to: &mut u64, is_one: bool| *to += if is_one { count } else { 0 };
            counts.all += count;
            add(&mut counts.exported, marks.has(Marks::EXPORTED));
            add(&mut counts.dead, marks.has(Marks::DEAD));
            let is_active = marks.has(Marks::ACTIVE);
            add(&mut counts.on_yard, is_active);
            add(&mut counts.tag_missing, is_active && marks.has(expected));
            add(&mut counts.no_lf, is_active && marks.has(Marks::NO_LF));
            add(&mut counts.no_epc, is_active && marks.has(Marks::NO_EPC));
            add(&mut counts.unconfirmed, is_active && marks.has(Marks::UNCONFIRMED));
            add(&mut counts.not_weighed, is_active && marks.has(Marks::NOT_WEIGHED));
            add(&mut counts.odd_weight, is_active && marks.has(Marks::ODD_WEIGHT));
            add(&mut counts.doubtful_time, is_active && marks.has(Marks::DOUBTFUL));
        }
        counts
    }
}

impl Catalog {
    /// Counts all animals by state.
    pub fn counts(&self) -> HeadCounts {
        self.tally.counts(self.expected_tags())
    }

    /// Counts the animals by state that pass a filter, whose own state is ignored.
    pub fn counts_of(&self, filter: &AnimalFilter) -> HeadCounts {
        self.tally_of(&Matcher::of_any_state(self, filter)).counts(self.expected_tags())
    }

    /// Counts the animals that pass a filter by cohort.
    pub(super) fn tally_of(&self, matcher: &Matcher<'_>) -> Tally {
        if matcher.is_by_cohort() {
            return Tally(self.tally.cohorts().filter(|(cohort, _)| matcher.has_cohort(*cohort)).collect());
        }
        let cohort = |place: usize| matcher.matches(place).then(|| self.cohort(&self.columns.entry(place)));
        match matcher.candidates() {
            Some(places) => Tally::of(places.iter().filter_map(|place| cohort(*place as usize))),
            None => Tally::of((0..self.columns.len()).filter_map(cohort)),
        }
    }

    /// Returns the cohort of an animal.
    pub(super) fn cohort(&self, entry: &Entry) -> Cohort {
        let (funder, sex) = (self.funders.group(entry.funders), self.sexes.group(entry.sexes));
        Cohort { marks: entry.marks, funder, sex }
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

    /// Yields those of a range of microseconds alone, by the barn's clock.
    pub fn corrections_of(&self, range: Range<i64>, before: Option<Sequence>) -> impl Iterator<Item = Sequence> {
        let in_range = self.corrections.iter().rev().filter(move |(_, at_us)| range.contains(at_us));
        in_range.map(|(at, _)| *at).filter(move |at| before.is_none_or(|before| *at < before))
    }
}
