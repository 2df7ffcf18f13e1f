//! The tables: the result of folding the log. They can be deleted and rebuilt, and are equal wherever the log is equal.
//!
//! This file is the only list of them: number, name, key and value. Integers in keys are big-endian, so that the order
//! of bytes is the order of numbers. A text that is not the last part of a key has its length (u8) before it. Values are
//! postcard of the types in `rows`. A change of anything here, or of what the fold writes, needs a new
//! [`FOLD_VERSION`]: tables of an older version are rebuilt.
//!
//! # Decisions
//!
//! - **Few and wide rows.** A change costs about as much as the rows that it touches; `rows` says what stands in one.
//! - **An index is a table that only says again what other rows or the log say**, so that it can be found by another key:
//!   the owners of tags and lids, the members and the latest of batches, the payloads of event ids. The fold writes most of
//!   their rows without reading them. The fold digest covers the rows that are no index; `tables.redb` has a sum of its own
//!   over the index, which `verify` checks. Were the index in the fold digest, each new animal would cost four searches for
//!   rows that do not exist, to know that nothing has to be subtracted.
//! - **The texts of the repeat window are not in the tables.** Only the source needs them, for a minute. It keeps them in
//!   memory and finds them in the log after a restart; see [`TextWindow`](crate::decide::TextWindow).

mod key;
mod keys;
mod merges;
mod rows;

pub use crate::change::{AnimalStatus, LidName, TagKind, TagState};
pub use key::Key;
pub use keys::*;
pub(crate) use merges::last_successor;
pub use rows::*;

/// Version of the tables and of the rules of the fold. Tables of another version are rebuilt, and fold digests are compared
/// only if the versions are equal.
pub const FOLD_VERSION: u32 = 7;

/// A table. Its number is part of row hashes and of keys in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// `()` -> [`Totals`]: counts. One row.
    Totals = 1,
    /// `animal u64` -> [`Animal`].
    Animals = 2,
    /// `tag kind u8, tag key` -> [`TagOwner`]. Unconfirmed tags are not listed: they lead nowhere. An index.
    TagOwners = 3,
    /// `reader group, era u32, lid` -> [`LidOwner`]. An index.
    Lids = 4,
    /// `batch u64` -> [`Batch`].
    Batches = 5,
    /// `source u8, number` (as numbers are compared) -> [`LatestBatch`], to which the number leads. An index.
    LatestBatches = 6,
    /// `batch u64, animal u64` -> [`Member`]: the inverse of the memberships. An index.
    Members = 7,
    /// `reader group, era u32, letters (with a length), number of digits u8, block u64` -> [`EventIdBlock`]. An index.
    EventIds = 8,
    /// `reader group, era u32, counter name` -> [`Counter`]: lowest and highest event counter received.
    Counters = 9,
    /// `reader group, era u32, counter name, last u64` -> [`Gap`]: counters that were never received, first to last.
    Gaps = 10,
    /// `sequence` -> [`RejectedRow`]: the payloads that are rejected.
    Rejected = 11,
    /// `channel` -> [`RejectionHour`]: rejections of a channel that were recorded in the current hour.
    RejectionHours = 12,
    /// `reader group` -> [`ReaderEra`]. Without a row the era is 1.
    ReaderEras = 13,
    /// `sequence` -> [`Amendments`]: payloads that later changes accepted or voided, and weighings that they replaced.
    Amendments = 14,
    /// `idempotency key` -> [`CorrectionKey`].
    CorrectionKeys = 15,
    /// `reader group, era u32` -> [`Collisions`].
    Collisions = 16,
    /// `reader group, era u32` -> [`EraStart`]: the eras that began at an earlier payload.
    EraStarts = 17,
    /// `chain digest` of the former place of a payload -> [`ReadmittedPayload`]. An index.
    Readmissions = 18,
}

impl Table {
    /// All tables, in the order of their numbers.
    pub const ALL: [Self; 18] = [
        Self::Totals,
        Self::Animals,
        Self::TagOwners,
        Self::Lids,
        Self::Batches,
        Self::LatestBatches,
        Self::Members,
        Self::EventIds,
        Self::Counters,
        Self::Gaps,
        Self::Rejected,
        Self::RejectionHours,
        Self::ReaderEras,
        Self::Amendments,
        Self::CorrectionKeys,
        Self::Collisions,
        Self::EraStarts,
        Self::Readmissions,
    ];

    /// Returns the number.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Returns the index in [`Table::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.number()) - 1
    }

    /// Returns whether the table is an index, which the fold digest does not cover.
    #[must_use]
    pub fn is_index(self) -> bool {
        use Table as T;
        matches!(self, T::TagOwners | T::Lids | T::LatestBatches | T::Members | T::EventIds | T::Readmissions)
    }

    /// Returns the name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Totals => "totals",
            Self::Animals => "animals",
            Self::TagOwners => "tag owners",
            Self::Lids => "lids",
            Self::Batches => "batches",
            Self::LatestBatches => "latest batches",
            Self::Members => "members",
            Self::EventIds => "event ids",
            Self::Counters => "counters",
            Self::Gaps => "gaps",
            Self::Rejected => "rejected",
            Self::RejectionHours => "rejection hours",
            Self::ReaderEras => "reader eras",
            Self::Amendments => "amendments",
            Self::CorrectionKeys => "correction keys",
            Self::Collisions => "collisions",
            Self::EraStarts => "era starts",
            Self::Readmissions => "readmissions",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Sequence;

    #[test]
    fn numbers_are_gapless_and_the_list_is_in_their_order() {
        for (index, table) in Table::ALL.into_iter().enumerate() {
            assert_eq!(table.index(), index, "{}", table.name());
        }
    }

    /// Catches a block that loses an id, or a step to an earlier sequence.
    #[test]
    fn a_block_of_event_ids_reads_back_whatever_their_order() {
        let mut block = EventIdBlock::default();
        for (slot, sequence) in [(7, 900), (0, u64::MAX), (31, 3), (8, 901), (7, 899)] {
            block.set(slot, Sequence(sequence));
        }
        let bytes = postcard::to_stdvec(&block).unwrap();
        assert_eq!(postcard::from_bytes::<EventIdBlock>(&bytes).unwrap(), block);
        assert_eq!(block.get(7), Some(Sequence(899)));
        assert_eq!(block.get(1), None);
    }

    /// Catches a full list that drops a value which would be shown.
    #[test]
    fn a_full_list_of_traits_keeps_the_first_in_the_order_of_texts() {
        let mut values = Vec::new();
        for n in (0..300).rev().chain(100..200) {
            add_trait(&mut values, &format!("P{n:03}"));
        }
        assert_eq!(values.len(), MAX_BATCH_TRAITS);
        assert_eq!((values[0].as_str(), values[99].as_str()), ("P000", "P099"));
    }
}
