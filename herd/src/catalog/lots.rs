//! Figures of lots and pens.
//!
//! # Decisions
//!
//! - **Figures are kept until an animal of the group changes.** They are then summed up anew, of the range that the group has in
//!   an order. Sums to which each change adds and from which it takes were rejected: an earliest time cannot be taken out of
//!   them.

use super::Catalog;
use super::columns::{Marks, NO_GAIN, NO_TIME, NO_WEIGHT};
use super::index::Index;
use super::labels::{Labels, NO_GROUP};
use crate::text::Text;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Figures of some head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadFigures {
    /// All head.
    pub head: u64,
    /// Head on the yard.
    pub on_yard: u64,
    /// Head that left in an export.
    pub exported: u64,
    /// Dead head.
    pub dead: u64,
    /// Head of `head` with a weight.
    pub weighed: u64,
    /// Sum of the latest weights, in grams.
    pub weight_sum_g: u64,
    /// Head of `head` with a daily gain.
    pub gaining: u64,
    /// Sum of the daily gains, in grams.
    pub gain_sum_g: i64,
    /// Head that lacks a tag of a kind that is in use on the yard.
    pub tag_missing: u64,
    /// Head with an unconfirmed tag.
    pub unconfirmed: u64,
    /// Head whose first sighting is known.
    pub inducted: u64,
    /// Earliest first sighting, in microseconds since the Unix epoch.
    pub first_in_us: Option<i64>,
    /// Latest first sighting.
    pub last_in_us: Option<i64>,
    /// Mean first sighting, from which days on feed are counted.
    pub mean_in_us: Option<i64>,
    /// Earliest export.
    pub first_out_us: Option<i64>,
    /// Latest export.
    pub last_out_us: Option<i64>,
}

impl HeadFigures {
    /// Returns the mean of the latest weights in grams, if there is one.
    #[must_use]
    pub fn mean_weight_g(&self) -> Option<u64> {
        (self.weight_sum_g + self.weighed / 2).checked_div(self.weighed)
    }

    /// Returns the mean daily gain in grams, if there is one.
    #[must_use]
    pub fn mean_gain_g(&self) -> Option<i64> {
        self.gain_sum_g.checked_div(i64::try_from(self.gaining).ok()?)
    }
}

/// Figures of a lot or a pen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LotFigures {
    /// Number of the lot, or name of the pen; `None` for the head without one.
    pub name: Option<Text>,
    /// The figures.
    pub figures: HeadFigures,
    /// For a pen, the lots in it with their head; for a lot, the pens. Most head first.
    pub others: Vec<(Option<Text>, u64)>,
}

/// Figures of the groups of a label, as far as they were asked for.
#[derive(Debug, Default)]
pub(super) struct GroupSums(Mutex<KeptSums>);

#[derive(Debug, Default)]
struct KeptSums {
    by_group: Vec<Option<Arc<LotFigures>>>,
    /// The marks of head that lacks a tag, by which it was counted.
    expected: u16,
}

impl GroupSums {
    /// Drops the figures of a group.
    pub(super) fn forget(&mut self, group: u32) {
        let kept = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(figures) = kept.by_group.get_mut(group as usize) {
            *figures = None;
        }
    }

    /// Returns the memory of the figures, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let others = |figures: &Arc<LotFigures>| {
            size_of::<LotFigures>() + figures.others.capacity() * size_of::<(Option<Text>, u64)>()
        };
        kept.by_group.capacity() * size_of::<Option<Arc<LotFigures>>>()
            + kept.by_group.iter().flatten().map(others).sum::<usize>()
    }
}

/// A label by which head is summed up.
#[derive(Clone, Copy, Debug)]
pub(super) enum GroupBy {
    Lot,
    ExportLot,
    Pen,
}

/// A label by which head is summed up, with what belongs to it.
struct Grouping<'a> {
    sums: &'a GroupSums,
    labels: &'a Labels,
    column: &'a [u32],
    index: Index,
    /// Head with one of these marks counts.
    marks: u16,
    /// Another label by which the head of a group is counted.
    others: Option<(&'a Labels, &'a [u32])>,
    /// The marks of head that lacks a tag.
    expected: u16,
}

/// Figures that are being summed up.
#[derive(Clone, Debug, Default)]
struct Sum {
    label: u32,
    figures: HeadFigures,
    inducted_sum_us: i128,
    /// Label and number of head, by group of the other label.
    others: BTreeMap<u32, (u32, u64)>,
}

/// Widens a range of times to one more.
fn widen(first: &mut Option<i64>, last: &mut Option<i64>, at_us: i64) {
    *first = Some(first.map_or(at_us, |first| first.min(at_us)));
    *last = (*last).max(Some(at_us));
}

impl Sum {
    fn finish(self, by: &Grouping<'_>) -> LotFigures {
        let mean = self.inducted_sum_us.checked_div(i128::from(self.figures.inducted));
        let text = |label| by.others.and_then(|(labels, _)| labels.text(label)).cloned();
        let mut others: Vec<_> = self.others.into_values().map(|(label, count)| (text(label), count)).collect();
        others.sort_by(|(one, one_count), (other, other_count)| other_count.cmp(one_count).then(one.cmp(other)));
        LotFigures {
            name: by.labels.text(self.label).cloned(),
            figures: HeadFigures { mean_in_us: mean.and_then(|mean| i64::try_from(mean).ok()), ..self.figures },
            others,
        }
    }
}

impl Catalog {
    /// Returns the barn lots, with all head that is in one or was in it last, in the order of numbers.
    pub fn lots(&self) -> Vec<LotFigures> {
        self.all_figures(GroupBy::Lot).into_iter().map(Arc::unwrap_or_clone).collect()
    }

    /// Returns the export lots, with the head that left in each and was not seen since.
    pub fn export_lots(&self) -> Vec<LotFigures> {
        self.all_figures(GroupBy::ExportLot).into_iter().map(Arc::unwrap_or_clone).collect()
    }

    /// Returns the pens, with the head on the yard.
    pub fn pens(&self) -> Vec<LotFigures> {
        self.all_figures(GroupBy::Pen).into_iter().map(Arc::unwrap_or_clone).collect()
    }

    /// Returns the barn lot of a number, if an animal is in one or was in it last.
    pub fn lot(&self, number: &str) -> Option<LotFigures> {
        self.figures_named(GroupBy::Lot, number)
    }

    /// Returns the export lot of a number, if an animal left in it and was not seen since.
    pub fn export_lot(&self, number: &str) -> Option<LotFigures> {
        self.figures_named(GroupBy::ExportLot, number)
    }

    /// Returns the pen of a name, if an animal on the yard is in it.
    pub fn pen(&self, name: &str) -> Option<LotFigures> {
        self.figures_named(GroupBy::Pen, name)
    }

    /// Returns the numbers of the first lots with head on the yard, in order.
    pub fn lot_names(&self, max: usize) -> Vec<Text> {
        self.names(GroupBy::Lot, max)
    }

    /// Returns the names of the first pens with head on the yard, in order.
    pub fn pen_names(&self, max: usize) -> Vec<Text> {
        self.names(GroupBy::Pen, max)
    }

    fn names(&self, by: GroupBy, max: usize) -> Vec<Text> {
        let on_yard = self.all_figures(by).into_iter().filter(|figures| figures.figures.on_yard > 0);
        on_yard.filter_map(|figures| figures.name.clone()).take(max).collect()
    }

    fn figures_named(&self, by: GroupBy, name: &str) -> Option<LotFigures> {
        let by = self.grouping(by);
        self.figures_of(&by, by.labels.group_of(name)?).map(Arc::unwrap_or_clone)
    }

    /// Returns the figures of all groups, in the order of their names. Head without one comes last.
    fn all_figures(&self, by: GroupBy) -> Vec<Arc<LotFigures>> {
        let by = self.grouping(by);
        let groups = (NO_GROUP..).take(by.labels.groups());
        let mut used: Vec<_> =
            groups.filter_map(|group| Some((by.labels.group_key(group), self.figures_of(&by, group)?))).collect();
        used.sort_by(|(one_key, one), (other_key, other)| {
            let by_key = one_key.is_none().cmp(&other_key.is_none()).then(one_key.cmp(other_key));
            by_key.then_with(|| one.name.cmp(&other.name))
        });
        used.into_iter().map(|(_, figures)| figures).collect()
    }

    /// Returns the figures of a group; `None` if it has no head.
    fn figures_of(&self, by: &Grouping<'_>, group: u32) -> Option<Arc<LotFigures>> {
        let mut kept = by.sums.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.expected != by.expected {
            *kept = KeptSums { by_group: Vec::new(), expected: by.expected };
        }
        kept.by_group.resize(by.labels.groups(), None);
        let figures = kept.by_group.get_mut(group as usize)?;
        let figures = figures.get_or_insert_with(|| Arc::new(self.sum(by, group).finish(by)));
        Some(figures.clone()).filter(|figures| figures.figures.head > 0)
    }

    /// Sums up the head of a group.
    fn sum(&self, by: &Grouping<'_>, group: u32) -> Sum {
        let mut sum = Sum::default();
        for &place in &*self.of_group(by.index, by.labels, group) {
            let place = place as usize;
            let label = by.column[place];
            if by.labels.group(label) != group || !self.columns.marks[place].has(by.marks) {
                continue;
            }
            if sum.figures.head == 0 {
                // As the first animal has it: the oldest spelling of those that are in use.
                sum.label = label;
            }
            self.add_to(&mut sum, place, by.expected);
            if let Some((labels, column)) = by.others {
                let other = column[place];
                sum.others.entry(labels.group(other)).or_insert((other, 0)).1 += 1;
            }
        }
        sum
    }

    fn add_to(&self, sum: &mut Sum, place: usize, expected: u16) {
        let columns = &self.columns;
        let marks = columns.marks[place];
        let figures = &mut sum.figures;
        figures.head += 1;
        figures.on_yard += u64::from(marks.has(Marks::ACTIVE));
        figures.exported += u64::from(marks.has(Marks::EXPORTED));
        figures.dead += u64::from(marks.has(Marks::DEAD));
        figures.tag_missing += u64::from(marks.has(expected));
        figures.unconfirmed += u64::from(marks.has(Marks::UNCONFIRMED));
        if columns.grams[place] != NO_WEIGHT {
            figures.weighed += 1;
            figures.weight_sum_g += u64::from(columns.grams[place]);
        }
        if columns.gains[place] != NO_GAIN {
            figures.gaining += 1;
            figures.gain_sum_g += i64::from(columns.gains[place]);
        }
        let (inducted, exported) = (columns.inducted[place], columns.exported[place]);
        if inducted != NO_TIME {
            figures.inducted += 1;
            sum.inducted_sum_us += i128::from(inducted);
            widen(&mut figures.first_in_us, &mut figures.last_in_us, inducted);
        }
        if marks.has(Marks::EXPORTED) && exported != NO_TIME {
            widen(&mut figures.first_out_us, &mut figures.last_out_us, exported);
        }
    }

    fn grouping(&self, by: GroupBy) -> Grouping<'_> {
        let columns = &self.columns;
        let (lots, pens) = ((&self.lots, columns.lots.as_slice()), (&self.pens, columns.pens.as_slice()));
        let export_lots = (&self.lots, columns.export_lots.as_slice());
        let (sums, (labels, column), index, marks, others) = match by {
            GroupBy::Lot => (&self.lot_sums, lots, Index::Lot, Marks::LISTED, Some(pens)),
            GroupBy::ExportLot => (&self.export_lot_sums, export_lots, Index::ExportLot, Marks::EXPORTED, None),
            GroupBy::Pen => (&self.pen_sums, pens, Index::Pen, Marks::ACTIVE, Some(lots)),
        };
        Grouping { sums, labels, column, index, marks, others, expected: self.expected_tags() }
    }
}
