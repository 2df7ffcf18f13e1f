//! A bounded queue in front of the one writer of the store. Callers wait until their payloads are durable.
//!
//! Callers hand payloads to [`Recorder::record`]. The writer takes the queued payloads, up to [`GROUP_PAYLOADS`], and
//! commits them at once. A receipt is sent only after the commit that it reports. Corrections take their turn among the
//! payloads. Packets of radios have a queue of their own, which comes first.
//!
//! # Decisions
//!
//! - **A lone payload is committed immediately; only queued payloads form a group.** A timer that collects payloads
//!   would trade the latency of the common case for the throughput of the rare one.
//! - **The writer is an async function.** Production runs it on an OS thread of its own ([`Recorder::on_thread`]),
//!   because a commit blocks. A simulated world runs the same function as a task on its only thread
//!   ([`Recorder::on_this_task`]).
//! - **The queue exists before the store is open.** Radios listen while a large log is checked and its tables are folded
//!   again ([`Recorder::before_store`]). What they hear waits in the radios, as it does for a slow disk.
//! - **A packet waits for the commit under way and at most one other group, however many callers wait.** A caller can send
//!   again, a reader at the chute cannot. One queue in which packets have reserved room was rejected: a packet would still
//!   wait for four groups of calls, seconds on a slow card, and longer than a clean stop takes.
//! - **A failed commit ends the writer, and with it the process.** After an I/O error redb refuses writes until the file
//!   is opened again. systemd restarts the process, and the start checks again what is durable.
//! - **A liveness probe waits in a place of its own, and in turn.** A probe that needed the room of payloads would mistake
//!   a flood for a stuck writer. A probe that overtook them would not notice one.
//! - **Health asks how long the write under way takes.** A probe answers that only at its end.

mod recent_duplicates;
mod requests;
mod stats;
mod thread;
mod write_clock;
mod writer;

#[cfg(test)]
mod tests;

pub use recent_duplicates::{RECENT_DUPLICATES, RecentDuplicates};
pub use requests::EpochRequest;
pub use stats::{CommitTimes, DuplicateStats, RecorderStatus, RecorderTotals};
pub use thread::{WriterError, WriterThread};
pub use write_clock::WriteClock;
pub use writer::WaitingWriter;

use crate::disk::{DiskError, DiskGauge};
use herd::change::{Acceptance, ChangeError};
use herd::clock::RawReading;
use herd::decide::CorrectionRequest;
use herd::position::Sequence;
use herd::store::{
    ChangeRun, CorrectionReceipt, EpochReceipt, EraMoveReceipt, Incoming, LocalError, LocalFile, MendReceipt,
    Readmitted, Receipt, ReprocessReceipt, Store, StoreError,
};
use requests::{QueuedRequest, Reply, StoreRequest};
use service::lifecycle::ShutdownTrigger;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

/// Maximum number of payloads in one commit: the capacity of one row of the log.
pub const GROUP_PAYLOADS: usize = 1_000;
/// Maximum length of a payload, including surrounding blanks.
///
/// It is far below the capacity of one change, so no payload that is handed over can fail a commit.
pub const MAX_RAW_BYTES: usize = 4 * 1024;
/// Maximum number of payloads that are queued or in commit; further callers block, which is the back-pressure.
///
/// At [`MAX_RAW_BYTES`] each they take 16 MiB.
pub const QUEUE_PAYLOADS: usize = 4_096;

/// Maximum number of packets of radios that are queued or in commit: as many as a full radio hands over at a shutdown. Before
/// that, each radio waits for one at a time.
pub const QUEUE_PACKETS: usize = radio::sx127x::MAX_QUEUED_PACKETS;

/// Maximum number of queued liveness probes. They have places of their own, besides those of the payloads.
const QUEUED_PROBES: usize = 1;

/// Reason why a payload was not recorded, or may not have been.
///
/// [`TooLong`](Self::TooLong) and [`TooMany`](Self::TooMany) are mistakes of the caller. The others may pass: the caller
/// keeps the payload and tries again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RecordError {
    /// The process is shutting down.
    #[error("the daemon is shutting down; send it again after the restart")]
    Stopping,
    /// The disk is full, or its free space is unknown.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The log holds a change that this version cannot read, so it cannot decide about new payloads.
    #[error("the tables stop at change {folded}, but the log ends at {head}: {why}")]
    TablesBehind {
        /// Last change in the tables.
        folded: Sequence,
        /// Last change in the log.
        head: Sequence,
        /// Reason why the next change cannot be folded.
        why: ChangeError,
    },
    /// The log holds what the request needs in a damaged row, or what comes back is of a later program. The writer goes on.
    #[error("the order is refused: {0}")]
    Refused(Arc<StoreError>),
    /// The commit failed. The writer ends with this error, and the process with the writer.
    #[error("cannot write to the store: {0}")]
    Failed(Arc<StoreError>),
    /// The writer ended before it reached the payload.
    #[error("the writer has ended; the daemon is about to restart")]
    Ended,
    /// The payload is longer than [`MAX_RAW_BYTES`].
    #[error("a payload of {bytes} bytes is too long; the limit is {MAX_RAW_BYTES} bytes, including blanks")]
    TooLong {
        /// Length of the payload.
        bytes: usize,
    },
    /// The call has more payloads than fit into one group.
    #[error("{count} payloads are too many for one commit; the limit is {GROUP_PAYLOADS}")]
    TooMany {
        /// Number of payloads.
        count: usize,
    },
}

/// Seams of the writer besides the store.
#[derive(Clone, Debug)]
pub struct RecorderSeams {
    /// Measures the free space on the disk.
    pub disk: DiskGauge,
    /// Keeps the counts of duplicates across restarts. `None` in a world that forgets them.
    pub local: Option<LocalFile>,
}

/// The sender of a payload, which waits for its receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    /// A radio: nobody sends the packet again.
    Radio,
    /// A caller who keeps the payload until it has a receipt.
    Caller,
}

/// Payloads that are committed together, and the caller that waits for their receipts.
struct QueuedPayloads {
    sender: Sender,
    payloads: Vec<Incoming>,
    reply: Reply<Vec<Receipt>>,
    /// Released once the payloads have been answered.
    room: OwnedSemaphorePermit,
}

/// An entry of the writer's queue.
enum Task {
    Record(QueuedPayloads),
    Write(QueuedRequest),
    Probe(Probe),
}

/// A liveness probe. The writer answers it in its turn.
struct Probe {
    reply: oneshot::Sender<()>,
    /// Released once the probe has been answered.
    _room: OwnedSemaphorePermit,
}

impl Probe {
    fn answer(self) {
        // The caller may have been dropped.
        self.reply.send(()).ok();
    }
}

/// Notifies of a correction once its caller has the receipt, or has gone away: it may be applied then as well.
struct NoticeOfCorrection<'a>(&'a Notify);

impl Drop for NoticeOfCorrection<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// A handle to the writer; clones refer to the same one. Dropping the last handle shuts the writer down.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: mpsc::Sender<Task>,
    packets: mpsc::Sender<QueuedPayloads>,
    room: Arc<Semaphore>,
    room_for_packets: Arc<Semaphore>,
    room_for_probes: Arc<Semaphore>,
    /// Notified after each correction, which may have begun a reader era.
    corrected: Arc<Notify>,
    shutdown: Arc<ShutdownTrigger>,
    status: watch::Receiver<RecorderStatus>,
    recent_duplicates: RecentDuplicates,
    commit_times: CommitTimes,
    write_clock: WriteClock,
}

impl Recorder {
    /// Returns a recorder whose store is not open yet. Its callers wait until the writer has one, or is dropped.
    pub fn before_store() -> (Self, WaitingWriter) {
        let (queue, tasks) = mpsc::channel(QUEUE_PAYLOADS + QUEUED_PROBES);
        let (packets, queued_packets) = mpsc::channel(QUEUE_PACKETS);
        let shutdown = ShutdownTrigger::default();
        let writer = WaitingWriter::new(tasks, queued_packets, shutdown.signal());
        let recorder = Self {
            queue,
            packets,
            room: Arc::new(Semaphore::new(QUEUE_PAYLOADS)),
            room_for_packets: Arc::new(Semaphore::new(QUEUE_PACKETS)),
            room_for_probes: Arc::new(Semaphore::new(QUEUED_PROBES)),
            corrected: Arc::default(),
            shutdown: Arc::new(shutdown),
            status: writer.status(),
            recent_duplicates: writer.recent_duplicates(),
            commit_times: writer.commit_times(),
            write_clock: writer.write_clock(),
        };
        (recorder, writer)
    }

    /// Moves the store to a writer on an OS thread of its own.
    pub fn on_thread(store: Store, seams: RecorderSeams) -> Result<(Self, WriterThread), WriterError> {
        let (recorder, writer) = Self::before_store();
        Ok((recorder, writer.on_thread(store, seams)?))
    }

    /// Moves the store to a writer that runs wherever the future is polled. The future completes when the writer ends.
    pub fn on_this_task(
        store: Store,
        seams: RecorderSeams,
    ) -> Result<(Self, impl Future<Output = Result<(), Arc<StoreError>>> + Send), LocalError> {
        let (recorder, writer) = Self::before_store();
        Ok((recorder, writer.with_store(store, seams)?.write_loop()))
    }

    /// Records a packet of a radio, ahead of all callers, and returns its receipt once it is durable.
    ///
    /// If the call is dropped while it waits for room, nothing is recorded. If it is dropped later, the packet may be.
    pub async fn record_packet(&self, packet: Incoming) -> Result<Receipt, RecordError> {
        check_lengths(std::slice::from_ref(&packet))?;
        let room = self.room_for_packets.clone().acquire_owned().await.map_err(|_| RecordError::Stopping)?;
        let (reply, receipts) = oneshot::channel();
        let queued = QueuedPayloads { sender: Sender::Radio, payloads: vec![packet], reply, room };
        // Never full: the queue has a place for each packet that has room.
        self.packets.try_send(queued).map_err(|_| self.closed_error())?;
        receipts.await.map_err(|_| RecordError::Ended)??.pop().ok_or(RecordError::Ended)
    }

    /// Records one payload and returns its receipt once it is durable.
    ///
    /// If the call is dropped while it waits for room, nothing is recorded. If it is dropped later, the payload may be.
    pub async fn record(&self, payload: Incoming) -> Result<Receipt, RecordError> {
        let mut receipts = self.record_all(vec![payload]).await?;
        receipts.pop().ok_or(RecordError::Ended)
    }

    /// Records up to [`GROUP_PAYLOADS`] payloads in one commit, in their order, and returns a receipt for each once they
    /// are durable.
    ///
    /// On an error none of them is recorded. The exceptions are [`RecordError::Failed`] and [`RecordError::Ended`]: the
    /// disk may have accepted the payloads before it failed.
    pub async fn record_all(&self, payloads: Vec<Incoming>) -> Result<Vec<Receipt>, RecordError> {
        let count = payloads.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        check_lengths(&payloads)?;
        let permits = u32::try_from(count).ok().filter(|_| count <= GROUP_PAYLOADS);
        let permits = permits.ok_or(RecordError::TooMany { count })?;
        let room = self.room.clone().acquire_many_owned(permits).await.map_err(|_| RecordError::Stopping)?;
        let (reply, receipts) = oneshot::channel();
        // Never full: the queue has a place for each payload that has room, and an entry holds at least one payload.
        let queued = QueuedPayloads { sender: Sender::Caller, payloads, reply, room };
        self.queue.try_send(Task::Record(queued)).map_err(|_| self.closed_error())?;
        receipts.await.map_err(|_| RecordError::Ended)?
    }

    /// Applies one correction and returns its receipt once it is durable.
    ///
    /// If the call is dropped while it waits for room, nothing is corrected. If it is dropped later, the correction may
    /// be applied; the same idempotency key tells.
    pub async fn correct(&self, request: CorrectionRequest, at: RawReading) -> Result<CorrectionReceipt, RecordError> {
        let request = Box::new(request);
        let _notice = NoticeOfCorrection(&self.corrected);
        self.write(|reply| StoreRequest::Correct { request, at, reply }).await
    }

    /// Takes the next step of an order that moves payloads into a reader era; see [`Store::step_era_moves`].
    pub async fn step_era_moves(&self, at: RawReading) -> Result<Option<EraMoveReceipt>, RecordError> {
        self.write(|reply| StoreRequest::StepEraMoves { at, reply }).await
    }

    /// Waits for a correction after the last call, or since the start. Cancel-safe.
    pub async fn wait_for_correction(&self) {
        self.corrected.notified().await;
    }

    /// Reprocesses up to `limit` rejected payloads after `after`; see [`Store::reprocess`].
    pub async fn reprocess(
        &self,
        after: Sequence,
        limit: usize,
        at: RawReading,
    ) -> Result<ReprocessReceipt, RecordError> {
        self.write(|reply| StoreRequest::Reprocess { after, limit, at, reply }).await
    }

    /// Appends payloads that were lost and come back; see [`Store::readmit`].
    pub async fn readmit(&self, run: ChangeRun, acceptance: Acceptance) -> Result<Readmitted, RecordError> {
        let run = Box::new(run);
        self.write(|reply| StoreRequest::Readmit { run, acceptance, reply }).await
    }

    /// Writes changes in the place of the damaged row that held them; see [`Store::mend`].
    pub async fn mend(&self, run: ChangeRun) -> Result<MendReceipt, RecordError> {
        let run = Box::new(run);
        self.write(|reply| StoreRequest::Mend { run, reply }).await
    }

    /// Begins the next epoch, if the log ends where a follower has shown; see [`Store::begin_epoch_after`].
    pub async fn begin_epoch(&self, begin: EpochRequest, at: RawReading) -> Result<EpochReceipt, RecordError> {
        let begin = Box::new(begin);
        self.write(|reply| StoreRequest::BeginEpoch { begin, at, reply }).await
    }

    async fn write<T>(&self, request: impl FnOnce(Reply<T>) -> StoreRequest) -> Result<T, RecordError> {
        let room = self.room.clone().acquire_owned().await.map_err(|_| RecordError::Stopping)?;
        let (reply, receipt) = oneshot::channel();
        let request = QueuedRequest { request: request(reply), room };
        self.queue.try_send(Task::Write(request)).map_err(|_| self.closed_error())?;
        receipt.await.map_err(|_| RecordError::Ended)?
    }

    /// Returns once the writer has reached a probe that is queued now behind the waiting tasks: the writer is alive.
    ///
    /// The probe takes no room of payloads. It also returns if the writer has ended: [`WriterThread::ended`] reports
    /// that, and an ended writer does not hang.
    pub async fn probe(&self) {
        // The semaphore is never closed. Its permit is held by a probe that the writer has not reached.
        let Ok(room) = self.room_for_probes.clone().acquire_owned().await else { return };
        let (reply, answered) = oneshot::channel();
        if self.queue.try_send(Task::Probe(Probe { reply, _room: room })).is_ok() {
            answered.await.ok();
        }
    }

    fn closed_error(&self) -> RecordError {
        if self.shutdown.is_requested() { RecordError::Stopping } else { RecordError::Ended }
    }

    /// Shuts the writer down. It commits and answers the queued tasks, accepts no new ones, and ends.
    pub fn shut_down(&self) {
        self.room.close();
        self.room_for_packets.close();
        self.shutdown.request();
    }

    /// Returns the sizes and durations of the commit groups.
    pub fn commit_times(&self) -> &CommitTimes {
        &self.commit_times
    }

    /// Returns the clock of the write under way.
    pub fn write_clock(&self) -> &WriteClock {
        &self.write_clock
    }

    /// Returns a receiver of the status, which the writer updates after each group.
    pub fn status(&self) -> watch::Receiver<RecorderStatus> {
        self.status.clone()
    }

    /// Returns the latest duplicates since the process started.
    pub fn recent_duplicates(&self) -> &RecentDuplicates {
        &self.recent_duplicates
    }

    /// Returns the number of payloads of callers that are queued or in commit, of at most [`QUEUE_PAYLOADS`].
    pub fn queued(&self) -> usize {
        QUEUE_PAYLOADS.saturating_sub(self.room.available_permits())
    }
}

fn check_lengths(payloads: &[Incoming]) -> Result<(), RecordError> {
    match payloads.iter().map(|payload| payload.raw.len()).find(|bytes| *bytes > MAX_RAW_BYTES) {
        Some(bytes) => Err(RecordError::TooLong { bytes }),
        None => Ok(()),
    }
}

#[cfg(test)]
impl Recorder {
    /// Takes all the room, as if the writer hung with full queues.
    pub(crate) async fn take_all_room(&self) -> [OwnedSemaphorePermit; 2] {
        let all =
            |room: &Arc<Semaphore>, places: usize| room.clone().acquire_many_owned(u32::try_from(places).unwrap());
        let (callers, packets) =
            tokio::join!(all(&self.room, QUEUE_PAYLOADS), all(&self.room_for_packets, QUEUE_PACKETS));
        [callers.unwrap(), packets.unwrap()]
    }
}
