//! The hand-over to the one writer: callers wait until what they gave is durable.
//!
//! Whoever has a payload calls [`Recorder::record`]. The writer takes what waits, up to [`GROUP_PAYLOADS`], and
//! commits it at once: a lone payload waits for nothing, and a burst shares its commits. Receipts are given only
//! after the commit that they speak of. Corrections take their turn among the payloads.
//!
//! The writer is one async function. Production runs it on an OS thread of its own ([`Recorder::on_thread`]), as a
//! commit blocks; a simulated world runs the same function as a task on its only thread ([`Recorder::on_this_task`]).

mod commit_times;
mod counts;
mod later;
mod recent;
mod thread;
mod writer;

#[cfg(test)]
mod tests;

pub use commit_times::CommitTimes;
pub use counts::{Counts, DuplicateCount, RecorderStatus};
pub use recent::{RECENT_DUPLICATES, RecentDuplicates};
pub use thread::{WriterError, WriterThread};

use crate::disk::{DiskGauge, DiskTrouble};
use herd::change::ChangeError;
use herd::clock::RawReading;
use herd::decide::CorrectionRequest;
use herd::position::Sequence;
use herd::store::{CorrectionReceipt, Incoming, LocalError, LocalFile, Receipt, ReprocessReceipt, Store, StoreError};
use later::{LaterEntry, Work};
use service::lifecycle::ShutdownTrigger;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use writer::Writer;

/// So many payloads are committed together at most: what one row of the log holds.
pub const GROUP_PAYLOADS: usize = 1_000;
/// The longest payload, blanks around it included: far below what one change can hold, so that no payload that is
/// handed over can fail a commit.
pub const MAX_RAW_BYTES: usize = 4 * 1024;
/// So many payloads wait or are being committed at most; the next caller waits for room, and that is the
/// back-pressure. At 4 KiB, the largest that a door lets in, they are 16 MiB.
pub const QUEUE_PAYLOADS: usize = 4_096;

/// Questions whether the writer lives that wait at most, besides the payloads and in places of their own.
const QUEUED_PROBES: usize = 1;

/// Why a payload was not recorded, or not known to be. Each may pass: the caller keeps the payload and tries again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RecordError {
    /// The program ends.
    #[error("nothing more is taken in, as the program is stopping: send it again when it is back")]
    Stopping,
    /// The disk is full, or does not say.
    #[error(transparent)]
    Disk(#[from] DiskTrouble),
    /// A later program wrote to this log, so this one cannot decide.
    #[error("the tables stand at change {folded} and the log at {head}: {why}")]
    TablesBehind {
        /// The last change in the tables.
        folded: Sequence,
        /// The last change in the log.
        head: Sequence,
        /// What holds them.
        why: ChangeError,
    },
    /// The commit failed; the writer ends with this error, and the program with it.
    #[error("the store could not keep it: {0}")]
    Failed(Arc<StoreError>),
    /// The writer has ended before it came to this payload.
    #[error("the writer has ended: the program is about to start again")]
    Ended,
    /// More bytes than any door lets in.
    #[error("a payload of {bytes} bytes is too long: none may have more than {MAX_RAW_BYTES}, blanks included")]
    TooLong {
        /// How many it has.
        bytes: usize,
    },
    /// More at once than one group holds.
    #[error("{count} payloads at once are too many: at most {GROUP_PAYLOADS} can be recorded together")]
    TooMany {
        /// How many were given.
        count: usize,
    },
}

/// What the writer needs besides the store.
#[derive(Clone, Debug)]
pub struct RecorderSeams {
    /// Whether there is room.
    pub disk: DiskGauge,
    /// Where the counts of duplicates are kept over a restart; none in a world that forgets them.
    pub local: Option<LocalFile>,
}

/// Some payloads that are committed together, and whoever waits for their receipts.
struct Entry {
    payloads: Vec<Incoming>,
    answer: oneshot::Sender<Result<Vec<Receipt>, RecordError>>,
    /// Given back when the entry has been answered.
    room: OwnedSemaphorePermit,
}

/// What waits for the writer.
enum Task {
    Payloads(Entry),
    Later(LaterEntry),
    Probe(Probe),
}

/// A question whether the writer lives. It is answered in its turn among what waits.
struct Probe {
    answer: oneshot::Sender<()>,
    /// Given back when it has been answered.
    _room: OwnedSemaphorePermit,
}

impl Probe {
    fn answer(self) {
        // Whoever asked may have gone meanwhile.
        self.answer.send(()).ok();
    }
}

/// A handle on the writer; clones are the same one. When the last is gone the writer ends as if it were told to stop.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: mpsc::Sender<Task>,
    room: Arc<Semaphore>,
    room_for_probes: Arc<Semaphore>,
    stop: Arc<ShutdownTrigger>,
    status: watch::Receiver<RecorderStatus>,
    recent: RecentDuplicates,
    commits: CommitTimes,
}

impl Recorder {
    /// Gives the store to a writer on an OS thread of its own.
    pub fn on_thread(store: Store, seams: RecorderSeams) -> Result<(Self, WriterThread), WriterError> {
        let (recorder, writer) = Self::with_writer(store, seams)?;
        Ok((recorder, WriterThread::spawn(writer)?))
    }

    /// Gives the store to a writer that runs wherever the future is polled. The future ends with the writer.
    pub fn on_this_task(
        store: Store,
        seams: RecorderSeams,
    ) -> Result<(Self, impl Future<Output = Result<(), Arc<StoreError>>> + Send), LocalError> {
        let (recorder, writer) = Self::with_writer(store, seams)?;
        Ok((recorder, writer.write_loop()))
    }

    fn with_writer(store: Store, seams: RecorderSeams) -> Result<(Self, Writer), LocalError> {
        let (queue, entries) = mpsc::channel(QUEUE_PAYLOADS + QUEUED_PROBES);
        let stop = ShutdownTrigger::default();
        let stopped = stop.signal();
        let commits = CommitTimes::default();
        let (writer, status) = Writer::new(store, seams, entries, stopped, commits.clone())?;
        let room = Arc::new(Semaphore::new(QUEUE_PAYLOADS));
        let room_for_probes = Arc::new(Semaphore::new(QUEUED_PROBES));
        let recent = writer.recent();
        Ok((Self { queue, room, room_for_probes, stop: Arc::new(stop), status, recent, commits }, writer))
    }

    /// Records one payload and gives its receipt when it is durable.
    ///
    /// A caller that is dropped while it waits for room has recorded nothing; one that is dropped later may have.
    pub async fn record(&self, payload: Incoming) -> Result<Receipt, RecordError> {
        let mut receipts = self.record_all(vec![payload]).await?;
        receipts.pop().ok_or(RecordError::Ended)
    }

    /// Records up to [`GROUP_PAYLOADS`] payloads in one commit, in their order, and gives a receipt for each when
    /// they are durable. On an error none of them was kept, save where the error is [`RecordError::Failed`] or
    /// [`RecordError::Ended`] and the disk had taken them before it failed.
    pub async fn record_all(&self, payloads: Vec<Incoming>) -> Result<Vec<Receipt>, RecordError> {
        let count = payloads.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        if let Some(bytes) = payloads.iter().map(|payload| payload.raw.len()).find(|bytes| *bytes > MAX_RAW_BYTES) {
            return Err(RecordError::TooLong { bytes });
        }
        let permits = u32::try_from(count).ok().filter(|_| count <= GROUP_PAYLOADS);
        let permits = permits.ok_or(RecordError::TooMany { count })?;
        let room = self.room.clone().acquire_many_owned(permits).await.map_err(|_| RecordError::Stopping)?;
        let (answer, receipts) = oneshot::channel();
        // Never full: there is a place for each payload that has room, and an entry holds at least one.
        self.queue.try_send(Task::Payloads(Entry { payloads, answer, room })).map_err(|_| self.refusal())?;
        receipts.await.map_err(|_| RecordError::Ended)?
    }

    /// Makes one correction and gives its receipt when it is durable. A caller that is dropped while it waits for room
    /// has corrected nothing; one that is dropped later may have, and finds out by the same idempotency key.
    pub async fn correct(&self, request: CorrectionRequest, at: RawReading) -> Result<CorrectionReceipt, RecordError> {
        let request = Box::new(request);
        self.later(|answer| Work::Correct { request, at, answer }).await
    }

    /// Judges up to `limit` of the rejected payloads after `after` anew; see [`Store::reprocess`].
    pub async fn reprocess(
        &self,
        after: Sequence,
        limit: usize,
        at: RawReading,
    ) -> Result<ReprocessReceipt, RecordError> {
        self.later(|answer| Work::Reprocess { after, limit, at, answer }).await
    }

    async fn later<T>(&self, work: impl FnOnce(later::Answering<T>) -> Work) -> Result<T, RecordError> {
        let room = self.room.clone().acquire_owned().await.map_err(|_| RecordError::Stopping)?;
        let (answer, receipt) = oneshot::channel();
        let entry = LaterEntry { work: work(answer), room };
        self.queue.try_send(Task::Later(entry)).map_err(|_| self.refusal())?;
        receipt.await.map_err(|_| RecordError::Ended)?
    }

    /// Returns when the writer has come to a question that is put to it now, after what waits already: it lives. Needs
    /// no room that payloads take. A writer that has ended is told by [`WriterThread::ended`], and no one that hangs.
    pub async fn probe(&self) {
        // Never closed, and held by a question that the writer has not come to.
        let Ok(room) = self.room_for_probes.clone().acquire_owned().await else { return };
        let (answer, answered) = oneshot::channel();
        if self.queue.try_send(Task::Probe(Probe { answer, _room: room })).is_ok() {
            answered.await.ok();
        }
    }

    fn refusal(&self) -> RecordError {
        if self.stop.is_requested() { RecordError::Stopping } else { RecordError::Ended }
    }

    /// From now on nothing more is taken in. What waits is committed and answered, and the writer ends.
    pub fn stop(&self) {
        self.room.close();
        self.stop.request();
    }

    /// How large its groups were, and how long they took.
    pub fn commit_times(&self) -> &CommitTimes {
        &self.commits
    }

    /// What it has done so far; changes are announced after each group.
    pub fn status(&self) -> watch::Receiver<RecorderStatus> {
        self.status.clone()
    }

    /// The last duplicates since the start of the process.
    pub fn recent_duplicates(&self) -> &RecentDuplicates {
        &self.recent
    }

    /// How many payloads wait or are being committed now, of [`QUEUE_PAYLOADS`].
    pub fn queued(&self) -> usize {
        QUEUE_PAYLOADS.saturating_sub(self.room.available_permits())
    }
}

#[cfg(test)]
impl Recorder {
    /// Takes all room, as a writer that stands still leaves it.
    pub(crate) async fn hold_all_room(&self) -> OwnedSemaphorePermit {
        let all = u32::try_from(QUEUE_PAYLOADS).unwrap();
        self.room.clone().acquire_many_owned(all).await.unwrap()
    }
}
