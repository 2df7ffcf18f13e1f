//! The single writer of a copy, and the handles through which pages reach it.
//!
//! - The writer's loop is an async function. Production runs it on an OS thread of its own, because commits block on
//!   the disk. A simulated world runs the same code as a task on its one thread.
//! - A liveness probe waits in the queue behind the pages before it. A thread that merely reported that it runs would
//!   do so while nothing is written, and a probe that overtook the pages would not notice a stuck writer.
//! - A storage failure ends the writer, and with it the process: redb rejects writes after an I/O error until the file
//!   is opened again. systemd restarts the process, and the start checks again what is durable.

#[cfg(test)]
mod tests;

use super::room::{NoRoomError, Room};
use herd::store::{ApplyError, ApplyReceipt, ChangeRun, MendReceipt, Reader, Store, StoreError};
use service::process::WorkerThread;
use std::future::Future;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

/// Maximum number of jobs in the writer's queue. One page keeps the writer busy while the next is fetched.
const MAX_QUEUED_JOBS: usize = 2;
/// Time without a page after which the tables are flushed to disk.
const FLUSH_AFTER: Duration = Duration::from_secs(60);
/// The same after a bulk such as a first copy, whose rows take memory until they are flushed.
const FLUSH_AFTER_BULK: Duration = Duration::from_secs(1);
/// Time after the first unflushed change at which the tables are flushed, even if pages never pause.
const FLUSH_AT_LATEST: Duration = Duration::from_secs(300);
/// Number of changes since the last flush that make a bulk.
const BULK_CHANGES: u64 = 5_000;

/// A job for the writer.
enum Job {
    Apply {
        run: ChangeRun,
        done: oneshot::Sender<Result<ApplyReceipt, ApplyError>>,
    },
    /// Changes for the place of a damaged row.
    Mend {
        run: ChangeRun,
        done: oneshot::Sender<MendReceipt>,
    },
    /// A liveness probe, answered in its turn.
    Probe(oneshot::Sender<()>),
}

/// The writer has ended, because its store failed or the process is shutting down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the writer of this copy has ended")]
pub struct WriterEndedError;

/// The pending result of a queued page.
pub(super) type PendingApply = oneshot::Receiver<Result<ApplyReceipt, ApplyError>>;

/// A handle on a copy, which reads it and queues pages for its writer. The writer ends once all handles are dropped.
#[derive(Clone, Debug)]
pub struct StoreHandle {
    reader: Reader,
    queue: mpsc::Sender<Job>,
    room: Room,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Apply { run, .. } => f.debug_struct("Apply").field("after", &run.after).finish_non_exhaustive(),
            Self::Mend { run, .. } => f.debug_struct("Mend").field("after", &run.after).finish_non_exhaustive(),
            Self::Probe(_) => f.write_str("Probe"),
        }
    }
}

/// A liveness probe of a writer. It does not keep the writer alive.
#[derive(Clone, Debug)]
pub struct WriterProbe(mpsc::WeakSender<Job>);

impl WriterProbe {
    /// Waits until the writer has worked through its queue up to now: at most two jobs, and one more that is about to
    /// be queued.
    ///
    /// Also returns if the writer has ended. That is reported elsewhere, and a writer that has ended does not hang.
    pub async fn wait(&self) {
        let Some(queue) = self.0.upgrade() else { return };
        let (reply, replied) = oneshot::channel();
        let queued = queue.send(Job::Probe(reply)).await;
        drop(queue);
        if queued.is_ok() {
            replied.await.ok();
        }
    }
}

impl StoreHandle {
    /// Returns the reader of the copy.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Returns a liveness probe of the writer.
    pub fn probe(&self) -> WriterProbe {
        WriterProbe(self.queue.downgrade())
    }

    /// Waits until the writer has ended. Cancel-safe.
    pub async fn ended(&self) {
        self.queue.closed().await;
    }

    /// Limits the room for further pages. By default there is no limit.
    #[must_use]
    pub fn with_room(self, room: Room) -> Self {
        Self { room, ..self }
    }

    /// Returns an error if there is no room for further pages now.
    pub(super) fn check_room(&self) -> Result<(), NoRoomError> {
        self.room.check()
    }

    /// Queues a page, waiting while the queue is full. The result arrives after the page's commit.
    ///
    /// Cancel-safe: a page that was not queued is not applied.
    pub(super) async fn begin_apply(&self, run: ChangeRun) -> Result<PendingApply, WriterEndedError> {
        let (done, pending) = oneshot::channel();
        self.queue.send(Job::Apply { run, done }).await.map_err(|_| WriterEndedError)?;
        Ok(pending)
    }

    /// Writes changes in the place of a damaged row, in turn.
    pub(super) async fn mend(&self, run: ChangeRun) -> Result<MendReceipt, WriterEndedError> {
        let (done, mended) = oneshot::channel();
        self.queue.send(Job::Mend { run, done }).await.map_err(|_| WriterEndedError)?;
        mended.await.map_err(|_| WriterEndedError)
    }
}

/// Splits a store into a handle and its writer's future. Nothing is applied unless the caller polls the future.
pub fn split_writer(store: Store) -> (StoreHandle, impl Future<Output = Result<(), StoreError>>) {
    let (queue, jobs) = mpsc::channel(MAX_QUEUED_JOBS);
    (StoreHandle { reader: store.reader(), queue, room: Room::plenty() }, write_loop(store, jobs))
}

/// Starts the writer of a store on an OS thread of its own.
pub fn spawn_writer(store: Store) -> std::io::Result<(StoreHandle, WorkerThread<Result<(), StoreError>>)> {
    let (handle, writer) = split_writer(store);
    Ok((handle, WorkerThread::spawn("copy-writer", writer)?))
}

/// The times at which the tables of a copy are flushed.
struct FlushSchedule {
    /// Time of the next flush. Probes arrive in quiet times too, so it counts from the last page.
    at: Instant,
    /// Latest time of the next flush, set with the first page after a flush.
    at_latest: Option<Instant>,
    /// Changes since the last flush.
    changes: u64,
}

impl FlushSchedule {
    fn new() -> Self {
        Self { at: Instant::now() + FLUSH_AFTER, at_latest: None, changes: 0 }
    }

    fn note_flush(&mut self) {
        *self = Self::new();
    }

    /// Notes a page with a number of changes, which is 0 for one that was refused.
    fn note_page(&mut self, changes: u64) {
        self.changes += changes;
        let now = Instant::now();
        let pause = if self.changes < BULK_CHANGES { FLUSH_AFTER } else { FLUSH_AFTER_BULK };
        self.at = (now + pause).min(*self.at_latest.get_or_insert(now + FLUSH_AT_LATEST));
    }
}

async fn write_loop(mut store: Store, mut jobs: mpsc::Receiver<Job>) -> Result<(), StoreError> {
    let mut schedule = FlushSchedule::new();
    loop {
        let Ok(next) = timeout_at(schedule.at, jobs.recv()).await else {
            store.settle_if_room()?;
            schedule.note_flush();
            continue;
        };
        let (run, done) = match next {
            Some(Job::Apply { run, done }) => (run, done),
            Some(Job::Mend { run, done }) => {
                // A follower that no longer waits has ended; the row stays mended.
                drop(done.send(store.mend(&run)?));
                continue;
            }
            Some(Job::Probe(reply)) => {
                // Probes come in quiet times, too, so that a failure behind the log does not wait for the next page.
                store.check().inspect_err(|error| tracing::error!(%error, "the tables of a copy have failed"))?;
                // The caller may have given up meanwhile.
                reply.send(()).ok();
                continue;
            }
            None => return store.settle_if_room().map(|_| ()),
        };
        match store.apply(run) {
            Err(ApplyError::Store(error)) => {
                // The storage rejects every later write until the files are opened again, so this writer ends.
                tracing::error!(%error, "failed to write a page");
                return Err(error);
            }
            outcome => {
                schedule.note_page(outcome.as_ref().map_or(0, |receipt| receipt.changes));
                // A follower that no longer waits has ended; the page stays durable.
                drop(done.send(outcome));
            }
        }
    }
}
