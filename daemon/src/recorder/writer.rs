//! The only writer of the store: groups payloads, commits them, and runs the periodic chores.

use super::requests::{QueuedRequest, Reply};
use super::stats::{CommitTimes, DuplicateStatsWriter, RecorderStatus, SuppressedTally};
use super::write_clock::WriteClock;
use super::{GROUP_PAYLOADS, QueuedPayloads, RecentDuplicates, RecordError, RecorderSeams, Sender, Task};
use crate::disk::DiskGauge;
use crate::log_position::PositionWriter;
use herd::store::{Incoming, LocalError, Receipt, Store, StoreError};
use service::lifecycle::Shutdown;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// Time without a payload after which the tables are synced to disk, so that nothing has to be folded after a power cut.
const SETTLE_AFTER: Duration = Duration::from_secs(60);
/// Minimum interval between two changes with the suppressed rejections of a channel.
const SUPPRESSED_INTERVAL: Duration = Duration::from_secs(60);
/// Minimum interval in traffic between two writes of the log's position.
const POSITION_INTERVAL: Duration = Duration::from_secs(60);
/// Interval at which the writer checks what works behind the log. A failure there must not wait for the next payload.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Minimum interval between two writes of the duplicate counts.
const DUPLICATES_INTERVAL: Duration = Duration::from_secs(60);

/// The reply to a [`QueuedPayloads`] whose payloads are in commit.
struct PendingReply {
    /// Number of the payloads.
    count: usize,
    reply: Reply<Vec<Receipt>>,
    _room: OwnedSemaphorePermit,
}

/// Reason why the writer wakes up.
enum Wakeup {
    Task(Task),
    Chores,
    Shutdown,
}

/// Due times of the chores; `None` if there is nothing to do.
#[derive(Debug, Default)]
struct Schedule {
    settle: Option<Instant>,
    suppressed: Option<Instant>,
    duplicates: Option<Instant>,
    position: Option<Instant>,
    check: Option<Instant>,
}

impl Schedule {
    fn earliest(&self) -> Option<Instant> {
        [self.settle, self.suppressed, self.duplicates, self.position, self.check].into_iter().flatten().min()
    }
}

/// A writer whose store is not open yet. Tasks wait in its queue; if it is dropped, their callers are told that it ended.
#[derive(Debug)]
pub struct WaitingWriter {
    queue: mpsc::Receiver<Task>,
    packets: mpsc::Receiver<QueuedPayloads>,
    shutdown: Shutdown,
    status: watch::Sender<RecorderStatus>,
    commit_times: CommitTimes,
    recent_duplicates: RecentDuplicates,
    write_clock: WriteClock,
}

impl WaitingWriter {
    pub(super) fn new(
        queue: mpsc::Receiver<Task>,
        packets: mpsc::Receiver<QueuedPayloads>,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            queue,
            packets,
            shutdown,
            status: watch::Sender::default(),
            commit_times: CommitTimes::default(),
            recent_duplicates: RecentDuplicates::default(),
            write_clock: WriteClock::default(),
        }
    }

    /// Returns a receiver of the status, which is empty until there is a store.
    pub(super) fn status(&self) -> watch::Receiver<RecorderStatus> {
        self.status.subscribe()
    }

    pub(super) fn commit_times(&self) -> CommitTimes {
        self.commit_times.clone()
    }

    pub(super) fn write_clock(&self) -> WriteClock {
        self.write_clock.clone()
    }

    /// Returns the buffer to which the writer adds the duplicates of each group after its commit.
    pub(super) fn recent_duplicates(&self) -> RecentDuplicates {
        self.recent_duplicates.clone()
    }

    pub(super) fn with_store(self, store: Store, seams: RecorderSeams) -> Result<Writer, LocalError> {
        let Self { queue, packets, shutdown, status, commit_times, recent_duplicates, write_clock } = self;
        let mut position = PositionWriter::new(seams.local.clone());
        position.write(&store.head().position);
        let (stats_writer, duplicates) = DuplicateStatsWriter::open(seams.local)?;
        status.send_replace(RecorderStatus { boot: store.boot(), duplicates, ..RecorderStatus::default() });
        Ok(Writer {
            store,
            disk: seams.disk,
            queue,
            packets,
            shutdown,
            status,
            commit_times,
            write_clock,
            suppressed: SuppressedTally::default(),
            duplicates: stats_writer,
            position,
            recent_duplicates,
            schedule: Schedule { check: Some(Instant::now() + CHECK_INTERVAL), ..Schedule::default() },
            carried: None,
            packet_was_first: false,
            group: Vec::new(),
        })
    }
}

pub(super) struct Writer {
    store: Store,
    disk: DiskGauge,
    queue: mpsc::Receiver<Task>,
    /// Packets of radios, which come before the queue.
    packets: mpsc::Receiver<QueuedPayloads>,
    shutdown: Shutdown,
    status: watch::Sender<RecorderStatus>,
    commit_times: CommitTimes,
    write_clock: WriteClock,
    suppressed: SuppressedTally,
    duplicates: DuplicateStatsWriter,
    position: PositionWriter,
    recent_duplicates: RecentDuplicates,
    schedule: Schedule,
    /// A task that did not fit into the last group. It comes before the queue.
    carried: Option<Task>,
    /// The last group began with a packet.
    packet_was_first: bool,
    /// Payloads of the current group; a field so that its allocation is reused.
    group: Vec<Incoming>,
}

impl Writer {
    /// Writes until the shutdown is requested, all handles are dropped, or a commit fails.
    ///
    /// The writer's own handle to the store is closed when this returns.
    pub(super) async fn write_loop(mut self) -> Result<(), Arc<StoreError>> {
        loop {
            match self.next_wakeup().await {
                Wakeup::Task(task) => self.run_task(task)?,
                Wakeup::Chores => {}
                Wakeup::Shutdown => break,
            }
            self.run_due_chores()?;
        }
        self.drain().await?;
        let _writing = self.write_clock.start();
        self.write_suppressed()?;
        self.write_duplicates();
        self.settle()?;
        Ok(())
    }

    /// Empties the journal and flushes the tables if the disk has room, and notes how far the log is. Returns whether it did.
    fn settle(&mut self) -> Result<bool, StoreError> {
        let is_settled = self.store.settle_if_room()?;
        if is_settled {
            self.write_position();
        }
        Ok(is_settled)
    }

    fn write_position(&mut self) {
        self.position.write(&self.store.head().position);
        self.schedule.position = None;
    }

    /// Cancel-safe: a task leaves the queue only by being returned.
    async fn next_wakeup(&mut self) -> Wakeup {
        if let Some(task) = self.next_ready() {
            return Wakeup::Task(task);
        }
        let due = self.schedule.earliest();
        tokio::select! {
            biased;
            Some(packet) = self.packets.recv() => {
                self.packet_was_first = true;
                Wakeup::Task(Task::Record(packet))
            }
            task = self.queue.recv() => task.map_or(Wakeup::Shutdown, Wakeup::Task),
            () = self.shutdown.requested() => Wakeup::Shutdown,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Wakeup::Chores,
        }
    }

    /// Returns the task that comes before the queue: a packet, or what did not fit into the last group. After a group that
    /// a packet began, the latter comes first, so that no flood of packets starves it.
    fn next_ready(&mut self) -> Option<Task> {
        if std::mem::take(&mut self.packet_was_first) && self.carried.is_some() {
            return self.carried.take();
        }
        let packet = self.packets.try_recv().ok().map(Task::Record);
        self.packet_was_first = packet.is_some();
        packet.or_else(|| self.carried.take())
    }

    /// Commits and answers the tasks that were queued before the shutdown.
    async fn drain(&mut self) -> Result<(), Arc<StoreError>> {
        self.packets.close();
        self.queue.close();
        loop {
            let ready = self.next_ready();
            let Some(task) = (if ready.is_some() { ready } else { self.queue.recv().await }) else {
                return Ok(());
            };
            self.run_task(task)?;
        }
    }

    fn run_task(&mut self, task: Task) -> Result<(), Arc<StoreError>> {
        match task {
            Task::Record(queued) => self.record_group(queued),
            Task::Write(request) => self.write_request(request),
            Task::Probe(probe) => {
                probe.answer();
                Ok(())
            }
        }
    }

    /// Commits one request other than payloads, and answers it.
    fn write_request(&mut self, request: QueuedRequest) -> Result<(), Arc<StoreError>> {
        if let Some(error) = self.refusal(Sender::Caller) {
            self.set_last_error(Some(error.clone()));
            request.refuse(&error);
            return Ok(());
        }
        self.schedule.settle = Some(Instant::now() + SETTLE_AFTER);
        let writing = self.write_clock.start();
        let written = request.write(&mut self.store);
        drop(writing);
        self.set_last_error(written.as_ref().err().map(|error| RecordError::Failed(error.clone())));
        written
    }

    /// Commits the queued payloads as one group. Every caller is answered, even if the commit fails.
    fn record_group(&mut self, first: QueuedPayloads) -> Result<(), Arc<StoreError>> {
        let (replies, refusal) = self.collect(first);
        if !replies.is_empty() {
            let start = Instant::now();
            let writing = self.write_clock.start();
            let appended = self.store.append(&self.group);
            drop(writing);
            match appended {
                Ok(receipts) => {
                    self.commit_times.add(self.group.len(), start.elapsed());
                    self.count(&receipts);
                    send_receipts(replies, receipts);
                }
                Err(error) => return Err(self.fail(replies, error)),
            }
        }
        if refusal.is_some() {
            self.set_last_error(refusal);
        }
        Ok(())
    }

    /// Reports a failed commit to every caller, and returns the error that ends the writer.
    ///
    /// After a failed commit the files must be opened again, which the next start of the process does.
    fn fail(&mut self, replies: Vec<PendingReply>, error: StoreError) -> Arc<StoreError> {
        let error = Arc::new(error);
        let reason = RecordError::Failed(error.clone());
        self.set_last_error(Some(reason.clone()));
        send_error(replies, &reason);
        error
    }

    /// Takes packets, and then payloads from the queue, in their order, up to one group. Answers those that cannot be written
    /// now, and returns why.
    fn collect(&mut self, first: QueuedPayloads) -> (Vec<PendingReply>, Option<RecordError>) {
        self.group.clear();
        let (refuse_packets, refuse_callers) = (self.refusal(Sender::Radio), self.refusal(Sender::Caller));
        let (mut replies, mut refused) = (Vec::new(), None);
        let (mut next, mut room_left) = (Some(first), GROUP_PAYLOADS);
        while let Some(QueuedPayloads { sender, payloads, reply, room }) = next {
            room_left = room_left.saturating_sub(payloads.len());
            let refusal = if sender == Sender::Radio { &refuse_packets } else { &refuse_callers };
            if let Some(error) = refusal {
                refused = Some(error.clone());
                // The caller may have been dropped.
                reply.send(Err(error.clone())).ok();
            } else {
                replies.push(PendingReply { count: payloads.len(), reply, _room: room });
                self.group.extend(payloads);
            }
            next = self.next_fitting(room_left);
        }
        (replies, refused)
    }

    /// Returns the next payloads, of which there may be `room_left`. A task that does not fit is carried.
    fn next_fitting(&mut self, room_left: usize) -> Option<QueuedPayloads> {
        if room_left == 0 {
            return None;
        }
        if let Ok(packet) = self.packets.try_recv() {
            return Some(packet);
        }
        match self.carried.take().or_else(|| self.queue.try_recv().ok())? {
            Task::Record(queued) if queued.payloads.len() <= room_left => Some(queued),
            other => {
                self.carried = Some(other);
                None
            }
        }
    }

    /// Returns the reason why nothing can be written now for this sender, if there is one. The writer goes on.
    fn refusal(&self, sender: Sender) -> Option<RecordError> {
        let room = if sender == Sender::Radio { self.disk.check_for_packets() } else { self.disk.check() };
        if let Err(error) = room {
            return Some(RecordError::Disk(error));
        }
        let head = self.store.head();
        head.blocked.map(|why| RecordError::TablesBehind { folded: head.folded, head: head.position.sequence, why })
    }

    fn set_last_error(&self, error: Option<RecordError>) {
        self.status.send_modify(|status| status.last_error = error);
    }

    /// Counts the receipts of the current group, and schedules the chores that they need.
    fn count(&mut self, receipts: &[Receipt]) {
        let now = Instant::now();
        self.schedule.settle = Some(now + SETTLE_AFTER);
        for (payload, receipt) in self.group.iter().zip(receipts) {
            match receipt {
                Receipt::Suppressed => self.suppressed.add(payload, self.store.boot()),
                Receipt::Duplicate { .. } => self.duplicates.mark_dirty(&payload.origin.channel),
                Receipt::Kept { .. } | Receipt::Rejected { .. } => {}
            }
        }
        if !self.suppressed.is_empty() {
            self.schedule.suppressed.get_or_insert(now + SUPPRESSED_INTERVAL);
        }
        self.schedule.position.get_or_insert(now + POSITION_INTERVAL);
        if self.duplicates.is_dirty() {
            self.schedule.duplicates.get_or_insert(now + DUPLICATES_INTERVAL);
        }
        self.recent_duplicates.add(&self.group, receipts);
        let group = &self.group;
        self.status.send_modify(|status| {
            status.totals.groups += 1;
            status.last_error = None;
            group.iter().zip(receipts).for_each(|(payload, receipt)| status.count(payload, receipt));
        });
    }

    fn run_due_chores(&mut self) -> Result<(), StoreError> {
        let now = Instant::now();
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        let _writing = self.write_clock.start();
        if is_due(self.schedule.suppressed) {
            self.write_suppressed()?;
        }
        if is_due(self.schedule.duplicates) {
            self.write_duplicates();
        }
        if is_due(self.schedule.settle) {
            let is_settled = self.settle()?;
            self.schedule.settle = (!is_settled).then_some(now + SETTLE_AFTER);
        }
        if is_due(self.schedule.position) {
            self.write_position();
        }
        if is_due(self.schedule.check) {
            self.store.check()?;
            self.schedule.check = Some(now + CHECK_INTERVAL);
        }
        Ok(())
    }

    fn write_suppressed(&mut self) -> Result<(), StoreError> {
        for suppressed in self.suppressed.take() {
            self.store.append_suppressed(suppressed)?;
        }
        self.schedule.suppressed = None;
        Ok(())
    }

    fn write_duplicates(&mut self) {
        self.duplicates.write(&self.status.borrow().duplicates);
        self.schedule.duplicates = self.duplicates.is_dirty().then(|| Instant::now() + DUPLICATES_INTERVAL);
    }
}

/// Sends each caller the receipts of its payloads. The payloads of a caller that was dropped are recorded all the same.
fn send_receipts(replies: Vec<PendingReply>, receipts: Vec<Receipt>) {
    let mut receipts = receipts.into_iter();
    for pending in replies {
        let own = receipts.by_ref().take(pending.count).collect();
        pending.reply.send(Ok(own)).ok();
    }
}

fn send_error(replies: Vec<PendingReply>, error: &RecordError) {
    for pending in replies {
        pending.reply.send(Err(error.clone())).ok();
    }
}
