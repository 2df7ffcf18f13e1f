//! Figures of a day, or of any other range of time.

use super::Catalog;
use super::columns::Marks;
use super::index::Index;
use super::labels::natural_key;
use crate::text::Text;
use std::collections::BTreeMap;
use std::ops::Range;

/// Head of one lot, pen, funder and sex.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadGroup {
    /// Number of the lot; for head that left, that of the export.
    pub lot: Option<Text>,
    /// Pen.
    pub pen: Option<Text>,
    /// Funder.
    pub funder: Option<Text>,
    /// Sex.
    pub sex: Option<Text>,
    /// Number of head.
    pub head: u64,
    /// Head that was weighed in the range.
    pub weighed: u64,
    /// Sum of the last weight of each in the range, in grams.
    pub weight_sum_g: u64,
    /// Head that lacks a tag of a kind that is in use on the yard.
    pub tag_missing: u64,
}

impl HeadGroup {
    /// Returns the mean of the weights in grams, if there is one.
    #[must_use]
    pub fn mean_weight_g(&self) -> Option<u64> {
        (self.weight_sum_g + self.weighed / 2).checked_div(self.weighed)
    }
}

/// Figures of a range of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayFigures {
    /// Head whose first sighting was in the range.
    pub head_in: u64,
    /// Head that left in the range and was not seen since.
    pub head_out: u64,
    /// Head that was weighed in the range.
    pub weighed: u64,
    /// Head of `head_in` that lacks a tag of a kind that is in use on the yard.
    pub tag_missing: u64,
    /// Head of `head_in`, by lot, pen, funder and sex.
    pub groups_in: Vec<HeadGroup>,
    /// Head of `head_out`, by export lot, pen, funder and sex.
    pub groups_out: Vec<HeadGroup>,
}

/// Groups by the groups of their labels.
type Groups = BTreeMap<[u32; 4], HeadGroup>;

impl Catalog {
    /// Returns the figures of a range of microseconds.
    pub fn day(&self, range: &Range<i64>) -> DayFigures {
        let (columns, expected) = (&self.columns, self.expected_tags());
        let weights = self.weights_in(range);
        let weight_g =
            |place: u32| weights.binary_search_by_key(&place, |(place, _)| *place).ok().map(|found| weights[found].1);
        let mut figures = DayFigures { weighed: weights.len() as u64, ..DayFigures::default() };
        let (mut groups_in, mut groups_out) = (Groups::new(), Groups::new());
        for &came in &*self.timed(Index::Inducted, range) {
            let place = came as usize;
            let lacks_tag = columns.marks[place].has(expected);
            figures.head_in += 1;
            figures.tag_missing += u64::from(lacks_tag);
            self.group(&mut groups_in, place, columns.lots[place]).add(weight_g(came), lacks_tag);
        }
        for &left in &*self.timed(Index::Exported, range) {
            let place = left as usize;
            if columns.marks[place].has(Marks::EXPORTED) {
                let lacks_tag = columns.marks[place].has(expected);
                figures.head_out += 1;
                self.group(&mut groups_out, place, columns.export_lots[place]).add(weight_g(left), lacks_tag);
            }
        }
        figures.groups_in = in_order(groups_in);
        figures.groups_out = in_order(groups_out);
        figures
    }

    /// Returns the group of an animal whose lot is `lot`.
    fn group<'a>(&self, groups: &'a mut Groups, place: usize, lot: u32) -> &'a mut HeadGroup {
        let (pen, funder, sex) = (self.columns.pens[place], self.columns.funders[place], self.columns.sexes[place]);
        let key = [self.lots.group(lot), self.pens.group(pen), self.funders.group(funder), self.sexes.group(sex)];
        groups.entry(key).or_insert_with(|| HeadGroup {
            lot: self.lots.text(lot).cloned(),
            pen: self.pens.text(pen).cloned(),
            funder: self.funders.text(funder).cloned(),
            sex: self.sexes.text(sex).cloned(),
            ..HeadGroup::default()
        })
    }
}

/// Sorts groups by their texts.
fn in_order(groups: Groups) -> Vec<HeadGroup> {
    let mut groups: Vec<_> = groups.into_values().collect();
    let key = |text: &Option<Text>| (text.is_none(), text.as_deref().map(natural_key), text.clone());
    groups.sort_by_cached_key(|group| (key(&group.lot), key(&group.pen), key(&group.funder), key(&group.sex)));
    groups
}

impl HeadGroup {
    fn add(&mut self, weight_g: Option<u32>, lacks_tag: bool) {
        self.head += 1;
        self.weighed += u64::from(weight_g.is_some());
        self.weight_sum_g += u64::from(weight_g.unwrap_or_default());
        self.tag_missing += u64::from(lacks_tag);
    }
}
