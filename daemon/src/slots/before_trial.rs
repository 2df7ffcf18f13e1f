//! Facts about the root that runs before a trial of the other one, for a comparison.
//!
//! A new kernel may break the bus of the radios, and a barn that is deaf is worse than an old one. But radios also fail for
//! reasons of their own: a dead module, or a card that is tried without one. So a root on trial must hear only if the root
//! before it did. The fact is a file on `/var`, which both roots share. Without it, radios do not matter to a trial.

use crate::control::{BarnRequest, BarnResponse};
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
}

impl BeforeTrial {
    /// Asks the running daemon.
    pub fn of_running_daemon(socket: &Path) -> Self {
        let could_hear = match ask(socket, &BarnRequest::Probe) {
            Ok(BarnResponse::Probed(report)) => !report.is_deaf,
            _ => false,
        };
        Self { could_hear }
    }

    /// Saves the facts durably. A failure is logged and ends nothing: the trial then does not look at radios.
    pub fn save(self, path: &Path) {
        if let Err(error) = self.write(path) {
            tracing::warn!(%error, path = %path.display(), "cannot save what the radios do; the trial will not compare it");
        }
    }

    fn write(self, path: &Path) -> io::Result<()> {
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
