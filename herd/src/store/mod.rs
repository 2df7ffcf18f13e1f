//! The store: the log, the tables, and data that is never replicated.
//!
//! | file | holds | durable |
//! |---|---|---|
//! | `log.redb` | every Change, chained | at each take-over of the journal |
//! | `log.journal` | the last Changes, which `log.redb` lacks | with each commit, before anyone is told "stored" |
//! | `tables.redb` | the result of folding the log | written behind: by size, every [`FLUSH_CHANGES`], in quiet minutes, at a clean shutdown |
//! | `local.redb` | keys, paired sites, counters of duplicates | with each write |
//!
//! `log.redb` and `log.journal` together are the log. After a clean shutdown `log.redb` alone is all of it.
//!
//! One [`Store`] writes; any number of [`Reader`]s read. The order within a commit is fixed: the log durable, then the
//! tables visible, then the head published. So the tables are never ahead of what is durable. They become visible in
//! memory; the file is written behind, on a thread of its own: `tables` says how.
//!
//! # Decisions
//!
//! - **Log and tables are separate files, and only the log is synced with each commit.** Eight tables in one durable file
//!   wrote 99 kB for a lone payload, at about half the rate. `journal` says why the log has a second file.
//! - **A group holds up to 1,000 payloads, and a lone payload waits for nothing.** A timer would trade the latency of the
//!   common case for the throughput of the rare one.
//! - **A page holds up to 10,000 changes and 4 MiB; a live page up to 1,000 changes and 256 KiB, two of them
//!   unacknowledged.** Larger pages gain nothing measurable and cost memory on both sides. A follower is a position, so
//!   nothing else queues.
//! - **A storage failure ends the process.** redb refuses writes after an EIO until the file is opened again. systemd
//!   restarts the process, and the start checks what is durable.
//! - **Divergence is a typed outcome: nothing is written, and the copy keeps serving.** A copy that followed whatever it
//!   finds would destroy the only evidence of what a restored barn lost.
//! - **redb, pinned to its minor version.** Its crash safety is tested here, through its storage backend.

mod append;
mod apply;
mod changes;
mod correct;
mod disk;
mod error;
mod group;
mod journal;
mod local;
mod log;
mod memory;
mod open_progress;
mod opening;
mod reader;
mod reprocess;
mod row;
mod row_cache;
mod tables;
#[cfg(test)]
mod tests;
mod verify;

pub use append::{Incoming, Receipt};
pub use apply::{ApplyReceipt, ChangeRun};
pub use changes::Changes;
pub use correct::CorrectionReceipt;
pub use disk::{Directory, Disk, FlushMode};
pub use error::{ApplyError, StoreError};
pub use journal::JOURNAL_FILE;
pub use local::{LocalError, LocalFile};
pub use log::LOG_FILE;
pub use memory::{MemoryDisk, Replay, SyncGate};
pub use open_progress::{OpenProgress, grouped};
pub use reader::{ReadCounts, Reader, Snapshot, SnapshotState};
pub use reprocess::{MAX_REPROCESSED, ReprocessReceipt};
#[cfg(any(test, feature = "testing"))]
pub use tables::set_fold_version;
pub use tables::{FLUSH_CHANGES, TABLES_FILE};
pub use verify::{Phase, Progress, TablesVerdict, VerifyError, VerifyOutcome, verify_disk, verify_reader};

use crate::change::{Change, ChangeError};
use crate::decide::{Rules, TextWindow};
use crate::fold::{Rows, StagedRows, TOTALS_KEY, fold};
use crate::position::{Digest, Position, Sequence};
use crate::tables::Totals;
use log::{LogReader, LogWriter};
use tables::{TablesState, TablesWriter, View};
use tokio::sync::watch;

/// Page cache of the log. The log is written at its end and read near it.
const LOG_CACHE_BYTES: usize = 8 * 1024 * 1024;
/// Page cache of the tables. Rows that the writer uses again are in memory as it is.
const TABLES_CACHE_BYTES: usize = 8 * 1024 * 1024;
/// Estimated size to which the writer keeps decoded rows in memory from commit to commit.
const STAGED_BYTES: usize = 8 * 1024 * 1024;
/// Number of changes that are folded at once while the tables are rebuilt, and that are read to find the latest texts.
const REFOLD_CHANGES: usize = 10_000;
/// Number of bytes that are read from the log at once while the tables are rebuilt.
const REFOLD_BYTES: usize = 2 * 1024 * 1024;
/// Number of changes at the end of the log in which a source searches for the texts of the repeat window after a start.
const MAX_WINDOW_CHANGES: u64 = 16_384;

/// The state of a store, published after each commit and never before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last change that is durable in the log.
    pub position: Position,
    /// The last change in the tables.
    pub folded: Sequence,
    /// The fold digest after it.
    pub fold_digest: Digest,
    /// Why the tables are behind the log, if they are: the change after `folded` cannot be decoded.
    pub blocked: Option<ChangeError>,
}

/// The writer of a store. There is one per store, and the files are locked against other processes.
#[derive(Debug)]
pub struct Store {
    log: LogWriter,
    tables: TablesWriter,
    /// Rows in memory, above the tables. All are sealed between two commits.
    rows: StagedRows<View>,
    /// The state of the tables with all sealed rows.
    state: TablesState,
    /// `None` until this store decides about a payload.
    window: Option<TextWindow>,
    head: watch::Sender<Head>,
    boot: u32,
    rules: Rules,
    /// A commit began and did not end, so the disk may be one group ahead of this writer; or the tables could not be read.
    interrupted: bool,
}

impl Store {
    /// Returns the current head.
    pub fn head(&self) -> Head {
        self.head.borrow().clone()
    }

    /// Returns a handle for reading.
    pub fn reader(&self) -> Reader {
        Reader::new(self.log.log().clone(), self.tables.tables().clone(), self.head.subscribe())
    }

    /// Empties the journal into `log.redb`, and makes the tables durable. Called in quiet minutes and before a clean
    /// shutdown.
    pub fn settle(&mut self) -> Result<(), StoreError> {
        self.log.take_over()?;
        let settled = self.tables.settle();
        self.use_view(settled.map(Some))?;
        // Nobody is waiting for these rows.
        self.rows.shrink(0);
        Ok(())
    }

    /// Has full generations flushed. Called before each group, so that no answer waits for a flush.
    fn make_room(&mut self) -> Result<(), StoreError> {
        let view = self.tables.make_room();
        self.use_view(view)
    }

    /// Takes the next step of flushing the tables: flushes the generation that is frozen, or else freezes the current one.
    ///
    /// For tests on a disk of [`FlushMode::Stepped`]. With [`FlushMode::Thread`], the next step may already be under way.
    pub fn step_flush(&mut self) -> Result<(), StoreError> {
        let view = self.tables.step();
        self.use_view(view.map(Some))
    }

    /// Reads from a new view of the tables, if there is one. Stops this writer if a flush has failed.
    fn use_view(&mut self, view: Result<Option<View>, StoreError>) -> Result<(), StoreError> {
        match view {
            Ok(Some(view)) => self.rows.rebase(view),
            Ok(None) => {}
            Err(error) => {
                self.interrupted = true;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Checks that this writer may decide: its tables are at its head, and its head is what is on disk.
    fn check_may_decide(&self) -> Result<(), StoreError> {
        self.check_not_interrupted()?;
        let head = self.head.borrow();
        match head.blocked.clone() {
            Some(why) => Err(StoreError::TablesBehind { folded: head.folded, head: head.position.sequence, why }),
            None => Ok(()),
        }
    }

    fn check_not_interrupted(&self) -> Result<(), StoreError> {
        if self.interrupted { Err(StoreError::Interrupted) } else { Ok(()) }
    }

    /// Stops this writer if the tables could not be read. The next one rebuilds them.
    fn distrust_unread_tables<T>(&mut self, outcome: &Result<T, StoreError>) {
        let Err(StoreError::Rows(error)) = outcome else { return };
        tracing::error!(%error, "cannot read the tables");
        self.interrupted = true;
        if let Err(error) = self.tables.distrust() {
            tracing::error!(%error, "cannot mark the tables as damaged; delete tables.redb if the next start fails too");
        }
    }

    /// Returns the texts of the repeat window, from the end of the log if they are not in memory.
    fn take_window(&mut self) -> Result<TextWindow, StoreError> {
        if let Some(window) = self.window.take() {
            return Ok(window);
        }
        let forgotten =
            self.rows.shared::<Totals>(&TOTALS_KEY)?.map_or(Sequence::ZERO, |totals| totals.texts_forgotten);
        let folded = self.rows.folded();
        let mut window = TextWindow::new(forgotten);
        let mut after = forgotten.max(Sequence(folded.0.saturating_sub(MAX_WINDOW_CHANGES)));
        while after < folded {
            let (changes, _) = self.log.reader()?.changes_after(after, REFOLD_CHANGES, REFOLD_BYTES)?;
            for (bytes, n) in changes.iter().zip(after.0 + 1..) {
                if let Ok(change) = Change::from_bytes(bytes) {
                    window.record(Sequence(n), &change);
                }
            }
            if changes.is_empty() {
                break;
            }
            after = Sequence(after.0 + changes.len() as u64);
        }
        Ok(window)
    }

    /// Commits in the fixed order: the log durable, the tables visible, the head published.
    ///
    /// After a failure it is unknown what reached the disk, so this writer writes no more. The next one finds the group
    /// whole or not at all.
    fn commit(&mut self, changes: &Changes, blocked: Option<ChangeError>) -> Result<(), StoreError> {
        self.interrupted = true;
        let position = self.log.append(changes)?;
        self.publish_tables(&position)?;
        self.interrupted = false;
        self.head.send_replace(Head {
            position,
            folded: self.state.folded,
            fold_digest: self.state.sum.digest(),
            blocked,
        });
        Ok(())
    }

    /// Makes the folded rows visible. `head` is the position of the log that holds their changes.
    fn publish_tables(&mut self, head: &Position) -> Result<(), StoreError> {
        let folded = self.rows.folded();
        if folded == self.state.folded {
            return Ok(());
        }
        let digest = if folded == head.sequence { head.digest } else { digest_at(&self.log.reader()?, folded)? };
        let sealed = self.rows.seal();
        self.state = TablesState { folded, digest, sum: self.rows.sum(), ..self.state };
        self.tables.publish(sealed, &self.state);
        self.rows.shrink(STAGED_BYTES);
        Ok(())
    }
}

/// Folds changes that follow `after`, up to the first one that this program cannot decode.
fn fold_run<B: Rows>(
    staged: &mut StagedRows<B>,
    changes: &Changes,
    after: Sequence,
) -> Result<Option<ChangeError>, StoreError> {
    for (bytes, n) in changes.iter().zip(after.0 + 1..) {
        match Change::from_bytes(bytes) {
            Ok(change) => fold(staged, Sequence(n), &change)?,
            Err(unreadable) => return Ok(Some(unreadable)),
        }
    }
    Ok(None)
}

fn digest_at(log: &LogReader, sequence: Sequence) -> Result<Digest, StoreError> {
    let missing = StoreError::DamagedLog { at: sequence, why: "it is missing" };
    log.position_at(sequence)?.map(|position| position.digest).ok_or(missing)
}
