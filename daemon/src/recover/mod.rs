//! `herdlinxd recover`: makes a log of the rows that are whole in a damaged one, and adds what a given file holds besides.
//!
//! | step | then an interruption leaves |
//! |---|---|
//! | the files are searched | the barn as it was |
//! | the new log, its next epoch and what lay behind gaps are written to `recovering/` and read back | also `recovering/` |
//! | `local.redb` notes the recovery | a barn that does not start, and says to run the same command again |
//! | journal and log get other names, and the new log and its tables the right ones | the same |
//! | `local.redb` replaces its note with the new position, in one commit | the barn, recovered |
//!
//! # Decisions
//!
//! - **The damaged log stays, under another name.** It may hold what a later program finds, and a row that a card returns
//!   only sometimes.
//! - **A log that is whole stays as it is, and its epoch too.** Then a given file adds what it holds, as any payload is added.
//!   So a second run with the same file changes nothing.
//! - **The next epoch begins where the unbroken chain ends.** An office that holds more sees a higher epoch, keeps what it
//!   has, and gives it back.
//! - **redb does not write to the files until the new log is whole.** It repairs a file after a crash, and would write over old
//!   pages that may hold the only copy of a row. So what it writes while the log is proved stays in memory.
//! - **A log that is whole counts as whole, whatever gaps a given file has.** Otherwise each run with a file of an old branch
//!   would begin another epoch.
//! - **The boot is numbered anew,** as after a restore: what comes back may be of a boot with the number of this one. A whole
//!   log keeps its number if the file has lower ones only.

mod error;
#[cfg(test)]
mod tests;

pub use error::RecoverCommandError;

use crate::boot::{boot_number, renumber_boot_after};
use crate::log_position::{RecoverNote, RestoreNote, read_position};
use crate::open::{new_ids, open_local, open_store_in};
use crate::recover_report::RecoverReport;
use crate::settings::Settings;
use crate::staging::{StagingError, check_flow, remove_staging, stage_log};
use herd::change::Acceptance;
use herd::clock::Clock;
use herd::position::Position;
use herd::recover::{Bytes, FoundLog, OnProgress, Places, RecoverError, RecoverProgress, find_log};
use herd::store::{
    Directory, Disk as _, JOURNAL_FILE, LOG_FILE, LocalFile, LogSurvey, ReadOnlyDisk, Store, StoreError, TABLES_FILE,
    VerifyError, name_aside, set_journal_aside, verify_disk,
};
use service::process::StateDir;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Directory in the state directory in which the log is made.
pub const STAGING_DIR: &str = "recovering";
/// Author of the next epoch, and of the payloads that come back.
const AUTHOR: &str = "herdlinxd recover";

/// A step of a recovery that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoverStep {
    /// A part of the work.
    Working(RecoverProgress),
    /// The staged log is complete, with its next epoch and what lay behind gaps.
    Written,
    /// The note is in `local.redb`.
    Noted,
    /// This file is in its place, or out of the way.
    Exchanged(&'static str),
}

/// Takes the steps of a recovery. A break interrupts it, as a power cut would.
pub type OnStep<'a> = dyn FnMut(RecoverStep) -> ControlFlow<()> + 'a;

/// Recovers the log in the state directory, and adds what `given` holds.
pub fn recover(
    settings: &Settings,
    given: Option<&dyn Bytes>,
    clock: &dyn Clock,
    on_step: &mut OnStep<'_>,
) -> Result<RecoverReport, RecoverCommandError> {
    let directory = StateDir::new(&settings.state_dir);
    directory.create()?;
    let local = open_local(&directory)?;
    if let Some(RestoreNote { summary, .. }) = RestoreNote::read(&local)? {
        return Err(RecoverCommandError::RestoreInterrupted { end: Box::new(summary.end) });
    }
    let disk = Directory::new(directory.path())?;
    RecoverJob { settings, disk, local, given, clock }.run(on_step)
}

struct RecoverJob<'a> {
    settings: &'a Settings,
    disk: Directory,
    local: LocalFile,
    given: Option<&'a dyn Bytes>,
    clock: &'a dyn Clock,
}

impl RecoverJob<'_> {
    fn run(&self, on_step: &mut OnStep<'_>) -> Result<RecoverReport, RecoverCommandError> {
        if let Some(note) = RecoverNote::read(&self.local)? {
            return self.complete(note, on_step);
        }
        let remembered = read_position(&self.local)?;
        let mut found = self.find(remembered, on_step)?;
        if !found.leads_further() {
            found.close_log();
            if self.is_whole(&found.end(), remembered.as_ref())? {
                return self.add_to_whole_log(found, on_step);
            }
            found.reopen_log(&self.disk)?;
        }
        let note = self.stage(&found, remembered.as_ref(), on_step)?;
        drop(found);
        self.complete(note, on_step)
    }

    /// Exchanges the files, and forgets the note.
    fn complete(&self, note: RecoverNote, on_step: &mut OnStep<'_>) -> Result<RecoverReport, RecoverCommandError> {
        self.exchange(&note, on_step)?;
        note.finish(&self.local)?;
        // The barn is recovered: what is left costs room, and nothing else.
        if let Err(error) = remove_staging(&self.staging_dir()) {
            tracing::warn!(%error, "the barn is recovered; remove the rest by hand");
        }
        Ok(note.recovery)
    }

    fn staging_dir(&self) -> PathBuf {
        self.settings.state_dir.join(STAGING_DIR)
    }

    fn find(
        &self,
        remembered: Option<Position>,
        on_step: &mut OnStep<'_>,
    ) -> Result<FoundLog<'_>, RecoverCommandError> {
        let places = Places { own: Some(&self.disk), given: self.given, remembered, history: None };
        run_with_progress(on_step, |progress| find_log(places, progress))
    }

    /// Returns whether the log opens, proves itself to the end of the chain that was found, and lacks nothing that this
    /// machine remembers.
    fn is_whole(&self, end: &Position, remembered: Option<&Position>) -> Result<bool, RecoverCommandError> {
        let disk = ReadOnlyDisk::over(&self.disk);
        match verify_disk(&disk, &mut |_| {}) {
            Err(VerifyError::Store(error @ StoreError::Locked { .. })) => return Err(error.into()),
            Ok(verified) if (verified.head.sequence, verified.head.digest) == (end.sequence, end.digest) => {}
            _ => return Ok(false),
        }
        let survey = LogSurvey::of(&disk)?;
        let Some(remembered) = remembered else { return Ok(survey.is_some()) };
        Ok(survey.map(|log| log.holds(remembered)).transpose()?.unwrap_or(false))
    }

    /// Adds what the given file holds to a log that is whole.
    fn add_to_whole_log(
        &self,
        found: FoundLog<'_>,
        on_step: &mut OnStep<'_>,
    ) -> Result<RecoverReport, RecoverCommandError> {
        let found = found.into_given();
        let last_boot = found.last_boot()?;
        if last_boot >= boot_number(&self.local, &self.disk, self.clock)? {
            renumber_boot_after(&self.local, &self.disk, self.clock, last_boot)?;
        }
        let mut store = open_store_in(&self.disk, self.settings, &self.local, self.clock)?;
        let end = store.head().position;
        let mut recovery = RecoverReport::of_whole(end);
        if self.given.is_some() {
            let acceptance = acceptance("from a file");
            recovery.readmitted =
                run_with_progress(on_step, |progress| found.readmit(&mut store, end, &acceptance, progress))?;
            (recovery.unplaced, recovery.unreadable) = (found.unplaced(), found.unreadable());
            store.settle()?;
            recovery.head = store.head().position;
        }
        Ok(recovery)
    }

    /// Stages the log, and notes that it is about to replace the current one.
    fn stage(
        &self,
        found: &FoundLog<'_>,
        remembered: Option<&Position>,
        on_step: &mut OnStep<'_>,
    ) -> Result<RecoverNote, RecoverCommandError> {
        let directory = self.staging_dir();
        let is_interrupted =
            |error: &RecoverCommandError| matches!(error, RecoverCommandError::Staging(StagingError::Interrupted));
        let recovery =
            stage_log(&directory, is_interrupted, || self.write_log(&directory, found, remembered, on_step))?;
        let note = RecoverNote { recovery };
        note.write(&self.local)?;
        check_flow(on_step(RecoverStep::Noted))?;
        Ok(note)
    }

    /// Writes the log, begins its next epoch, appends what lay behind gaps, and proves it all.
    fn write_log(
        &self,
        directory: &Path,
        found: &FoundLog<'_>,
        remembered: Option<&Position>,
        on_step: &mut OnStep<'_>,
    ) -> Result<RecoverReport, RecoverCommandError> {
        let disk = Directory::new(directory)?;
        let end = run_with_progress(on_step, |progress| found.write(&disk, progress))?;
        let gaps = found.gaps(end, remembered);
        let acceptance = acceptance(&format!("a damaged log, whole up to change {}", end.sequence));
        let boot = renumber_boot_after(&self.local, &disk, self.clock, found.last_boot()?)?;
        let clock = self.clock.read().in_boot(boot);
        let (latest, rules) = (found.latest(remembered)?, self.settings.rules());
        let mut store = Store::accept_source(&disk, Some(&latest), acceptance.clone(), &rules, clock, new_ids()?)?;
        let readmitted = run_with_progress(on_step, |progress| found.readmit(&mut store, end, &acceptance, progress))?;
        store.settle()?;
        let head = store.head().position;
        drop(store);
        let verified = verify_disk(&disk, &mut |_| {}).map_err(RecoverError::from)?.head;
        if verified != head {
            return Err(RecoverError::End { expected: Box::new(head), found: Box::new(verified) }.into());
        }
        check_flow(on_step(RecoverStep::Written))?;
        let kept_as = self.disk.holds(LOG_FILE).then(|| name_aside(&self.disk, LOG_FILE)).transpose()?;
        let (unplaced, unreadable) = (found.unplaced(), found.unreadable());
        Ok(RecoverReport { kept_as, was_whole: false, end, head, gaps, readmitted, unplaced, unreadable })
    }

    /// Puts the files in their places. Each rename is durable before the next one, and one that was done is skipped.
    fn exchange(&self, note: &RecoverNote, on_step: &mut OnStep<'_>) -> Result<(), RecoverCommandError> {
        let is_exchanged = |file: &str| !self.disk.holds(&format!("{STAGING_DIR}/{file}"));
        if self.disk.holds(JOURNAL_FILE) && !is_exchanged(LOG_FILE) {
            set_journal_aside(&self.disk)?;
        }
        check_flow(on_step(RecoverStep::Exchanged(JOURNAL_FILE)))?;
        if let Some(name) = note.recovery.kept_as.as_ref().filter(|_| !is_exchanged(LOG_FILE))
            && self.disk.holds(LOG_FILE)
        {
            self.disk.rename(LOG_FILE, name)?;
        }
        check_flow(on_step(RecoverStep::Exchanged("the damaged log")))?;
        for file in [LOG_FILE, TABLES_FILE] {
            if !is_exchanged(file) {
                self.disk.rename(&format!("{STAGING_DIR}/{file}"), file)?;
            }
            check_flow(on_step(RecoverStep::Exchanged(file)))?;
        }
        Ok(())
    }
}

/// Does a part of the work, and shows how far it is.
fn run_with_progress<T>(
    on_step: &mut OnStep<'_>,
    work: impl FnOnce(&mut OnProgress<'_>) -> Result<T, RecoverError>,
) -> Result<T, RecoverCommandError> {
    let mut flow = ControlFlow::Continue(());
    let done = work(&mut |at| {
        if flow.is_continue() {
            flow = on_step(RecoverStep::Working(at));
        }
    });
    check_flow(flow)?;
    Ok(done?)
}

/// Returns what the history says about what is appended.
fn acceptance(reason: &str) -> Acceptance {
    Acceptance { author: AUTHOR.to_owned(), reason: reason.to_owned() }
}
