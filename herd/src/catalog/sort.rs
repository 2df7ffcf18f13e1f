//! Orders of lists of animals, and places in them.
//!
//! A key of 128 bits stands for the value of a column, so that comparing two animals is comparing two numbers. Texts are
//! compared by their first 15 signs, with the numbers in them as numbers: `H9` comes before `H10`. Animals without a value
//! come last in both directions. Equal ones are in the order of their ids, and in the opposite one from the highest value
//! down.

use super::Catalog;
use super::index::{Index, Order};
use super::labels::KEY_BYTES;
use crate::change::AnimalId;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

/// All bits of a value.
const VALUE: u128 = (1 << (8 * KEY_BYTES)) - 1;
/// The key of an animal without a value.
const NO_VALUE: u128 = 1 << 127;

/// The column that animals are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortColumn {
    /// Id, which is the order in which they were first seen.
    #[default]
    Id,
    /// Visual tag.
    Visual,
    /// LF tag.
    Eid,
    /// Lot.
    Lot,
    /// Pen.
    Pen,
    /// Latest weight.
    Weight,
    /// Daily gain.
    Gain,
    /// Last event.
    LastSeen,
}

impl SortColumn {
    const ALL: [Self; 8] =
        [Self::Id, Self::Visual, Self::Eid, Self::Lot, Self::Pen, Self::Weight, Self::Gain, Self::LastSeen];

    /// Returns the name in URLs. Stable.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Visual => "visual",
            Self::Eid => "eid",
            Self::Lot => "lot",
            Self::Pen => "pen",
            Self::Weight => "weight",
            Self::Gain => "gain",
            Self::LastSeen => "last_seen",
        }
    }

    /// Returns the column of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.as_str() == name)
    }

    /// Returns the index of the column; `None` for ids, in whose order the places are.
    fn index(self) -> Option<Index> {
        Some(match self {
            Self::Id => return None,
            Self::Visual => Index::Visual,
            Self::Eid => Index::Eid,
            Self::Lot => Index::Lot,
            Self::Pen => Index::Pen,
            Self::Weight => Index::Weight,
            Self::Gain => Index::Gain,
            Self::LastSeen => Index::Seen,
        })
    }
}

/// An order of animals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    /// The column.
    pub column: SortColumn,
    /// From the highest value down.
    pub descending: bool,
}

/// The place of an animal in the order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SortKey {
    value: u128,
    /// The id, or its complement if the list descends.
    tie: u64,
}

impl SortKey {
    fn new(value: u128, id: u64, sort: Sort) -> Self {
        Self { value, tie: if sort.descending { !id } else { id } }
    }
}

/// Animals in the order of a list: some that were sorted for it, or all.
pub(super) struct Listing {
    /// `None` for all places in their own order.
    order: Option<Arc<Order>>,
    len: usize,
    /// Number of animals with a value.
    keyed: usize,
    sort: Sort,
}

impl Listing {
    /// Returns the number of animals.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns the place of the animal at an index of the list.
    pub(super) fn place(&self, at: usize) -> usize {
        let at = match (self.sort.descending, at < self.keyed) {
            (false, _) => at,
            (true, true) => self.keyed - 1 - at,
            (true, false) => self.len - 1 - (at - self.keyed),
        };
        self.order.as_ref().map_or(at, |order| order.places[at] as usize)
    }

    /// Returns the number of animals that come first, as long as a condition holds.
    fn count_while(&self, holds: impl Fn(usize) -> bool) -> usize {
        let mut range = 0..self.len;
        while !range.is_empty() {
            let middle = range.start + range.len() / 2;
            range = if holds(self.place(middle)) { middle + 1..range.end } else { range.start..middle };
        }
        range.start
    }

    /// Returns the range before a cursor, and that after it.
    pub(super) fn around(&self, catalog: &Catalog, cursor: Cursor) -> (Range<usize>, Range<usize>) {
        let (sort, bound) = (self.sort, catalog.cursor_key(cursor, self.sort));
        let before = self.count_while(|place| catalog.sort_key(place, sort) < bound);
        let through = self.count_while(|place| catalog.sort_key(place, sort) <= bound);
        (0..before, through..self.len)
    }
}

/// A place in a list of animals: `118`, or `118.48303036` with the value by which the animal was sorted there.
///
/// With the value, the place stays the same when the animal changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    id: u64,
    value: Option<u128>,
}

/// A text that is no place in a list of animals.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no place in a list of animals: take it from the page before")]
pub struct CursorError(String);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value {
            Some(value) => write!(f, "{}.{value:x}", self.id),
            None => write!(f, "{}", self.id),
        }
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let error = || CursorError(text.chars().take(64).collect());
        let (id, value) = text.split_once('.').map_or((text, None), |(id, value)| (id, Some(value)));
        let value = value.map(|value| u128::from_str_radix(value, 16)).transpose().map_err(|_| error())?;
        Ok(Self { id: id.parse().map_err(|_| error())?, value })
    }
}

impl Cursor {
    /// Makes the cursor of an animal in a list by id.
    #[must_use]
    pub fn of_animal(animal: AnimalId) -> Self {
        Self { id: animal.0, value: None }
    }

    /// Returns the number of a cursor in a list by id.
    #[must_use]
    pub fn number(self) -> Option<u64> {
        self.value.is_none().then_some(self.id)
    }
}

impl Catalog {
    /// Returns all animals in an order.
    pub(super) fn all_in_order(&self, sort: Sort) -> Listing {
        let order = sort.column.index().map(|index| self.order(index));
        let (len, keyed) = match &order {
            Some(order) => (order.places.len(), order.keyed),
            None => (self.columns.len(), self.columns.len()),
        };
        Listing { order, len, keyed, sort }
    }

    /// Sorts some animals.
    pub(super) fn in_order(&self, places: Vec<u32>, sort: Sort) -> Listing {
        let order = if let Some(index) = sort.column.index() {
            self.order_of(index, self.sorted(index, places))
        } else {
            let mut places = places;
            places.sort_unstable();
            Order { keyed: places.len(), places }
        };
        Listing { len: order.places.len(), keyed: order.keyed, order: Some(Arc::new(order)), sort }
    }

    /// Returns the place of an animal in a list.
    fn sort_key(&self, place: usize, sort: Sort) -> SortKey {
        let id = self.columns.ids[place];
        let value = match sort.column.index() {
            Some(index) => self.key(place, index),
            None => Some(id.into()),
        };
        let value = match value {
            None => NO_VALUE,
            Some(value) if sort.descending => VALUE - value,
            Some(value) => value,
        };
        SortKey::new(value, id, sort)
    }

    /// Returns the cursor of the animal in a place.
    pub(super) fn cursor(&self, place: usize, sort: Sort) -> Cursor {
        let value = (sort != Sort::default()).then(|| self.sort_key(place, sort).value);
        Cursor { id: self.columns.ids[place], value }
    }

    /// Returns the place that a cursor names. An animal that is gone, named without its value, stands at the start.
    fn cursor_key(&self, cursor: Cursor, sort: Sort) -> SortKey {
        let value = match (cursor.value, self.columns.find(cursor.id)) {
            (Some(value), _) => value,
            (None, Some(place)) => return self.sort_key(place, sort),
            (None, None) if sort.column == SortColumn::Id => {
                let value = u128::from(cursor.id);
                if sort.descending { VALUE - value } else { value }
            }
            (None, None) => 0,
        };
        SortKey::new(value, cursor.id, sort)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a next page that begins elsewhere, and a text that is taken for a cursor.
    #[test]
    fn a_cursor_reads_back_and_no_other_text_is_one() {
        for text in ["118", "118.48303036", "0.0"] {
            assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
        }
        for text in ["", "x", "1.", "1.g", "-1", "1.2.3"] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
