//! Animals in the order of a key: the one structure behind lists, searches, days, lots and pens.
//!
//! An [`Order`] has the places of all listed animals, sorted. What a question wants is then a range of it: a page of a list, the
//! head of a lot, those that came in on a day, the tags with some last digits.
//!
//! # Decisions
//!
//! - **An order is mended when it is needed.** A change only notes the places whose key it altered. The next question takes
//!   them out and merges them in again, which is one pass over four bytes an animal. Most changes alter the key of two or three
//!   orders. If an eighth of all keys has changed, the order is sorted anew.
//! - **Keys are not kept.** They are made of the columns, 16 bytes each, when places are compared. That is seldom after the
//!   first sorting.
//! - **Trees were rejected.** They would take ten times the memory, and are slower to walk.

use super::Catalog;
use super::columns::{Entry, Marks, NO_GAIN, NO_TIME, NO_WEIGHT};
use super::labels::Labels;
use super::packed_text::{PackedText, TAIL_SIGNS};
use std::ops::{Deref, Range, RangeInclusive};
use std::sync::{Arc, Mutex, PoisonError};

/// A tag that is not 15 digits comes after those that are.
const NO_IDENTITY: u128 = 1 << 119;
/// Divisor of the places: from this fraction of changed ones on, sorting anew is as fast as merging.
const RESORTED_DIVISOR: usize = 8;
/// Number of changed places that are merged in any case.
const MIN_MERGED: usize = 8;

/// A key that orders animals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Index {
    Visual,
    Eid,
    Lot,
    ExportLot,
    Pen,
    Funder,
    Sex,
    Weight,
    Gain,
    Inducted,
    Exported,
    Seen,
    /// The last signs of the LF tag, backwards.
    LfTail,
    /// The last signs of the UHF tag, backwards.
    EpcTail,
}

impl Index {
    const ALL: [Self; 14] = [
        Self::Visual,
        Self::Eid,
        Self::Lot,
        Self::ExportLot,
        Self::Pen,
        Self::Funder,
        Self::Sex,
        Self::Weight,
        Self::Gain,
        Self::Inducted,
        Self::Exported,
        Self::Seen,
        Self::LfTail,
        Self::EpcTail,
    ];

    /// Returns whether two entries may have different keys.
    fn differs(self, one: &Entry, other: &Entry) -> bool {
        let is_other = match self {
            Self::Visual => one.visual != other.visual,
            Self::Eid | Self::LfTail => one.lf != other.lf,
            Self::EpcTail => one.epc != other.epc,
            Self::Lot => one.lots != other.lots,
            Self::ExportLot => one.export_lots != other.export_lots,
            Self::Pen => one.pens != other.pens,
            Self::Funder => one.funders != other.funders,
            Self::Sex => one.sexes != other.sexes,
            Self::Weight => one.grams != other.grams,
            Self::Gain => one.gains != other.gains,
            Self::Inducted => one.inducted != other.inducted,
            Self::Exported => one.exported != other.exported,
            Self::Seen => one.seen != other.seen,
        };
        is_other || one.marks.has(Marks::LISTED) != other.marks.has(Marks::LISTED)
    }
}

/// The places of all listed animals in the order of a key, those without a key last. Equal keys are in the order of places.
#[derive(Debug, Default)]
pub(super) struct Order {
    pub(super) places: Vec<u32>,
    /// Number of places with a key.
    pub(super) keyed: usize,
}

/// Places that follow each other in an order.
#[derive(Debug)]
pub(super) struct Run {
    order: Arc<Order>,
    range: Range<usize>,
}

impl Deref for Run {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.order.places[self.range.clone()]
    }
}

/// An order, and what has changed since it was right.
#[derive(Debug, Default)]
struct KeptOrder {
    /// `None` until it is needed.
    order: Option<Arc<Order>>,
    changed: Vec<u32>,
}

/// The orders of all indexes.
#[derive(Debug, Default)]
pub(super) struct Orders([Mutex<KeptOrder>; Index::ALL.len()]);

impl Orders {
    /// Notes the keys that a new entry alters.
    pub(super) fn note(&mut self, place: usize, before: &Entry, after: &Entry) {
        for (index, kept) in Index::ALL.into_iter().zip(&mut self.0) {
            let kept = kept.get_mut().unwrap_or_else(PoisonError::into_inner);
            let Some(order) = &kept.order else { continue };
            if !index.differs(before, after) {
                continue;
            }
            kept.changed.push(u32::try_from(place).unwrap_or(u32::MAX));
            if kept.changed.len() > order.places.len() / RESORTED_DIVISOR + MIN_MERGED {
                *kept = KeptOrder::default();
            }
        }
    }

    /// Drops all orders, which are made again when they are needed.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns the memory of the orders, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let bytes = |kept: &Mutex<KeptOrder>| {
            let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            let places = kept.order.as_ref().map_or(0, |order| order.places.capacity());
            (places + kept.changed.capacity()) * size_of::<u32>()
        };
        self.0.iter().map(bytes).sum()
    }
}

/// Moves signed numbers up, so that they are in the order of their bits.
pub(super) fn unsigned(number: i64) -> u128 {
    u128::from(number.wrapping_sub(i64::MIN).cast_unsigned())
}

impl Catalog {
    /// Returns the key of an animal; `None` if it has no value.
    pub(super) fn key(&self, place: usize, index: Index) -> Option<u128> {
        let columns = &self.columns;
        let time = |at_us: i64| Some(at_us).filter(|at_us| *at_us != NO_TIME).map(unsigned);
        let tail = |tag: PackedText| tag.tail_key(&self.long_texts);
        match index {
            Index::Visual => columns.visual[place].sort_key(&self.long_texts),
            Index::Eid => match columns.lf[place].number() {
                Some(number) => Some(number.into()),
                None => columns.lf[place].sort_key(&self.long_texts).map(|key| NO_IDENTITY | key >> 1),
            },
            Index::Lot => self.lots.key(columns.lots[place]),
            Index::ExportLot => self.lots.key(columns.export_lots[place]),
            Index::Pen => self.pens.key(columns.pens[place]),
            Index::Funder => self.funders.key(columns.funders[place]),
            Index::Sex => self.sexes.key(columns.sexes[place]),
            Index::Weight => Some(columns.grams[place]).filter(|grams| *grams != NO_WEIGHT).map(u128::from),
            Index::Gain => Some(columns.gains[place]).filter(|gain| *gain != NO_GAIN).map(|gain| unsigned(gain.into())),
            Index::Inducted => time(columns.inducted[place]),
            Index::Exported => time(columns.exported[place]),
            Index::Seen => time(columns.seen[place]),
            Index::LfTail => tail(columns.lf[place]),
            Index::EpcTail => tail(columns.epc[place]),
        }
    }

    /// Returns the order of an index, with all changes merged in.
    pub(super) fn order(&self, index: Index) -> Arc<Order> {
        let mut kept = self.orders.0[index as usize].lock().unwrap_or_else(PoisonError::into_inner);
        let order = match (kept.order.take(), kept.changed.is_empty()) {
            (Some(order), true) => order,
            (Some(order), false) => Arc::new(self.merged(index, &order, &kept.changed)),
            (None, _) => Arc::new(self.order_of(index, self.sorted(index, self.listed_places()))),
        };
        kept.changed.clear();
        kept.order.insert(order).clone()
    }

    /// Makes the orders of all indexes, so that no page waits for them.
    pub(super) fn order_all(&self) {
        for index in Index::ALL {
            drop(self.order(index));
        }
    }

    fn listed_places(&self) -> Vec<u32> {
        let listed = (0..self.columns.len()).filter(|place| self.columns.is_listed(*place));
        listed.filter_map(|place| u32::try_from(place).ok()).collect()
    }

    /// Sorts places.
    pub(super) fn sorted(&self, index: Index, places: Vec<u32>) -> Vec<u32> {
        self.with_keys(index, places).into_iter().map(|(_, place)| place).collect()
    }

    /// Takes the changed places out of an order, and merges those that are listed in again.
    fn merged(&self, index: Index, order: &Order, changed: &[u32]) -> Order {
        let mut is_changed = vec![false; self.columns.len()];
        for place in changed {
            is_changed[*place as usize] = true;
        }
        let kept: Vec<_> = order.places.iter().copied().filter(|place| !is_changed[*place as usize]).collect();
        let mut changed: Vec<_> =
            changed.iter().copied().filter(|place| self.columns.is_listed(*place as usize)).collect();
        changed.sort_unstable();
        changed.dedup();
        let (mut merged, mut rest) = (Vec::with_capacity(kept.len() + changed.len()), kept.as_slice());
        for (key, place) in self.with_keys(index, changed) {
            let end = rest.partition_point(|other| self.full_key(index, *other) < (key, place));
            let (before, after) = rest.split_at(end);
            merged.extend_from_slice(before);
            merged.push(place);
            rest = after;
        }
        merged.extend_from_slice(rest);
        self.order_of(index, merged)
    }

    /// Makes an order of places that are sorted.
    pub(super) fn order_of(&self, index: Index, places: Vec<u32>) -> Order {
        let keyed = places.partition_point(|place| self.key(*place as usize, index).is_some());
        Order { places, keyed }
    }

    /// Sorts places by their keys, which it makes only once.
    fn with_keys(&self, index: Index, places: Vec<u32>) -> Vec<(u128, u32)> {
        let mut keyed: Vec<_> = places.into_iter().map(|place| self.full_key(index, place)).collect();
        keyed.sort_unstable();
        keyed
    }

    fn full_key(&self, index: Index, place: u32) -> (u128, u32) {
        (self.key(place as usize, index).unwrap_or(u128::MAX), place)
    }

    /// Returns the places whose key is in a range.
    pub(super) fn keyed(&self, index: Index, keys: RangeInclusive<u128>) -> Run {
        let order = self.order(index);
        let keyed = &order.places[..order.keyed];
        let key = |place: &u32| self.key(*place as usize, index).unwrap_or(u128::MAX);
        let start = keyed.partition_point(|place| key(place) < *keys.start());
        let len = keyed[start..].partition_point(|place| key(place) <= *keys.end());
        Run { order, range: start..start + len }
    }

    /// Returns the places whose label is of a group, and of others with the same key.
    pub(super) fn of_group(&self, index: Index, labels: &Labels, group: u32) -> Run {
        if let Some(key) = labels.group_key(group) {
            return self.keyed(index, key..=key);
        }
        let order = self.order(index);
        Run { range: order.keyed..order.places.len(), order }
    }

    /// Returns the places whose time is in a range of microseconds.
    pub(super) fn timed(&self, index: Index, range: &Range<i64>) -> Run {
        if range.is_empty() {
            return Run { order: self.order(index), range: 0..0 };
        }
        self.keyed(index, unsigned(range.start)..=unsigned(range.end - 1))
    }

    /// Returns the places whose tag of an index of tails ends with these signs, and some that end alike.
    pub(super) fn tailed(&self, index: Index, signs: &str) -> Run {
        let (key, known) = super::packed_text::tail_key(signs);
        self.keyed(index, key..=key | ((1 << (8 * (TAIL_SIGNS - known))) - 1))
    }
}
