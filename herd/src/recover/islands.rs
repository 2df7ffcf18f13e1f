//! Gaps behind the chain, and the islands behind those.

use super::chain::Chain;
use super::pieces::{Files, Mark, Piece, Source};
use super::{Bytes, FoundLog, OnProgress, RecoverError, RecoverProgress};
use crate::change::{Acceptance, Change, ChangeKind};
use crate::position::{Epoch, Position, Sequence};
use crate::store::raw::{RawFile, RawJournal};
use crate::store::{ChangeRun, DamagedRow, Disk, LOG_FILE, Readmitted, Store};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

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
    /// Changes of the chain that only the given file holds, and that may be those of a branch which the machine had left. If they
    /// are, its own changes with these numbers are missing as well.
    pub doubtful: Option<DamagedRow>,
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

impl<'a> FoundLog<'a> {
    /// Returns whether the own files hold more than the chain, of the same history as far as anything shows.
    pub fn leads_further(&self) -> bool {
        let mut own = self.islands().filter(|island| island.place.source < Source::Given);
        own.any(|island| island.first > self.chain.end.0.saturating_add(1))
    }

    /// Leaves out what lies in the own files, and no longer locks them.
    #[must_use]
    pub fn into_given(self) -> Self {
        let pieces: Vec<_> = self.islands().filter(|island| island.place.source == Source::Given).copied().collect();
        let is_left_out = vec![false; pieces.len()];
        let chain = Chain { steps: Vec::new(), ..self.chain };
        let files = Files { given: self.files.given, ..Files::default() };
        Self { files, pieces, is_left_out, chain, ..self }
    }

    /// Closes the log and its journal, which are locked no longer. Nothing is read from them until
    /// [`reopen_log`](Self::reopen_log).
    pub fn close_log(&mut self) {
        (self.files.log, self.files.journal) = (None, None);
    }

    /// Opens the log and its journal again, as they were closed.
    pub fn reopen_log(&mut self, disk: &'a dyn Disk) -> Result<(), RecoverError> {
        self.files.log = RawFile::open(disk, LOG_FILE)?.map(|log| Box::new(log) as Box<dyn Bytes + 'a>);
        self.files.journal = RawJournal::open(disk)?.map(|journal| Box::new(journal) as Box<dyn Bytes + 'a>);
        Ok(())
    }

    /// Returns the highest number of a boot outside of the chain, or 0.
    pub fn last_boot(&self) -> Result<u32, RecoverError> {
        let mut last = 0;
        for island in self.islands() {
            let changes = self.files.changes(island)?;
            let boots =
                changes.iter().filter_map(|change| Change::from_bytes(change).ok()).map(|change| change.clock().boot);
            last = boots.max().unwrap_or_default().max(last);
        }
        Ok(last)
    }

    /// Returns the pieces outside of the chain, in order. Of some of them it has the first changes.
    fn islands(&self) -> impl Iterator<Item = &Piece> {
        let mut is_left_out = self.is_left_out.clone();
        for step in &self.chain.steps {
            is_left_out[step.piece] = step.until == self.pieces[step.piece].last();
        }
        self.pieces.iter().zip(is_left_out).filter(|(_, is_left_out)| !is_left_out).map(|(piece, _)| piece)
    }

    /// Returns the gaps behind the chain, which ends at `end`.
    pub fn gaps(&self, end: Position, remembered: Option<&Position>) -> Gaps {
        let (mut gaps, mut covered, mut forked) = (Gaps::default(), self.chain.end.0, BTreeSet::<Mark>::new());
        for island in self.islands().filter(|island| island.last() > self.chain.end.0) {
            // No later island begins before this one.
            while forked.first().is_some_and(|end| end.0 < island.start().0) {
                forked.pop_first();
            }
            // Another branch has numbers of its own, and nothing is missing in front of them.
            if island.first <= self.chain.end.0.saturating_add(1) || forked.contains(&island.start()) {
                forked.insert(island.end());
                continue;
            }
            gaps.add(covered.saturating_add(1), island.first - 1);
            covered = covered.max(island.last());
        }
        let remembered = remembered.filter(|position| position.store == self.store);
        let last_known = remembered.map_or(0, |position| position.sequence.0).max(covered);
        gaps.add(covered.saturating_add(1), last_known);
        let doubtful = self.doubtful(end.epoch, remembered);
        Gaps { last_known: Sequence(last_known), doubtful, ..gaps }
    }

    /// Returns the changes of the chain that may be of another branch than the machine's own; see [`Gaps::doubtful`].
    fn doubtful(&self, epoch: Epoch, remembered: Option<&Position>) -> Option<DamagedRow> {
        let (own_end, end) = (self.chain.own_end, self.chain.end.0);
        let mut own = self.islands().filter(|island| island.place.source < Source::Given);
        // A machine has one branch in each epoch. A remembered change with one of these numbers is not the chain's:
        // `own_end` would be there.
        let has_left = remembered
            .is_some_and(|position| position.epoch > epoch || (own_end + 1..=end).contains(&position.sequence.0));
        // Without a memory nothing shows the epoch of what lies behind a gap.
        let leads_elsewhere = |island: &Piece| remembered.is_none() || island.first <= end.saturating_add(1);
        let is_doubtful = has_left || own.any(|island| island.last() > end && leads_elsewhere(island));
        (own_end < end && is_doubtful).then(|| DamagedRow { first: Sequence(own_end + 1), last: Sequence(end) })
    }

    /// Returns a position with the highest epoch that is known of this history. The next one is higher.
    pub fn latest(&self, remembered: Option<&Position>) -> Result<Position, RecoverError> {
        let remembered = remembered.filter(|position| position.store == self.store);
        let mut latest = remembered.copied().unwrap_or_else(|| self.end());
        let stated = self.pieces.iter().map(|piece| piece.stated).max();
        latest.epoch = latest.epoch.max(self.stated).max(stated.unwrap_or_default());
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
            epoch = epoch.max(island.stated);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_of_one_change_is_one_and_the_first_hundred_are_named() {
        let mut gaps = Gaps::default();
        gaps.add(5, 4);
        assert_eq!(gaps, Gaps::default());
        for n in 1..=101 {
            gaps.add(n * 10, n * 10 + n - 1);
            assert_eq!((gaps.named.len() as u64, gaps.changes), (n.min(100), n * (n + 1) / 2));
        }
        assert_eq!(gaps.named[99], DamagedRow { first: Sequence(1_000), last: Sequence(1_099) });
    }
}
