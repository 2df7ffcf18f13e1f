//! The one writer of a store.

use super::commit_times::CommitTimes;
use super::counts::{DuplicateKeeper, RecorderStatus, SuppressedTally};
use super::later::LaterEntry;
use super::{Entry, GROUP_PAYLOADS, RecentDuplicates, RecordError, RecorderSeams, Task};
use crate::disk::DiskGauge;
use herd::store::{Incoming, LocalError, Receipt, Store, StoreError};
use service::lifecycle::Shutdown;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

/// After so long without a payload the tables are made durable, so that a power cut costs no folding.
const QUIET: Duration = Duration::from_secs(60);
/// Suppressed rejections become one change of each channel so often at most.
const SUPPRESSED_EVERY: Duration = Duration::from_secs(60);
/// Counts of duplicates are written down so often at most.
const DUPLICATES_EVERY: Duration = Duration::from_secs(60);

/// What is left of an entry while its payloads are being committed.
struct Waiting {
    count: usize,
    answer: oneshot::Sender<Result<Vec<Receipt>, RecordError>>,
    _room: OwnedSemaphorePermit,
}

/// What the writer wakes up for.
enum Turn {
    Write(Task),
    Chores,
    Stop,
}

/// When the next of each chore is due; none while there is nothing to do for it.
#[derive(Debug, Default)]
struct Due {
    settle: Option<Instant>,
    suppressed: Option<Instant>,
    duplicates: Option<Instant>,
}

impl Due {
    fn first(&self) -> Option<Instant> {
        [self.settle, self.suppressed, self.duplicates].into_iter().flatten().min()
    }
}

pub(super) struct Writer {
    store: Store,
    disk: DiskGauge,
    queue: mpsc::Receiver<Task>,
    stop: Shutdown,
    status: watch::Sender<RecorderStatus>,
    commits: CommitTimes,
    suppressed: SuppressedTally,
    duplicates: DuplicateKeeper,
    recent: RecentDuplicates,
    due: Due,
    /// Did not fit into the last group; it is the first of the next.
    carried: Option<Task>,
    /// The group's payloads one after the other; kept to spare allocations.
    group: Vec<Incoming>,
}

impl Writer {
    pub(super) fn new(
        store: Store,
        seams: RecorderSeams,
        queue: mpsc::Receiver<Task>,
        stop: Shutdown,
        commits: CommitTimes,
    ) -> Result<(Self, watch::Receiver<RecorderStatus>), LocalError> {
        let (keeper, duplicates) = DuplicateKeeper::open(seams.local)?;
        let boot = store.boot();
        let (status, seen) = watch::channel(RecorderStatus { boot, duplicates, ..RecorderStatus::default() });
        let writer = Self {
            store,
            disk: seams.disk,
            queue,
            stop,
            status,
            commits,
            suppressed: SuppressedTally::default(),
            duplicates: keeper,
            recent: RecentDuplicates::default(),
            due: Due::default(),
            carried: None,
            group: Vec::new(),
        };
        Ok((writer, seen))
    }

    /// The last duplicates; it takes in those of each group after its commit.
    pub(super) fn recent(&self) -> RecentDuplicates {
        self.recent.clone()
    }

    /// Writes until it is told to stop, until nobody can give it anything any more, or until a commit fails. When
    /// this returns, the writer's own handle on the store is closed.
    pub(super) async fn write_loop(mut self) -> Result<(), Arc<StoreError>> {
        loop {
            match self.next_turn().await {
                Turn::Write(task) => self.write(task)?,
                Turn::Chores => {}
                Turn::Stop => break,
            }
            self.run_due_chores()?;
        }
        self.drain().await?;
        self.write_suppressed()?;
        self.write_duplicates();
        Ok(self.store.settle()?)
    }

    /// Cancel-safe: nothing is taken from the queue but by returning it.
    async fn next_turn(&mut self) -> Turn {
        if let Some(task) = self.carried.take() {
            return Turn::Write(task);
        }
        let due = self.due.first();
        tokio::select! {
            biased;
            task = self.queue.recv() => task.map_or(Turn::Stop, Turn::Write),
            () = self.stop.requested() => Turn::Stop,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Turn::Chores,
        }
    }

    /// Commits and answers what was queued before the stop.
    async fn drain(&mut self) -> Result<(), Arc<StoreError>> {
        self.queue.close();
        loop {
            let carried = self.carried.take();
            let Some(task) = (if carried.is_some() { carried } else { self.queue.recv().await }) else {
                return Ok(());
            };
            self.write(task)?;
        }
    }

    fn write(&mut self, task: Task) -> Result<(), Arc<StoreError>> {
        match task {
            Task::Payloads(entry) => self.record_group(entry),
            Task::Later(entry) => self.write_later(entry),
            Task::Probe(probe) => {
                probe.answer();
                Ok(())
            }
        }
    }

    /// One commit for a correction, or for payloads judged anew.
    fn write_later(&mut self, entry: LaterEntry) -> Result<(), Arc<StoreError>> {
        if let Some(refusal) = self.refusal() {
            self.status.send_modify(|status| status.trouble = Some(refusal.clone()));
            entry.refuse(&refusal);
            return Ok(());
        }
        self.due.settle = Some(Instant::now() + QUIET);
        let written = entry.write(&mut self.store);
        let trouble = written.as_ref().err().map(|error| RecordError::Failed(error.clone()));
        self.status.send_modify(|status| status.trouble = trouble);
        written
    }

    /// One commit for what waits now. Everybody in the group is answered, whatever becomes of it.
    fn record_group(&mut self, first: Entry) -> Result<(), Arc<StoreError>> {
        let waiting = self.collect(first);
        if let Some(refusal) = self.refusal() {
            self.status.send_modify(|status| status.trouble = Some(refusal.clone()));
            answer_all(waiting, &refusal);
            return Ok(());
        }
        let began = Instant::now();
        match self.store.append(&self.group) {
            Ok(receipts) => {
                self.commits.note(self.group.len(), began.elapsed());
                self.note(&receipts);
                answer_each(waiting, receipts);
                Ok(())
            }
            Err(error) => Err(self.fail(waiting, error)),
        }
    }

    /// Tells everybody, and gives back the error that ends the writer: after a failed commit the files must be
    /// opened anew, which is what the next start of the process does.
    fn fail(&mut self, waiting: Vec<Waiting>, error: StoreError) -> Arc<StoreError> {
        let error = Arc::new(error);
        let refusal = RecordError::Failed(error.clone());
        self.status.send_modify(|status| status.trouble = Some(refusal.clone()));
        answer_all(waiting, &refusal);
        error
    }

    /// Takes what waits, up to one group, in its order.
    fn collect(&mut self, first: Entry) -> Vec<Waiting> {
        self.group.clear();
        let mut waiting = Vec::new();
        let mut next = Some(first);
        while let Some(Entry { payloads, answer, room }) = next {
            waiting.push(Waiting { count: payloads.len(), answer, _room: room });
            self.group.extend(payloads);
            next = match self.queue.try_recv().ok() {
                Some(Task::Payloads(entry)) if self.group.len() + entry.payloads.len() <= GROUP_PAYLOADS => Some(entry),
                other => {
                    self.carried = other;
                    None
                }
            };
        }
        waiting
    }

    /// Why nothing can be recorded now, though the writer goes on.
    fn refusal(&self) -> Option<RecordError> {
        if let Err(trouble) = self.disk.check() {
            return Some(RecordError::Disk(trouble));
        }
        let head = self.store.head();
        head.blocked.map(|why| RecordError::TablesBehind { folded: head.folded, head: head.position.sequence, why })
    }

    fn note(&mut self, receipts: &[Receipt]) {
        let now = Instant::now();
        self.due.settle = Some(now + QUIET);
        for (payload, receipt) in self.group.iter().zip(receipts) {
            match receipt {
                Receipt::Suppressed => self.suppressed.add(payload, self.store.boot()),
                Receipt::Duplicate { .. } => self.duplicates.note(&payload.origin.channel),
                Receipt::Kept { .. } | Receipt::Rejected { .. } => {}
            }
        }
        if !self.suppressed.is_empty() {
            self.due.suppressed.get_or_insert(now + SUPPRESSED_EVERY);
        }
        if self.duplicates.is_due() {
            self.due.duplicates.get_or_insert(now + DUPLICATES_EVERY);
        }
        self.recent.note(&self.group, receipts);
        let group = &self.group;
        self.status.send_modify(|status| {
            status.counts.groups += 1;
            status.trouble = None;
            group.iter().zip(receipts).for_each(|(payload, receipt)| status.count(payload, receipt));
        });
    }

    fn run_due_chores(&mut self) -> Result<(), StoreError> {
        let now = Instant::now();
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        if is_due(self.due.suppressed) {
            self.write_suppressed()?;
        }
        if is_due(self.due.duplicates) {
            self.write_duplicates();
        }
        if is_due(self.due.settle) {
            self.store.settle()?;
            self.due.settle = None;
        }
        Ok(())
    }

    fn write_suppressed(&mut self) -> Result<(), StoreError> {
        for suppressed in self.suppressed.take() {
            self.store.append_suppressed(suppressed)?;
        }
        self.due.suppressed = None;
        Ok(())
    }

    fn write_duplicates(&mut self) {
        self.duplicates.write(&self.status.borrow().duplicates);
        self.due.duplicates = self.duplicates.is_due().then(|| Instant::now() + DUPLICATES_EVERY);
    }
}

/// A caller that went away meanwhile hears nothing; its payload is kept all the same.
fn answer_each(waiting: Vec<Waiting>, receipts: Vec<Receipt>) {
    let mut receipts = receipts.into_iter();
    for one in waiting {
        let own = receipts.by_ref().take(one.count).collect();
        one.answer.send(Ok(own)).ok();
    }
}

fn answer_all(waiting: Vec<Waiting>, refusal: &RecordError) {
    for one in waiting {
        one.answer.send(Err(refusal.clone())).ok();
    }
}
