//! Writes a backup.

use super::{BackupProgress, BackupSummary, BackupWriteError, payloads_in};
use crate::clock::WallTime;
use crate::digest::log_start;
use crate::position::{Position, Sequence};
use crate::store::{ChangeRun, Reader, StoreError};
use crate::wire::{BackupStart, BarnHead, Body, ExportEnd, Page, to_blob};
use serde::Serialize;
use std::io::{self, Write};

/// Maximum number of changes on a page.
pub const RUN_CHANGES: usize = 10_000;
/// Maximum size of the changes on a page, unless a single one is larger: a row of the log. Larger pages gain nothing, and
/// two of these are in memory at a time.
pub const RUN_BYTES: usize = 256 * 1024;

/// Returns the start of a backup of everything that the store holds durably now.
pub fn start_of(reader: &Reader, site: &str, made: WallTime) -> BackupStart {
    let end = reader.head().position;
    BackupStart { site: site.to_owned(), made, end, epochs: reader.epochs_through(end.sequence) }
}

/// Returns the changes for the next page: those after `after`, and none past `end`.
pub fn next_run(reader: &Reader, after: Position, end: Sequence) -> Result<ChangeRun, StoreError> {
    let rest = usize::try_from(end.0.saturating_sub(after.sequence.0)).unwrap_or(usize::MAX);
    reader.run_after(after, rest.min(RUN_CHANGES), RUN_BYTES)
}

/// Writes the backup that `start` begins. Changes that are appended meanwhile are not in it.
pub fn copy_log<W: Write>(
    reader: &Reader,
    start: &BackupStart,
    to: W,
    progress: &mut dyn FnMut(BackupProgress),
) -> Result<BackupSummary, BackupWriteError> {
    let mut writer = BackupWriter::begin(to, start)?;
    while !writer.is_complete() {
        writer.push(next_run(reader, writer.position(), start.end.sequence)?)?;
        progress(writer.progress());
    }
    writer.finish()
}

/// Writes a backup page by page, and checks that the pages lead to its end.
pub struct BackupWriter<W> {
    to: W,
    bytes: u64,
    at: Position,
    end: Position,
    payloads: u64,
}

impl<W: Write> BackupWriter<W> {
    /// Writes the start.
    pub fn begin(to: W, start: &BackupStart) -> Result<Self, BackupWriteError> {
        let mut writer = Self { to, bytes: 0, at: log_start(start.end.store), end: start.end, payloads: 0 };
        writer.write(start)?;
        Ok(writer)
    }

    /// Returns the position after the last page.
    pub fn position(&self) -> Position {
        self.at
    }

    /// Returns whether all pages are written.
    pub fn is_complete(&self) -> bool {
        self.at.sequence >= self.end.sequence
    }

    /// Returns how far the backup is.
    pub fn progress(&self) -> BackupProgress {
        BackupProgress { done: self.at.sequence.0, of: self.end.sequence.0 }
    }

    /// Writes a page. The run must hold changes, and continue the page before.
    pub fn push(&mut self, run: ChangeRun) -> Result<(), BackupWriteError> {
        let ChangeRun { after, changes, end } = run;
        check(&self.at, &after)?;
        let run = ChangeRun::following(after, changes);
        check(&run.end, &end)?;
        if run.changes.is_empty() {
            return Err(differ(&self.end, &self.at));
        }
        self.payloads += payloads_in(&run);
        self.at = run.end;
        // The state of the sender means nothing in a file, so equal logs make equal pages.
        self.write(&Page::new(run, end.sequence, BarnHead::default()))
    }

    /// Writes the end, and flushes everything to the writer. To make it durable is up to the caller.
    pub fn finish(mut self) -> Result<BackupSummary, BackupWriteError> {
        check(&self.end, &self.at)?;
        self.write(&ExportEnd { count: self.at.sequence.0, end: self.at })?;
        let bytes = self.bytes;
        self.to.flush().map_err(|source| BackupWriteError::Write { bytes, source })?;
        Ok(BackupSummary { end: self.at, payloads: self.payloads, bytes })
    }

    fn write<T: Body + Serialize>(&mut self, body: &T) -> Result<(), BackupWriteError> {
        let blob = to_blob(body);
        let failed = |source: io::Error| BackupWriteError::Write { bytes: self.bytes, source };
        self.to.write_all(&blob).map_err(failed)?;
        self.bytes += blob.len() as u64;
        Ok(())
    }
}

fn check(expected: &Position, found: &Position) -> Result<(), BackupWriteError> {
    if expected == found { Ok(()) } else { Err(differ(expected, found)) }
}

fn differ(expected: &Position, found: &Position) -> BackupWriteError {
    BackupWriteError::Chain { expected: Box::new(*expected), found: Box::new(*found) }
}
