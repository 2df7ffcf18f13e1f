//! The tables, decoded.

use herd::fold::{KeyRange, Rows};
use herd::payload::Tag;
use herd::position::Sequence;
use herd::tables::{
    Amendments, Animal, AnimalStatus, AnimalTag, Batch, Collisions, Counter, Key, Membership, Table, TagState,
    TextEntry, Totals, number_at_end, number_in,
};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};

/// `(animal, kind, tag key)`: kind 0 is LF, 1 is UHF.
pub(crate) type TagName = (u64, u8, String);

#[derive(Debug, PartialEq)]
pub(crate) struct HerdView {
    pub(crate) totals: Totals,
    pub(crate) animals: BTreeMap<u64, Animal>,
    pub(crate) tags: BTreeMap<TagName, AnimalTag>,
    pub(crate) owners: BTreeMap<(u8, String), u64>,
    pub(crate) lids: BTreeMap<Key, u64>,
    pub(crate) batches: BTreeMap<u64, Batch>,
    pub(crate) latest: BTreeMap<Key, u64>,
    /// `(animal, batch)`
    pub(crate) memberships: BTreeMap<(u64, u64), Membership>,
    /// `(animal, batch)`, from the inverse table.
    pub(crate) members: BTreeSet<(u64, u64)>,
    /// `(batch, trait, value)`
    pub(crate) traits: BTreeSet<(u64, u8, String)>,
    pub(crate) event_ids: BTreeMap<Key, u64>,
    pub(crate) texts: BTreeMap<Key, Sequence>,
    pub(crate) text_order: BTreeMap<u64, TextEntry>,
    pub(crate) counters: BTreeMap<Key, Counter>,
    /// `(key of the counter, first)` -> last
    pub(crate) gaps: BTreeMap<(Key, u64), u64>,
    /// sequence -> number of the rejection
    pub(crate) rejected: BTreeMap<u64, u8>,
    /// sequence of a payload -> later changes that accepted or voided it
    pub(crate) amendments: BTreeMap<u64, Amendments>,
    /// idempotency key -> sequence of the correction
    pub(crate) corrections: BTreeMap<String, u64>,
    /// `reader group, era` -> reuses of event ids with another content
    pub(crate) collisions: BTreeMap<Key, Collisions>,
}

fn rows_of<T: DeserializeOwned>(rows: &impl Rows, table: Table) -> Vec<(Key, T)> {
    let everything = KeyRange { from: &[], to: None, backwards: false, limit: usize::MAX };
    let read = |(key, value): (Key, Vec<u8>)| {
        let row = postcard::from_bytes(&value).unwrap_or_else(|_| panic!("a row of {table:?} does not read"));
        (key, row)
    };
    rows.range(table, everything).unwrap().into_iter().map(read).collect()
}

fn map<K: Ord, T: DeserializeOwned>(rows: &impl Rows, table: Table, name: impl Fn(&[u8]) -> K) -> BTreeMap<K, T> {
    rows_of(rows, table).into_iter().map(|(key, row)| (name(&key), row)).collect()
}

fn number(key: &[u8]) -> u64 {
    number_in(key).unwrap()
}

fn pair(key: &[u8]) -> (u64, u64) {
    (number(key), number_at_end(key).unwrap())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

impl HerdView {
    pub(crate) fn read(rows: &impl Rows) -> Self {
        Self {
            totals: rows_of(rows, Table::Totals).pop().map(|(_, totals)| totals).unwrap_or_default(),
            animals: map(rows, Table::Animals, number),
            tags: map(rows, Table::AnimalTags, |key| (number(key), key[8], text(&key[9..]))),
            owners: map(rows, Table::TagOwners, |key| (key[0], text(&key[1..]))),
            lids: map(rows, Table::Lids, <[u8]>::to_vec),
            batches: map(rows, Table::Batches, number),
            latest: map(rows, Table::LatestBatches, <[u8]>::to_vec),
            memberships: map(rows, Table::Memberships, pair),
            members: rows_of::<()>(rows, Table::Members)
                .iter()
                .map(|(key, ())| pair(key))
                .map(|(b, a)| (a, b))
                .collect(),
            traits: rows_of::<Sequence>(rows, Table::BatchTraits)
                .iter()
                .map(|(key, _)| (number(key), key[8], text(&key[9..])))
                .collect(),
            event_ids: map(rows, Table::EventIds, <[u8]>::to_vec),
            texts: map(rows, Table::Texts, <[u8]>::to_vec),
            text_order: map(rows, Table::TextOrder, number),
            counters: map(rows, Table::Counters, <[u8]>::to_vec),
            gaps: map(rows, Table::Gaps, |key| (key[..key.len() - 8].to_vec(), number_at_end(key).unwrap())),
            rejected: map(rows, Table::Rejected, number),
            amendments: map(rows, Table::Amendments, number),
            corrections: map(rows, Table::CorrectionKeys, text),
            collisions: map(rows, Table::Collisions, <[u8]>::to_vec),
        }
    }

    /// Iterates over the animals that are neither merged into others nor voided.
    pub(crate) fn heads(&self) -> impl Iterator<Item = (u64, &Animal)> {
        let is_head = |animal: &Animal| animal.absorbed_by.is_none() && animal.status != AnimalStatus::Voided;
        self.animals.iter().filter(move |(_, animal)| is_head(animal)).map(|(id, animal)| (*id, animal))
    }

    /// Returns the only animal.
    pub(crate) fn only_animal(&self) -> (u64, &Animal) {
        let heads: Vec<_> = self.heads().collect();
        assert_eq!(heads.len(), 1, "{heads:#?}");
        heads[0]
    }

    /// Returns the tags of an animal: `("LF", key, state)`, sorted.
    pub(crate) fn tags_of(&self, animal: u64) -> Vec<(&'static str, &str, TagState)> {
        let own = self.tags.iter().filter(|((of, ..), _)| *of == animal);
        own.map(|((_, kind, key), row)| (["LF", "UHF"][usize::from(*kind)], key.as_str(), row.state)).collect()
    }

    /// Returns the batches of this number and source, the oldest first.
    pub(crate) fn batches_named(&self, source: &str, number: &str) -> Vec<(u64, &Batch)> {
        let named = self.batches.iter().filter(|(_, batch)| batch.source.as_str() == source && batch.number == number);
        named.map(|(id, batch)| (*id, batch)).collect()
    }

    /// Returns `(first, last)` of every gap.
    pub(crate) fn gap_spans(&self) -> Vec<(u64, u64)> {
        self.gaps.iter().map(|((_, first), last)| (*first, *last)).collect()
    }
}

pub(crate) fn key_of(tag: Option<&Tag>) -> Option<&str> {
    tag.map(Tag::key)
}
