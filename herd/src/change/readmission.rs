//! The place that a payload had before it was lost, for a payload that was appended once more.
//!
//! # Decisions
//!
//! - **A payload that comes back is a Received change with the times and the origin of its reception.** It is the same
//!   payload, and everything that asks for payloads finds it. Rejected: a kind of its own, which each reader of the log
//!   would have to know beside Received.
//! - **Version 2 of the body has the former place at its end.** Version 1 is frozen, and nearly all payloads have no
//!   former place.
//! - **The chain digest tells the former places of two histories apart.** After a card was cloned, both barns have a change
//!   17 of epoch 1.

use crate::position::{Digest, Epoch, Sequence};
use serde::{Deserialize, Serialize};

/// The former place of a payload, and the decision of a person to append it once more. The order of the fields is frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readmission {
    /// Epoch of the change that held the payload first, as far as it is known.
    pub epoch: Epoch,
    /// Sequence of that change, in a history that the log does not hold.
    pub sequence: Sequence,
    /// Chain digest after that change. It identifies the payload.
    pub digest: Digest,
    /// Name of the person, or of the program that was told to do it.
    pub author: String,
    /// Reason of the decision.
    pub reason: String,
}
