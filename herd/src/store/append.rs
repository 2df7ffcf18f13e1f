//! Payloads on their way into the store of a source.

use super::group::Group;
use super::{Store, StoreError};
use crate::change::{Change, Origin, Outcome};
use crate::clock::RawReading;
use crate::decide::{Decision, Rules, decide};
use crate::payload::Rejection;
use crate::position::Sequence;

/// A payload as a radio or a door hands it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The bytes as they came.
    pub raw: Vec<u8>,
    /// What brought it. The reader era is filled in by the store.
    pub origin: Origin,
    /// When it came.
    pub at: RawReading,
}

/// What became of a payload. Given only after the commit that it speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// Durable, as an event.
    Kept {
        /// Its number.
        sequence: Sequence,
    },
    /// Durable, as a rejection.
    Rejected {
        /// Its number.
        sequence: Sequence,
        /// Why it is no event.
        reason: Rejection,
    },
    /// Held already, durably; no Change was made.
    Duplicate {
        /// The change that holds it.
        of: Sequence,
    },
    /// A rejection above the bound of its channel: counted, not kept.
    Suppressed,
}

impl Store {
    /// Judges and keeps a group of payloads, in order. All receipts speak of one durable commit. On an error nothing of
    /// the group is acknowledged; if the commit itself failed, this writer refuses all further ones
    /// ([`StoreError::Interrupted`]), and the next one finds the group whole or not at all.
    pub fn append(&mut self, payloads: &[Incoming]) -> Result<Vec<Receipt>, StoreError> {
        let (rules, boot) = (self.rules, self.boot);
        self.write(|group| payloads.iter().map(|incoming| append_one(group, &rules, boot, incoming)).collect())
    }

    /// Keeps the count of rejections that were above a channel's bound.
    pub fn append_suppressed(&mut self, suppressed: crate::change::Suppressed) -> Result<(), StoreError> {
        self.append_change(&Change::Suppressed(suppressed))
    }

    /// Appends a change that needs no decision.
    pub(super) fn append_change(&mut self, change: &Change) -> Result<(), StoreError> {
        self.write(|group| group.push(change).map(|_| ()))
    }

    /// The number of the machine's boot that this store writes in.
    pub fn boot(&self) -> u32 {
        self.boot
    }
}

fn append_one(group: &mut Group, rules: &Rules, boot: u32, incoming: &Incoming) -> Result<Receipt, StoreError> {
    let Incoming { raw, origin, at } = incoming;
    Ok(match decide(&group.rows, &group.history, rules, group.next(), raw, origin, at.in_boot(boot))? {
        Decision::Duplicate { of } => Receipt::Duplicate { of },
        Decision::Suppress => Receipt::Suppressed,
        Decision::Keep(change) => receipt_for(&change, group.push(&change)?),
    })
}

fn receipt_for(change: &Change, sequence: Sequence) -> Receipt {
    match change {
        Change::Received(received) => match &received.outcome {
            Outcome::Rejected(rejected) => Receipt::Rejected { sequence, reason: rejected.reason.clone() },
            Outcome::Accepted(_) => Receipt::Kept { sequence },
        },
        _ => Receipt::Kept { sequence },
    }
}
