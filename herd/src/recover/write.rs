//! Writes the chain to a new log.

use super::{FoundLog, OnProgress, RecoverError, RecoverProgress};
use crate::digest::log_start;
use crate::position::Position;
use crate::store::{ApplyError, ChangeRun, Changes, Disk, Store, verify_disk};

/// Size of the changes that are committed at once. Each commit syncs the disk.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;
/// Number of changes that are committed at once, unless a piece goes past it.
const COMMIT_CHANGES: usize = 40_000;

impl FoundLog<'_> {
    /// Writes the chain to `disk`, which must hold no store, and reads it back from there. Returns its end.
    ///
    /// On an error the disk holds a part of the log, or a log that nothing proves: remove it. The log has no writer yet; see
    /// [`Store::accept_source`].
    pub fn write(&self, disk: &dyn Disk, progress: &mut OnProgress<'_>) -> Result<Position, RecoverError> {
        let mut store = Store::open_replica(disk, self.store)?;
        let (mut at, mut changes) = (log_start(self.store), Changes::default());
        let of = self.chain.end.0;
        for (index, step) in self.chain.steps.iter().enumerate() {
            let piece = &self.pieces[step.piece];
            let known = usize::try_from(step.after + 1 - piece.first).unwrap_or(usize::MAX);
            let taken = usize::try_from(step.until - step.after).unwrap_or(usize::MAX);
            self.files.changes(piece)?.iter().skip(known).take(taken).for_each(|change| changes.push(change));
            let is_last = index + 1 == self.chain.steps.len();
            if is_last || changes.bytes() >= COMMIT_BYTES || changes.len() >= COMMIT_CHANGES {
                let run = ChangeRun::following(at, std::mem::take(&mut changes));
                at = run.end;
                store.apply(run).map_err(refused)?;
                progress(RecoverProgress::Writing { done: at.sequence.0, of });
            }
        }
        store.settle()?;
        drop(store);
        let expected = Position { epoch: at.epoch, ..self.end() };
        let found = verify_disk(disk, &mut |_| {})?.head;
        if found == expected {
            Ok(found)
        } else {
            Err(RecoverError::End { expected: Box::new(expected), found: Box::new(found) })
        }
    }
}

fn refused(error: ApplyError) -> RecoverError {
    match error {
        ApplyError::Store(error) => error.into(),
        refused => RecoverError::Apply(Box::new(refused)),
    }
}
