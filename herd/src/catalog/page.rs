//! Pages of a list of animals, in any order and both directions.
//!
//! # Decisions
//!
//! - **A page is read from an order** ([`super::index`]): from its cursor on, until it is full. If an index finds the few animals
//!   that a filter may let through, these are sorted instead.
//! - **A page knows its place in the list**, `51-100 of 524`. So the matches on its shorter side are counted.

use super::columns::Marks;
use super::filter::Matcher;
use super::sort::{Cursor, Listing, Sort};
use super::{AnimalFilter, Catalog, CatalogAnimal};
use crate::change::AnimalId;
use crate::query::PageLimit;
use std::ops::Range;

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

/// Ids of the animals of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnimalIds {
    /// The ids, in the order of the list.
    pub ids: Vec<AnimalId>,
    /// Number of them that wear no LF tag of 15 digits.
    pub without_identity: usize,
}

/// Divisor of all animals: up to this fraction, those that an index finds are sorted for a list. To sort more takes longer
/// than to walk through an order until a page is full, and to count those before it.
const SORTED_DIVISOR: usize = 64;
/// Number of animals that an index finds and that are sorted in any case.
const MIN_SORTED: usize = 4;

/// A list of animals that pass a filter.
struct Matches<'a> {
    matcher: Matcher<'a>,
    listing: Listing,
    /// Number of animals in the listing that pass.
    total: usize,
}

impl Matches<'_> {
    fn is_match(&self, at: usize) -> bool {
        self.matcher.matches(self.listing.place(at))
    }

    /// Returns the number of matches before an index of the listing.
    fn before(&self, at: usize) -> usize {
        let len = self.listing.len();
        if self.total == len {
            return at;
        }
        let count = |range: Range<usize>| range.filter(|at| self.is_match(*at)).count();
        if at <= len / 2 { count(0..at) } else { self.total.saturating_sub(count(at..len)) }
    }
}

impl Catalog {
    /// Returns a page of the animals that pass a filter.
    pub fn page(&self, filter: &AnimalFilter, sort: Sort, start: PageStart, limit: PageLimit) -> AnimalPage {
        let matches = self.matches(filter, sort);
        let all = 0..matches.listing.len();
        let range = match start {
            PageStart::First | PageStart::Last => all,
            PageStart::Before(cursor) => matches.listing.around(self, cursor).0,
            PageStart::After(cursor) => matches.listing.around(self, cursor).1,
        };
        let (is_match, entries) = (|at: &usize| matches.is_match(*at), limit.entries());
        let found: Vec<_> = if matches!(start, PageStart::Before(_) | PageStart::Last) {
            let mut found: Vec<_> = range.clone().rev().filter(is_match).take(entries).collect();
            found.reverse();
            found
        } else {
            range.clone().filter(is_match).take(entries).collect()
        };
        let before = matches.before(found.first().copied().unwrap_or(range.start));
        let places: Vec<_> = found.into_iter().map(|at| matches.listing.place(at)).collect();
        let cursor = |place: Option<&usize>| place.map(|place| self.cursor(*place, sort));
        AnimalPage {
            previous: cursor(places.first()).filter(|_| before > 0),
            next: cursor(places.last()).filter(|_| before + places.len() < matches.total),
            animals: places.iter().map(|place| self.animal_at(*place)).collect(),
            before,
            total: matches.total,
        }
    }

    /// Returns the ids of all animals that pass a filter, in order.
    pub fn ids(&self, filter: &AnimalFilter, sort: Sort) -> AnimalIds {
        let matches = self.matches(filter, sort);
        let mut found = AnimalIds { ids: Vec::with_capacity(matches.total), without_identity: 0 };
        for at in 0..matches.listing.len() {
            let place = matches.listing.place(at);
            if matches.matcher.matches(place) {
                found.ids.push(AnimalId(self.columns.ids[place]));
                found.without_identity += usize::from(self.columns.marks[place].has(Marks::NO_IDENTITY));
            }
        }
        found
    }

    fn matches<'a>(&'a self, filter: &'a AnimalFilter, sort: Sort) -> Matches<'a> {
        let matcher = Matcher::new(self, filter);
        let few = (self.columns.len() / SORTED_DIVISOR).max(MIN_SORTED);
        let candidates = matcher.candidates().filter(|candidates| candidates.len() <= few);
        let places = candidates.map(|candidates| {
            candidates.iter().copied().filter(|place| matcher.matches(*place as usize)).collect::<Vec<_>>()
        });
        let Some(places) = places else {
            let total = usize::try_from(self.tally_of(&matcher).total()).unwrap_or(usize::MAX);
            return Matches { matcher, listing: self.all_in_order(sort), total };
        };
        let listing = self.in_order(places, sort);
        Matches { matcher, total: listing.len(), listing }
    }
}
