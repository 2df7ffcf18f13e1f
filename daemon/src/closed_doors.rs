//! The doors of a barn whose `local.redb` could not be opened: they open with a new start, once the file can be.
//!
//! # Decisions
//!
//! - **The process ends once the file can be opened,** and the supervisor starts it again. Keys, tokens, pairings and counters
//!   are read at a start, and the radios are deaf for some seconds only. Without this, a disk that failed for a moment would
//!   shut everybody out until somebody comes.
//! - **A file is tried once it has stayed as it is for an interval.** A person may be exchanging it: what is missing or still
//!   being written is waited for, and a file that was found damaged is tried again only after it has changed.
//! - **The process ends only for a start that goes on.** If the file says that the log lacks changes, or that a restore, a
//!   recovery or an acceptance was interrupted, the next start would end, and the barn would hear nothing any more. So it
//!   records on.

use crate::log_position::{RecoverNote, RestoreNote, is_accepting, read_position};
use crate::open::open_local;
use herd::store::{LocalError, LocalFile, Reader, StoreError};
use service::lifecycle::Shutdown;
use service::process::StateDir;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// Interval at which the file is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// `local.redb` can be opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("local.redb can be opened again: the process ends, and its next start lets in whoever has a key")]
pub struct LocalOpensError;

/// Reason why the doors stay closed.
#[derive(Debug, thiserror::Error)]
enum ClosedError {
    #[error(transparent)]
    Local(#[from] LocalError),
    #[error("the log cannot be compared with it: {0}")]
    Log(#[from] StoreError),
    #[error(
        "it says that the log lacks changes, or that a restore, a recovery or an acceptance was interrupted: the next start \
         will say what to do"
    )]
    StartWouldEnd,
}

/// A state of the file. A write or an exchange changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileState {
    inode: u64,
    bytes: u64,
    /// Time of its last change, in seconds and nanoseconds (man 7 inode, `st_mtim`).
    modified: (i64, i64),
}

impl FileState {
    /// Returns the state of the file; `None` if it is not there or cannot be looked at.
    fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(Self { inode: file.ino(), bytes: file.len(), modified: (file.mtime(), file.mtime_nsec()) })
    }
}

/// Waits for the shutdown. Returns an error as soon as `local.redb` can be opened and fits the log of `reader`. Cancel-safe.
pub(crate) async fn wait_until_local_opens(
    place: StateDir,
    reader: Reader,
    shutdown: Shutdown,
) -> Result<(), LocalOpensError> {
    // It has just failed to open.
    let mut seen = FileState::of(&place.local_file());
    let mut refused = None;
    loop {
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            () = sleep(LOOK_INTERVAL) => {}
        }
        let before = std::mem::replace(&mut seen, FileState::of(&place.local_file()));
        if seen.is_none() || seen != before || seen == refused {
            continue;
        }
        let (tried, reader) = (place.clone(), reader.clone());
        match spawn_blocking(move || try_to_open(&tried, &reader)).await {
            Ok(Ok(())) => return Err(LocalOpensError),
            Ok(Err(ClosedError::Local(error))) if error.may_pass() => {
                tracing::debug!(%error, "local.redb stays closed");
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "local.redb stays closed, and the radios are recorded; put a whole file in its place");
                // Opening it may have changed it.
                refused = FileState::of(&place.local_file());
                seen = refused;
            }
            Err(error) => tracing::error!(%error, "a try to open local.redb was aborted"),
        }
    }
}

/// Opens the file as the next start will, and checks what that will check before it opens the log.
fn try_to_open(place: &StateDir, reader: &Reader) -> Result<(), ClosedError> {
    let local = open_local(place)?;
    if would_end_the_start(&local, reader)? { Err(ClosedError::StartWouldEnd) } else { Ok(()) }
}

fn would_end_the_start(local: &LocalFile, reader: &Reader) -> Result<bool, ClosedError> {
    if RestoreNote::read(local)?.is_some() || RecoverNote::read(local)?.is_some() || is_accepting(local)? {
        return Ok(true);
    }
    let Some(expected) = read_position(local)? else { return Ok(false) };
    Ok(reader.position_at(expected.sequence)? != Some(expected))
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::clock::ClockReading;
    use herd::decide::Rules;
    use herd::position::{Position, StoreId};
    use herd::store::{MemoryDisk, Store};
    use service::lifecycle::ShutdownTrigger;
    use tokio::time::timeout;

    fn log() -> Reader {
        let store =
            Store::open_source(&MemoryDisk::default(), Rules::default(), ClockReading::default(), || StoreId([1; 16]));
        store.unwrap().reader()
    }

    /// Waits for a file that is `before` for a while and `after` from then on. Returns `None` if that ends no wait.
    async fn wait_while(before: impl FnOnce(&Path), after: impl FnOnce(&Path)) -> Option<Result<(), LocalOpensError>> {
        let directory = tempfile::tempdir().unwrap();
        let (place, trigger) = (StateDir::new(directory.path()), ShutdownTrigger::default());
        before(&place.local_file());
        let mut wait = tokio::spawn(wait_until_local_opens(place.clone(), log(), trigger.signal()));
        assert!(timeout(LOOK_INTERVAL * 5, &mut wait).await.is_err(), "it ended before the fault had passed");
        after(&place.local_file());
        let end = timeout(LOOK_INTERVAL * 5, &mut wait).await.ok().map(Result::unwrap);
        trigger.request();
        assert!(end.is_some() || wait.await.unwrap().is_ok(), "the shutdown ends the wait");
        end
    }

    fn no_file(path: &Path) {
        fs::create_dir(path).unwrap();
    }

    fn damaged(path: &Path) {
        fs::write(path, "no keys").unwrap();
    }

    fn remove(path: &Path) {
        if path.is_dir() {
            fs::remove_dir(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }

    fn whole(path: &Path) {
        remove(path);
        drop(LocalFile::open(path).unwrap());
    }

    /// Puts a file there that has seen this position.
    fn of_log(path: &Path, position: Position) {
        remove(path);
        LocalFile::open(path).unwrap().put("log", "position", &position).unwrap();
    }

    /// Catches doors that stay closed after the fault has passed or another file was put there, and a process that ends while
    /// the fault lasts.
    #[tokio::test(start_paused = true)]
    async fn a_file_that_can_be_opened_again_ends_the_wait() {
        for before in [no_file, damaged] {
            assert_eq!(wait_while(before, whole).await, Some(Err(LocalOpensError)));
            assert_eq!(wait_while(before, |_| ()).await, None);
        }
    }

    /// Catches a new file without keys and revocations in the place of one that is being exchanged.
    #[tokio::test(start_paused = true)]
    async fn a_file_that_was_taken_away_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let (place, trigger) = (StateDir::new(directory.path()), ShutdownTrigger::default());
        let mut wait = tokio::spawn(wait_until_local_opens(place.clone(), log(), trigger.signal()));
        assert!(timeout(LOOK_INTERVAL * 5, &mut wait).await.is_err());
        assert!(!place.local_file().exists());
        drop(LocalFile::open(place.local_file()).unwrap());
        assert_eq!(timeout(LOOK_INTERVAL * 5, wait).await.unwrap().unwrap(), Err(LocalOpensError));
    }

    /// Catches a barn that ends itself, although its next start would end as well, so that it hears nothing any more.
    #[tokio::test(start_paused = true)]
    async fn a_file_that_the_log_does_not_fit_ends_no_wait() {
        let held = log().head().position;
        assert_eq!(wait_while(no_file, |path| of_log(path, held)).await, Some(Err(LocalOpensError)));
        for lost in
            [Position { sequence: herd::position::Sequence(7), ..held }, Position { store: StoreId([2; 16]), ..held }]
        {
            assert_eq!(wait_while(no_file, |path| of_log(path, lost)).await, None, "{lost}");
        }
    }
}
