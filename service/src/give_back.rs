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
/// Path of the health of a barn, which names its damaged rows.
pub const HEALTH_PATH: &str = "/api/remote/health";
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

#[cfg(test)]
mod tests {
    use super::*;
    use herd::testing::TestBarn;

    /// Catches a person who is told another number than the barn holds now.
    #[test]
    fn a_response_counts_what_the_barn_holds_now() {
        let row = |first, last| DamagedRow { first: Sequence(first), last: Sequence(last) };
        for (first, last, kept) in [(5, 9, 5), (5, 5, 1)] {
            let reply = GiveBackReply::mended(row(first, last));
            assert_eq!((reply.success, reply.kept, reply.duplicates, reply.not_repeated_count), (true, kept, 0, 0));
        }
        let not_repeated = vec![Sequence(8)];
        let done = Readmitted {
            kept: 4,
            duplicates: 3,
            held: 2,
            not_repeated,
            not_repeated_count: 9,
            ..Readmitted::default()
        };
        let text = r#"{"success":true,"kept":4,"duplicates":5,"not_repeated":[8],"not_repeated_count":9}"#;
        assert_eq!(serde_json::to_string(&GiveBackReply::from(done)).unwrap(), text);
    }

    /// Catches an office whose order an earlier barn refuses, because it names what that barn does not know.
    #[test]
    fn an_order_names_the_place_only_if_a_row_is_to_be_mended() {
        let reader = TestBarn::with_payloads(&["hxb:A:LF1:UHF1"]).reader();
        let run = || reader.run_after(reader.position_at(Sequence::ZERO).unwrap().unwrap(), 10, 1_000).unwrap();
        for (in_place, named) in [(false, false), (true, true)] {
            let changes = EncodedRun::new(run());
            let order = GiveBackOrder { author: "Ana".into(), reason: "old card".into(), changes, in_place };
            let text = serde_json::to_string(&order).unwrap();
            assert_eq!(text.contains("in_place"), named, "{text}");
            assert_eq!(serde_json::from_str::<GiveBackOrder>(&text).unwrap(), order);
            assert_eq!(order.changes.decode().unwrap().end, reader.head().position);
        }
    }
}
