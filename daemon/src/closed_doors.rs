//! The doors of a barn whose `local.redb` could not be opened: they open with a new start, once the file can be.
//!
//! # Decisions
//!
//! - **The process ends once the file can be opened,** and the supervisor starts it again. Keys, tokens, pairings and counters
//!   are read at a start, and the radios are deaf for some seconds only. Without this, a disk that failed for a moment would
//!   shut everybody out until somebody comes.
//! - **A damaged file is left alone.** It is evidence, and somebody may be about to put another in its place.

use crate::open::open_local;
use service::lifecycle::Shutdown;
use service::process::StateDir;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// Interval at which the file is tried.
const TRY_INTERVAL: Duration = Duration::from_secs(10);

/// `local.redb` can be opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("local.redb can be opened again: the process ends, and its next start lets in whoever has a key")]
pub struct LocalOpensError;

/// Waits for the shutdown. Returns an error as soon as `local.redb` can be opened. Cancel-safe.
pub(crate) async fn wait_until_local_opens(place: StateDir, shutdown: Shutdown) -> Result<(), LocalOpensError> {
    loop {
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            () = sleep(TRY_INTERVAL) => {}
        }
        let tried = place.clone();
        match spawn_blocking(move || open_local(&tried)).await {
            Ok(Ok(_)) => return Err(LocalOpensError),
            Ok(Err(error)) if error.may_pass() => tracing::debug!(%error, "local.redb stays closed"),
            Ok(Err(error)) => {
                tracing::error!(%error, "local.redb stays closed until it is repaired and the service restarted");
                shutdown.requested().await;
                return Ok(());
            }
            Err(error) => tracing::error!(%error, "a try to open local.redb was aborted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::store::LocalFile;
    use service::lifecycle::ShutdownTrigger;
    use std::fs;
    use std::path::Path;
    use tokio::time::timeout;

    /// Waits for a file that is `before` for a while and `after` from then on. Returns `None` if that ends no wait.
    async fn wait_while(before: impl FnOnce(&Path), after: impl FnOnce(&Path)) -> Option<Result<(), LocalOpensError>> {
        let directory = tempfile::tempdir().unwrap();
        let (place, trigger) = (StateDir::new(directory.path()), ShutdownTrigger::default());
        before(&place.local_file());
        let mut wait = tokio::spawn(wait_until_local_opens(place.clone(), trigger.signal()));
        assert!(timeout(TRY_INTERVAL * 5, &mut wait).await.is_err(), "it ended before the fault had passed");
        after(&place.local_file());
        let end = timeout(TRY_INTERVAL * 2, &mut wait).await.ok().map(Result::unwrap);
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

    fn whole(path: &Path) {
        if path.is_dir() {
            fs::remove_dir(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        drop(LocalFile::open(path).unwrap());
    }

    /// Catches doors that stay closed after the fault has passed, a process that ends while it lasts, and a damaged file that is
    /// opened while somebody exchanges it.
    #[tokio::test(start_paused = true)]
    async fn only_a_fault_that_passes_ends_the_wait() {
        assert_eq!(wait_while(no_file, whole).await, Some(Err(LocalOpensError)));
        assert_eq!(wait_while(damaged, whole).await, None);
        assert_eq!(wait_while(no_file, |_| ()).await, None);
    }
}
