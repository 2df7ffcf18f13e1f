//! Gaps behind the chain, and the islands behind those.

use super::pieces::Piece;
use super::{FoundLog, OnProgress, RecoverError, RecoverProgress};
use crate::change::{Acceptance, Change, ChangeKind};
use crate::position::{Epoch, Position, Sequence};
use crate::store::{ChangeRun, DamagedRow, Readmitted, Store};
use serde::{Deserialize, Serialize};

/// Maximum number of gaps that are named one by one.
const MAX_NAMED: usize = 100;

/// The changes that are missing between the chain and the last change that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gaps {
    /// The first hundred gaps.
    pub named: Vec<DamagedRow>,
    /// Number of changes in all gaps.
    pub changes: u64,
    /// The last change that is known to have been there. What came after it, nobody here knows.
    pub last_known: Sequence,
}

impl Gaps {
    fn add(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        if self.named.len() < MAX_NAMED {
            self.named.push(DamagedRow { first: Sequence(first), last: Sequence(last) });
        }
        self.changes = self.changes.saturating_add(last - first + 1);
    }
}

impl FoundLog<'_> {
    /// Returns the pieces outside of the chain, in order. Of some of them it has the first changes.
    fn islands(&self) -> impl Iterator<Item = &Piece> {
        let mut is_chained = vec![false; self.pieces.len()];
        for step in &self.chain.steps {
            is_chained[step.piece] = step.until == self.pieces[step.piece].last();
        }
        self.pieces.iter().zip(is_chained).filter(|(_, is_chained)| !is_chained).map(|(piece, _)| piece)
    }

    /// Returns the gaps behind the chain.
    pub fn gaps(&self, remembered: Option<&Position>) -> Gaps {
        let (mut gaps, mut covered) = (Gaps::default(), self.chain.end.0);
        for island in self.islands().filter(|island| island.last() > self.chain.end.0) {
            gaps.add(covered.saturating_add(1), island.first - 1);
            covered = covered.max(island.last());
        }
        let remembered = remembered.filter(|position| position.store == self.store);
        let last_known = remembered.map_or(0, |position| position.sequence.0).max(covered);
        gaps.add(covered.saturating_add(1), last_known);
        Gaps { last_known: Sequence(last_known), ..gaps }
    }

    /// Returns a position with the highest epoch that is known of this history. The next one is higher.
    pub fn latest(&self, remembered: Option<&Position>) -> Result<Position, RecoverError> {
        let remembered = remembered.filter(|position| position.store == self.store);
        let mut latest = remembered.copied().unwrap_or_else(|| self.end());
        for island in self.islands() {
            for change in self.files.changes(island)?.iter() {
                if let Some(epoch) = epoch_begun(change) {
                    latest.epoch = latest.epoch.max(epoch);
                }
            }
        }
        Ok(latest)
    }

    /// Appends the payloads of the islands to `store`, whose log ended at `end` before. Those that it holds are left out.
    pub fn readmit(
        &self,
        store: &mut Store,
        end: Position,
        acceptance: &Acceptance,
        progress: &mut OnProgress<'_>,
    ) -> Result<Readmitted, RecoverError> {
        let (mut done, mut epoch) = (Readmitted::default(), end.epoch.max(Epoch(1)));
        for island in self.islands() {
            let (sequence, digest) = (Sequence(island.first - 1), island.before);
            let after = Position { store: self.store, epoch, sequence, digest };
            let run = ChangeRun::following(after, self.files.changes(island)?);
            done.add(store.readmit(&run, acceptance)?);
            epoch = run.end.epoch;
            progress(RecoverProgress::Appending { done: done.kept + done.duplicates });
        }
        Ok(done)
    }
}

fn epoch_begun(change: &[u8]) -> Option<Epoch> {
    match change.first().filter(|kind| **kind == ChangeKind::Epoch as u8).map(|_| Change::from_bytes(change)) {
        Some(Ok(Change::Epoch(began))) => Some(began.epoch),
        _ => None,
    }
}
