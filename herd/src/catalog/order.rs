//! Orders of animals, and places in them.
//!
//! A key of 128 bits stands for the value of a column, so that comparing two animals is comparing two numbers. Texts are
//! compared by their first 15 signs, with the numbers in them as numbers: `H9` comes before `H10`. Animals without a value
//! come last in both directions. Equal ones are in the order of their ids.

use super::Catalog;
use super::columns::{NO_GAIN, NO_WEIGHT};
use super::labels::KEY_BYTES;
use crate::change::AnimalId;
use std::fmt;
use std::str::FromStr;

/// All bits of a value.
const VALUE: u128 = (1 << (8 * KEY_BYTES)) - 1;
/// The key of an animal without a value.
const NO_VALUE: u128 = 1 << 127;
/// A tag that is not 15 digits comes after those that are.
const NO_IDENTITY: u128 = 1 << 119;

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
}

/// An order of animals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    /// The column.
    pub column: SortColumn,
    /// From the highest value down.
    pub descending: bool,
}

/// The place of an animal in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SortKey {
    pub(super) value: u128,
    pub(super) id: u64,
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

    pub(super) fn of_key(key: SortKey, sort: Sort) -> Self {
        let is_by_id = sort == Sort::default();
        Self { id: key.id, value: (!is_by_id).then_some(key.value) }
    }

    /// Returns the number of a cursor in a list by id.
    #[must_use]
    pub fn number(self) -> Option<u64> {
        self.value.is_none().then_some(self.id)
    }
}

impl Catalog {
    /// Returns the place of an animal in an order.
    pub(super) fn sort_key(&self, place: usize, sort: Sort) -> SortKey {
        let id = self.columns.ids[place];
        let value = match self.value(place, sort.column) {
            None => NO_VALUE,
            Some(value) if sort.descending => VALUE - value,
            Some(value) => value,
        };
        SortKey { value, id }
    }

    /// Returns the place that a cursor names. An animal that is gone, named without its value, stands at the start.
    pub(super) fn cursor_key(&self, cursor: Cursor, sort: Sort) -> SortKey {
        match (cursor.value, self.columns.find(cursor.id)) {
            (Some(value), _) => SortKey { value, id: cursor.id },
            (None, Some(place)) => self.sort_key(place, sort),
            (None, None) if sort.column == SortColumn::Id => {
                let value = u128::from(cursor.id);
                SortKey { value: if sort.descending { VALUE - value } else { value }, id: cursor.id }
            }
            (None, None) => SortKey { value: 0, id: cursor.id },
        }
    }

    fn value(&self, place: usize, column: SortColumn) -> Option<u128> {
        let columns = &self.columns;
        // Moves signed numbers up, so that they are in the order of their bits.
        let unsigned = |number: i64| u128::from(number.wrapping_sub(i64::MIN).cast_unsigned());
        match column {
            SortColumn::Id => Some(columns.ids[place].into()),
            SortColumn::Visual => Some(columns.visual_keys[place]).filter(|_| columns.visual[place].is_present()),
            SortColumn::Eid => match columns.lf[place].number() {
                Some(number) => Some(number.into()),
                None => columns.lf[place].sort_key(&self.long_texts).map(|key| NO_IDENTITY | key >> 1),
            },
            SortColumn::Lot => self.lots.key(columns.lots[place]),
            SortColumn::Pen => self.pens.key(columns.pens[place]),
            SortColumn::Weight => Some(columns.grams[place]).filter(|grams| *grams != NO_WEIGHT).map(u128::from),
            SortColumn::Gain => {
                Some(columns.gains[place]).filter(|gain| *gain != NO_GAIN).map(|gain| unsigned(gain.into()))
            }
            SortColumn::LastSeen => Some(unsigned(columns.seen[place])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back() {
        for text in ["118", "118.48303036", "0.0"] {
            assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
        }
        for text in ["", "x", "1.", "1.g", "-1", "1.2.3"] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
