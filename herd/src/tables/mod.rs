//! The tables: the result of folding the log. They can be deleted and rebuilt, and are equal wherever the log is equal.
//!
//! This file is the only list of them: number, name, key and value. Integers in keys are big-endian, so that the order
//! of bytes is the order of numbers. A text that is not the last part of a key has its length (u8) before it. Values are
//! postcard of the types in `rows`. A change of anything here, or of what the fold writes, needs a new
//! [`FOLD_VERSION`](crate::fold::FOLD_VERSION): tables of an older version are rebuilt.

mod keys;
mod rows;

pub use crate::change::{AnimalStatus, LidName, TagKind, TagState};
pub use keys::*;
pub use rows::*;

/// A table. Its number is part of the fold digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Table {
    /// `()` -> [`Totals`]: counts. One row.
    Totals = 1,
    /// `animal u64` -> [`Animal`]. An animal that was merged into another keeps a row that names its successor.
    Animals = 2,
    /// `animal u64, tag kind u8, tag key` -> [`AnimalTag`]: every tag the animal wears or wore, and unconfirmed ones.
    AnimalTags = 3,
    /// `tag kind u8, tag key` -> animal u64 that wears or wore the tag. Unconfirmed tags are not listed: they lead nowhere.
    TagOwners = 4,
    /// `reader group, era u32, lid` -> animal u64.
    Lids = 5,
    /// `batch u64` -> [`Batch`].
    Batches = 6,
    /// `source u8, number` -> batch u64: the latest batch of that number, to which the number leads.
    LatestBatches = 7,
    /// `number, batch u64` -> source u8: all batches that ever had a number.
    BatchNumbers = 8,
    /// `animal u64, batch u64` -> [`Membership`].
    Memberships = 9,
    /// `batch u64, animal u64` -> `()`: the inverse of the memberships.
    Members = 10,
    /// `batch u64, trait u8, value` -> sequence of the first change with it: the pens, sexes and funders of a batch.
    BatchTraits = 11,
    /// `reader group, era u32, event id` -> sequence of the payload that has the id.
    EventIds = 12,
    /// `SHA-256 of the trimmed text` -> sequence of the last change with it. Only texts that no event id identifies.
    Texts = 13,
    /// `sequence` -> [`TextEntry`]: the same texts in the order of time, so that old rows can be removed.
    TextOrder = 14,
    /// `reader group, era u32, counter name` -> [`Counter`]: lowest and highest event counter received.
    Counters = 15,
    /// `reader group, era u32, counter name, first u64` -> last u64: counters that were never received, first to last.
    Gaps = 16,
    /// `sequence` -> rejection number u8: the payloads that are rejected.
    Rejected = 17,
    /// `channel` -> [`RejectionHour`]: rejections of a channel that were recorded in the current hour.
    RejectionHours = 18,
    /// `reader group` -> era u32. Without a row the era is 1.
    ReaderEras = 19,
    /// `sequence` -> [`Amendments`]: payloads that later changes accepted or voided. The file has an older name for it.
    Amendments = 20,
    /// `idempotency key` -> sequence of the correction that has it.
    CorrectionKeys = 21,
    /// `reader group, era u32` -> [`Collisions`].
    Collisions = 22,
}

impl Table {
    /// All tables, in the order of their numbers.
    pub const ALL: [Self; 22] = [
        Self::Totals,
        Self::Animals,
        Self::AnimalTags,
        Self::TagOwners,
        Self::Lids,
        Self::Batches,
        Self::LatestBatches,
        Self::BatchNumbers,
        Self::Memberships,
        Self::Members,
        Self::BatchTraits,
        Self::EventIds,
        Self::Texts,
        Self::TextOrder,
        Self::Counters,
        Self::Gaps,
        Self::Rejected,
        Self::RejectionHours,
        Self::ReaderEras,
        Self::Amendments,
        Self::CorrectionKeys,
        Self::Collisions,
    ];

    /// Returns the number.
    #[must_use]
    pub fn number(self) -> u16 {
        self as u16
    }

    /// Returns the index in [`Table::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.number()) - 1
    }

    /// Returns the name in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Totals => "totals",
            Self::Animals => "animals",
            Self::AnimalTags => "animal tags",
            Self::TagOwners => "tag owners",
            Self::Lids => "lids",
            Self::Batches => "batches",
            Self::LatestBatches => "latest batches",
            Self::BatchNumbers => "batch numbers",
            Self::Memberships => "memberships",
            Self::Members => "members",
            Self::BatchTraits => "batch traits",
            Self::EventIds => "event ids",
            Self::Texts => "texts",
            Self::TextOrder => "text order",
            Self::Counters => "counters",
            Self::Gaps => "gaps",
            Self::Rejected => "rejected",
            Self::RejectionHours => "rejection hours",
            Self::ReaderEras => "reader eras",
            Self::Amendments => "afterwards",
            Self::CorrectionKeys => "correction keys",
            Self::Collisions => "collisions",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_gapless_and_the_list_is_in_their_order() {
        for (index, table) in Table::ALL.into_iter().enumerate() {
            assert_eq!(table.index(), index, "{}", table.name());
        }
    }
}
