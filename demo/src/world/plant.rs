//! Bugs that a world can build into what it simulates, to show that its claims find them.
//!
//! Each is in a wrapper of the world: its disks, its network, its operator, its readers. The shipped code has no switch for
//! them.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

/// A bug that a world builds in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// The barn's disk reports syncs that it does not make.
    DroppedSync,
    /// A sender is told "stored" before the commit.
    EarlyReceipt,
    /// The network acknowledges a page before the replica has committed it.
    EarlyAcknowledgment,
    /// The first change of a page is left out.
    SkippedChange,
    /// A page arrives twice in a row, as one.
    RepeatedPage,
    /// Nobody compares the digest in a follower's position.
    UncomparedDigest,
    /// An office follows whatever history answers.
    ForeignStore,
    /// A resync removes the copy before it, whatever only that holds.
    DiscardedCopy,
    /// A restored barn goes on in the epoch of its backup.
    SameEpoch,
    /// A barn forgets how far its log was, and gives numbers again.
    ReusedNumbers,
    /// An office takes an answer that names duplicates for none.
    UnheardAnswer,
}

impl Plant {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::DroppedSync,
        Self::EarlyReceipt,
        Self::EarlyAcknowledgment,
        Self::SkippedChange,
        Self::RepeatedPage,
        Self::UncomparedDigest,
        Self::ForeignStore,
        Self::DiscardedCopy,
        Self::SameEpoch,
        Self::ReusedNumbers,
        Self::UnheardAnswer,
    ];

    /// Returns the name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DroppedSync => "dropped-sync",
            Self::EarlyReceipt => "early-receipt",
            Self::EarlyAcknowledgment => "early-acknowledgment",
            Self::SkippedChange => "skipped-change",
            Self::RepeatedPage => "repeated-page",
            Self::UncomparedDigest => "uncompared-digest",
            Self::ForeignStore => "foreign-store",
            Self::DiscardedCopy => "discarded-copy",
            Self::SameEpoch => "same-epoch",
            Self::ReusedNumbers => "reused-numbers",
            Self::UnheardAnswer => "unheard-answer",
        }
    }
}

impl Display for Plant {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Plant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|plant| plant.name() == text);
        found.ok_or_else(|| format!("no bug has this name; there are {}", Self::ALL.map(Self::name).join(", ")))
    }
}
