//! The subjects of a log: all that its changes name, and how many of each kind it has.

use herd::change::{AnimalId, BatchId, Change, Correction, CorrectionResult, Outcome, PlacedEvent, TagUse};
use herd::position::{Digest, Sequence};
use herd::store::Reader;
use std::collections::{BTreeMap, BTreeSet};

/// Number of changes that are read from the log at once.
const PAGE_CHANGES: usize = 1_000;
/// Limit of such a page in bytes.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// All that the changes of a log name.
#[derive(Default)]
pub(crate) struct Subjects {
    pub(crate) changes: u64,
    pub(crate) corrections: Vec<Sequence>,
    pub(crate) animals: BTreeSet<AnimalId>,
    pub(crate) batches: BTreeSet<BatchId>,
    /// Numbers of batches.
    pub(crate) numbers: BTreeSet<String>,
    /// Tags and lids, as received.
    pub(crate) names: BTreeSet<String>,
    /// Number of changes by kind, of corrections by kind, of rejections by code, and of corrections on top of others.
    pub(crate) counts: BTreeMap<String, u64>,
    voids: BTreeSet<Sequence>,
    merges: BTreeSet<Sequence>,
}

impl Subjects {
    /// Reads the whole log. Checks the chain on the way.
    pub(crate) fn of(reader: &Reader) -> Self {
        let mut subjects = Self::default();
        let mut at = reader.position_at(Sequence::ZERO).unwrap().unwrap();
        let mut digest: Digest = at.digest;
        while at != reader.head().position {
            let run = reader.run_after(at, PAGE_CHANGES, PAGE_BYTES).unwrap();
            digest = run.changes.chain(digest, at.sequence);
            assert_eq!(digest, run.end.digest, "the chain after {}", at.sequence);
            for (bytes, n) in run.changes.iter().zip(at.sequence.0 + 1..) {
                subjects.add(Sequence(n), &Change::from_bytes(bytes).unwrap());
            }
            at = run.end;
        }
        subjects.changes = at.sequence.0;
        subjects
    }

    fn count(&mut self, name: &str) {
        *self.counts.entry(name.to_owned()).or_default() += 1;
    }

    fn add(&mut self, sequence: Sequence, change: &Change) {
        self.count(change.kind().name());
        self.animals.extend(change.previous().iter().map(|(animal, _)| *animal));
        match change {
            Change::Received(received) => match &received.outcome {
                Outcome::Accepted(accepted) => self.add_event(accepted),
                Outcome::Rejected(rejected) => self.count(&format!("rejected: {}", rejected.reason.code())),
            },
            Change::Reprocessed(reprocessed) => self.add_event(&reprocessed.event.accepted),
            Change::Corrected(corrected) => {
                self.corrections.push(sequence);
                self.count(&format!("correction: {}", corrected.correction.name()));
                let before: Vec<_> = corrected.previous.iter().map(|(_, before)| *before).collect();
                self.add_correction(sequence, &corrected.correction, &before);
                match &corrected.result {
                    CorrectionResult::States(states) => {
                        self.batches.extend(states.batches.iter().map(|batch| batch.batch));
                        self.numbers.extend(states.batches.iter().map(|batch| batch.number.to_string()));
                    }
                    CorrectionResult::Accepted(event) => self.add_event(&event.accepted),
                    CorrectionResult::ReaderEra { .. } => {}
                }
            }
            Change::EraMove(_) | Change::Epoch(_) | Change::Suppressed(_) => {}
        }
    }

    fn add_event(&mut self, placed: &PlacedEvent) {
        let PlacedEvent { event, animal, absorbed, lf, epc, batch } = placed;
        self.count(&format!("event: {}", event.kind.as_str()));
        self.count_if(absorbed.is_some(), "event that absorbs an animal");
        self.count_if(batch.is_some_and(|named| named.closes.is_some()), "event that closes a rested batch");
        self.count_if([lf, epc].contains(&&TagUse::Past), "event with a past tag");
        self.count_if([lf, epc].contains(&&TagUse::Unconfirmed), "event with an unconfirmed tag");
        self.animals.extend([Some(*animal), *absorbed].into_iter().flatten());
        self.batches.extend(batch.map(|named| named.batch));
        self.numbers.extend(event.batch.clone().map(String::from));
        self.names.extend(event.lid.clone().map(String::from));
        let tags = [&event.lf, &event.epc, &event.old_lf, &event.old_epc];
        self.names.extend(tags.into_iter().flatten().map(|tag| tag.text().to_owned()));
    }

    fn add_correction(&mut self, sequence: Sequence, correction: &Correction, before: &[Sequence]) {
        let follows = |of: &BTreeSet<Sequence>| before.iter().any(|before| of.contains(before));
        let (after_void, after_merge) = (follows(&self.voids), follows(&self.merges));
        match correction {
            Correction::Void { .. } => {
                self.voids.insert(sequence);
                self.count_if(after_void, "void after a void");
                self.count_if(after_merge, "void after a merge");
            }
            Correction::Merge { .. } => {
                self.merges.insert(sequence);
                self.count_if(after_void, "merge after a void");
            }
            Correction::AcceptRejected { .. } => self.count_if(after_void, "accepted after a void"),
            Correction::Retag { tag, .. } => self.names.extend(tag.iter().map(|tag| tag.text().to_owned())),
            Correction::MovePen { .. }
            | Correction::MoveBatch { .. }
            | Correction::Weigh { .. }
            | Correction::Died { .. }
            | Correction::CloseBatch { .. }
            | Correction::EditBatch { .. }
            | Correction::NewReaderEra { .. } => {}
        }
    }

    fn count_if(&mut self, is_so: bool, name: &str) {
        if is_so {
            self.count(name);
        }
    }
}
