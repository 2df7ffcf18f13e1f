//! A backup of a running process, as it crosses the control socket.

use crate::control::ControlError;
use crate::lifecycle::Exit;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use herd::backup::{BackupSummary, next_run, start_of};
use herd::clock::WallTime;
use herd::position::{Position, Sequence};
use herd::store::{ChangeRun, Reader, StoreError};
use herd::wire::{BackupStart, BarnHead, BlobError, Page, from_blob, to_blob};
use serde::{Deserialize, Serialize};

/// Code of the error that the log is damaged.
pub(super) const LOG_DAMAGED: &str = "log_damaged";

/// A request for a part of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BackupRequest {
    /// Its start.
    Start,
    /// Its next changes.
    Run {
        /// Position after those before.
        after: Position,
        /// The last change of the backup.
        end: Sequence,
    },
}

/// The response to a [`BackupRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupResponse {
    /// To [`BackupRequest::Start`], from a running process.
    Start(BackupStart),
    /// To [`BackupRequest::Run`].
    Run(EncodedRun),
    /// To [`BackupRequest::Start`], from the files: no process runs, and the whole backup is written.
    Written(BackupSummary),
}

/// Changes as the blob of a page, in base64. JSON has no bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EncodedRun(String);

impl EncodedRun {
    /// Encodes changes.
    #[must_use]
    pub fn new(run: ChangeRun) -> Self {
        let head = run.end.sequence;
        Self(STANDARD.encode(to_blob(&Page::new(run, head, BarnHead::default()))))
    }

    /// Returns the changes.
    pub fn decode(&self) -> Result<ChangeRun, BlobError> {
        let blob = STANDARD.decode(&self.0).map_err(|_| BlobError::Malformed)?;
        Ok(from_blob::<Page>(&blob)?.into_run())
    }
}

/// Responds about the store behind `reader`, which a person knows as `site`.
pub fn respond(
    reader: &Reader,
    site: &str,
    now: WallTime,
    request: &BackupRequest,
) -> Result<BackupResponse, ControlError> {
    match request {
        BackupRequest::Start => Ok(BackupResponse::Start(start_of(reader, site, now))),
        BackupRequest::Run { after, end } => {
            if reader.position_at(after.sequence).map_err(unreadable)?.as_ref() != Some(after) {
                let message = "the log was replaced during the backup: begin it again";
                return Err(ControlError::new("diverged", message));
            }
            Ok(BackupResponse::Run(EncodedRun::new(next_run(reader, *after, *end).map_err(unreadable)?)))
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes the error by value")]
fn unreadable(error: StoreError) -> ControlError {
    let code = if Exit::from(&error) == Exit::Damaged { LOG_DAMAGED } else { "not_readable" };
    ControlError::new(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::store::DamagedRow;

    /// Catches a damaged log that is reported as a failure which passes, and the reverse.
    #[test]
    fn only_damage_is_reported_as_damage() {
        let row = DamagedRow { first: Sequence(3), last: Sequence(9) };
        let damaged = unreadable(StoreError::DamagedLog { row, why: "a bad page" });
        assert!(damaged.code == "log_damaged" && damaged.message.contains("log.redb is damaged in"), "{damaged:?}");
        let storage = StoreError::Storage { doing: "read", file: "log.redb".into(), why: "no answer".into() };
        assert_eq!(unreadable(storage).code, "not_readable");
    }
}
