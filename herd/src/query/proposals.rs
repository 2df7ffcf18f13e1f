//! Proposals that only a person can decide about, and how far an order that follows from one is.
//!
//! # Decisions
//!
//! - **The barn proposes a new reader era but never starts one.** Readers that were replaced count from 1 again, so
//!   their event ids collide with old ones. A few collisions may also come from a faulty reader, and a wrong era would
//!   let old events in a second time.
//! - **A proposal starts at the first collision.** It says how many payloads would be moved and which animals they would
//!   leave, so that a person sees whether that is right. A person may give another payload to start from.
//! - **The text of a proposal reads a bounded part of the log**, because a page shows it. If there is more, or a row is
//!   damaged, its counts are lower bounds, and it says so.

use super::QueryError;
use super::counters::CounterCursor;
use crate::change::{AnimalId, Outcome};
use crate::fold::{KeyRange, Rows, decode};
use crate::position::Sequence;
use crate::store::{Snapshot, StoreError};
use crate::tables::{Collisions, EraStart, ReaderEra, RejectedRow, Table, sequence_key};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Number of event ids reused with other content after which a reader was probably replaced.
pub const MIN_PROPOSAL_COLLISIONS: u64 = 5;
/// Maximum number of reader eras that are read. A yard has a handful.
const MAX_ERAS_READ: usize = 1_000;
/// Maximum number of changes that are read to say what an order would move.
const MAX_CHANGES_READ: u64 = 1_000;
/// Maximum number of animals that a text names.
const MAX_ANIMALS_NAMED: usize = 5;

/// Proposal of a new era for readers that seem to count from 1 again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderEraProposal {
    /// Readers that share event ids and lids.
    pub reader_group: String,
    /// Their current era.
    pub reader_era: u32,
    /// Number of event ids in that era that were reused with other content.
    pub collisions: u64,
    /// First payload with a reused event id: the new era would begin there.
    pub first: Sequence,
    /// Latest payload with a reused event id.
    pub last: Sequence,
    /// Sentence for people: what was seen, and what the command would do to which animals.
    pub text: String,
    /// Command for the barn that starts the era.
    pub command: String,
}

/// An order that moves payloads into a new reader era.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderEraMoves {
    /// Readers of the payloads.
    pub reader_group: String,
    /// The new era.
    pub reader_era: u32,
    /// Correction that began it.
    pub order: Sequence,
    /// First payload of the era.
    pub from: Sequence,
    /// Last payload that is done.
    pub through: Sequence,
    /// Number of payloads that were moved.
    pub moved: u64,
    /// Number of payloads that could not be moved and stay as they were.
    pub left: u64,
    /// True if no payload is left to be looked at.
    pub done: bool,
}

impl From<EraStart> for ReaderEraMoves {
    fn from(start: EraStart) -> Self {
        let done = start.is_done();
        let EraStart { reader_group, reader_era, order, from, through, moved, left } = start;
        Self { reader_group: reader_group.into(), reader_era, order, from, through, moved, left, done }
    }
}

/// The payloads that an order would move.
#[derive(Default)]
struct Extent {
    /// Number of rejected payloads.
    rejected: u64,
    /// Number of events.
    events: u64,
    /// Animals that those events are of, and that are older than the order's first payload.
    animals: BTreeSet<AnimalId>,
    /// True if there may be more than was read.
    is_cut: bool,
}

impl Snapshot {
    /// Returns the reader groups for which a new era is proposed.
    pub fn reader_era_proposals(&self) -> Result<Vec<ReaderEraProposal>, QueryError> {
        let range = KeyRange { from: &[], to: None, backwards: false, limit: MAX_ERAS_READ };
        let mut proposals = Vec::new();
        for (key, value) in self.range(Table::Collisions, range)? {
            let collisions: Collisions = decode(&key, &value)?;
            let (reader_group, reader_era) = CounterCursor::from_key(Table::Collisions, &key)?.reader();
            let current = self.read::<ReaderEra>(&reader_group.as_str().into())?.map_or(1, |era| era.0);
            if collisions.count >= MIN_PROPOSAL_COLLISIONS && reader_era == current {
                proposals.push(self.reader_era_proposal(reader_group, reader_era, collisions)?);
            }
        }
        Ok(proposals)
    }

    fn reader_era_proposal(
        &self,
        reader_group: String,
        reader_era: u32,
        collisions: Collisions,
    ) -> Result<ReaderEraProposal, QueryError> {
        let Collisions { count, first, last } = collisions;
        let effect = self.extent(&reader_group, reader_era, first)?.sentence();
        let text = format!(
            "readers {reader_group} reused {count} event ids with other content, first in payload {first}: if a reader was \
             replaced or reset there, a new reader era from payload {first} on {effect}"
        );
        let group = quoted(&reader_group);
        let command =
            format!("herdlinxd correct --author NAME --reason WHY new_reader_era --group {group} --from {first}");
        Ok(ReaderEraProposal { reader_group, reader_era, collisions: count, first, last, text, command })
    }

    /// Returns what an order from `first` on would move, as far as a bounded part of the log tells.
    fn extent(&self, reader_group: &str, reader_era: u32, first: Sequence) -> Result<Extent, QueryError> {
        let head = self.folded()?;
        let end = first.0.saturating_add(MAX_CHANGES_READ).min(head.next().0);
        let mut extent = Extent { is_cut: end <= head.0, ..Extent::default() };
        for sequence in (first.0..end).map(Sequence) {
            let received = match self.received(sequence) {
                Err(QueryError::Store(StoreError::DamagedLog { .. })) => {
                    extent.is_cut = true;
                    continue;
                }
                received => received?,
            };
            let Some(received) = received else { continue };
            if received.origin.reader_group != reader_group || received.origin.reader_era != reader_era {
                continue;
            }
            if self.read::<RejectedRow>(&sequence_key(sequence))?.is_some() {
                extent.rejected += 1;
            } else if let Outcome::Accepted(accepted) = &received.outcome
                && accepted.event.id.is_some()
            {
                extent.events += 1;
                extent.animals.extend(Some(accepted.animal).filter(|animal| animal.0 < first.0));
            }
        }
        Ok(extent)
    }

    /// Returns the orders that move payloads into a reader era: those that are not done, that had to leave some, or whose
    /// era is the current one.
    pub fn reader_era_moves(&self) -> Result<Vec<ReaderEraMoves>, QueryError> {
        let range = KeyRange { from: &[], to: None, backwards: false, limit: MAX_ERAS_READ };
        let mut moves = Vec::new();
        for (key, value) in self.range(Table::EraStarts, range)? {
            let start: EraStart = decode(&key, &value)?;
            let current = self.read::<ReaderEra>(&start.reader_group.as_str().into())?;
            let is_current = current == Some(ReaderEra(start.reader_era));
            if is_current || start.left > 0 || !start.is_done() {
                moves.push(ReaderEraMoves::from(start));
            }
        }
        Ok(moves)
    }
}

impl Extent {
    /// Describes the effect of the order: the end of a sentence that begins with its name.
    fn sentence(&self) -> String {
        let at_least = if self.is_cut { "at least " } else { "" };
        let rejected = counted(self.rejected, "rejected payload", "rejected payloads");
        let events = match self.events {
            0 => String::new(),
            events => format!(" and assigns {at_least}{} to new lids", counted(events, "event", "events")),
        };
        format!("reprocesses {at_least}{rejected}{events}; {}", self.effect_on_animals())
    }

    fn effect_on_animals(&self) -> String {
        let named: Vec<String> = self.animals.iter().take(MAX_ANIMALS_NAMED).map(ToString::to_string).collect();
        let others = self.animals.len() - named.len();
        match (named.split_last(), others) {
            (None, _) => "no older animal loses anything".to_owned(),
            (Some((last, [])), 0) => {
                format!("restores animal {last}, which took some of these, to what it had before")
            }
            (Some((last, before)), 0) => format!(
                "restores animals {} and {last}, which took some of these, to what they had before",
                before.join(", ")
            ),
            _ => format!(
                "restores animals {} and {others} more, which took some of these, to what they had before",
                named.join(", ")
            ),
        }
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

/// Returns a word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a sentence that promises a person another effect than the order has.
    #[test]
    fn the_effect_of_an_order_is_a_sentence() {
        let sentence = |rejected, events, animals: &[u64], is_cut| {
            let animals = animals.iter().copied().map(AnimalId).collect();
            Extent { rejected, events, animals, is_cut }.sentence()
        };
        let cases = [
            (sentence(1, 0, &[], false), "reprocesses 1 rejected payload; no older animal loses anything"),
            (
                sentence(5, 1, &[3], false),
                "reprocesses 5 rejected payloads and assigns 1 event to new lids; restores animal 3, which took some \
                 of these, to what it had before",
            ),
            (
                sentence(2, 2, &[3, 40], true),
                "reprocesses at least 2 rejected payloads and assigns at least 2 events to new lids; restores animals 3 \
                 and 40, which took some of these, to what they had before",
            ),
            (
                sentence(2, 0, &[1, 2, 3, 4, 5], false),
                "reprocesses 2 rejected payloads; restores animals 1, 2, 3, 4 and 5, which took some of these, to what \
                 they had before",
            ),
            (
                sentence(2, 0, &[1, 2, 3, 4, 5, 6, 7], false),
                "reprocesses 2 rejected payloads; restores animals 1, 2, 3, 4, 5 and 2 more, which took some of these, \
                 to what they had before",
            ),
        ];
        for (told, expected) in cases {
            assert_eq!(told, expected);
        }
    }

    /// Catches a command that a shell reads as something else than the name of the readers.
    #[test]
    fn a_name_is_one_word_for_a_shell() {
        for (name, word) in [
            ("main", "main"),
            ("gate-2_a.b/c", "gate-2_a.b/c"),
            ("", "''"),
            ("north gate", "'north gate'"),
            ("a;reboot", "'a;reboot'"),
            ("it's", r"'it'\''s'"),
        ] {
            assert_eq!(quoted(name), word);
        }
    }
}
