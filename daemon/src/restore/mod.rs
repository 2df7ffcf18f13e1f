//! `herdlinxd restore`: makes a barn of a backup, in a state directory that holds no payloads yet.
//!
//! | step | then an interruption leaves |
//! |---|---|
//! | the log is written to `restoring/`, read back, and gets its next epoch | the barn as it was, and `restoring/` |
//! | `local.redb` notes the restore | a barn that does not start, and says to run the same command again |
//! | `log.journal`, `log.redb` and `tables.redb` are exchanged, one after the other | the same |
//! | `local.redb` replaces its note with the new position, in one commit | the restored barn |
//!
//! # Decisions
//!
//! - **Only a log without payloads is replaced.** That of a card's first boot is one: it holds the start of its writer and
//!   nothing else. Any other may hold the only copy of a read, so a person moves it away by hand.
//! - **The next epoch begins at once.** Two barns that were made of one backup differ from their first change on, and an
//!   office that holds more than the backup sees a higher epoch: it copies the barn again, and keeps what only the old copy
//!   has.
//! - **A note in `local.redb` makes three renames one step.** No file system exchanges three files at once, and a start between
//!   two of them would find files that do not belong together.
//! - **A journal is set aside, never deleted,** as [`Store::accept_source`] does: it may hold the only copy of changes.
//! - **The keys that are there stay.** A backup has none. So a device that was given a key on this machine keeps it, and
//!   offices pair again with the line that is printed.
//! - **The boot is numbered anew.** Times since boot are compared within one boot, and the machine that died may have used
//!   the number of this one. A read would then pass for a repetition of one from long ago.

mod error;
#[cfg(test)]
mod tests;

pub use error::RestoreError;

use crate::boot::renumber_boot;
use crate::log_position::{RecoverNote, RestoreNote, read_position};
use crate::open::{new_ids, open_local};
use crate::settings::Settings;
use crate::staging::{StagingError, check_flow, remove_staging, stage_log};
use herd::backup::{BackupProgress, BackupReader, BackupSummary, restore_log};
use herd::change::Acceptance;
use herd::clock::Clock;
use herd::position::Position;
use herd::store::{
    Directory, Disk as _, JOURNAL_FILE, LOG_FILE, LocalFile, LogSurvey, Store, StoreError, TABLES_FILE,
    set_journal_aside,
};
use herd::wire::BackupStart;
use service::process::StateDir;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Directory in the state directory in which the log is made.
pub const STAGING_DIR: &str = "restoring";
/// Author of the next epoch.
const AUTHOR: &str = "herdlinxd restore";

/// A step of a restore that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreStep {
    /// A part of the log is in the staging directory.
    Writing(BackupProgress),
    /// The staged log is complete, with its next epoch.
    Written,
    /// The note is in `local.redb`.
    Noted,
    /// This file is in its place, or out of the way.
    Exchanged(&'static str),
}

/// Takes the steps of a restore. A break interrupts it, as a power cut would.
pub type OnStep<'a> = dyn FnMut(RestoreStep) -> ControlFlow<()> + 'a;

/// A restore that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoreOutcome {
    /// Content of the backup.
    pub summary: BackupSummary,
    /// Position after the change that began the next epoch.
    pub head: Position,
    /// Position that the log of this machine had before, if it was of the same history.
    pub remembered: Option<Position>,
}

/// Restores a backup into the state directory, whose `local.redb` it opens and returns.
pub fn restore<R: Read>(
    settings: &Settings,
    backup: &mut BackupReader<R>,
    clock: &dyn Clock,
    on_step: &mut OnStep<'_>,
) -> Result<(RestoreOutcome, LocalFile), RestoreError> {
    let directory = StateDir::new(&settings.state_dir);
    directory.create()?;
    let local = open_local(&directory)?;
    let disk = Directory::new(directory.path())?;
    let restore = RestoreJob { settings, disk, local, clock };
    let restored = restore.run(backup, on_step)?;
    Ok((restored, restore.local))
}

struct RestoreJob<'a> {
    settings: &'a Settings,
    disk: Directory,
    local: LocalFile,
    clock: &'a dyn Clock,
}

impl RestoreJob<'_> {
    fn run<R: Read>(
        &self,
        backup: &mut BackupReader<R>,
        on_step: &mut OnStep<'_>,
    ) -> Result<RestoreOutcome, RestoreError> {
        let wanted = backup.start().end;
        if RecoverNote::read(&self.local)?.is_some() {
            return Err(RestoreError::RecoverInterrupted);
        }
        let remembered = read_position(&self.local)?;
        let survey = LogSurvey::of(&self.disk).map_err(|error| match error {
            StoreError::MissingLog { journal } => RestoreError::JournalAlone { journal },
            locked @ StoreError::Locked { .. } => locked.into(),
            source => RestoreError::Unreadable { source },
        })?;
        let of_same = remembered.filter(|position| position.store == wanted.store);
        let note = match (RestoreNote::read(&self.local)?, survey) {
            // The log is in its place, and the rest of the exchange may be missing.
            (Some(note), Some(log)) if log.end() == note.head => {
                if note.summary.end != wanted {
                    return Err(RestoreError::OtherBackup { begun: Box::new(note.summary.end) });
                }
                note
            }
            (note, survey) => {
                // A log whose restore was noted has passed this check, and its journal may be out of the way.
                let is_noted = note.is_some_and(|note| note.head.store == wanted.store);
                let remembered = remembered.as_ref().filter(|_| !is_noted);
                check_replaceable(survey.as_ref(), remembered, &wanted)?;
                drop(survey);
                self.stage(backup, of_same.as_ref(), on_step)?
            }
        };
        self.exchange(on_step)?;
        note.finish(&self.local)?;
        // The barn is restored: what is left costs room, and nothing else.
        if let Err(error) = remove_staging(&self.staging_dir()) {
            tracing::warn!(%error, "the barn is restored; remove the rest by hand");
        }
        Ok(RestoreOutcome { summary: note.summary, head: note.head, remembered: of_same })
    }

    fn staging_dir(&self) -> PathBuf {
        self.settings.state_dir.join(STAGING_DIR)
    }

    /// Stages the log, and notes that it is about to replace the current one.
    fn stage<R: Read>(
        &self,
        backup: &mut BackupReader<R>,
        remembered: Option<&Position>,
        on_step: &mut OnStep<'_>,
    ) -> Result<RestoreNote, RestoreError> {
        let directory = self.staging_dir();
        let is_interrupted = |error: &RestoreError| matches!(error, RestoreError::Staging(StagingError::Interrupted));
        let note = stage_log(&directory, is_interrupted, || self.write_log(&directory, backup, remembered, on_step))?;
        note.write(&self.local)?;
        check_flow(on_step(RestoreStep::Noted))?;
        Ok(note)
    }

    /// Writes the log, proves it, and begins its next epoch.
    fn write_log<R: Read>(
        &self,
        directory: &Path,
        backup: &mut BackupReader<R>,
        remembered: Option<&Position>,
        on_step: &mut OnStep<'_>,
    ) -> Result<RestoreNote, RestoreError> {
        let disk = Directory::new(directory)?;
        let mut flow = ControlFlow::Continue(());
        let acceptance = acceptance(backup.start());
        let summary = restore_log(&disk, backup, &mut |at| {
            if flow.is_continue() {
                flow = on_step(RestoreStep::Writing(at));
            }
        })?;
        check_flow(flow)?;
        let clock = self.clock.read().in_boot(renumber_boot(&self.local, &disk, self.clock)?);
        let rules = self.settings.rules();
        let store = Store::accept_source(&disk, remembered, acceptance, &rules, clock, new_ids()?)?;
        let head = store.head().position;
        drop(store);
        check_flow(on_step(RestoreStep::Written))?;
        Ok(RestoreNote { summary, head })
    }

    /// Puts the files in their places. Each rename is durable before the next one, and one that was done is skipped.
    fn exchange(&self, on_step: &mut OnStep<'_>) -> Result<(), RestoreError> {
        if self.disk.holds(JOURNAL_FILE) {
            set_journal_aside(&self.disk)?;
        }
        check_flow(on_step(RestoreStep::Exchanged(JOURNAL_FILE)))?;
        for file in [LOG_FILE, TABLES_FILE] {
            let from = format!("{STAGING_DIR}/{file}");
            if self.disk.holds(&from) {
                self.disk.rename(&from, file)?;
            }
            check_flow(on_step(RestoreStep::Exchanged(file)))?;
        }
        Ok(())
    }
}

/// Checks that the log of this machine may be replaced by one that ends at `wanted`.
fn check_replaceable(
    found: Option<&LogSurvey>,
    remembered: Option<&Position>,
    wanted: &Position,
) -> Result<(), RestoreError> {
    if let Some(log) = found.filter(|log| log.has_payloads()) {
        let has_backup = log.holds(wanted)?;
        return Err(RestoreError::HasPayloads { end: Box::new(log.end()), has_backup });
    }
    let Some(remembered) = remembered.filter(|position| position.store != wanted.store) else { return Ok(()) };
    match found {
        Some(log) if log.holds(remembered)? => Ok(()),
        _ => Err(RestoreError::OtherHistory { remembered: Box::new(*remembered) }),
    }
}

/// Returns what the history says about the next epoch.
fn acceptance(start: &BackupStart) -> Acceptance {
    let made = start.made.iso_utc().map_or_else(String::new, |at| format!(" made at {at}"));
    let reason = format!("backup of `{}`{made}, up to change {}", start.shown_site(), start.end.sequence);
    Acceptance { author: AUTHOR.to_owned(), reason }
}
