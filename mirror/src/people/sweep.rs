//! The removal of ended sessions and links from the disk, and the latest time that was seen.
//!
//! In memory they are rejected by their times. On disk, a process that starts with a clock in the past would find them valid
//! again. So they are removed soon after their end, and the time of that is stored, from which the next process goes on. What
//! the disk refused to remove before goes with them (`removed`).

use super::roll::SessionRow;
use super::{LINKS, People, PeopleError, SESSIONS, names};
use service::lifecycle::Shutdown;
use std::sync::Arc;
use std::time::Duration;

/// Namespace in `local.redb` with the latest time that was seen, in microseconds since the Unix epoch.
const CLOCK: &str = "people clock";
/// Its only key.
const LATEST: &str = "latest";
/// Time between two sweeps. A process that is killed loses at most as much of the latest time.
pub(super) const SWEEP_INTERVAL: Duration = Duration::from_secs(600);

impl People {
    /// Sweeps at intervals until the shutdown, and once more then.
    pub async fn keep_swept(self: Arc<Self>, shutdown: Shutdown) {
        loop {
            let is_last = tokio::select! {
                biased;
                () = shutdown.requested() => true,
                () = tokio::time::sleep(SWEEP_INTERVAL) => false,
            };
            let people = self.clone();
            match tokio::task::spawn_blocking(move || people.sweep()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "ended sessions are rejected, but still on disk"),
                Err(error) => tracing::error!(%error, "failed to remove ended sessions from the disk"),
            }
            if is_last {
                return;
            }
        }
    }

    /// Removes what has ended from memory and disk, and stores the time. Does nothing if there is nothing that could end.
    pub(super) fn sweep(&self) -> Result<(), PeopleError> {
        let _one_change_at_a_time = self.lock_changes();
        let now_us = self.now_us();
        {
            let (mut roll, mut removed) = (self.roll_mut(), self.removed());
            if roll.sessions.is_empty() && roll.links.is_empty() && removed.is_empty() {
                return Ok(());
            }
            let (sessions, links) = roll.remove_void(now_us);
            removed.add(SESSIONS, names(&sessions));
            removed.add(LINKS, names(&links));
        }
        self.file.put(CLOCK, LATEST, &now_us)?;
        Ok(self.save_removals()?)
    }
}

/// Returns the latest time that a former process is known to have seen.
pub(super) fn latest_us(file: &herd::store::LocalFile, sessions: &[(String, SessionRow)]) -> Result<i64, PeopleError> {
    let stored = file.get::<i64>(CLOCK, LATEST)?;
    let began = sessions.iter().map(|(_, row)| row.began_at_us);
    Ok(began.chain(stored).max().unwrap_or(i64::MIN))
}
