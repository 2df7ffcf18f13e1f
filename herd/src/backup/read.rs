//! Reads a backup, and proves it.

use super::{BackupError, BackupProgress, BackupSummary, payloads_in};
use crate::digest::log_start;
use crate::position::{Position, Sequence};
use crate::store::{ChangeRun, Changes};
use crate::wire::{
    BackupStart, BlobError, BlobKind, ExportEnd, MAX_PAGE_CHANGES, Page, WIRE_VERSION, blob_kind, blob_length,
    from_blob,
};
use std::io::{ErrorKind, Read};

/// Length of a blob's header.
const HEADER_BYTES: usize = 14;

/// Reads a backup page by page. At most one page is in memory.
#[derive(Debug)]
pub struct BackupReader<R> {
    from: R,
    /// Bytes that were read.
    offset: u64,
    start: BackupStart,
    /// Position after the last page.
    at: Position,
    /// Epochs of `start` that the pages have begun.
    begun: usize,
    payloads: u64,
    /// The file was read and proved to its end.
    is_complete: bool,
}

impl<R: Read> BackupReader<R> {
    /// Reads the start of the file.
    pub fn open(mut from: R) -> Result<Self, BackupError> {
        let mut offset = 0;
        let nothing_before = Sequence::ZERO;
        let blob = match read_blob(&mut from, &mut offset, nothing_before) {
            Err(BackupError::Damaged { why: BlobError::Version { found }, .. }) => {
                return Err(BackupError::Version { found });
            }
            Err(BackupError::Damaged { why: BlobError::BadMagic | BlobError::TooLong { .. }, .. }) => {
                return Err(BackupError::NotABackup);
            }
            blob => blob?,
        };
        let start = match from_blob::<BackupStart>(&blob) {
            Err(BlobError::Kind { .. }) => return Err(BackupError::NotABackup),
            start => start.map_err(|why| BackupError::Damaged { offset: 0, after: nothing_before, why })?,
        };
        let at = log_start(start.end.store);
        Ok(Self { from, offset, start, at, begun: 0, payloads: 0, is_complete: false })
    }

    /// Returns what the file says about itself. Only its end proves it.
    pub fn start(&self) -> &BackupStart {
        &self.start
    }

    /// Returns how far the file was read.
    pub fn progress(&self) -> BackupProgress {
        BackupProgress { done: self.at.sequence.0, of: self.start.end.sequence.0 }
    }

    /// Returns the changes of the next page, which continue those before. `None` proves the whole file.
    pub fn next_run(&mut self) -> Result<Option<ChangeRun>, BackupError> {
        if self.is_complete {
            return Ok(None);
        }
        let (offset, after) = (self.offset, self.at.sequence);
        let damaged = |why| BackupError::Damaged { offset, after, why };
        let blob = read_blob(&mut self.from, &mut self.offset, after)?;
        if blob_kind(&blob).map_err(damaged)? == BlobKind::ExportEnd {
            let end = from_blob::<ExportEnd>(&blob).map_err(damaged)?;
            self.check_end(offset, &end)?;
            self.is_complete = true;
            return Ok(None);
        }
        let page = from_blob::<Page>(&blob).map_err(damaged)?;
        drop(blob);
        let stated = page.end.end;
        let run = page.into_run();
        check_changes(offset, &run.changes)?;
        check_position(offset, &self.at, &run.after)?;
        let run = ChangeRun::following(run.after, run.changes);
        check_position(offset, &run.end, &stated)?;
        self.check_epochs(&run)?;
        self.payloads += payloads_in(&run);
        self.at = run.end;
        Ok(Some(run))
    }

    /// Reads the rest of the file, and returns what it holds.
    pub fn prove(mut self, progress: &mut dyn FnMut(BackupProgress)) -> Result<BackupSummary, BackupError> {
        while self.next_run()?.is_some() {
            progress(self.progress());
        }
        Ok(self.summary())
    }

    /// Returns what was read so far: the whole content, after [`next_run`](Self::next_run) has returned `None`.
    pub fn summary(&self) -> BackupSummary {
        BackupSummary { end: self.at, payloads: self.payloads, bytes: self.offset }
    }

    /// Checks that a page begins the next epochs that the start lists. Nothing is gathered: a file may begin any number.
    fn check_epochs(&mut self, run: &ChangeRun) -> Result<(), BackupError> {
        for epoch in run.epochs_begun() {
            if self.start.epochs.get(self.begun) != Some(&epoch) {
                return Err(BackupError::Epochs);
            }
            self.begun += 1;
        }
        Ok(())
    }

    fn check_end(&mut self, offset: u64, end: &ExportEnd) -> Result<(), BackupError> {
        check_position(offset, &self.at, &end.end)?;
        check_position(offset, &self.at, &self.start.end)?;
        if end.count != self.at.sequence.0 {
            return Err(BackupError::Count { found: self.at.sequence.0, stated: end.count });
        }
        if self.begun < self.start.epochs.len() {
            return Err(BackupError::Epochs);
        }
        match read_up_to(&mut self.from, &mut self.offset, 1)?.as_slice() {
            [] => Ok(()),
            _ => Err(BackupError::Trailing { offset: self.offset - 1 }),
        }
    }
}

/// Reads the next blob. `after` is the last change before it.
fn read_blob(from: &mut impl Read, offset: &mut u64, after: Sequence) -> Result<Vec<u8>, BackupError> {
    let begin = *offset;
    let damaged = |why| BackupError::Damaged { offset: begin, after, why };
    let mut blob = read_up_to(from, offset, HEADER_BYTES)?;
    let length = blob_length(&blob).map_err(|why| match why {
        // The version is told from the bytes before it.
        BlobError::Version { found } if begin > 0 && found != WIRE_VERSION => damaged(BlobError::Malformed),
        why => damaged(why),
    })?;
    let Some(length) = length else { return Err(BackupError::Cut { offset: *offset, after }) };
    let rest = read_up_to(from, offset, length - blob.len())?;
    blob.extend_from_slice(&rest);
    if blob.len() < length { Err(BackupError::Cut { offset: *offset, after }) } else { Ok(blob) }
}

/// Reads this many bytes, or fewer at the end of the file. Memory grows only with bytes that are present.
fn read_up_to(from: &mut impl Read, offset: &mut u64, length: usize) -> Result<Vec<u8>, BackupError> {
    let mut bytes = Vec::new();
    let read = from.take(length as u64).read_to_end(&mut bytes);
    *offset += bytes.len() as u64;
    match read {
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => {
            Err(BackupError::Read { offset: *offset, source: error })
        }
        _ => Ok(bytes),
    }
}

/// Checks the bounds that a writer keeps to: what is done with a page needs memory for each of its changes.
fn check_changes(offset: u64, changes: &Changes) -> Result<(), BackupError> {
    if !(1..=MAX_PAGE_CHANGES).contains(&changes.len()) {
        return Err(BackupError::Page { offset, changes: changes.len() });
    }
    if changes.iter().any(<[u8]>::is_empty) { Err(BackupError::EmptyChange { offset }) } else { Ok(()) }
}

fn check_position(offset: u64, expected: &Position, found: &Position) -> Result<(), BackupError> {
    if expected == found {
        return Ok(());
    }
    Err(BackupError::Chain { offset, expected: Box::new(*expected), found: Box::new(*found) })
}
