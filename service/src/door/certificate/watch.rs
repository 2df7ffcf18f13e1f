//! Reloading of replaced files while the process runs.

use super::{CertificateError, Identity};
use crate::lifecycle::Shutdown;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// Interval of checks for replaced files.
///
/// Certificates are renewed every few weeks. The interval only has to be shorter than the time until the operator who
/// replaced the files checks the result.
pub const WATCH_INTERVAL: Duration = Duration::from_secs(5);

/// The metadata that changes when a file is written or replaced, or gets another owner or other permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileStamp {
    modified_s: i64,
    modified_ns: i64,
    /// Time of the last change of content, owner or permissions.
    changed_s: i64,
    changed_ns: i64,
    length_bytes: u64,
    inode: u64,
}

/// The stamps of the certificate and the key; `None` for a file that is missing.
type FileStamps = [Option<FileStamp>; 2];

/// A check of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Check {
    /// The stamps before the files were read.
    stamps: FileStamps,
    /// The error if a file could not be read. It may pass without a new stamp, so the next check reads the files again.
    unread: Option<String>,
}

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
            let (identity, last) = (self.clone(), previous.clone());
            match tokio::task::spawn_blocking(move || identity.reload_if_replaced(last)).await {
                Ok(check) => previous = Some(check),
                Err(error) => tracing::warn!(%error, "the check of the certificate files was aborted; retrying"),
            }
        }
    }

    /// Reloads the files if their stamps differ from those of the previous check, or if that could not read them.
    ///
    /// The stamps are taken before the files are read, so the next check notices a change during the read.
    fn reload_if_replaced(&self, previous: Option<Check>) -> Check {
        let stamps = [stamp(&self.files().certificate), stamp(&self.files().key)];
        let (is_replaced, unread) = match previous {
            Some(Check { stamps: before, unread }) => (before != stamps, unread),
            None => (true, None),
        };
        if !is_replaced && unread.is_none() {
            return Check { stamps, unread };
        }
        let leaf_before = self.leaf_der();
        let Err(error) = self.reload() else {
            if self.leaf_der() != leaf_before {
                tracing::info!(certificate = %self.files().certificate.display(), "new certificate in use");
            }
            return Check { stamps, unread: None };
        };
        let why = error.to_string();
        if is_replaced || unread.as_ref() != Some(&why) {
            tracing::warn!(%error, "new certificate rejected; keeping the current one");
        }
        Check { stamps, unread: matches!(error, CertificateError::Read { .. }).then_some(why) }
    }
}

fn stamp(path: &Path) -> Option<FileStamp> {
    let file = std::fs::metadata(path).ok()?;
    Some(FileStamp {
        modified_s: file.mtime(),
        modified_ns: file.mtime_nsec(),
        changed_s: file.ctime(),
        changed_ns: file.ctime_nsec(),
        length_bytes: file.len(),
        inode: file.ino(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::TIMEOUT;
    use crate::logging::recorder::LogRecorder;
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Instant;

    /// Catches a warning every few seconds, files that are read again and again, and a replacement that nobody learns of.
    #[test]
    fn files_are_read_again_only_after_they_were_replaced() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let identity = Identity::load_or_generate(dir.path(), &[]).unwrap();
        let replacement = Identity::load_or_generate(other.path(), &[]).unwrap();
        let (log, _recording) = LogRecorder::start();
        let mut last = None;
        let mut check = || {
            last = Some(identity.reload_if_replaced(last.take()));
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

    /// Catches a certificate that was rejected for its permissions, and is not looked at once they are right.
    #[test]
    fn a_stamp_changes_with_the_permissions_of_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = Identity::load_or_generate(dir.path(), &[]).unwrap().files().key.clone();
        let (before, start) = (stamp(&path).unwrap(), Instant::now());
        // Linux counts the time of a change in ticks of a few milliseconds.
        for mode in [0o640, 0o600].into_iter().cycle() {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            if stamp(&path).unwrap() != before {
                break;
            }
            assert!(start.elapsed() < TIMEOUT, "the stamp stays the same");
        }
    }

    /// Catches an error that passes by itself and keeps a certificate out for ever, and a warning every few seconds.
    #[test]
    fn files_that_could_not_be_read_are_read_again_although_their_stamps_are_the_same() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let identity = Identity::load_or_generate(dir.path(), &[]).unwrap();
        let replacement = Identity::load_or_generate(other.path(), &[]).unwrap();
        let (log, _recording) = LogRecorder::start();
        let files = identity.files();
        std::fs::remove_file(&files.certificate).unwrap();
        std::fs::create_dir(&files.certificate).unwrap();
        let unread = identity.reload_if_replaced(None);
        assert!(unread.unread.as_ref().is_some_and(|why| why.starts_with("cannot read ")), "{unread:?}");
        assert_eq!(log.take().len(), 1);
        assert_eq!(identity.reload_if_replaced(Some(unread.clone())), unread);
        assert_eq!(log.take(), Vec::<String>::new(), "warned already");

        std::fs::remove_dir(&files.certificate).unwrap();
        std::fs::copy(&replacement.files().key, &files.key).unwrap();
        std::fs::copy(&replacement.files().certificate, &files.certificate).unwrap();
        let stamps = [stamp(&files.certificate), stamp(&files.key)];
        let check = identity.reload_if_replaced(Some(Check { stamps, ..unread }));
        assert_eq!(check, Check { stamps, unread: None });
        let messages = log.take();
        assert!(messages.len() == 1 && messages[0].starts_with("INFO new certificate in use"), "{messages:?}");
    }
}
