//! Values of rows.
//!
//! # Decisions
//!
//! - **An animal and a batch are rows of the same shape as in a correction** ([`AnimalState`], [`BatchState`]), with what only
//!   the tables need beside it. A correction then puts its states down as they are. Another shape of the row is another
//!   type here; the one in changes stays.
//! - **What belongs to one animal stands in its row**: tags, memberships, lids. Each was a row of a table of its own, and
//!   reading, encoding and inserting rows was most of the work of a change. An animal has about ten of them in its life.

use crate::change::{AnimalId, AnimalState, BatchId, BatchState, HeldMembership, HeldTag, LidName, TagKind, TagState};
use crate::clock::WallTime;
use crate::payload::Tag;
use crate::position::Sequence;
use crate::text::Text;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Counts, and other values that every change may touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Number of Received changes.
    pub received: u64,
    /// Received payloads that were accepted as events, at once or by a later change.
    pub accepted: u64,
    /// Received payloads that are still rejected.
    pub rejected: u64,
    /// Rejections that were counted instead of recorded.
    pub suppressed: u64,
    /// Animals, without those merged into others and voided ones.
    pub animals: u64,
    /// Animals on the yard.
    pub active: u64,
    /// Animals that left in an export.
    pub exported: u64,
    /// Batches of both sources.
    pub batches: u64,
    /// Batches that are open.
    pub open_batches: u64,
    /// Corrections by operators.
    pub corrected: u64,
    /// Event counters that were never received, without those in leaps ([`MAX_MISSED_EVENTS`]).
    pub missed_events: u64,
    /// Arrival of the last payload.
    pub last_received: WallTime,
    /// Texts up to this sequence are past the repeat window, as the changes say.
    pub texts_forgotten: Sequence,
}

/// An animal. One that was merged into another keeps a row that names its successor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Animal {
    /// The last change that touched the animal. Its history starts here.
    pub last: Sequence,
    /// Number of unconfirmed tags so far, up to [`MAX_UNCONFIRMED_TAGS`].
    pub unconfirmed: u8,
    /// The animal. Its tags are in the order of kind and key, its memberships in that of batches, each once.
    pub state: AnimalState,
}

/// Maximum number of unconfirmed tags of an animal in the tables. Its history shows all of them. Without the limit, wrong
/// reads could make the row of an animal grow without end.
pub const MAX_UNCONFIRMED_TAGS: u8 = 16;

/// Maximum number of past tags of one kind that lead to an animal, the latest ones. Its history shows all of them. Without the
/// limit, an animal could become too large for a correction, which holds its whole state.
pub const MAX_PAST_TAGS: usize = 64;

impl Animal {
    /// Makes an animal that was just created.
    #[must_use]
    pub fn new(id: AnimalId) -> Self {
        Self { state: AnimalState { animal: id, ..AnimalState::default() }, ..Self::default() }
    }

    /// Makes the row of a state that the change `last` has left.
    #[must_use]
    pub fn of_state(state: &AnimalState, last: Sequence) -> Self {
        let unconfirmed = state.tags.iter().filter(|tag| tag.state == TagState::Unconfirmed).count();
        let unconfirmed = u8::try_from(unconfirmed).unwrap_or(u8::MAX).min(MAX_UNCONFIRMED_TAGS);
        let mut row = Self { last, unconfirmed, state: state.clone() };
        // A falsified change may hold them in any order, and one of them twice. The last one counts.
        row.state.tags.reverse();
        row.state.tags.sort_by(|a, b| (a.kind, a.tag.key()).cmp(&(b.kind, b.tag.key())));
        row.state.tags.dedup_by(|a, b| (a.kind, a.tag.key()) == (b.kind, b.tag.key()));
        row.state.memberships.reverse();
        row.state.memberships.sort_by_key(|held| held.batch);
        row.state.memberships.dedup_by_key(|held| held.batch);
        row
    }

    /// Returns the animal that this one was merged into.
    #[must_use]
    pub fn absorbed_by(&self) -> Option<AnimalId> {
        self.state.absorbed_by
    }

    /// Returns the tag of that kind that the animal wears.
    #[must_use]
    pub fn worn(&self, kind: TagKind) -> Option<&Tag> {
        let mut worn = self.state.tags.iter().filter(|held| held.kind == kind && held.state == TagState::Current);
        worn.next().map(|held| &held.tag)
    }

    /// Returns a tag of the animal, whatever its state.
    #[must_use]
    pub fn tag(&self, kind: TagKind, key: &str) -> Option<&HeldTag> {
        self.tag_place(kind, key).ok().map(|place| &self.state.tags[place])
    }

    /// Sets the state of a tag of the animal. If there are more than [`MAX_PAST_TAGS`], removes the oldest past tag and
    /// returns it: it must no longer lead to the animal.
    #[must_use]
    pub fn set_tag(&mut self, held: HeldTag) -> Option<HeldTag> {
        let (kind, state) = (held.kind, held.state);
        match self.tag_place(kind, held.tag.key()) {
            Ok(place) => self.state.tags[place] = held,
            Err(place) => self.state.tags.insert(place, held),
        }
        (state == TagState::Past).then(|| self.excess_past_tag(kind)).flatten()
    }

    fn excess_past_tag(&mut self, kind: TagKind) -> Option<HeldTag> {
        let is_past = |(_, held): &(usize, &HeldTag)| held.kind == kind && held.state == TagState::Past;
        let past = || self.state.tags.iter().enumerate().filter(is_past);
        let oldest = past().min_by_key(|(_, held)| held.since).filter(|_| past().count() > MAX_PAST_TAGS);
        oldest.map(|(place, _)| place).map(|place| self.state.tags.remove(place))
    }

    fn tag_place(&self, kind: TagKind, key: &str) -> Result<usize, usize> {
        self.state.tags.binary_search_by(|held| (held.kind, held.tag.key()).cmp(&(kind, key)))
    }

    /// Returns the membership of the animal in a batch.
    pub fn membership_mut(&mut self, batch: BatchId) -> Option<&mut HeldMembership> {
        let place = self.state.memberships.binary_search_by_key(&batch, |held| held.batch);
        place.ok().map(|place| &mut self.state.memberships[place])
    }

    /// Adds a membership, or replaces that in the same batch.
    pub fn set_membership(&mut self, held: HeldMembership) {
        match self.state.memberships.binary_search_by_key(&held.batch, |held| held.batch) {
            Ok(place) => self.state.memberships[place] = held,
            Err(place) => self.state.memberships.insert(place, held),
        }
    }

    /// Returns whether the animal has this lid.
    #[must_use]
    pub fn has_lid(&self, reader_group: &str, reader_era: u32, lid: &str) -> bool {
        let same = |own: &LidName| own.lid == lid && own.reader_era == reader_era && own.reader_group == reader_group;
        self.state.lids.iter().any(same)
    }
}

/// Maximum number of pens, of sexes and of funders in the row of a batch: as many as are shown.
pub const MAX_BATCH_TRAITS: usize = 100;

/// A batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The batch.
    pub state: BatchState,
    /// The batch before this one with the same source and number.
    pub before: Option<BatchId>,
    /// Pens of its animals. Here, and in the two below, the first [`MAX_BATCH_TRAITS`] values in the order of texts.
    pub pens: Vec<Text>,
    /// Sexes of its animals.
    pub sexes: Vec<Text>,
    /// Funders of its animals.
    pub funders: Vec<Text>,
}

impl Batch {
    /// Makes the row of a batch whose animals have shown no traits yet.
    #[must_use]
    pub fn of_state(state: BatchState, before: Option<BatchId>) -> Self {
        Self { state, before, pens: Vec::new(), sexes: Vec::new(), funders: Vec::new() }
    }
}

/// Adds a value to a sorted list of at most [`MAX_BATCH_TRAITS`] values.
pub(crate) fn add_trait(values: &mut Vec<Text>, value: &str) {
    if let Err(place) = values.binary_search_by(|own| own.as_str().cmp(value))
        && place < MAX_BATCH_TRAITS
    {
        values.insert(place, value.into());
        values.truncate(MAX_BATCH_TRAITS);
    }
}

/// The animal that wears or wore a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagOwner(pub AnimalId);

/// The animal that a lid names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LidOwner(pub AnimalId);

/// The latest batch of a source and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatestBatch(pub BatchId);

/// An animal in the list of a batch. Its own row holds the membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member;

/// The payloads that have the event ids of one block: [`EVENT_IDS_PER_ROW`] counters that follow one another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventIdBlock {
    /// Counter within the block, and the payload, in the order of counters.
    entries: Vec<(u8, Sequence)>,
}

/// Number of event ids in a row. Ids come in order, so that many share a row, which is read once for all of them.
pub const EVENT_IDS_PER_ROW: u64 = 32;

impl EventIdBlock {
    /// Returns the payload that has the id.
    #[must_use]
    pub fn get(&self, slot: u8) -> Option<Sequence> {
        self.entries.binary_search_by_key(&slot, |entry| entry.0).ok().map(|place| self.entries[place].1)
    }

    /// Records the payload that has the id.
    pub fn set(&mut self, slot: u8, sequence: Sequence) {
        match self.entries.binary_search_by_key(&slot, |entry| entry.0) {
            Ok(place) => self.entries[place].1 = sequence,
            Err(place) => self.entries.insert(place, (slot, sequence)),
        }
    }

    /// Frees the id.
    pub fn remove(&mut self, slot: u8) {
        self.entries.retain(|entry| entry.0 != slot);
    }

    /// Iterates over the ids that are taken.
    pub fn iter(&self) -> impl Iterator<Item = (u8, Sequence)> {
        self.entries.iter().copied()
    }
}

/// Encodes each slot with the difference to the sequence before, which is short.
impl Serialize for EventIdBlock {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut before = 0;
        to.collect_seq(self.entries.iter().map(|(slot, sequence)| {
            let step = sequence.0.wrapping_sub(before).cast_signed();
            before = sequence.0;
            (*slot, step)
        }))
    }
}

impl<'de> Deserialize<'de> for EventIdBlock {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut before = 0_u64;
        let steps = Vec::<(u8, i64)>::deserialize(from)?;
        let entries = steps.into_iter().map(|(slot, step)| {
            before = before.wrapping_add(step.cast_unsigned());
            (slot, Sequence(before))
        });
        Ok(Self { entries: entries.collect() })
    }
}

/// The event counters received of one kind in a reader era.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// The lowest counter. Below it nothing counts as missing.
    pub lowest: u64,
    /// The highest counter.
    pub highest: u64,
}

/// The first of some counters that were never received. The key holds the last: a reader that counts on through a gap then
/// changes one row, again and again, instead of removing one and adding another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap(pub u64);

/// Maximum number of counters that follow one another and count as missing. A longer gap is a leap of the counter: a yard
/// that loses so many reads in a row notices it in other ways.
pub const MAX_MISSED_EVENTS: u64 = 10_000;

/// Returns the number of missing events in a gap; 0 if it is a leap.
#[must_use]
pub fn missed_in(first: u64, last: u64) -> u64 {
    let missing = last.saturating_sub(first).saturating_add(1);
    if missing > MAX_MISSED_EVENTS { 0 } else { missing }
}

/// The number of the reason why a payload is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRow(pub u8);

/// The rejections of a channel that were recorded in one hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectionHour {
    /// Boot of the machine.
    pub boot: u32,
    /// Hour since that boot.
    pub hour: u64,
    /// Number of rejections.
    pub count: u32,
}

/// An order that began a reader era at an earlier payload, and how far the payloads since then are moved into the era.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EraStart {
    /// The readers.
    pub reader_group: Text,
    /// The era.
    pub reader_era: u32,
    /// The correction that began it. Payloads after it belong to the era as they come.
    pub order: Sequence,
    /// The first change whose payload belongs to the era.
    pub from: Sequence,
    /// All payloads up to this one are done.
    pub through: Sequence,
    /// Number of payloads that are moved.
    pub moved: u64,
    /// Number of payloads that could not be moved and stay as they were.
    pub left: u64,
}

impl EraStart {
    /// Returns true once no payload is left to be moved.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.through.next() >= self.order
    }

    /// Returns whether the payload `of` of these readers, received before the order, belongs to the era.
    #[must_use]
    pub fn covers(&self, of: Sequence) -> bool {
        (self.from..self.order).contains(&of)
    }
}

/// The current era of a reader group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderEra(pub u32);

/// Later changes that accepted or voided a payload, or replaced the weighing of a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendments {
    /// The last change that accepted the payload as an event, or moved it into another reader era.
    pub accepted_by: Option<Sequence>,
    /// The last change that voided its event. If `accepted_by` is later, the payload is an event again.
    pub voided_by: Option<Sequence>,
    /// The correction whose weight replaces that of this change.
    pub reweighed_by: Option<Sequence>,
    /// The animal that this correction names. It tells whether the correction goes with an event that moves.
    pub reweighed_animal: Option<AnimalId>,
}

impl Amendments {
    /// Returns the change that makes the event of `payload`: its own, or the one that accepted it. `None` while it is void.
    ///
    /// If no later change accepted the payload, its own change shows whether it is an event at all.
    #[must_use]
    pub fn event_change(self, payload: Sequence) -> Option<Sequence> {
        match self.void() {
            Some(_) => None,
            None => Some(self.accepted_by.unwrap_or(payload)),
        }
    }

    /// Returns the change that ended the event which the change `by` made of `payload`: by a void, or by making it anew.
    /// `None` while that event counts.
    #[must_use]
    pub fn end_of_event(self, payload: Sequence, by: Sequence) -> Option<Sequence> {
        let later = |end: &Sequence| *end > by;
        let end = self.voided_by.filter(later).or(self.accepted_by.filter(later));
        end.filter(|_| self.event_change(payload) != Some(by))
    }

    /// Returns the change that voided the event, while it is void.
    #[must_use]
    pub fn void(self) -> Option<Sequence> {
        self.voided_by.filter(|voided| self.accepted_by.is_none_or(|accepted| accepted < *voided))
    }
}

/// The correction that has an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrectionKey(pub Sequence);

/// Reuses of event ids in a reader era with another content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collisions {
    /// Number of reuses.
    pub count: u64,
    /// The change of the first one.
    pub first: Sequence,
    /// The change of the last one.
    pub last: Sequence,
}

/// The change that holds a payload which was lost and came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadmittedPayload(pub Sequence);
