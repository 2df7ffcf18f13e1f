//! Weighings and exports, as the changes of the log record them.
//!
//! A fact *stands* unless an amendment voids or replaces it. That is looked up when the entry of its animal is made. The facts
//! of an animal are a list from the latest one back, through one vector that has the order of the log. So adding one costs the
//! same at any place, and 24 bytes.
//!
//! The order of the log is nearly that of time. Each block of the vector knows its earliest and latest time, so that the facts
//! of a day are found in the few blocks that have any. A sorted index was rejected: it would cost four bytes a fact more, and
//! an insertion in the middle for each late one.

use crate::clock::WallTime;
use crate::position::Sequence;
use std::collections::BTreeMap;
use std::ops::Range;

/// The bits of a weight in grams. Plausible weights are below 2,000,000 g.
const GRAMS: u64 = (1 << 21) - 1;
/// The clock followed no time source.
const DOUBTFUL: u64 = 1 << 21;
/// The fact is an export and has no weight.
const EXPORT: u64 = 1 << 22;
/// A later change made an event of the payload.
const LATE: u64 = 1 << 23;
/// A person corrected an earlier weighing, so the time is that of the earlier one.
const REPLACES: u64 = 1 << 24;
/// A person recorded the weight.
const BY_HAND: u64 = 1 << 25;
/// The fact is neither void nor replaced, and no other fact of the same animal says the same.
const STANDS: u64 = 1 << 26;
/// Number of bits below the sequence of the change. A log of 2^37 changes would fill more than ten terabytes.
const SEQUENCE_SHIFT: u32 = 27;

/// The number of no fact.
pub(super) const NO_FACT: u32 = 0;
/// Number of facts in a block.
const BLOCK_FACTS: usize = 256;

/// A weighing or an export.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fact {
    /// Grams, marks, and the change that recorded it.
    bits: u64,
    at_us: i64,
    /// The fact of the same animal before this one; [`NO_FACT`] for none.
    before: u32,
    /// Place of the animal in the columns.
    place: u32,
}

/// Subject of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FactKind {
    /// A weight in grams, in an event.
    Weighed(u32),
    /// A weight in grams, by a person.
    WeighedByHand { weight_g: u32, replaces: bool },
    /// The animal left in an export.
    Exported,
}

impl Fact {
    /// Returns the change that recorded it.
    pub(super) fn by(&self) -> Sequence {
        Sequence(self.bits >> SEQUENCE_SHIFT)
    }

    /// Returns the place of the animal that the event named.
    pub(super) fn place(&self) -> usize {
        self.place as usize
    }

    /// Returns the time. For a weighing that replaces another, it is that of the correction until it is looked up.
    pub(super) fn at(&self) -> WallTime {
        WallTime { at_us: self.at_us, synchronized: self.bits & DOUBTFUL == 0 }
    }

    /// Returns the weight, if this is a weighing.
    pub(super) fn weight_g(&self) -> Option<u32> {
        let grams = u32::try_from(self.bits & GRAMS).unwrap_or_default();
        (self.bits & EXPORT == 0).then_some(grams)
    }

    /// Returns whether the time must be looked up.
    pub(super) fn replaces(&self) -> bool {
        self.bits & REPLACES != 0
    }

    /// Returns whether the fact counts.
    pub(super) fn stands(&self) -> bool {
        self.bits & STANDS != 0
    }

    /// Returns whether the fact is of an event, which may be void.
    pub(super) fn is_of_event(&self) -> bool {
        self.bits & BY_HAND == 0
    }
}

/// All facts, in the order of the log.
#[derive(Debug, Default)]
pub(super) struct Facts {
    list: Vec<Fact>,
    /// Earliest and latest time of each block of [`BLOCK_FACTS`].
    blocks: Vec<(i64, i64)>,
    /// The payloads of events that later changes made, by these changes.
    late: BTreeMap<u64, u64>,
}

/// A fact as a change records it.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewFact {
    /// The change.
    pub(super) by: Sequence,
    /// The change that holds the payload.
    pub(super) of: Sequence,
    pub(super) at: WallTime,
    pub(super) kind: FactKind,
}

impl Facts {
    /// Adds a fact of the animal in `place`, whose last one is `before`, and returns its number.
    pub(super) fn add(&mut self, place: usize, new: NewFact, before: u32) -> u32 {
        let grams = |weight_g: u32| u64::from(weight_g).min(GRAMS);
        let mut bits = match new.kind {
            FactKind::Weighed(weight_g) => grams(weight_g),
            FactKind::WeighedByHand { weight_g, replaces } => {
                grams(weight_g) | BY_HAND | if replaces { REPLACES } else { 0 }
            }
            FactKind::Exported => EXPORT,
        };
        bits |= new.by.0 << SEQUENCE_SHIFT | if new.at.synchronized { 0 } else { DOUBTFUL };
        if new.of != new.by {
            bits |= LATE;
            self.late.insert(new.by.0, new.of.0);
        }
        if self.list.len() == self.list.capacity() {
            self.list.reserve_exact(self.list.len() / 16 + 64);
        }
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        self.list.push(Fact { bits, at_us: new.at.at_us, before, place });
        self.widen_block(self.list.len() - 1, new.at.at_us);
        u32::try_from(self.list.len()).unwrap_or(NO_FACT)
    }

    /// Adds a time to the block of a fact.
    fn widen_block(&mut self, index: usize, at_us: i64) {
        match self.blocks.get_mut(index / BLOCK_FACTS) {
            Some((first, last)) => (*first, *last) = ((*first).min(at_us), (*last).max(at_us)),
            None => self.blocks.push((at_us, at_us)),
        }
    }

    /// Yields the facts whose time is in a range.
    pub(super) fn within(&self, range: &Range<i64>) -> impl Iterator<Item = &Fact> {
        let blocks = self.blocks.iter().zip(self.list.chunks(BLOCK_FACTS));
        let blocks = blocks.filter(|((first, last), _)| *first < range.end && *last >= range.start);
        blocks.flat_map(|(_, facts)| facts).filter(|fact| range.contains(&fact.at_us))
    }

    /// Moves the animals from a place on by one place.
    pub(super) fn shift(&mut self, from: usize) {
        for fact in self.list.iter_mut().filter(|fact| fact.place() >= from) {
            fact.place = fact.place.saturating_add(1);
        }
    }

    /// Returns a fact.
    pub(super) fn get(&self, number: u32) -> Option<Fact> {
        self.list.get(number.checked_sub(1)? as usize).copied()
    }

    /// Yields the facts of an animal with their numbers, latest first, from its last one.
    pub(super) fn from(&self, last: u32) -> impl Iterator<Item = (u32, Fact)> {
        let numbered = |number: u32| self.get(number).map(|fact| (number, fact));
        std::iter::successors(numbered(last), move |(_, fact)| numbered(fact.before))
    }

    /// Records that a fact counts, with its time, or that it does not.
    pub(super) fn set_standing(&mut self, number: u32, at: Option<WallTime>) {
        let index = number.checked_sub(1).map(|index| index as usize);
        let Some(fact) = index.and_then(|index| self.list.get_mut(index)) else { return };
        fact.bits &= !STANDS;
        if let Some(at) = at {
            fact.at_us = at.at_us;
            fact.bits = fact.bits & !DOUBTFUL | STANDS | if at.synchronized { 0 } else { DOUBTFUL };
            self.widen_block(number as usize - 1, at.at_us);
        }
    }

    /// Returns the payload of the event that recorded a fact.
    pub(super) fn payload(&self, fact: &Fact) -> Sequence {
        match self.late.get(&fact.by().0) {
            Some(of) if fact.bits & LATE != 0 => Sequence(*of),
            _ => fact.by(),
        }
    }

    /// Returns the memory of the facts, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.list.capacity() * size_of::<Fact>()
            + self.blocks.capacity() * size_of::<(i64, i64)>()
            + self.late.len() * super::MAP_ENTRY_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at_us: i64) -> WallTime {
        WallTime { at_us, synchronized: true }
    }

    fn facts(times: impl Iterator<Item = i64>) -> Facts {
        let mut facts = Facts::default();
        for (n, at_us) in (1..).zip(times) {
            let sequence = Sequence(n);
            let new = NewFact { by: sequence, of: sequence, at: at(at_us), kind: FactKind::Weighed(250_000) };
            facts.add(usize::try_from(n).unwrap() / 2, new, NO_FACT);
        }
        facts
    }

    /// Catches a fact that its block hides: one that came late, or whose time was looked up.
    #[test]
    fn facts_are_found_by_time_whatever_their_order() {
        let times = |n: i64| (0..n).map(|n| n * 97 % 1_000);
        let mut facts = facts(times(3_000));
        for range in [0..1_000, 400..401, 990..2_000, -5..1, 2_000..3_000] {
            let expected = times(3_000).filter(|at_us| range.contains(at_us)).count();
            assert_eq!(facts.within(&range).count(), expected, "{range:?}");
        }
        facts.set_standing(700, Some(at(5_000)));
        assert_eq!(facts.within(&(5_000..5_001)).map(Fact::by).collect::<Vec<_>>(), [Sequence(700)]);
    }

    #[test]
    fn an_animal_in_the_middle_moves_the_others() {
        let mut facts = facts(0..6);
        facts.shift(2);
        assert_eq!(facts.within(&(0..6)).map(Fact::place).collect::<Vec<_>>(), [0, 1, 1, 3, 3, 4]);
    }

    /// Catches a fact at the edge of a block whose time widens the block beside it.
    #[test]
    fn the_facts_at_the_edges_of_blocks_are_found() {
        let mut facts = facts(0..600);
        for at_us in [254, 255, 256, 511] {
            assert_eq!(facts.within(&(at_us..at_us + 1)).count(), 1, "{at_us}");
        }
        facts.set_standing(256, Some(at(5_000)));
        assert_eq!(facts.within(&(5_000..5_001)).map(Fact::by).collect::<Vec<_>>(), [Sequence(256)]);
    }
}
