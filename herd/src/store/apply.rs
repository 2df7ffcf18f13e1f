//! Changes from a source: verified, folded, and appended by a replica.

use super::folding::Run;
use super::log::{LaidChanges, epochs_begun};
use super::{ApplyError, Changes, Store, StoreError};
use crate::change::MAX_CHANGE_BYTES;
use crate::digest::chain_next;
use crate::position::{Epoch, Position, Sequence};

/// Consecutive changes as a source sends them, from `after` to `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRun {
    /// The position before the first change.
    pub after: Position,
    /// The changes.
    pub changes: Changes,
    /// The position after the last change.
    pub end: Position,
}

impl ChangeRun {
    /// Returns the run of `changes` that follow `after`, with the end that they lead to. Nothing proves it yet.
    #[must_use]
    pub fn following(after: Position, changes: Changes) -> Self {
        let epoch = epochs_begun(&after, &changes).last().map_or(after.epoch, |(epoch, _)| *epoch);
        let sequence = Sequence(after.sequence.0.saturating_add(changes.len() as u64));
        let digest = changes.chain(after.digest, after.sequence);
        Self { after, changes, end: Position { store: after.store, epoch, sequence, digest } }
    }

    /// Returns the epochs that begin in the run, with the changes that begin them.
    #[must_use]
    pub fn epochs_begun(&self) -> Vec<(Epoch, Sequence)> {
        epochs_begun(&self.after, &self.changes)
    }
}

/// The outcome of applying a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplyReceipt {
    /// Number of changes that were new; 0 if the run was already here.
    pub changes: u64,
    /// The durable position.
    pub position: Position,
}

impl Store {
    /// Verifies a run against its own digests and against the log, and commits its new changes durably.
    ///
    /// The changes are folded meanwhile and may not be in the tables yet when this returns: [`Head::folded`] shows that.
    /// While too many are not, this waits.
    ///
    /// On an error other than [`ApplyError::Store`] nothing was written. After that one, the next writer finds the run whole
    /// or not at all. A run that is already here changes nothing.
    ///
    /// [`Head::folded`]: super::Head::folded
    #[allow(clippy::result_large_err, reason = "refusals are rare, and a follower acts on both positions")]
    pub fn apply(&mut self, run: ChangeRun) -> Result<ApplyReceipt, ApplyError> {
        self.check_not_interrupted()?;
        let ours = self.head().position;
        // A run that begins at our head is verified by the rows that the log gets: they have its chain.
        let continues = run.after == ours;
        let known = if continues { 0 } else { self.verify(&run, &ours)? };
        check_lengths(&run)?;
        let new = match known {
            0 => run.changes,
            _ => run.changes.iter().skip(known).collect::<Changes>(),
        };
        let laid = self.log.lay(&new);
        if continues && laid.end != run.end {
            return Err(ApplyError::Altered { after: run.after.sequence });
        }
        let changes = new.len() as u64;
        if changes == 0 {
            return Ok(ApplyReceipt { changes, position: ours });
        }
        // Another writer decides from now on.
        self.window = None;
        let position = self.commit_runs(Run::split(new, laid.row_ends()), laid)?;
        Ok(ApplyReceipt { changes, position })
    }

    /// Has verified changes folded, writes them to the log durably, and publishes that.
    fn commit_runs(&mut self, runs: Vec<Run>, laid: LaidChanges) -> Result<Position, StoreError> {
        let begun = self.folding.begin(runs);
        self.stop_on_error(begun)?;
        self.interrupted = true;
        let position = self.log.append(laid).inspect_err(|_| self.folding.cancel())?;
        let ended = self.folding.end(position);
        self.stop_on_error(ended)?;
        self.interrupted = false;
        Ok(position)
    }

    /// Verifies a run that does not begin at our head, and returns how many of its changes are already here.
    ///
    /// The run must begin at a position of this log, pass through our head or end at a position of ours, and end at the
    /// position that it names.
    #[allow(clippy::result_large_err, reason = "refusals are rare, and a follower acts on both positions")]
    fn verify(&self, run: &ChangeRun, ours: &Position) -> Result<usize, ApplyError> {
        let after = run.after.sequence;
        let differs = || ApplyError::Diverged { theirs: run.after, ours: *ours };
        if run.after.store != ours.store {
            return Err(differs());
        }
        if after > ours.sequence {
            return Err(ApplyError::Gap { after, head: ours.sequence });
        }
        let log = self.log.reader()?;
        if log.position_at(after)? != Some(run.after) {
            return Err(differs());
        }
        let mut digest = run.after.digest;
        for (bytes, n) in run.changes.iter().zip(after.0 + 1..) {
            digest = chain_next(digest, Sequence(n), bytes);
            if n == ours.sequence.0 && digest != ours.digest {
                return Err(differs());
            }
        }
        let last = after.0 + run.changes.len() as u64;
        let epoch = epochs_begun(&run.after, &run.changes).last().map_or(run.after.epoch, |(epoch, _)| *epoch);
        if run.end != (Position { store: ours.store, epoch, sequence: Sequence(last), digest }) {
            return Err(ApplyError::Altered { after });
        }
        if last < ours.sequence.0 && log.position_at(Sequence(last))? != Some(run.end) {
            return Err(differs());
        }
        Ok(usize::try_from(ours.sequence.0 - after.0).unwrap_or(usize::MAX).min(run.changes.len()))
    }
}

/// Checks that no change is longer than a source may make.
#[allow(clippy::result_large_err, reason = "refusals are rare, and a follower acts on both positions")]
fn check_lengths(run: &ChangeRun) -> Result<(), ApplyError> {
    let mut numbered = run.changes.iter().zip(run.after.sequence.0 + 1..);
    match numbered.find(|(change, _)| change.len() > MAX_CHANGE_BYTES) {
        Some((change, n)) => {
            Err(ApplyError::Oversize { at: Sequence(n), bytes: change.len(), limit: MAX_CHANGE_BYTES })
        }
        None => Ok(()),
    }
}
