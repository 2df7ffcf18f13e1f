//! Replaced files are picked up while the process runs.

use super::Identity;
use crate::lifecycle::Shutdown;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// How often the files are looked at. Certificates are renewed every few weeks; this only has to be sooner than
/// whoever replaced them looks.
pub const WATCH_EVERY: Duration = Duration::from_secs(5);

/// What changes when a file is written or replaced: modification time (seconds, nanoseconds), length, inode.
type Stamp = Option<(i64, i64, u64, u64)>;

impl Identity {
    /// Looks at both files every [`WATCH_EVERY`] and reloads what was replaced, until `shutdown` says true or its
    /// sender is gone. A pair that cannot be used is warned about once and the old one stays.
    pub async fn watch_files(self, shutdown: Shutdown) {
        self.watch_files_every(WATCH_EVERY, shutdown).await;
    }

    pub(in crate::door) async fn watch_files_every(self, every: Duration, shutdown: Shutdown) {
        // Nothing is known of what came between the loading and this first look: the first round loads again.
        let mut seen = None;
        loop {
            let stopping = shutdown.requested();
            if tokio::time::timeout(every, stopping).await.is_ok() {
                return;
            }
            let identity = self.clone();
            let looked = tokio::task::spawn_blocking(move || identity.look(seen)).await;
            match looked {
                Ok(stamps) => seen = Some(stamps),
                Err(error) => tracing::warn!(%error, "looking at the certificate's files was cut; trying again"),
            }
        }
    }

    /// One look. The stamps are taken before the files are read: what changes during the reading is seen next time.
    fn look(&self, seen: Option<[Stamp; 2]>) -> [Stamp; 2] {
        let stamps = [stamp(&self.files().certificate), stamp(&self.files().key)];
        if seen != Some(stamps) {
            let before = self.leaf_der();
            match self.reload() {
                Ok(()) if self.leaf_der() != before => {
                    tracing::info!(certificate = %self.files().certificate.display(), "the replaced certificate is in use");
                }
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(%error, "the replaced certificate cannot be used; the one before it stays in use");
                }
            }
        }
        stamps
    }
}

fn stamp(path: &Path) -> Stamp {
    let file = std::fs::metadata(path).ok()?;
    Some((file.mtime(), file.mtime_nsec(), file.len(), file.ino()))
}
