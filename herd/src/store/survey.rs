//! A look at a log that may be replaced.

use super::journal::FoundRecords;
use super::log::Log;
use super::{Disk, LOG_CACHE_BYTES, REFOLD_BYTES, REFOLD_CHANGES, StoreError};
use crate::change::ChangeKind;
use crate::position::{Position, Sequence};

/// Content of a log, as far as a restore asks. The files are locked while it lives.
#[derive(Debug)]
pub struct LogSurvey {
    log: Log,
    end: Position,
    has_payloads: bool,
}

impl LogSurvey {
    /// Looks at the log in `disk`. Returns `None` if there is none. Nothing of it is changed.
    pub fn of(disk: &dyn Disk) -> Result<Option<Self>, StoreError> {
        let Some(log) = Log::open_existing(disk, LOG_CACHE_BYTES)? else {
            // The journal alone may hold the only copy of changes.
            FoundRecords::read(disk)?.check_nothing_lost()?;
            return Ok(None);
        };
        let end = log.reader()?.head()?;
        let has_payloads = has_payloads(&log)?;
        Ok(Some(Self { log, end, has_payloads }))
    }

    /// Returns the position after the last change.
    pub fn end(&self) -> Position {
        self.end
    }

    /// Returns whether the log holds anything but the starts of writers: a payload, a correction, or a change that this
    /// program does not know.
    pub fn has_payloads(&self) -> bool {
        self.has_payloads
    }

    /// Returns the position at `sequence`, or `None` if it is past the end.
    pub fn position_at(&self, sequence: Sequence) -> Result<Option<Position>, StoreError> {
        self.log.reader()?.position_at(sequence)
    }

    /// Returns whether the log has come past a position.
    pub fn holds(&self, position: &Position) -> Result<bool, StoreError> {
        if position.store != self.end.store {
            return Ok(false);
        }
        Ok(self.log.reader()?.position_at(position.sequence)?.as_ref() == Some(position))
    }
}

fn has_payloads(log: &Log) -> Result<bool, StoreError> {
    let mut after = Sequence::ZERO;
    loop {
        let (changes, _) = log.reader()?.changes_after(after, REFOLD_CHANGES, REFOLD_BYTES)?;
        if changes.is_empty() {
            return Ok(false);
        }
        if !changes.iter().all(begins_writer) {
            return Ok(true);
        }
        after = Sequence(after.0 + changes.len() as u64);
    }
}

fn begins_writer(change: &[u8]) -> bool {
    let kind = change.first().and_then(|number| ChangeKind::from_number(*number));
    matches!(kind, Some(ChangeKind::Epoch | ChangeKind::ClockStepped))
}
