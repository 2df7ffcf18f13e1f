//! Payloads: decided and appended by a source.

use super::group::Group;
use super::{Store, StoreError};
use crate::change::{Change, Origin, Outcome};
use crate::clock::RawReading;
use crate::decide::{Decision, Rules, decide};
use crate::payload::Rejection;
use crate::position::Sequence;

/// A payload as received by a radio or over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The bytes as received.
    pub raw: Vec<u8>,
    /// Origin of the payload. The store fills in the reader era.
    pub origin: Origin,
    /// When the payload arrived.
    pub at: RawReading,
}

/// The outcome of a payload, returned only after the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// The payload is durable, as an event.
    Kept {
        /// Its change.
        sequence: Sequence,
    },
    /// The payload is durable, as a rejection.
    Rejected {
        /// Its change.
        sequence: Sequence,
        /// Why it is not an event.
        reason: Rejection,
    },
    /// The payload was already durable, and no change was made.
    Duplicate {
        /// The change that holds it.
        of: Sequence,
    },
    /// The payload is a rejection above the limit of its channel. It was counted, not recorded.
    Suppressed,
}

impl Store {
    /// Decides about a group of payloads, in order, and commits them in one durable commit.
    ///
    /// On an error nothing of the group is acknowledged. If the commit itself failed, this writer refuses all further
    /// writes ([`StoreError::Interrupted`]), and the next one finds the group whole or not at all.
    pub fn append(&mut self, payloads: &[Incoming]) -> Result<Vec<Receipt>, StoreError> {
        let (rules, boot) = (self.rules.clone(), self.boot);
        self.write(|group| payloads.iter().map(|incoming| append_one(group, &rules, boot, incoming)).collect())
    }

    /// Records the number of rejections above the limit of a channel.
    pub fn append_suppressed(&mut self, suppressed: crate::change::Suppressed) -> Result<(), StoreError> {
        self.append_change(&Change::Suppressed(suppressed))
    }

    /// Appends a change that needs no decision.
    pub(super) fn append_change(&mut self, change: &Change) -> Result<(), StoreError> {
        self.write(|group| group.push(change).map(|_| ()))
    }

    /// Returns the number of the machine's current boot.
    pub fn boot(&self) -> u32 {
        self.boot
    }
}

fn append_one(group: &mut Group<'_>, rules: &Rules, boot: u32, incoming: &Incoming) -> Result<Receipt, StoreError> {
    let Incoming { raw, origin, at } = incoming;
    Ok(match decide(&*group.rows, &group.history, rules, group.next(), raw, origin, at.in_boot(boot))? {
        Decision::Duplicate { of } => Receipt::Duplicate { of },
        Decision::Suppress => Receipt::Suppressed,
        Decision::Keep(change) => receipt_for(&change, group.push(&change)?),
    })
}

pub(super) fn receipt_for(change: &Change, sequence: Sequence) -> Receipt {
    match change {
        Change::Received(received) => match &received.outcome {
            Outcome::Rejected(rejected) => Receipt::Rejected { sequence, reason: rejected.reason.clone() },
            Outcome::Accepted(_) => Receipt::Kept { sequence },
        },
        _ => Receipt::Kept { sequence },
    }
}
