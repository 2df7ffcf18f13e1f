//! Facts about the root that runs before a trial of the other one, for a comparison.
//!
//! A new kernel may break the bus of the radios, and a barn that is deaf is worse than an old one. But radios also fail for
//! reasons of their own: a dead module, or a card that is tried without one. So a root on trial must hear only if the root
//! before it did. In the same way, a certificate that could not be used before does not fail a trial: it would fail each one.
//! The facts are a file on `/var`, which both roots share. Without it, radios do not matter to a trial, and certificates do.

use crate::control::{BarnRequest, BarnResponse};
use crate::health::CERTIFICATE_PART;
use serde::{Deserialize, Serialize};
use service::control::ask;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// Maximum size of the file.
const MAX_FILE_BYTES: u64 = 4096;

/// Facts about the root before a trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeforeTrial {
    /// True if the daemon ran, and not all of its radios were failing.
    pub could_hear: bool,
    /// True if the daemon ran, and could not use its certificate.
    #[serde(default)]
    pub lacked_certificate: bool,
}

impl BeforeTrial {
    /// Asks the running daemon.
    pub fn of_running_daemon(socket: &Path) -> Self {
        match ask(socket, &BarnRequest::Probe) {
            Ok(BarnResponse::Probed(report)) => Self {
                could_hear: !report.is_deaf,
                lacked_certificate: report.failing.iter().any(|part| part == CERTIFICATE_PART),
            },
            _ => Self::default(),
        }
    }

    /// Saves the facts durably. A failure is logged and ends nothing: the trial then has nothing to compare with, as the file
    /// of an earlier one is removed first.
    pub fn save(self, path: &Path) {
        if let Err(error) = self.write(path) {
            tracing::warn!(%error, path = %path.display(), "cannot save the state of the daemon; the trial will not compare it");
        }
    }

    fn write(self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(serde_json::to_string(&self)?.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    }

    /// Loads the facts. A file that is missing or unreadable holds none.
    pub fn load(path: &Path) -> Self {
        let read = || {
            let mut text = String::new();
            File::open(path).ok()?.take(MAX_FILE_BYTES).read_to_string(&mut text).ok()?;
            serde_json::from_str(&text).ok()
        };
        read().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::ProbeReport;
    use service::control::{handler, listen};
    use service::lifecycle::ShutdownTrigger;

    /// Catches a fault of the new root that passes for one of the old root, and facts that a power cut or a missing file inverts.
    #[tokio::test(flavor = "multi_thread")]
    async fn the_daemon_before_a_trial_is_remembered_as_it_reports_itself() {
        let directory = tempfile::tempdir().unwrap();
        let (socket, file) = (directory.path().join("control.sock"), directory.path().join("trial"));
        let unknown = BeforeTrial { could_hear: false, lacked_certificate: false };
        assert_eq!(BeforeTrial::of_running_daemon(&socket), unknown, "it does not run");
        for (failing, is_deaf) in [(CERTIFICATE_PART, false), ("chute", true)] {
            let trigger = ShutdownTrigger::default();
            let answer = handler(move |_: BarnRequest| {
                let report = ProbeReport { unresponsive: Vec::new(), failing: vec![failing.to_owned()], is_deaf };
                async move { Ok(BarnResponse::Probed(report)) }
            });
            let daemon = tokio::spawn(listen(&socket, answer, trigger.signal()).unwrap());
            let asked = socket.clone();
            let found = tokio::task::spawn_blocking(move || BeforeTrial::of_running_daemon(&asked)).await.unwrap();
            let expected = BeforeTrial { could_hear: !is_deaf, lacked_certificate: failing == CERTIFICATE_PART };
            assert_eq!(found, expected);
            found.save(&file);
            assert_eq!(BeforeTrial::load(&file), expected);
            trigger.request();
            daemon.await.unwrap();
        }
        fs::write(&file, r#"{"could_hear":true}"#).unwrap();
        assert_eq!(BeforeTrial::load(&file), BeforeTrial { could_hear: true, ..unknown }, "of an earlier version");
        fs::write(&file, "not JSON").unwrap();
        assert_eq!(BeforeTrial::load(&file), unknown);
    }

    /// Catches a trial that is compared with the daemon before an earlier one.
    #[test]
    fn facts_that_cannot_be_saved_leave_none_of_an_earlier_trial() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("trial");
        let earlier = BeforeTrial { could_hear: true, lacked_certificate: true };
        earlier.save(&file);
        assert_eq!(BeforeTrial::load(&file), earlier);
        fs::create_dir(file.with_extension("new")).unwrap();
        earlier.save(&file);
        assert_eq!(BeforeTrial::load(&file), BeforeTrial::default());
    }
}
