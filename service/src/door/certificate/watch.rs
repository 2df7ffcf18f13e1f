//! Reloading of replaced files while the process runs.

use super::Identity;
use crate::lifecycle::Shutdown;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// Interval of checks for replaced files.
///
/// Certificates are renewed every few weeks. The interval only has to be shorter than the time until the operator who
/// replaced the files checks the result.
pub const WATCH_INTERVAL: Duration = Duration::from_secs(5);

/// The metadata that changes when a file is written or replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FileStamp {
    modified_s: i64,
    modified_ns: i64,
    length_bytes: u64,
    inode: u64,
}

/// The stamps of the certificate and the key; `None` for a file that is missing.
type FileStamps = [Option<FileStamp>; 2];

impl Identity {
    /// Checks both files every [`WATCH_INTERVAL`] and reloads them if they were replaced. Returns when `shutdown` is
    /// requested.
    ///
    /// If the new files are invalid, it warns once, and the current identity stays in use.
    pub async fn watch_files(self, shutdown: Shutdown) {
        self.watch_files_every(WATCH_INTERVAL, shutdown).await;
    }

    pub(in crate::door) async fn watch_files_every(self, interval: Duration, shutdown: Shutdown) {
        // The files may have been replaced between the load and the first check, so that check always reloads them.
        let mut previous = None;
        loop {
            if tokio::time::timeout(interval, shutdown.requested()).await.is_ok() {
                return;
            }
            let identity = self.clone();
            match tokio::task::spawn_blocking(move || identity.reload_if_replaced(previous)).await {
                Ok(stamps) => previous = Some(stamps),
                Err(error) => tracing::warn!(%error, "the check of the certificate files was aborted; retrying"),
            }
        }
    }

    /// Reloads the files if their stamps differ from `previous`, and returns the current stamps.
    ///
    /// The stamps are taken before the files are read, so the next check notices a change during the read.
    fn reload_if_replaced(&self, previous: Option<FileStamps>) -> FileStamps {
        let stamps = [stamp(&self.files().certificate), stamp(&self.files().key)];
        if previous != Some(stamps) {
            let leaf_before = self.leaf_der();
            match self.reload() {
                Ok(()) if self.leaf_der() != leaf_before => {
                    tracing::info!(certificate = %self.files().certificate.display(), "new certificate in use");
                }
                Ok(()) => {}
                Err(error) => tracing::warn!(%error, "new certificate rejected; keeping the current one"),
            }
        }
        stamps
    }
}

fn stamp(path: &Path) -> Option<FileStamp> {
    let file = std::fs::metadata(path).ok()?;
    Some(FileStamp {
        modified_s: file.mtime(),
        modified_ns: file.mtime_nsec(),
        length_bytes: file.len(),
        inode: file.ino(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::recorder::LogRecorder;

    /// Catches a warning every few seconds, files that are read again and again, and a replacement that nobody learns of.
    #[test]
    fn files_are_read_again_only_after_they_were_replaced() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let identity = Identity::load_or_generate(dir.path(), &[]).unwrap();
        let replacement = Identity::load_or_generate(other.path(), &[]).unwrap();
        let (log, _recording) = LogRecorder::start();
        let mut stamps = None;
        let mut check = || {
            stamps = Some(identity.reload_if_replaced(stamps));
            log.take()
        };
        assert_eq!(check(), Vec::<String>::new(), "the same certificate");
        std::fs::write(&identity.files().certificate, "half a certificate").unwrap();
        let messages = check();
        assert!(messages.len() == 1 && messages[0].starts_with("WARN new certificate rejected"), "{messages:?}");
        assert_eq!(check(), Vec::<String>::new(), "warned already");
        std::fs::copy(&replacement.files().key, &identity.files().key).unwrap();
        std::fs::copy(&replacement.files().certificate, &identity.files().certificate).unwrap();
        let messages = check();
        assert!(messages.len() == 1 && messages[0].starts_with("INFO new certificate in use"), "{messages:?}");
        assert_eq!(identity.leaf_der(), replacement.leaf_der());
        assert_eq!(check(), Vec::<String>::new(), "in use already");
    }
}
