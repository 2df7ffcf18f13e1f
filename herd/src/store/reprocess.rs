//! Reprocessing of rejected payloads.

use super::group::Group;
use super::{Store, StoreError};
use crate::change::Change;
use crate::clock::{ClockReading, RawReading};
use crate::decide::{Rules, decide_reprocess};
use crate::fold::{KeyRange, Rows};
use crate::position::Sequence;
use crate::tables::{Table, number_in, sequence_key};

/// Maximum number of rejected payloads that are reprocessed in one commit.
pub const MAX_REPROCESSED: usize = 1_000;

/// The outcome of one call of [`Store::reprocess`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReprocessReceipt {
    /// Payloads that are events now.
    pub accepted: Vec<Sequence>,
    /// Number of payloads judged.
    pub judged: u64,
    /// The last payload judged, if there are more rejected ones after it.
    pub next: Option<Sequence>,
}

impl Store {
    /// Reprocesses up to `limit` (at most [`MAX_REPROCESSED`]) of the rejected payloads after `after`, in their order.
    ///
    /// Commits those that are events now, in one durable commit. On an error nothing is acknowledged.
    pub fn reprocess(&mut self, after: Sequence, limit: usize, at: RawReading) -> Result<ReprocessReceipt, StoreError> {
        let (rules, clock) = (self.rules.clone(), at.in_boot(self.boot));
        let limit = limit.min(MAX_REPROCESSED);
        self.write(|group| {
            let from = sequence_key(after.next());
            let range = KeyRange { from: &from, to: None, backwards: false, limit: limit + 1 };
            let mut rejected = group.rows.range(Table::Rejected, range)?;
            let more = rejected.len() > limit;
            rejected.truncate(limit);
            let mut receipt = ReprocessReceipt::default();
            let mut last = after;
            for (key, _) in rejected {
                last = Sequence(number_in(&key).unwrap_or_default());
                receipt.judged += 1;
                if reprocess_one(group, &rules, last, clock)? {
                    receipt.accepted.push(last);
                }
            }
            receipt.next = more.then_some(last);
            Ok(receipt)
        })
    }
}

/// Returns whether the rejected payload `of` is an event now.
fn reprocess_one(group: &mut Group<'_>, rules: &Rules, of: Sequence, clock: ClockReading) -> Result<bool, StoreError> {
    let decided = decide_reprocess(&*group.rows, &group.history, rules, group.next(), of, clock)?;
    let Some(reprocessed) = decided else { return Ok(false) };
    match group.push(&Change::Reprocessed(Box::new(reprocessed))) {
        Ok(_) => Ok(true),
        // No payload that a door lets in is so long. It stays a rejection, which is kept and shown.
        Err(StoreError::Oversize { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
