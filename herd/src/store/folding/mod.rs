//! The half of a writer that keeps the tables: it folds changes, and shows their rows once the log has the changes.
//!
//! ```text
//! source     decide and fold -> log durable -> rows visible                 one thread
//!
//! replica    verify -> hand over -> log durable -> acknowledged             the writer
//!                          |             |
//!                          +-> fold -----+-> rows visible                   `herdlinx-fold`
//! ```
//!
//! # Decisions
//!
//! - **A replica folds on a thread of its own, a source does not.** In bulk the fold takes longer than everything before it,
//!   and a replica needs none of its results to go on. A source decides about each payload on what the one before left:
//!   a second thread cost it 10 to 30 % with 100 senders.
//! - **Changes are handed over before they are written to the log.** So the fold of a lone change takes place while the
//!   disk syncs the log. The rows stay in the memory of the fold until the log has their changes; only then are they
//!   published, and only what is published can be flushed. So the tables are never ahead of what is durable.
//! - **Whichever of log and fold is done last publishes the rows.** Otherwise a lone change would wait for a thread to wake
//!   up. `Backlog` has the place where the one leaves the rows for the other.
//! - **The fold lags by a bounded number of changes.** The writer waits once that is reached. The head says how far each of
//!   the two is.
//! - **A writer that waits for the fold decodes what is folded next.** Decoding is a quarter of the fold, and the fold is what
//!   a replica waits for in bulk. A writer that always decoded would hand a lone change over later, and a third thread would
//!   find no processor on a machine with two.
//! - **A page is folded in runs of a row of the log,** at most 1,000 changes. After each run, its rows may be dropped from
//!   memory. With runs of a page, they were 24 MiB at the end of a copy; with these, 14.
//! - **The thread owns the [`Folder`] and gives it back when it ends.** Whoever needs the tables in step with the log takes it
//!   back: to settle, or to decide in a store that was a replica. A lock around it was rejected. The owner of the rows would
//!   then be a matter of time, and a source would take a lock that it does not need.
//! - **The thread lives from the first run to the next quiet minute.** An idle office has no need of it.
//! - **A failure of the fold ends its thread, and the next call of the writer returns the reason.** A panic does the same:
//!   see [`thread`](super::thread).
//! - **Tests step the fold**, like the flushes: on a disk in memory there is no thread, and a run waits until the limit of that
//!   disk is exceeded or a test says so. So crash images cover a log that is ahead of the fold, and a seed replays them.

mod backlog;
mod folder;
mod log_runs;
mod publisher;
mod run;

pub(super) use folder::Folder;
pub(super) use log_runs::LogRuns;
pub(super) use publisher::Publisher;
pub(super) use run::Run;

use super::disk::{Background, Disk};
use super::error::{StoreError, storage};
use super::tables::TABLES_FILE;
use super::thread;
use crate::position::Position;
use backlog::Backlog;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Name of the thread that folds.
const THREAD: &str = "herdlinx-fold";

/// Place of the folder.
#[derive(Debug)]
enum Place {
    /// The writer's thread.
    Here(Box<Folder>),
    /// A thread of its own, which returns it.
    Thread(JoinHandle<Result<Box<Folder>, StoreError>>),
    /// Nowhere: the fold has failed.
    Lost,
}

/// The fold of a store, wherever it takes place.
#[derive(Debug)]
pub(super) struct Folding {
    place: Place,
    backlog: Arc<Backlog>,
    background: Background,
}

impl Folding {
    pub(super) fn new(disk: &dyn Disk, folder: Folder, publisher: Publisher) -> Self {
        let backlog = Arc::new(Backlog::new(publisher, disk.max_unfolded()));
        Self { place: Place::Here(Box::new(folder)), backlog, background: disk.background() }
    }

    /// Returns the folder. [`recall`](Self::recall) must have brought it here.
    pub(super) fn here(&mut self) -> Result<&mut Folder, StoreError> {
        match &mut self.place {
            Place::Here(folder) => Ok(folder),
            Place::Thread(_) | Place::Lost => Err(StoreError::Interrupted),
        }
    }

    /// Folds what waits, and takes the folder back from its thread. The log must have everything that was handed over.
    pub(super) fn recall(&mut self) -> Result<(), StoreError> {
        if matches!(self.place, Place::Here(_)) {
            while self.step()? {}
            return Ok(());
        }
        self.place = match std::mem::replace(&mut self.place, Place::Lost) {
            Place::Thread(thread) => {
                self.backlog.close();
                let ended = thread.join().map_err(|_| StoreError::Panicked { thread: THREAD })?;
                Place::Here(ended?)
            }
            other => other,
        };
        self.here().map(|_| ())
    }

    /// Returns whether the fold has failed, so that [`recall`](Self::recall) returns the reason.
    pub(super) fn has_failed(&self) -> bool {
        match self.place {
            Place::Here(_) => false,
            Place::Thread(_) => self.backlog.has_ended(),
            Place::Lost => true,
        }
    }

    /// Hands over the runs of a commit that is about to be written to the log. Waits if too much waits already.
    pub(super) fn begin(&mut self, runs: Vec<Run>) -> Result<(), StoreError> {
        if self.background == Background::Threads {
            self.start_thread()?;
            if !self.backlog.wait_for_room(&runs) {
                return self.recall();
            }
        }
        self.backlog.add(runs);
        Ok(())
    }

    /// Notes that the log has everything that was handed over, up to `position`, and publishes that.
    pub(super) fn end(&mut self, position: Position) -> Result<(), StoreError> {
        self.backlog.log_is_durable(position);
        while self.backlog.is_over_limit() && self.step()? {}
        Ok(())
    }

    /// Gives up everything that is not published, after a failure of the log.
    pub(super) fn cancel(&self) {
        self.backlog.cancel();
    }

    /// Folds and publishes the next run that waits, if the folder is here. Returns whether there was one.
    pub(super) fn step(&mut self) -> Result<bool, StoreError> {
        let Place::Here(folder) = &mut self.place else { return Ok(false) };
        let Some(run) = self.backlog.take() else { return Ok(false) };
        fold_run(folder, &self.backlog, &run)?;
        Ok(true)
    }

    fn start_thread(&mut self) -> Result<(), StoreError> {
        if !matches!(self.place, Place::Here(_)) {
            return Ok(());
        }
        if let Place::Here(folder) = std::mem::replace(&mut self.place, Place::Lost) {
            self.backlog = Arc::new(self.backlog.successor());
            let (backlog, ended) = (self.backlog.clone(), self.backlog.clone());
            let thread = thread::spawn(THREAD, move || fold_all(folder, &backlog), move || ended.note_end());
            self.place = Place::Thread(thread.map_err(storage("start a thread for", TABLES_FILE))?);
        }
        Ok(())
    }
}

impl Drop for Folding {
    fn drop(&mut self) {
        // The files are closed by the end of the thread, and another store may open them after this one.
        if let Place::Thread(thread) = std::mem::replace(&mut self.place, Place::Lost) {
            self.backlog.cancel();
            if thread.join().is_err() {
                tracing::error!("the thread `{THREAD}` has panicked");
            }
        }
    }
}

/// Folds runs until no more come.
fn fold_all(mut folder: Box<Folder>, backlog: &Backlog) -> Result<Box<Folder>, StoreError> {
    while let Some(run) = backlog.next() {
        fold_run(&mut folder, backlog, &run)?;
    }
    Ok(folder)
}

fn fold_run(folder: &mut Folder, backlog: &Backlog, run: &Run) -> Result<(), StoreError> {
    let sealed = folder.fold(run)?;
    if backlog.finish(run, sealed) {
        folder.shrink();
    }
    Ok(())
}
