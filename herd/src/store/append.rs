//! The source's way into the store: decide and fold each payload in turn, then one durable commit for all.

use super::log::LogReader;
use super::{Changes, Store, StoreError};
use crate::change::{Change, MAX_CHANGE_BYTES, Origin, Outcome};
use crate::clock::RawReading;
use crate::decide::{Decision, History, decide};
use crate::fold::{RowsError, fold};
use crate::payload::Rejection;
use crate::position::Sequence;
use std::cell::RefCell;

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

/// A group while it is judged: each payload sees the ones before it.
pub(super) struct Pending<'a> {
    log: &'a LogReader,
    after: Sequence,
    changes: RefCell<Changes>,
}

impl<'a> Pending<'a> {
    pub(super) fn new(log: &'a LogReader, after: Sequence) -> Self {
        Self { log, after, changes: RefCell::default() }
    }

    pub(super) fn push(&self, change: &[u8]) {
        self.changes.borrow_mut().push(change);
    }

    pub(super) fn into_changes(self) -> Changes {
        self.changes.into_inner()
    }
}

impl History for Pending<'_> {
    fn change_at(&self, sequence: Sequence) -> Result<Option<Change>, RowsError> {
        let in_group = sequence.0.checked_sub(self.after.0 + 1).and_then(|index| usize::try_from(index).ok());
        let bytes = match in_group {
            Some(index) => self.changes.borrow().get(index).map(<[u8]>::to_vec),
            None => self
                .log
                .change(sequence)
                .map_err(|error| RowsError::Storage { table: "log", why: error.to_string() })?,
        };
        Ok(bytes.and_then(|bytes| Change::from_bytes(&bytes).ok()))
    }
}

impl Store {
    /// Judges and keeps a group of payloads, in order. All receipts speak of one durable commit. On an error nothing of
    /// the group is acknowledged; if the commit itself failed, this writer refuses all further ones
    /// ([`StoreError::Interrupted`]), and the next one finds the group whole or not at all.
    pub fn append(&mut self, group: &[Incoming]) -> Result<Vec<Receipt>, StoreError> {
        self.check_may_decide()?;
        let receipts = self.append_group(group);
        self.distrust_unread_tables(&receipts);
        receipts
    }

    fn append_group(&mut self, group: &[Incoming]) -> Result<Vec<Receipt>, StoreError> {
        let log = self.log.reader()?;
        let pending = Pending::new(&log, self.state.folded);
        let mut staged = self.staged()?;
        let mut receipts = Vec::with_capacity(group.len());
        for incoming in group {
            let sequence = staged.folded().next();
            let clock = incoming.at.in_boot(self.boot);
            let decision = decide(&staged, &pending, &self.rules, sequence, &incoming.raw, &incoming.origin, clock)?;
            receipts.push(match decision {
                Decision::Duplicate { of } => Receipt::Duplicate { of },
                Decision::Suppress => Receipt::Suppressed,
                Decision::Keep(change) => {
                    fold(&mut staged, sequence, &change)?;
                    let bytes = change.to_bytes();
                    if bytes.len() > MAX_CHANGE_BYTES {
                        return Err(StoreError::Oversize { bytes: bytes.len(), limit: MAX_CHANGE_BYTES });
                    }
                    pending.push(&bytes);
                    receipt_for(&change, sequence)
                }
            });
        }
        let changes = pending.into_changes();
        if !changes.is_empty() {
            self.commit(&changes, &staged, None)?;
        }
        Ok(receipts)
    }

    /// Keeps the count of rejections that were above a channel's bound.
    pub fn append_suppressed(&mut self, suppressed: crate::change::Suppressed) -> Result<(), StoreError> {
        self.append_change(&Change::Suppressed(suppressed))
    }

    /// The number of the machine's boot that this store writes in.
    pub fn boot(&self) -> u32 {
        self.boot
    }
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
