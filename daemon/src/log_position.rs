//! The position that the log has had durably, kept in `local.redb` as well.
//!
//! # Decisions
//!
//! - **A log that lost changes must be recognized by something outside it.** If `log.redb` vanished or an older one was put
//!   back, the files alone look like a good store, and the barn would give the numbers of acknowledged changes again.
//! - **The position is written after the log is durable, never before,** at a start, in quiet minutes, at a clean stop, and
//!   once a minute in traffic. It may be behind the log, and never ahead of it. A write with each commit would double the
//!   syncs.

use crate::recover_report::RecoverReport;
use herd::backup::BackupSummary;
use herd::change::Acceptance;
use herd::position::Position;
use herd::store::{LocalError, LocalFile};
use serde::{Deserialize, Serialize};

/// Namespace in `local.redb`.
const NAMESPACE: &str = "log";
/// Key of the position.
const POSITION: &str = "position";
/// Key of the note that a restore exchanges the files.
const RESTORING: &str = "restoring";
/// Key of the note that a recovery exchanges the files.
const RECOVERING: &str = "recovering";
/// Key of the note that a log is being accepted.
const ACCEPTING: &str = "accepting";

/// A log that a person accepted although it lacked changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct AcceptedLog {
    /// The position that the log no longer held, if one was known.
    expected: Option<Position>,
    /// The decision.
    acceptance: Acceptance,
}

/// Returns the position that the log has had durably, if one is known.
pub fn read_position(local: &LocalFile) -> Result<Option<Position>, LocalError> {
    local.get(NAMESPACE, POSITION)
}

/// Notes that a person is accepting a log. Until that is done, the barn does not start: once its journal is set aside, the log
/// alone looks whole, and would give the numbers of lost changes again in the same epoch.
pub fn note_accepting(local: &LocalFile, acceptance: &Acceptance) -> Result<(), LocalError> {
    local.put(NAMESPACE, ACCEPTING, acceptance)
}

/// Returns true if the acceptance of a log was interrupted.
pub fn is_accepting(local: &LocalFile) -> Result<bool, LocalError> {
    Ok(local.get::<Acceptance>(NAMESPACE, ACCEPTING)?.is_some())
}

/// Notes that a log was accepted, and that it is at `position` now.
pub fn write_accepted(
    local: &LocalFile,
    expected: Option<Position>,
    acceptance: Acceptance,
    position: &Position,
) -> Result<(), LocalError> {
    let key = format!("accepted, epoch {}", position.epoch);
    local.put(NAMESPACE, &key, &AcceptedLog { expected, acceptance })?;
    local.replace(NAMESPACE, &[ACCEPTING.to_owned()], Some((POSITION, position)))
}

/// A restore whose log is whole, and whose files are being exchanged. Until the note is gone, the barn does not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreNote {
    /// Content of the backup.
    pub summary: BackupSummary,
    /// Position after the change that began the next epoch.
    pub head: Position,
}

impl RestoreNote {
    /// Returns the note of a restore that was interrupted.
    pub fn read(local: &LocalFile) -> Result<Option<Self>, LocalError> {
        local.get(NAMESPACE, RESTORING)
    }

    /// Writes the note.
    pub fn write(&self, local: &LocalFile) -> Result<(), LocalError> {
        local.put(NAMESPACE, RESTORING, self)
    }

    /// Replaces the note with the position of the restored log, in one commit. The log that was being accepted is gone.
    pub fn finish(&self, local: &LocalFile) -> Result<(), LocalError> {
        local.replace(NAMESPACE, &[RESTORING, ACCEPTING].map(str::to_owned), Some((POSITION, &self.head)))
    }
}

/// A recovery whose log is whole, and whose files are being exchanged. Until the note is gone, the barn does not start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverNote {
    /// Result of the recovery.
    pub recovery: RecoverReport,
}

impl RecoverNote {
    /// Returns the note of a recovery that was interrupted.
    pub fn read(local: &LocalFile) -> Result<Option<Self>, LocalError> {
        local.get(NAMESPACE, RECOVERING)
    }

    /// Writes the note.
    pub fn write(&self, local: &LocalFile) -> Result<(), LocalError> {
        local.put(NAMESPACE, RECOVERING, self)
    }

    /// Replaces the note with the position of the recovered log, in one commit. The log that was being accepted is gone.
    pub fn finish(&self, local: &LocalFile) -> Result<(), LocalError> {
        local.replace(NAMESPACE, &[RECOVERING, ACCEPTING].map(str::to_owned), Some((POSITION, &self.recovery.head)))
    }
}

/// Writes the position, if it has changed since it was last written.
#[derive(Debug)]
pub struct PositionWriter {
    /// `None` in a world that forgets it.
    local: Option<LocalFile>,
    written: Option<Position>,
}

impl PositionWriter {
    /// Creates a writer.
    pub fn new(local: Option<LocalFile>) -> Self {
        Self { local, written: None }
    }

    /// Writes a position that the log has durably. A failure is logged: the older position in the file is true as well.
    pub fn write(&mut self, position: &Position) {
        let Some(local) = self.local.as_ref().filter(|_| self.written.as_ref() != Some(position)) else { return };
        match local.put(NAMESPACE, POSITION, position) {
            Ok(()) => self.written = Some(*position),
            Err(error) => tracing::warn!(%error, "failed to save the position of the log; retrying later"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::position::{Digest, Epoch, Sequence, StoreId};
    use herd::recover::Gaps;
    use herd::store::{DamagedRow, Readmitted};

    const PLACE: Position =
        Position { store: StoreId([7; 16]), epoch: Epoch(2), sequence: Sequence(300), digest: Digest([9; 32]) };

    fn frozen_place() -> Vec<u8> {
        [&[7; 16][..], &[2, 0xac, 0x02], &[9; 32]].concat()
    }

    fn acceptance() -> Acceptance {
        Acceptance { author: "Ana".to_owned(), reason: "old card".to_owned() }
    }

    /// Catches another form of the position, which a barn that was updated could not read: it would start on a log that lost
    /// changes.
    #[test]
    fn the_position_is_frozen() {
        assert_eq!(postcard::to_stdvec(&PLACE).unwrap(), frozen_place());
        let accepted = AcceptedLog { expected: Some(PLACE), acceptance: acceptance() };
        let golden = [&[1][..], &frozen_place(), b"\x03Ana\x08old card"].concat();
        assert_eq!(postcard::to_stdvec(&accepted).unwrap(), golden);
    }

    /// Catches another form of a note, with which an interrupted restore or recovery could not be completed.
    #[test]
    fn the_notes_are_frozen() {
        let restore = RestoreNote { summary: BackupSummary { end: PLACE, payloads: 290, bytes: 70_000 }, head: PLACE };
        let golden = [&frozen_place()[..], &[0xa2, 0x02, 0xf0, 0xa2, 0x04], &frozen_place()].concat();
        assert_eq!(postcard::to_stdvec(&restore).unwrap(), golden);
        let row = DamagedRow { first: Sequence(5), last: Sequence(6) };
        let recovery = RecoverReport {
            kept_as: Some("log.redb.set-aside-1".to_owned()),
            was_whole: false,
            end: PLACE,
            head: PLACE,
            gaps: Gaps { named: vec![row], changes: 2, last_known: Sequence(300), doubtful: Some(row) },
            readmitted: Readmitted {
                kept: 3,
                span: Some((Sequence(8), Sequence(10))),
                duplicates: 4,
                held: 1,
                not_repeated: vec![Sequence(12)],
                not_repeated_count: 1,
            },
            unplaced: 13,
            unreadable: 4_096,
        };
        let golden = [
            &b"\x01\x14log.redb.set-aside-1\x00"[..],
            &frozen_place(),
            &frozen_place(),
            &[1, 5, 6, 2, 0xac, 0x02, 1, 5, 6],
            &[3, 1, 8, 10, 4, 1, 1, 12, 1],
            &[13, 0x80, 0x20],
        ];
        assert_eq!(postcard::to_stdvec(&RecoverNote { recovery }).unwrap(), golden.concat());
    }

    /// Catches another name of a row, under which an older program left the position.
    #[test]
    fn the_rows_have_their_names() {
        let place = tempfile::tempdir().unwrap();
        let local = LocalFile::open(place.path().join("local.redb")).unwrap();
        PositionWriter::new(Some(local.clone())).write(&PLACE);
        assert_eq!(local.get("log", "position").unwrap(), Some(PLACE));
        write_accepted(&local, None, acceptance(), &PLACE).unwrap();
        let accepted: Option<AcceptedLog> = local.get("log", "accepted, epoch 2").unwrap();
        assert_eq!(accepted, Some(AcceptedLog { expected: None, acceptance: acceptance() }));
        note_accepting(&local, &acceptance()).unwrap();
        assert_eq!(local.get("log", "accepting").unwrap(), Some(acceptance()));
        assert!(is_accepting(&local).unwrap());
        write_accepted(&local, None, acceptance(), &PLACE).unwrap();
        assert!(!is_accepting(&local).unwrap());
        let note = RestoreNote { summary: BackupSummary { end: PLACE, payloads: 0, bytes: 0 }, head: PLACE };
        note.write(&local).unwrap();
        assert_eq!(local.get("log", "restoring").unwrap(), Some(note));
        let note = RecoverNote { recovery: RecoverReport::of_whole(PLACE) };
        note.write(&local).unwrap();
        assert_eq!(local.get("log", "recovering").unwrap(), Some(note));
    }
}
