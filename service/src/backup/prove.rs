//! Proves the file of a backup.

use super::error::BackupCommandError;
use crate::lifecycle::print_notice;
use herd::backup::{BackupProgress, BackupReader, BackupSummary};
use herd::wire::BackupStart;
use std::fmt::Arguments;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Interval of the progress lines.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// Size of the buffer in front of a reader.
const BUFFER_BYTES: usize = 256 * 1024;

/// Prints how far a backup or a recovery is, at most once a second, to stderr.
#[derive(Debug)]
pub struct ProgressLines {
    doing: &'static str,
    last: Instant,
}

impl ProgressLines {
    /// Creates the lines of an action, such as `written`.
    pub fn new(doing: &'static str) -> Self {
        Self { doing, last: Instant::now() }
    }

    /// Prints a line if it is time for one.
    pub fn show(&mut self, BackupProgress { done, of }: BackupProgress) {
        let doing = self.doing;
        self.show_line(format_args!("{done} of {of} changes {doing}"));
    }

    /// Prints this line if it is time for one.
    pub fn show_line(&mut self, line: Arguments<'_>) {
        if self.last.elapsed() >= PROGRESS_INTERVAL {
            self.last = Instant::now();
            print_notice(line);
        }
    }
}

/// Opens a backup. Nothing but its start was read then.
pub fn open_backup(path: &Path) -> Result<BackupReader<BufReader<File>>, BackupCommandError> {
    let file = File::open(path).map_err(|source| BackupCommandError::Open { path: path.to_owned(), source })?;
    Ok(BackupReader::open(BufReader::with_capacity(BUFFER_BYTES, file))?)
}

/// Reads a backup to its end and prints what it holds. Any error means that it is not whole.
pub fn prove_file(path: &Path, out: &mut dyn Write) -> Result<(), BackupCommandError> {
    let reader = open_backup(path)?;
    let (start, mut lines) = (reader.start().clone(), ProgressLines::new("read"));
    let summary = reader.prove(&mut |at| lines.show(at))?;
    writeln!(out, "{} is a whole backup: {}", path.display(), backup_text(&start, &summary))?;
    Ok(out.flush()?)
}

/// Returns what a whole backup holds, in sentences.
pub fn backup_text(start: &BackupStart, summary: &BackupSummary) -> String {
    let BackupSummary { end, payloads, bytes } = summary;
    let made = start.made.iso_utc().map_or_else(|| "at an unknown time".to_owned(), |at| format!("at {at}"));
    format!(
        "{payloads} payloads in {} changes of `{}`, {bytes} bytes, made {made}.\nIt ends at change {} of epoch {} in history \
         {}.\nEvery digest was recomputed; the chain digest is {}.",
        end.sequence,
        start.shown_site(),
        end.sequence,
        end.epoch,
        end.store,
        end.digest
    )
}
