//! Payloads that were answered as stored, and the claims about them.
//!
//! | claim | checked |
//! |---|---|
//! | the log holds a payload at the number of its receipt, once the receipt is there | with each receipt |
//! | a radio is asked for the next packet once the last one is in the log | with each packet |
//! | a number of an epoch is given once | with each receipt |
//! | a new card lacks a payload only if no office has it, and no gap that is named explains it | with each new card |
//! | a payload is in the log as often as it was sent at most, and at least once unless its loss is known | at rest |

use herd::change::Change;
use herd::position::{Digest, Epoch, Position, Sequence};
use herd::recover::Gaps;
use herd::store::{DamagedRow, Reader, Receipt, StoreError};
use std::collections::BTreeMap;

/// Number of changes at the end of the log among which the payload of a packet is looked for: a page that is given back may
/// have come between.
const MAX_LOOKED_AT: u64 = 2_000;

/// A payload that was answered as stored.
#[derive(Debug)]
struct Entry {
    raw: Vec<u8>,
    /// Its change. `None` if the answer named none.
    position: Option<Position>,
    /// It was lost with a card, and its loss is named or cannot be known.
    is_lost: bool,
}

/// Payloads that were sent, and those that were answered as stored.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: Vec<Entry>,
    sent: BTreeMap<Vec<u8>, u64>,
    numbers: BTreeMap<(u32, Epoch, Sequence), Digest>,
    branches: u32,
    /// Payloads that were lost with a card, and that lie in a gap that is named.
    named: u64,
    /// Payloads that were lost with a card and reached no office: unknown after the last change that is known.
    unknown: u64,
    fault: Option<String>,
}

/// Counts of a ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerCounts {
    /// Payloads that were answered as stored.
    pub receipted: u64,
    /// Of them, those that were lost with a card and lie in a gap that was named.
    pub named: u64,
    /// Of them, those that were lost with a card before any office had them.
    pub unknown: u64,
}

impl Ledger {
    /// Notes that a claim does not hold. The first one counts.
    pub(super) fn fault(&mut self, what: String) {
        self.fault.get_or_insert(what);
    }

    pub(super) fn first_fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    pub(super) fn counts(&self) -> LedgerCounts {
        LedgerCounts { receipted: self.entries.len() as u64, named: self.named, unknown: self.unknown }
    }

    /// Returns the number of a new branch: of a card whose barn cannot know which numbers another one has given.
    pub(super) fn new_branch(&mut self) -> u32 {
        self.branches += 1;
        self.branches
    }

    /// Returns whether a number of this epoch or a later one was given in a branch.
    pub(super) fn has_given(&self, branch: u32, epoch: Epoch) -> bool {
        self.numbers.range((branch, epoch, Sequence::ZERO)..(branch + 1, Epoch(0), Sequence::ZERO)).next().is_some()
    }

    pub(super) fn note_sent(&mut self, raw: &[u8]) {
        *self.sent.entry(raw.to_vec()).or_default() += 1;
    }

    /// Notes an answer that names no change.
    pub(super) fn note_promise(&mut self, raw: &[u8]) {
        self.entries.push(Entry { raw: raw.to_vec(), position: None, is_lost: false });
    }

    /// Notes a receipt, and checks that the log holds what it says.
    pub(super) fn note_receipt(&mut self, branch: u32, raw: &[u8], receipt: &Receipt, log: &Reader) {
        let (sequence, is_new) = match receipt {
            Receipt::Kept { sequence } | Receipt::Rejected { sequence, .. } => (*sequence, true),
            Receipt::Duplicate { of } => (*of, false),
            Receipt::Suppressed => return,
        };
        match (payload_at(log, sequence), log.position_at(sequence)) {
            (Ok(Some(found)), Ok(Some(position))) if found == raw => {
                if is_new {
                    self.add(branch, raw, position);
                }
            }
            (found, _) => self.fault(format!("{receipt:?} names a change that holds another payload: {found:?}")),
        }
    }

    /// Notes that the loop of a radio asked for the next packet, so that this one must be in the log.
    pub(super) fn note_packet(&mut self, branch: u32, raw: &[u8], log: &Reader) {
        let head = log.head().position.sequence;
        for n in (head.0.saturating_sub(MAX_LOOKED_AT) + 1..=head.0).rev() {
            if payload_at(log, Sequence(n)).is_ok_and(|found| found.as_deref() == Some(raw))
                && let Ok(Some(position)) = log.position_at(Sequence(n))
            {
                self.add(branch, raw, position);
                return;
            }
        }
        let text = String::from_utf8_lossy(raw).into_owned();
        self.fault(format!("the packet `{text}` is not in the log, and the radio was asked for the next one"));
    }

    fn add(&mut self, branch: u32, raw: &[u8], position: Position) {
        let key = (branch, position.epoch, position.sequence);
        let earlier = *self.numbers.entry(key).or_insert(position.digest);
        if earlier != position.digest {
            self.fault(format!("change {} of epoch {} was given twice", position.sequence, position.epoch));
        }
        self.entries.push(Entry { raw: raw.to_vec(), position: Some(position), is_lost: false });
    }

    /// Looks for all payloads on the log of a new card, in copies of offices, and in the gaps that were named.
    pub(super) fn note_new_card(&mut self, before: &Reader, log: &Reader, copies: &[Reader], gaps: Option<&Gaps>) {
        let (places, texts) = match (texts(before), texts(log)) {
            (Ok(places), Ok(texts)) => (places, texts),
            (Err(error), _) | (_, Err(error)) => return self.fault(format!("a log cannot be read: {error}")),
        };
        let mut unexplained = None;
        for entry in self.entries.iter_mut().filter(|entry| !entry.is_lost && !texts.contains_key(&entry.raw)) {
            let Some(position) = entry.position else { continue };
            let holds = |copy: &Reader| copy.position_at(position.sequence).is_ok_and(|own| own == Some(position));
            if copies.iter().any(holds) {
                continue;
            }
            entry.is_lost = true;
            // It may have come back at another place, and be lost there.
            let lost_at = places.get(&entry.raw).and_then(|places| places.last()).unwrap_or(&position.sequence);
            let holds_it = |gap: &DamagedRow| (gap.first..=gap.last).contains(lost_at);
            let is_in = |gaps: &Gaps| gaps.named.iter().chain(&gaps.doubtful).any(holds_it);
            match gaps {
                Some(gaps) if is_in(gaps) => self.named += 1,
                Some(gaps) if *lost_at <= gaps.last_known => {
                    let text = String::from_utf8_lossy(&entry.raw).into_owned();
                    unexplained = Some(format!("`{text}`, {position}, last in change {lost_at}"));
                }
                _ => self.unknown += 1,
            }
        }
        if let Some(lost) = unexplained {
            self.fault(format!("{lost} is lost, and lies in no gap that the recovery names: {gaps:?}"));
        }
    }

    /// Checks the log at rest.
    pub(super) fn check_at_rest(&mut self, log: &Reader) {
        let texts = match texts(log) {
            Ok(texts) => texts,
            Err(error) => return self.fault(format!("the log cannot be read: {error}")),
        };
        let missing = self.entries.iter().find(|entry| !entry.is_lost && !texts.contains_key(&entry.raw));
        if let Some(Entry { raw, position, .. }) = missing {
            let (text, at) =
                (String::from_utf8_lossy(raw), position.map_or("no change".to_owned(), |at| at.to_string()));
            let what = format!("`{text}` was answered as stored ({at}), is missing, and nobody says so");
            return self.fault(what);
        }
        let doubled = texts.iter().find(|(raw, at)| self.sent.get(*raw).is_none_or(|sent| at.len() as u64 > *sent));
        if let Some((raw, at)) = doubled {
            let text = String::from_utf8_lossy(raw).into_owned();
            self.fault(format!("`{text}` is in the changes {at:?}, more often than it was sent"));
        }
    }
}

/// Returns the payload of a change, if it is one.
pub(super) fn payload_at(log: &Reader, sequence: Sequence) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(log.change(sequence)?.and_then(|bytes| match Change::from_bytes(&bytes) {
        Ok(Change::Received(received)) => Some(received.raw),
        _ => None,
    }))
}

/// Returns all payloads of a log, with the changes that hold each.
fn texts(log: &Reader) -> Result<BTreeMap<Vec<u8>, Vec<Sequence>>, StoreError> {
    let mut texts = BTreeMap::<_, Vec<_>>::new();
    for n in 1..=log.head().position.sequence.0 {
        if let Some(raw) = payload_at(log, Sequence(n))? {
            texts.entry(raw).or_default().push(Sequence(n));
        }
    }
    Ok(texts)
}
