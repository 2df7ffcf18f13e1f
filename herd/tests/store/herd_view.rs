//! The tables, decoded.

use herd::change::{AnimalId, BatchId, BatchState, HeldMembership, HeldTag};
use herd::clock::WallTime;
use herd::fold::{KeyRange, Row, Rows, decode};
use herd::payload::{Tag, Traits};
use herd::position::Sequence;
use herd::tables::{
    Amendments, AnimalStatus, Batch, Collisions, CorrectionKey, Counter, EraStart, EventIdBlock, Gap, Key, LatestBatch,
    LidName, LidOwner, Member, RejectedRow, TagKind, TagOwner, TagState, Totals, number_at_end, number_in,
};
use herd::text::Text;
use std::collections::{BTreeMap, BTreeSet};

/// `(animal, kind, tag key)`: kind 0 is LF, 1 is UHF.
pub(crate) type TagName = (u64, u8, String);

/// An animal, without its tags and memberships.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Animal {
    pub(crate) last: Sequence,
    pub(crate) last_seen: WallTime,
    pub(crate) status: AnimalStatus,
    pub(crate) returned: Option<Sequence>,
    pub(crate) lids: Vec<LidName>,
    pub(crate) lf: Option<Tag>,
    pub(crate) epc: Option<Tag>,
    pub(crate) unconfirmed: u8,
    pub(crate) traits: Traits,
    pub(crate) weight_g: Option<u32>,
    pub(crate) weighed: Sequence,
    pub(crate) barn_batch: Option<BatchId>,
    pub(crate) barn_named: Sequence,
    pub(crate) export_batch: Option<BatchId>,
    pub(crate) absorbed_by: Option<AnimalId>,
}

impl From<&herd::tables::Animal> for Animal {
    fn from(row: &herd::tables::Animal) -> Self {
        let (lf, epc) = (row.worn(TagKind::Lf).cloned(), row.worn(TagKind::Epc).cloned());
        let state = row.state.clone();
        Self {
            last: row.last,
            last_seen: state.last_seen,
            status: state.status,
            returned: state.returned,
            lids: state.lids,
            lf,
            epc,
            unconfirmed: row.unconfirmed,
            traits: state.traits,
            weight_g: state.weight_g,
            weighed: state.weighed,
            barn_batch: state.barn_batch,
            barn_named: state.barn_named,
            export_batch: state.export_batch,
            absorbed_by: state.absorbed_by,
        }
    }
}

#[derive(Debug, PartialEq)]
pub(crate) struct HerdView {
    pub(crate) totals: Totals,
    pub(crate) animals: BTreeMap<u64, Animal>,
    pub(crate) tags: BTreeMap<TagName, HeldTag>,
    pub(crate) owners: BTreeMap<(u8, String), u64>,
    pub(crate) lids: BTreeMap<Key, u64>,
    pub(crate) batches: BTreeMap<u64, BatchState>,
    pub(crate) latest: BTreeMap<Key, u64>,
    /// batch -> the one before of its number
    pub(crate) before: BTreeMap<u64, u64>,
    /// `(animal, batch)`
    pub(crate) memberships: BTreeMap<(u64, u64), HeldMembership>,
    /// `(animal, batch)`, from the inverse table.
    pub(crate) members: BTreeSet<(u64, u64)>,
    /// `(batch, trait, value)`
    pub(crate) traits: BTreeSet<(u64, u8, Text)>,
    /// `(key of the block, place in it)`
    pub(crate) event_ids: BTreeMap<(Key, u8), u64>,
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
    /// `reader group, era` -> the order that began it at an earlier payload
    pub(crate) era_starts: BTreeMap<Key, EraStart>,
}

fn rows_of<T: Row>(rows: &impl Rows) -> Vec<(Key, T)> {
    let everything = KeyRange { from: &[], to: None, backwards: false, limit: usize::MAX };
    let read = |(key, value): (Key, Vec<u8>)| {
        let row = decode(&key, &value).unwrap();
        (key, row)
    };
    rows.range(T::TABLE, everything).unwrap().into_iter().map(read).collect()
}

fn map<T: Row, K: Ord, V>(rows: &impl Rows, name: impl Fn(&[u8]) -> K, value: impl Fn(T) -> V) -> BTreeMap<K, V> {
    rows_of(rows).into_iter().map(|(key, row)| (name(&key), value(row))).collect()
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
        let animals = rows_of::<herd::tables::Animal>(rows);
        let states = || animals.iter().map(|(key, row)| (number(key), &row.state));
        let batches = rows_of::<Batch>(rows);
        let shown = |(_, batch): &(Key, Batch)| {
            let Batch { state, pens, sexes, funders, .. } = batch.clone();
            let all = [(0, pens), (1, sexes), (2, funders)].into_iter();
            all.flat_map(move |(of, values)| values.into_iter().map(move |value| (state.batch.0, of, value)))
        };
        let blocks = rows_of::<EventIdBlock>(rows);
        Self {
            totals: rows_of(rows).pop().map(|(_, totals)| totals).unwrap_or_default(),
            animals: animals.iter().map(|(key, row)| (number(key), row.into())).collect(),
            tags: states()
                .flat_map(|(id, state)| {
                    let name = move |held: &HeldTag| (id, held.kind as u8, held.tag.key().to_owned());
                    state.tags.iter().map(move |held| (name(held), held.clone()))
                })
                .collect(),
            owners: map(rows, |key| (key[0], text(&key[1..])), |TagOwner(owner)| owner.0),
            lids: map(rows, |key| key.into(), |LidOwner(owner)| owner.0),
            batches: batches.iter().map(|(key, batch)| (number(key), batch.state.clone())).collect(),
            latest: map(rows, |key| key.into(), |LatestBatch(batch)| batch.0),
            before: batches.iter().filter_map(|(key, batch)| Some((number(key), batch.before?.0))).collect(),
            memberships: states()
                .flat_map(|(id, state)| state.memberships.iter().map(move |held| ((id, held.batch.0), *held)))
                .collect(),
            members: rows_of::<Member>(rows).iter().map(|(key, _)| pair(key)).map(|(b, a)| (a, b)).collect(),
            traits: batches.iter().flat_map(shown).collect(),
            event_ids: blocks
                .iter()
                .flat_map(|(key, block)| block.iter().map(|(slot, of)| ((key.clone(), slot), of.0)))
                .collect(),
            counters: map(rows, |key| key.into(), |counter: Counter| counter),
            gaps: rows_of::<Gap>(rows)
                .into_iter()
                .map(|(key, Gap(first))| ((key[..key.len() - 8].into(), first), number_at_end(&key).unwrap()))
                .collect(),
            rejected: map(rows, number, |RejectedRow(reason)| reason),
            amendments: map(rows, number, |amendments: Amendments| amendments),
            corrections: map(rows, text, |CorrectionKey(sequence)| sequence.0),
            collisions: map(rows, |key| key.into(), |collisions: Collisions| collisions),
            era_starts: map(rows, |key| key.into(), |start: EraStart| start),
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
    pub(crate) fn batches_named(&self, source: &str, number: &str) -> Vec<(u64, &BatchState)> {
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
