//! Giving back: an office returns to its barn what only the office holds.
//!
//! The office sends changes of the history that the barn lost, page by page, with the position before them. The barn appends
//! their payloads; see [`Store::readmit`](herd::store::Store::readmit).
//!
//! A row of the barn's log that is damaged comes back in its place; see [`Store::mend`](herd::store::Store::mend). The health of
//! the barn names it.

use crate::backup::EncodedRun;
use herd::position::Sequence;
use herd::store::{DamagedRow, Readmitted};
use serde::{Deserialize, Serialize};

/// Path of the call at the barn.
pub const GIVE_BACK_PATH: &str = "/api/give-back";
/// Path of the call that names the damaged rows of a barn.
pub const DAMAGE_PATH: &str = "/api/remote/health";
/// Maximum number of changes in a call: one commit of the barn.
pub const MAX_GIVEN_CHANGES: usize = 1_000;
/// Size of the changes that an office sends in a call, unless a single one is larger: a slow link takes it in a few seconds.
pub const MAX_GIVEN_BYTES: usize = 32 * 1024;
/// Maximum length of the body of a call: the changes in base64, and room for the texts.
pub const MAX_GIVE_BACK_BYTES: usize = 512 * 1024;

/// The body of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GiveBackOrder {
    /// Name of the person who gives back.
    pub author: String,
    /// Reason for it.
    pub reason: String,
    /// The changes, with the positions at both ends.
    pub changes: EncodedRun,
    /// Write the changes in the place of a damaged row, instead of appending their payloads.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_place: bool,
}

/// The response to a call that was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiveBackReply {
    /// Always true.
    pub success: bool,
    /// Number of payloads that the barn has appended, or of changes that it has written in their place.
    pub kept: u64,
    /// Number of payloads that the barn held already.
    pub duplicates: u64,
    /// Decisions about earlier payloads, which the barn does not repeat: the first hundred.
    pub not_repeated: Vec<Sequence>,
    /// Number of all of these.
    pub not_repeated_count: u64,
}

impl GiveBackReply {
    /// Returns the response to changes that were written in the place of a damaged row.
    #[must_use]
    pub fn mended(row: DamagedRow) -> Self {
        let kept = row.last.0.saturating_sub(row.first.0).saturating_add(1);
        Self { success: true, kept, duplicates: 0, not_repeated: Vec::new(), not_repeated_count: 0 }
    }
}

impl From<Readmitted> for GiveBackReply {
    fn from(done: Readmitted) -> Self {
        let Readmitted { kept, duplicates, held, not_repeated, not_repeated_count, .. } = done;
        Self { success: true, kept, duplicates: duplicates + held, not_repeated, not_repeated_count }
    }
}
