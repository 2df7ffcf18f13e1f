//! Weighings and exports, as the changes of the log record them.
//!
//! A fact *stands* unless an amendment voids or replaces it. That is looked up when the entry of its animal is made. The facts
//! of an animal are a list from the latest one back, through one vector that has the order of the log. So adding one costs the
//! same at any place, and 24 bytes.

use crate::clock::WallTime;
use crate::position::Sequence;
use std::collections::BTreeMap;

/// The bits of a weight in grams. Plausible weights are below 2,000,000 g.
const GRAMS: u32 = (1 << 21) - 1;
/// The clock followed no time source.
const DOUBTFUL: u32 = 1 << 24;
/// The fact is an export and has no weight.
const EXPORT: u32 = 1 << 25;
/// A later change made an event of the payload.
const LATE: u32 = 1 << 26;
/// A person corrected an earlier weighing, so the time is that of the earlier one.
const REPLACES: u32 = 1 << 27;
/// A person recorded the weight.
const BY_HAND: u32 = 1 << 28;

/// The fact is neither void nor replaced, and no other fact of the same animal says the same.
const STANDS: u32 = 1 << 29;

/// The number of no fact.
pub(super) const NO_FACT: u32 = 0;

/// A weighing or an export.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fact {
    /// The change that recorded it.
    by: u64,
    at_us: i64,
    /// Grams and marks.
    bits: u32,
    /// The fact of the same animal before this one; [`NO_FACT`] for none.
    before: u32,
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
        Sequence(self.by)
    }

    /// Returns the time. For a weighing that replaces another, it is that of the correction until it is looked up.
    pub(super) fn at(&self) -> WallTime {
        WallTime { at_us: self.at_us, synchronized: self.bits & DOUBTFUL == 0 }
    }

    /// Returns the weight, if this is a weighing.
    pub(super) fn weight_g(&self) -> Option<u32> {
        (self.bits & EXPORT == 0).then_some(self.bits & GRAMS)
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
    /// The payloads of events that later changes made, by these changes.
    late: BTreeMap<u64, u64>,
}

impl Facts {
    /// Adds a fact of an animal whose last one is `before`, and returns its number.
    pub(super) fn add(&mut self, by: Sequence, of: Sequence, at: WallTime, kind: FactKind, before: u32) -> u32 {
        let grams = |weight_g: u32| weight_g.min(GRAMS);
        let mut bits = match kind {
            FactKind::Weighed(weight_g) => grams(weight_g),
            FactKind::WeighedByHand { weight_g, replaces } => {
                grams(weight_g) | BY_HAND | if replaces { REPLACES } else { 0 }
            }
            FactKind::Exported => EXPORT,
        };
        bits |= if at.synchronized { 0 } else { DOUBTFUL };
        if of != by {
            bits |= LATE;
            self.late.insert(by.0, of.0);
        }
        if self.list.len() == self.list.capacity() {
            self.list.reserve_exact(self.list.len() / 16 + 64);
        }
        self.list.push(Fact { by: by.0, at_us: at.at_us, bits, before });
        u32::try_from(self.list.len()).unwrap_or(NO_FACT)
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
        }
    }

    /// Returns the payload of the event that recorded a fact.
    pub(super) fn payload(&self, fact: &Fact) -> Sequence {
        match self.late.get(&fact.by) {
            Some(of) if fact.bits & LATE != 0 => Sequence(*of),
            _ => fact.by(),
        }
    }

    /// Returns the memory of the facts, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.list.capacity() * size_of::<Fact>() + self.late.len() * super::MAP_ENTRY_BYTES
    }
}
