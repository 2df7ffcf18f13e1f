//! Changes of a history that the log does not hold: their payloads come back.

use super::append::receipt_for;
use super::log::LogReader;
use super::{ChangeRun, Receipt, Store, StoreError};
use crate::change::{Acceptance, Change, ChangeKind, Readmission};
use crate::decide::{Decision, LostPayload, decide_readmission};
use crate::digest::chain_next;
use crate::position::{Digest, Epoch, Sequence};
use serde::{Deserialize, Serialize};

/// Maximum number of lost payloads that are appended in one commit.
pub const MAX_READMITTED: usize = 1_000;
/// Maximum number of decisions that are named one by one.
const MAX_NAMED: usize = 100;

/// Result of bringing changes back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readmitted {
    /// Number of payloads that were appended once more.
    pub kept: u64,
    /// The first and the last change that holds one of them.
    pub span: Option<(Sequence, Sequence)>,
    /// Number of payloads that the log held already, in another place.
    pub duplicates: u64,
    /// Number of changes that the log holds in their own place.
    pub held: u64,
    /// Decisions about earlier payloads, which are not repeated: corrections, and later acceptances. The first hundred of
    /// them, by their old sequence.
    pub not_repeated: Vec<Sequence>,
    /// Number of all of these.
    pub not_repeated_count: u64,
}

impl Readmitted {
    /// Adds what became of further changes.
    pub fn add(&mut self, more: Self) {
        self.kept += more.kept;
        self.span = match (self.span, more.span) {
            (Some((first, _)), Some((_, last))) => Some((first, last)),
            (span, more) => span.or(more),
        };
        self.duplicates += more.duplicates;
        self.held += more.held;
        self.not_repeated_count += more.not_repeated_count;
        let room = MAX_NAMED.saturating_sub(self.not_repeated.len());
        self.not_repeated.extend(more.not_repeated.into_iter().take(room));
    }

    fn receive(&mut self, receipt: &Receipt) {
        match receipt {
            Receipt::Kept { sequence } | Receipt::Rejected { sequence, .. } => {
                self.kept += 1;
                let (first, _) = self.span.unwrap_or((*sequence, *sequence));
                self.span = Some((first, *sequence));
            }
            Receipt::Duplicate { .. } | Receipt::Suppressed => self.duplicates += 1,
        }
    }

    fn leave_out(&mut self, sequence: Sequence) {
        self.not_repeated_count += 1;
        if self.not_repeated.len() < MAX_NAMED {
            self.not_repeated.push(sequence);
        }
    }
}

impl Store {
    /// Appends the payloads of a run that this log does not hold, with the times and the origin of their reception, and with
    /// their place in the run. One that came back before, that the log holds in its first place, or whose event the log has,
    /// is a duplicate.
    ///
    /// Up to [`MAX_READMITTED`] changes are one durable commit. On an error nothing of the commit under way is acknowledged;
    /// see [`Store::append`]. Running the same again completes it.
    pub fn readmit(&mut self, run: &ChangeRun, acceptance: &Acceptance) -> Result<Readmitted, StoreError> {
        let places = places_of(run);
        let (held, mut epoch) = self.count_held(&places, run.after.epoch)?;
        let mut done = Readmitted { held: held as u64, ..Readmitted::default() };
        let (log, mut batch) = (self.log.reader()?, Vec::new());
        for ((sequence, digest), bytes) in places.into_iter().zip(run.changes.iter()).skip(held) {
            match Change::from_bytes(bytes) {
                Ok(Change::Received(mut received)) => {
                    let Acceptance { author, reason } = acceptance.clone();
                    let readmission = match received.readmission.take() {
                        // It was in the run for the second time, and may be here in its first place.
                        Some(former) if log.has_digest(former.sequence, &former.digest)? => {
                            done.duplicates += 1;
                            continue;
                        }
                        Some(former) => *former,
                        None => Readmission { epoch, sequence, digest, author, reason },
                    };
                    let (raw, origin, clock) = (received.raw, received.origin, received.clock);
                    batch.push(LostPayload { raw, origin, clock, readmission });
                    if batch.len() == MAX_READMITTED {
                        self.commit_readmitted(&std::mem::take(&mut batch), &mut done)?;
                    }
                }
                Ok(Change::Epoch(began)) => epoch = epoch.max(began.epoch),
                // A count of what was not recorded.
                Ok(Change::Suppressed(_)) => {}
                Ok(Change::Reprocessed(_) | Change::Corrected(_) | Change::EraMove(_)) => done.leave_out(sequence),
                Err(_) if is_decision(bytes) => done.leave_out(sequence),
                Err(why) => return Err(StoreError::UnknownLost { sequence, why }),
            }
        }
        self.commit_readmitted(&batch, &mut done)?;
        Ok(done)
    }

    /// Returns the number of changes that the log holds in their own place, which are all up to one of them, and the epoch
    /// after them.
    fn count_held(&self, places: &[(Sequence, Digest)], before: Epoch) -> Result<(usize, Epoch), StoreError> {
        let log = self.log.reader()?;
        let (mut from, mut to, mut epoch) = (0, places.len(), before);
        while from < to {
            let middle = from.midpoint(to);
            let (sequence, digest) = places[middle];
            match log.position_at(sequence)?.filter(|own| own.digest == digest) {
                Some(own) => (from, epoch) = (middle + 1, own.epoch),
                None => to = middle,
            }
        }
        Ok((from, epoch))
    }

    fn commit_readmitted(&mut self, payloads: &[LostPayload], done: &mut Readmitted) -> Result<(), StoreError> {
        let rules = self.rules.clone();
        let receipts: Vec<_> = self.write(|group| {
            let decide = |lost: &LostPayload| {
                Ok(match decide_readmission(&*group.rows, &group.history, &rules, group.next(), lost)? {
                    Decision::Duplicate { of } => Receipt::Duplicate { of },
                    Decision::Suppress => Receipt::Suppressed,
                    Decision::Keep(change) => receipt_for(&change, group.push(&change)?),
                })
            };
            payloads.iter().map(decide).collect::<Result<_, StoreError>>()
        })?;
        for receipt in &receipts {
            done.receive(receipt);
        }
        Ok(())
    }
}

/// Returns whether a change is a decision about earlier payloads, of whatever version.
fn is_decision(change: &[u8]) -> bool {
    let kind = change.first().and_then(|number| ChangeKind::from_number(*number));
    matches!(kind, Some(ChangeKind::Reprocessed | ChangeKind::Corrected | ChangeKind::EraMove))
}

impl LogReader {
    /// Returns whether the log has this digest after `sequence`.
    fn has_digest(&self, sequence: Sequence, digest: &Digest) -> Result<bool, StoreError> {
        Ok(self.position_at(sequence)?.is_some_and(|own| own.digest == *digest))
    }
}

/// Returns the sequence and the chain digest of each change.
fn places_of(run: &ChangeRun) -> Vec<(Sequence, Digest)> {
    let mut digest = run.after.digest;
    let numbered = run.changes.numbered(run.after.sequence);
    let place = numbered.map(|(sequence, bytes)| {
        digest = chain_next(digest, sequence, bytes);
        (sequence, digest)
    });
    place.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches payloads or decisions that are counted once although several islands had some.
    #[test]
    fn what_came_back_in_several_runs_adds_up() {
        let span = |first, last| Some((Sequence(first), Sequence(last)));
        let part = |kept, span, not_repeated: &[u64]| Readmitted {
            kept,
            span,
            duplicates: kept * 2,
            held: kept * 3,
            not_repeated: not_repeated.iter().copied().map(Sequence).collect(),
            not_repeated_count: not_repeated.len() as u64,
        };
        let mut sum = Readmitted::default();
        let (mut kept, mut named) = (0, Vec::new());
        for (more, of, expected, names) in [
            (3, span(5, 9), span(5, 9), &[1, 2][..]),
            (0, None, span(5, 9), &[]),
            (4, span(11, 20), span(5, 20), &[40]),
        ] {
            sum.add(part(more, of, names));
            kept += more;
            named.extend_from_slice(names);
            assert_eq!(sum, part(kept, expected, &named));
        }
    }

    #[test]
    fn the_first_hundred_decisions_are_named_and_all_counted() {
        let mut one_by_one = Readmitted::default();
        (1..=101).for_each(|n| one_by_one.leave_out(Sequence(n)));
        assert_eq!((one_by_one.not_repeated.len(), one_by_one.not_repeated_count), (100, 101));
        let mut sum = Readmitted::default();
        sum.leave_out(Sequence(900));
        sum.add(one_by_one);
        assert_eq!((sum.not_repeated.len(), sum.not_repeated[99], sum.not_repeated_count), (100, Sequence(99), 102));
    }
}
