//! A log that has lost its end: a follower shows it to the barn, which begins the next epoch.
//!
//! A follower whose copy goes on after the end of its source's log sends both ends; see
//! [`Store::begin_epoch_after`](herd::store::Store::begin_epoch_after). Only a barn has this call: an office that follows a
//! barn gives no numbers.

use herd::position::Position;
use serde::{Deserialize, Serialize};

/// Path of the call. Its body is a [`LostEnd`](herd::store::LostEnd).
pub const LOST_END_PATH: &str = "/api/sync/lost-end";
/// Maximum length of its body: two positions.
pub const MAX_LOST_END_BYTES: usize = 4 * 1024;

/// The response of a barn that began the next epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostEndReply {
    /// Always true.
    pub success: bool,
    /// Position after the change that began it.
    pub head: Position,
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::position::{Digest, Epoch, Sequence, StoreId};
    use herd::store::LostEnd;

    /// Catches offices and barns of different versions that do not understand each other.
    #[test]
    fn body_and_response_keep_their_form() {
        let at = |sequence| Position {
            store: StoreId([0x53; 16]),
            epoch: Epoch(1),
            sequence: Sequence(sequence),
            digest: Digest([0x9c; 32]),
        };
        let text = |sequence: u64| {
            let (store, digest) = ("53".repeat(16), "9c".repeat(32));
            format!(r#"{{"store":"{store}","epoch":1,"sequence":{sequence},"digest":"{digest}"}}"#)
        };
        let body = format!(r#"{{"shared":{},"copy":{}}}"#, text(61), text(121));
        let shown = LostEnd { shared: at(61), copy: at(121) };
        assert_eq!(serde_json::to_string(&shown).unwrap(), body);
        assert_eq!(serde_json::from_str::<LostEnd>(&body).unwrap(), shown);
        assert!(body.len() * 2 < MAX_LOST_END_BYTES, "also in another layout");
        let response = format!(r#"{{"success":true,"head":{}}}"#, text(62));
        assert_eq!(serde_json::to_string(&LostEndReply { success: true, head: at(62) }).unwrap(), response);
    }
}
