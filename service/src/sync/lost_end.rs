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
