//! Makes a log of a backup.

use super::{BackupError, BackupProgress, BackupReader, BackupSummary};
use crate::position::Position;
use crate::store::{ApplyError, ChangeRun, Changes, Disk, Store, StoreError, VerifyError, verify_disk};
use std::io::Read;

/// Size of the changes that are committed at once. Each commit syncs the disk, and a page of a backup is small.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;

/// Number of changes that are committed at once, unless a page goes past it. Each needs memory besides its bytes.
const COMMIT_CHANGES: usize = 40_000;

/// Reason why no log was made of a backup.
#[derive(Debug, thiserror::Error)]
pub enum RestoreLogError {
    /// The file is not a whole backup.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The new log could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The new log took the changes for wrong.
    #[error("the new log refuses the changes of the backup: {0}")]
    Apply(Box<ApplyError>),
    /// The new log does not hold what was written to it.
    #[error("the new log was read back, and is wrong: {0}. Check the disk that it is on")]
    Verify(#[from] VerifyError),
    /// The new log ends elsewhere than the backup.
    #[error("the new log was read back, and ends at {found} instead of {expected}. Check the disk that it is on")]
    End {
        /// End of the backup.
        expected: Box<Position>,
        /// End of the log.
        found: Box<Position>,
    },
}

/// Writes the log of a backup to `disk`, which must hold no store, and reads it back from there.
///
/// On an error the disk holds a part of the log, or a log that nothing proves: remove it. The log has no writer yet; see
/// [`Store::accept_source`].
pub fn restore_log(
    disk: &dyn Disk,
    backup: &mut BackupReader<impl Read>,
    progress: &mut dyn FnMut(BackupProgress),
) -> Result<BackupSummary, RestoreLogError> {
    let mut store = Store::open_replica(disk, backup.start().end.store)?;
    while let Some(run) = next_commit(backup)? {
        store.apply(run).map_err(|error| match error {
            ApplyError::Store(error) => RestoreLogError::Store(error),
            refused => RestoreLogError::Apply(Box::new(refused)),
        })?;
        progress(backup.progress());
    }
    store.settle()?;
    drop(store);
    let (summary, found) = (backup.summary(), verify_disk(disk, &mut |_| {})?.head);
    if found != summary.end {
        return Err(RestoreLogError::End { expected: Box::new(summary.end), found: Box::new(found) });
    }
    Ok(summary)
}

/// Joins pages up to the size of a commit, in bytes and changes. Returns `None` at the end.
fn next_commit(backup: &mut BackupReader<impl Read>) -> Result<Option<ChangeRun>, BackupError> {
    let Some(ChangeRun { after, mut changes, mut end }) = backup.next_run()? else { return Ok(None) };
    while changes.bytes() < COMMIT_BYTES && changes.len() < COMMIT_CHANGES {
        let Some(next) = backup.next_run()? else { break };
        append(&mut changes, &next.changes);
        end = next.end;
    }
    Ok(Some(ChangeRun { after, changes, end }))
}

fn append(to: &mut Changes, more: &Changes) {
    more.iter().for_each(|change| to.push(change));
}
