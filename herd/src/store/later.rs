//! Changes of the source that speak of earlier ones: corrections, and rejected payloads judged anew.

use super::append::Pending;
use super::{Store, StoreError};
use crate::change::{Change, MAX_CHANGE_BYTES};
use crate::clock::RawReading;
use crate::decide::{CorrectionDecision, CorrectionRequest, Refused, decide_again, decide_correction};
use crate::fold::{KeyRange, Rows, fold};
use crate::position::Sequence;
use crate::tables::{Table, number_in, sequence_key};

/// So many rejected payloads are judged anew in one commit at most.
pub const MAX_REPROCESSED: usize = 1_000;

/// What became of a correction. Given only after the commit that it speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorrectionReceipt {
    /// Durable.
    Kept {
        /// Its number.
        sequence: Sequence,
    },
    /// This very correction was kept before, under the same idempotency key.
    Again {
        /// Its number.
        of: Sequence,
    },
    /// Nothing was written.
    Refused(Refused),
}

/// What judging rejected payloads anew came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReprocessReceipt {
    /// The payloads that are events now.
    pub accepted: Vec<Sequence>,
    /// How many were judged.
    pub judged: u64,
    /// The last one judged, where there are more after it.
    pub next: Option<Sequence>,
}

impl Store {
    /// Judges and keeps one correction, durably. On an error nothing is acknowledged; see [`Store::append`].
    pub fn correct(&mut self, request: &CorrectionRequest, at: RawReading) -> Result<CorrectionReceipt, StoreError> {
        self.check_may_decide()?;
        let receipt = self.correct_once(request, at);
        self.distrust_unread_tables(&receipt);
        receipt
    }

    fn correct_once(&mut self, request: &CorrectionRequest, at: RawReading) -> Result<CorrectionReceipt, StoreError> {
        let log = self.log.reader()?;
        let pending = Pending::new(&log, self.state.folded);
        let mut staged = self.staged()?;
        let sequence = staged.folded().next();
        let clock = at.in_boot(self.boot);
        let corrected = match decide_correction(&staged, &pending, &self.rules, sequence, request, clock)? {
            CorrectionDecision::Again { of } => return Ok(CorrectionReceipt::Again { of }),
            CorrectionDecision::Refused(refused) => return Ok(CorrectionReceipt::Refused(refused)),
            CorrectionDecision::Keep(corrected) => Change::Corrected(corrected),
        };
        let bytes = corrected.to_bytes();
        if bytes.len() > MAX_CHANGE_BYTES {
            let refused = Refused::TooLarge { bytes: bytes.len(), limit: MAX_CHANGE_BYTES };
            return Ok(CorrectionReceipt::Refused(refused));
        }
        fold(&mut staged, sequence, &corrected)?;
        pending.push(&bytes);
        let changes = pending.into_changes();
        self.commit(&changes, &staged, None)?;
        Ok(CorrectionReceipt::Kept { sequence })
    }

    /// Judges up to `limit` (at most [`MAX_REPROCESSED`]) of the rejected payloads after `after` anew, in their order,
    /// and keeps those that are events now in one durable commit. On an error nothing is acknowledged.
    pub fn reprocess(&mut self, after: Sequence, limit: usize, at: RawReading) -> Result<ReprocessReceipt, StoreError> {
        self.check_may_decide()?;
        let receipt = self.reprocess_once(after, limit.min(MAX_REPROCESSED), at);
        self.distrust_unread_tables(&receipt);
        receipt
    }

    fn reprocess_once(
        &mut self,
        after: Sequence,
        limit: usize,
        at: RawReading,
    ) -> Result<ReprocessReceipt, StoreError> {
        let log = self.log.reader()?;
        let pending = Pending::new(&log, self.state.folded);
        let mut staged = self.staged()?;
        let clock = at.in_boot(self.boot);
        let from = sequence_key(after.next());
        let range = KeyRange { from: &from, to: None, backwards: false, limit: limit + 1 };
        let mut rejected = staged.range(Table::Rejected, range)?;
        let more = rejected.len() > limit;
        rejected.truncate(limit);
        let mut receipt = ReprocessReceipt::default();
        let mut last = after;
        for (key, _) in rejected {
            last = Sequence(number_in(&key).unwrap_or_default());
            receipt.judged += 1;
            let sequence = staged.folded().next();
            let Some(body) = decide_again(&staged, &pending, &self.rules, sequence, last, clock)? else { continue };
            let change = Change::Reprocessed(Box::new(body));
            let bytes = change.to_bytes();
            // None that a door let in is so long; it stays a rejection, which is kept and shown.
            if bytes.len() > MAX_CHANGE_BYTES {
                continue;
            }
            fold(&mut staged, sequence, &change)?;
            pending.push(&bytes);
            receipt.accepted.push(last);
        }
        receipt.next = more.then_some(last);
        let changes = pending.into_changes();
        if !changes.is_empty() {
            self.commit(&changes, &staged, None)?;
        }
        Ok(receipt)
    }
}
