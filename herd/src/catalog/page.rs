//! Pages of a list of animals, in any order and both directions.
//!
//! # Decisions
//!
//! - **A page is chosen by one scan**, which keeps the entries that are nearest to its cursor. A list that is sorted whole
//!   would cost ten times as much, and an order that is kept would have to be mended with every change.
//! - **The scan counts as well**, so that a page knows its place in the list: `51-100 of 524`.

use super::filter::Matcher;
use super::order::{Cursor, Sort, SortKey};
use super::{AnimalFilter, Catalog, CatalogAnimal};
use crate::change::AnimalId;
use crate::query::PageLimit;

/// Start of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PageStart {
    /// The first entry of the list.
    #[default]
    First,
    /// The entry after this place.
    After(Cursor),
    /// The page that ends before this place.
    Before(Cursor),
    /// The page at the end of the list.
    Last,
}

/// A page of a list of animals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnimalPage {
    /// The animals, in the order of the list.
    pub animals: Vec<CatalogAnimal>,
    /// Number of animals in the list before the page.
    pub before: usize,
    /// Number of animals in the whole list.
    pub total: usize,
    /// Place before which the page before ends, if there is one.
    pub previous: Option<Cursor>,
    /// Place after which the next page begins, if there is one.
    pub next: Option<Cursor>,
}

/// Number of keys beyond the limit that are collected before they are cut: many, so that a list in the opposite order is not
/// cut at every second entry.
const COLLECTED: usize = 1_024;

/// The `limit` lowest keys of those that were added.
struct Lowest {
    limit: usize,
    keys: Vec<(SortKey, usize)>,
    /// Highest key that may still be among the lowest.
    highest: Option<SortKey>,
}

impl Lowest {
    fn new(limit: usize) -> Self {
        Self { limit, keys: Vec::with_capacity(limit + COLLECTED), highest: None }
    }

    fn add(&mut self, key: SortKey, place: usize) {
        if self.highest.is_some_and(|highest| key > highest) {
            return;
        }
        self.keys.push((key, place));
        if self.keys.len() == self.limit + COLLECTED {
            self.keys.select_nth_unstable(self.limit - 1);
            self.keys.truncate(self.limit);
            self.highest = self.keys.last().map(|(key, _)| *key);
        }
    }

    fn sorted(mut self) -> Vec<(SortKey, usize)> {
        self.keys.sort_unstable();
        self.keys.truncate(self.limit);
        self.keys
    }
}

/// Turns an order around.
fn reversed(key: SortKey) -> SortKey {
    SortKey { value: !key.value, id: !key.id }
}

impl Catalog {
    /// Returns a page of the animals that pass a filter.
    pub fn page(&self, filter: &AnimalFilter, sort: Sort, start: PageStart, limit: PageLimit) -> AnimalPage {
        let matcher = Matcher::new(self, filter);
        let bound = match start {
            PageStart::After(cursor) | PageStart::Before(cursor) => Some(self.cursor_key(cursor, sort)),
            PageStart::First | PageStart::Last => None,
        };
        let is_backwards = matches!(start, PageStart::Before(_) | PageStart::Last);
        let mut lowest = Lowest::new(limit.entries());
        // Matches on the side of the cursor that the page is not on, and on its own.
        let (mut beyond, mut ahead) = (0, 0);
        for place in 0..self.columns.len() {
            if !matcher.matches(place) {
                continue;
            }
            let key = self.sort_key(place, sort);
            let is_ahead = bound.is_none_or(|bound| if is_backwards { key < bound } else { key > bound });
            if is_ahead {
                ahead += 1;
                lowest.add(if is_backwards { reversed(key) } else { key }, place);
            } else {
                beyond += 1;
            }
        }
        let mut found = lowest.sorted();
        let rest = ahead - found.len();
        if is_backwards {
            found.reverse();
        }
        let (before, after) = if is_backwards { (rest, beyond) } else { (beyond, rest) };
        let cursor = |entry: Option<&(SortKey, usize)>| {
            entry.map(|(key, _)| Cursor::of_key(if is_backwards { reversed(*key) } else { *key }, sort))
        };
        AnimalPage {
            previous: cursor(found.first()).filter(|_| before > 0),
            next: cursor(found.last()).filter(|_| after > 0),
            animals: found.iter().map(|(_, place)| self.animal_at(*place)).collect(),
            before,
            total: ahead + beyond,
        }
    }

    /// Returns the ids of all animals that pass a filter, in order.
    pub fn ids(&self, filter: &AnimalFilter, sort: Sort) -> Vec<AnimalId> {
        let matcher = Matcher::new(self, filter);
        let places = (0..self.columns.len()).filter(|place| matcher.matches(*place));
        let mut keys: Vec<_> = places.map(|place| self.sort_key(place, sort)).collect();
        keys.sort_unstable();
        keys.into_iter().map(|key| AnimalId(key.id)).collect()
    }
}
