//! The way through the copies of a site, and what was given back on it.

use crate::copies::CopyNumber;
use herd::position::{Position, Sequence};
use herd::store::DamagedRow;
use serde::{Deserialize, Serialize};

/// The place at which a command goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiveBackCursor {
    /// Number of the copy.
    pub copy: CopyNumber,
    /// The next thing to do with it.
    pub stage: GiveBackStage,
}

/// A stage of giving a copy back. Each takes a request or a few.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GiveBackStage {
    /// Send the last damaged row of the barn's log before this change, as the shown copy has it.
    Mend {
        /// The rows from here on were tried.
        before: Sequence,
    },
    /// Ask the barn whether it holds the whole copy.
    Begin,
    /// Search for the last change that the barn holds, too.
    Search {
        /// A change that it holds.
        held: Sequence,
        /// A later one that it lacks.
        lacking: Sequence,
    },
    /// Send what follows.
    Send {
        /// Position up to which the barn has the payloads.
        after: Position,
    },
}

/// Result of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiveBackProgress {
    /// Payloads that the barn has appended.
    pub kept: u64,
    /// Payloads that it held already.
    pub duplicates: u64,
    /// Decisions that it does not repeat: the first hundred of this request.
    pub not_repeated: Vec<Sequence>,
    /// Number of all of these.
    pub not_repeated_count: u64,
    /// Damaged rows of the barn's log that have their changes again.
    #[serde(default)]
    pub mended: Vec<DamagedRow>,
    /// Damaged rows that this office could not return.
    #[serde(default)]
    pub unmended: Vec<DamagedRow>,
    /// Copies that could not be read to their end, and were passed over.
    #[serde(default)]
    pub unreadable: Vec<UnreadableCopy>,
    /// Place to go on from; `None` if everything was given back.
    pub next: Option<GiveBackCursor>,
}

impl GiveBackProgress {
    /// Adds the result of a later request.
    pub fn add(&mut self, step: Self) {
        const MAX_NAMED: usize = 100;
        self.kept += step.kept;
        self.duplicates += step.duplicates;
        self.mended.extend(step.mended);
        self.unmended.extend(step.unmended);
        self.unreadable.extend(step.unreadable);
        self.not_repeated_count += step.not_repeated_count;
        let room = MAX_NAMED.saturating_sub(self.not_repeated.len());
        self.not_repeated.extend(step.not_repeated.into_iter().take(room));
    }
}

/// A copy that could not be read to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadableCopy {
    /// Number of the copy.
    pub copy: CopyNumber,
    /// The cause.
    pub why: String,
}

/// Number of changes that only kept copies of an office hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnlyHere {
    /// Changes of the copies that could be compared with the served one. `None` if that says nothing: they have none, and
    /// another copy may have some.
    pub changes: Option<u64>,
    /// Copies that could not be compared.
    pub uncompared: Vec<CopyNumber>,
}
