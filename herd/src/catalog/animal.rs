//! An animal as the catalog knows it.

use super::Catalog;
use super::columns::{Marks, NO_GAIN, NO_TIME, NO_WEIGHT};
use crate::change::{AnimalId, AnimalStatus};
use crate::clock::WallTime;
use crate::position::Sequence;
use crate::text::Text;
use std::ops::Range;

/// An animal of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub struct CatalogAnimal {
    /// The animal.
    pub id: AnimalId,
    /// Current status.
    pub status: AnimalStatus,
    /// Text on the visual tag.
    pub visual_id: Option<Text>,
    /// Key of the LF tag that it wears.
    pub lf: Option<Text>,
    /// `true` if that key is 15 digits, as lists for other databases have it.
    pub lf_is_identity: bool,
    /// Key of the UHF tag that it wears.
    pub epc: Option<Text>,
    /// `true` if a tag was read together with its own and never confirmed.
    pub is_unconfirmed: bool,
    /// Pen.
    pub pen: Option<Text>,
    /// Number of the barn batch that it is in, or was in last.
    pub lot: Option<Text>,
    /// `true` if it is in that batch now.
    pub is_in_lot: bool,
    /// Number of the export batch in which it last left.
    pub export_lot: Option<Text>,
    /// Funder.
    pub funder: Option<Text>,
    /// Sex.
    pub sex: Option<Text>,
    /// Latest weight in grams.
    pub weight_g: Option<u32>,
    /// Daily gain in grams: the slope of the least squares line through all its weights, which for two weights is that from
    /// the first to the last. `None` unless two are at least a day apart.
    pub gain_g_per_day: Option<i32>,
    /// `true` if the clock followed no time source at one of those weighings.
    pub is_gain_doubtful: bool,
    /// `true` if two weights that follow one another differ more than an animal can gain or lose.
    pub has_odd_weight: bool,
    /// First sighting. `None` for one that was only seen in an export.
    pub inducted: Option<WallTime>,
    /// Last export, also of an animal that was seen again.
    pub exported: Option<WallTime>,
    /// Last event.
    pub last_seen: Option<WallTime>,
    /// `true` if it was seen again after an export.
    pub is_returned: bool,
}

/// A weight of an animal that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weighing {
    /// Change that recorded it.
    pub by: Sequence,
    /// Time of the weighing.
    pub at: WallTime,
    /// Weight in grams.
    pub weight_g: u32,
}

impl Catalog {
    /// Returns an animal, or `None` if there is none with this id, if it was merged into another, or voided.
    pub fn animal(&self, id: AnimalId) -> Option<CatalogAnimal> {
        Some(self.animal_at(self.listed(id.0)?))
    }

    /// Returns the animal in a place.
    pub(super) fn animal_at(&self, place: usize) -> CatalogAnimal {
        let columns = &self.columns;
        let marks = columns.marks[place];
        let time =
            |at_us: i64, doubtful| (at_us != NO_TIME).then_some(WallTime { at_us, synchronized: !marks.has(doubtful) });
        CatalogAnimal {
            id: AnimalId(columns.ids[place]),
            status: marks.status(),
            visual_id: columns.visual[place].text(&self.long_texts),
            lf: columns.lf[place].text(&self.long_texts),
            epc: columns.epc[place].text(&self.long_texts),
            lf_is_identity: columns.lf[place].is_identity(),
            is_unconfirmed: marks.has(Marks::UNCONFIRMED),
            pen: self.pens.text(columns.pens[place]).cloned(),
            lot: self.lots.text(columns.lots[place]).cloned(),
            is_in_lot: marks.has(Marks::IN_LOT),
            export_lot: self.lots.text(columns.export_lots[place]).cloned(),
            funder: self.funders.text(columns.funders[place]).cloned(),
            sex: self.sexes.text(columns.sexes[place]).cloned(),
            weight_g: Some(columns.grams[place]).filter(|grams| *grams != NO_WEIGHT),
            gain_g_per_day: Some(columns.gains[place]).filter(|gain| *gain != NO_GAIN),
            is_gain_doubtful: marks.has(Marks::GAIN_DOUBTFUL),
            has_odd_weight: marks.has(Marks::ODD_WEIGHT),
            inducted: time(columns.inducted[place], Marks::INDUCTED_DOUBTFUL),
            exported: time(columns.exported[place], Marks::EXPORTED_DOUBTFUL),
            last_seen: time(columns.seen[place], Marks::SEEN_DOUBTFUL),
            is_returned: marks.has(Marks::RETURNED),
        }
    }

    /// Returns the weights of an animal that count, oldest first by the time of weighing.
    pub fn weighings(&self, id: AnimalId) -> Vec<Weighing> {
        let Some(place) = self.listed(id.0) else { return Vec::new() };
        let mut weighings: Vec<_> = self.weighings_at(place).collect();
        weighings.sort_by_key(|weighing| (weighing.at.at_us, weighing.by));
        weighings
    }

    /// Returns the animals that were weighed in a range of time, in the order of places, each with its last weight there.
    pub(super) fn weights_in(&self, range: &Range<i64>) -> Vec<(u32, u32)> {
        let of_facts = self.facts.within(range).filter(|fact| fact.stands()).filter_map(|fact| {
            let place = self.remaining(fact.place())?;
            let has_list = self.listed_weighings.contains_key(&self.columns.ids[place]);
            let weight_g = fact.weight_g().filter(|_| !has_list)?;
            Some((place, Weighing { by: fact.by(), at: fact.at(), weight_g }))
        });
        let listed = self.listed_weighings.iter().filter_map(|(id, listed)| Some((self.listed(*id)?, listed)));
        let listed = listed.flat_map(|(place, listed)| listed.iter().map(move |weighing| (place, *weighing)));
        let listed = listed.filter(|(_, weighing)| range.contains(&weighing.at.at_us));
        let by_time = |(place, weighing): (usize, Weighing)| {
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            (place, weighing.at.at_us, weighing.by, weighing.weight_g)
        };
        let mut weights: Vec<_> = of_facts.chain(listed).map(by_time).collect();
        // The last one of each animal comes first.
        weights.sort_unstable_by(|one, other| one.0.cmp(&other.0).then(other.cmp(one)));
        weights.dedup_by_key(|(place, ..)| *place);
        weights.into_iter().map(|(place, .., weight_g)| (place, weight_g)).collect()
    }

    /// Returns the place of a listed animal.
    pub(super) fn listed(&self, id: u64) -> Option<usize> {
        self.columns.find(id).filter(|place| self.columns.is_listed(*place))
    }

    /// Returns the place of what the animal in a place has become.
    fn remaining(&self, place: usize) -> Option<usize> {
        if self.columns.is_listed(place) {
            return Some(place);
        }
        self.listed(self.merges.successor(self.columns.ids[place]))
    }

    fn weighings_at(&self, place: usize) -> impl Iterator<Item = Weighing> {
        let listed = self.listed_weighings.get(&self.columns.ids[place]);
        let is_merged = self.columns.marks[place].has(Marks::MERGED);
        let others = if is_merged { self.merges.family(self.columns.ids[place]) } else { Vec::new() };
        let others = others.into_iter().skip(1).filter_map(|id| self.columns.find(id));
        let facts = std::iter::once(place).chain(others).flat_map(|place| self.facts.from(self.columns.facts[place]));
        let by_facts = facts
            .filter(|(_, fact)| fact.stands())
            .filter_map(|(_, fact)| Some(Weighing { by: fact.by(), at: fact.at(), weight_g: fact.weight_g()? }));
        listed.into_iter().flatten().copied().chain(by_facts.filter(move |_| listed.is_none()))
    }
}
