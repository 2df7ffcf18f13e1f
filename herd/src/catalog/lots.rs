//! Figures of lots and pens.

use super::Catalog;
use super::columns::{Marks, NO_GAIN, NO_TIME, NO_WEIGHT};
use super::filter::ExpectedTags;
use super::labels::{Labels, NO_GROUP};
use crate::text::Text;
use std::collections::BTreeMap;

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

/// Figures that are being summed up.
#[derive(Clone, Debug, Default)]
struct Sum {
    label: u32,
    figures: HeadFigures,
    inducted_sum_us: i128,
}

impl Sum {
    fn figures(&self) -> HeadFigures {
        let mean = self.inducted_sum_us.checked_div(i128::from(self.figures.inducted));
        HeadFigures { mean_in_us: mean.and_then(|mean| i64::try_from(mean).ok()), ..self.figures }
    }
}

/// Widens a range of times to one more.
fn widen(first: &mut Option<i64>, last: &mut Option<i64>, at_us: i64) {
    *first = Some(first.map_or(at_us, |first| first.min(at_us)));
    *last = (*last).max(Some(at_us));
}

impl Catalog {
    /// Returns the barn lots, with all head that is in one or was in it last, in the order of numbers.
    pub fn lots(&self) -> Vec<LotFigures> {
        self.grouped(&self.lots, &self.columns.lots, Marks::LISTED, Some((&self.pens, &self.columns.pens)))
    }

    /// Returns the export lots, with the head that left in each and was not seen since.
    pub fn export_lots(&self) -> Vec<LotFigures> {
        self.grouped(&self.lots, &self.columns.export_lots, Marks::EXPORTED, None)
    }

    /// Returns the pens, with the head on the yard.
    pub fn pens(&self) -> Vec<LotFigures> {
        self.grouped(&self.pens, &self.columns.pens, Marks::ACTIVE, Some((&self.lots, &self.columns.lots)))
    }

    /// Sums up the animals with one of these marks by a label, and counts them by another.
    fn grouped(
        &self,
        labels: &Labels,
        column: &[u32],
        marks: u16,
        others: Option<(&Labels, &[u32])>,
    ) -> Vec<LotFigures> {
        let expected = self.expected_tags();
        let mut sums = vec![Sum::default(); labels.groups()];
        let mut counts: BTreeMap<(u32, u32), (u32, u64)> = BTreeMap::new();
        for place in (0..self.columns.len()).filter(|place| self.columns.marks[*place].has(marks)) {
            let label = column[place];
            let group = labels.group(label);
            let Some(sum) = sums.get_mut(group as usize) else { continue };
            self.add_to(sum, label, place, expected);
            if let Some((labels, column)) = others {
                counts.entry((group, labels.group(column[place]))).or_insert((column[place], 0)).1 += 1;
            }
        }
        let text_of_other = |label| others.and_then(|(labels, _)| labels.text(label)).cloned();
        let others_of = |group: u32| {
            let counted =
                counts.range((group, 0)..=(group, u32::MAX)).map(|(_, (label, count))| (text_of_other(*label), *count));
            let mut others: Vec<_> = counted.collect();
            others.sort_by(|(one, one_count), (other, other_count)| other_count.cmp(one_count).then(one.cmp(other)));
            others
        };
        let used = sums.iter().zip(NO_GROUP..).filter(|(sum, _)| sum.figures.head > 0);
        let mut used: Vec<_> = used.collect();
        // Head without a label comes last.
        used.sort_by_key(|(sum, _)| {
            let key = labels.key(sum.label);
            (key.is_none(), key, labels.text(sum.label))
        });
        let figures = |(sum, group): (&Sum, u32)| LotFigures {
            name: labels.text(sum.label).cloned(),
            figures: sum.figures(),
            others: others_of(group),
        };
        used.into_iter().map(figures).collect()
    }

    fn add_to(&self, sum: &mut Sum, label: u32, place: usize, expected: ExpectedTags) {
        let columns = &self.columns;
        let marks = columns.marks[place];
        let figures = &mut sum.figures;
        if figures.head == 0 {
            // As the first animal has it: the oldest spelling of those that are in use.
            sum.label = label;
        }
        figures.head += 1;
        figures.on_yard += u64::from(marks.has(Marks::ACTIVE));
        figures.exported += u64::from(marks.has(Marks::EXPORTED));
        figures.dead += u64::from(marks.has(Marks::DEAD));
        figures.tag_missing += u64::from(self.lacks_tag(place, expected));
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
}
