//! The hand-over of pages to the one writer of a copy.
//!
//! The writer's loop is one async function. Production runs it on an OS thread of its own, because a commit waits for
//! the disk; a simulated world runs it as a task beside everything else.

use herd::store::{ApplyError, ApplyReceipt, ChangeRun, Reader, Store, StoreError};
use service::process::WorkerThread;
use std::future::Future;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

/// Pages that wait for the writer. One is enough to keep it busy while the next is fetched.
const QUEUED_PAGES: usize = 2;
/// After so long without a page, the tables are made durable.
const QUIET: Duration = Duration::from_secs(60);

/// What waits for the writer.
enum Job {
    Apply {
        run: ChangeRun,
        done: oneshot::Sender<Result<ApplyReceipt, ApplyError>>,
    },
    /// A question whether it lives.
    Probe(oneshot::Sender<()>),
}

/// The writer has ended: its store failed, or the process stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the writer of this copy has ended")]
pub struct WriterGone;

/// An apply that is under way.
pub(super) type Applying = oneshot::Receiver<Result<ApplyReceipt, ApplyError>>;

/// A handle on a copy: reads it, and hands pages to its writer. The writer ends when all handles are gone.
#[derive(Clone, Debug)]
pub struct StoreHandle {
    reader: Reader,
    queue: mpsc::Sender<Job>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Apply { run, .. } => f.debug_struct("Apply").field("after", &run.after).finish_non_exhaustive(),
            Self::Probe(_) => f.write_str("Probe"),
        }
    }
}

/// A way to ask the writer whether it lives, which does not keep it from ending.
#[derive(Clone, Debug)]
pub struct WriterProbe(mpsc::WeakSender<Job>);

impl WriterProbe {
    /// Returns when the writer has come to a question that is put to it now, in its turn among at most two pages and
    /// one that is about to be queued. A writer that has ended is told elsewhere, and is no one that hangs.
    pub async fn ask(&self) {
        let Some(queue) = self.0.upgrade() else { return };
        let (answer, answered) = oneshot::channel();
        let asked = queue.send(Job::Probe(answer)).await;
        drop(queue);
        if asked.is_ok() {
            answered.await.ok();
        }
    }
}

impl StoreHandle {
    /// The copy, for reading.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Asks its writer whether it lives.
    pub fn probe(&self) -> WriterProbe {
        WriterProbe(self.queue.downgrade())
    }

    /// Queues a page; waits while the queue is full, which is the back-pressure. What comes of it is told after its
    /// commit. Cancel-safe: a page that was not queued is not applied.
    pub(super) async fn begin_apply(&self, run: ChangeRun) -> Result<Applying, WriterGone> {
        let (done, applying) = oneshot::channel();
        self.queue.send(Job::Apply { run, done }).await.map_err(|_| WriterGone)?;
        Ok(applying)
    }
}

/// The writer as a task of the caller's: nothing is applied unless the future is polled.
pub fn on_this_task(store: Store) -> (StoreHandle, impl Future<Output = Result<(), StoreError>>) {
    let (queue, jobs) = mpsc::channel(QUEUED_PAGES);
    (StoreHandle { reader: store.reader(), queue }, write_loop(store, jobs))
}

/// Starts the writer on an OS thread of its own.
pub fn on_thread(store: Store) -> std::io::Result<(StoreHandle, WorkerThread<Result<(), StoreError>>)> {
    let (handle, writing) = on_this_task(store);
    Ok((handle, WorkerThread::spawn("copy-writer", writing)?))
}

async fn write_loop(mut store: Store, mut jobs: mpsc::Receiver<Job>) -> Result<(), StoreError> {
    // Probes come in a quiet night as well: what counts is the time since the last page.
    let mut settle_at = Instant::now() + QUIET;
    loop {
        let Ok(next) = timeout_at(settle_at, jobs.recv()).await else {
            store.settle()?;
            settle_at = Instant::now() + QUIET;
            continue;
        };
        let (run, done) = match next {
            Some(Job::Apply { run, done }) => (run, done),
            Some(Job::Probe(answer)) => {
                // Whoever asked may have gone meanwhile.
                answer.send(()).ok();
                continue;
            }
            None => return store.settle(),
        };
        match store.apply(&run) {
            Err(ApplyError::Store(error)) => {
                // The storage refuses every later write until the files are opened again: this writer is over.
                tracing::error!(%error, "a page could not be written");
                return Err(error);
            }
            // A follower that no longer waits has ended; what is durable stays durable.
            outcome => drop(done.send(outcome)),
        }
        settle_at = Instant::now() + QUIET;
    }
}

#[cfg(test)]
#[path = "handover_tests.rs"]
mod tests;
