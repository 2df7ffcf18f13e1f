//! Runs of changes that a log holds and the tables lack.

use super::super::disk::LOG_FILE;
use super::super::error::{StoreError, storage};
use super::super::log::LogReader;
use super::run::Run;
use crate::position::Sequence;
use std::sync::mpsc::{IntoIter, sync_channel};
use std::thread::{Builder, scope};

/// Name of the thread that reads ahead.
const THREAD: &str = "herdlinx-read";
/// Maximum number of changes of a run, as of one in a row of the log.
const MAX_CHANGES: usize = 1_000;
/// Number of bytes from which a run takes no more changes.
const MAX_BYTES: usize = 1024 * 1024;
/// Number of changes from which a thread to read ahead is worth its start.
const MANY_CHANGES: u64 = 10_000;
/// Number of runs that wait to be folded. With the two in work they take about four megabytes, decoded.
const RUNS_AHEAD: usize = 2;

/// The runs of a log after one change, up to another.
pub(in super::super) struct LogRuns {
    log: LogReader,
    after: Sequence,
    through: Sequence,
}

impl LogRuns {
    /// Returns the runs of the changes that follow `after`, the last of which is `through`.
    pub(in super::super) fn new(log: LogReader, after: Sequence, through: Sequence) -> Self {
        Self { log, after, through }
    }

    /// Returns whether they are worth a thread that reads them.
    pub(in super::super) fn are_many(&self) -> bool {
        self.through.0.saturating_sub(self.after.0) > MANY_CHANGES
    }

    /// Calls `fold` with the runs, which a thread reads, proves and decodes meanwhile.
    ///
    /// That is almost half of what it takes to fold a log again.
    pub(in super::super) fn read_ahead(
        self,
        fold: impl FnOnce(IntoIter<Result<Run, StoreError>>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        scope(|threads| {
            let (to, runs) = sync_channel(RUNS_AHEAD);
            let read = move || {
                for run in self {
                    if let Ok(run) = &run {
                        run.decode();
                    }
                    // The fold has ended early.
                    if to.send(run).is_err() {
                        break;
                    }
                }
            };
            let reading = Builder::new().name(THREAD.to_owned()).spawn_scoped(threads, read);
            let reading = reading.map_err(storage("start a thread for", LOG_FILE))?;
            let folded = fold(runs.into_iter());
            reading.join().map_err(|_| StoreError::Panicked { thread: THREAD })?;
            folded
        })
    }
}

impl Iterator for LogRuns {
    type Item = Result<Run, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.after >= self.through {
            return None;
        }
        match self.log.changes_after(self.after, MAX_CHANGES, MAX_BYTES) {
            Ok((changes, end)) => {
                let end = end?;
                self.after = end.sequence;
                Some(Ok(Run::whole(changes, &end)))
            }
            Err(error) => {
                // Nothing can be folded behind it.
                self.after = self.through;
                Some(Err(error))
            }
        }
    }
}
