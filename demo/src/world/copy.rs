//! A copy of a history at an office, and its follower.

use super::clock::WorldClock;
use super::seams::{MachineTasks, Seams};
use super::wire::Wire;
use herd::position::{Position, StoreId};
use herd::store::{MemoryDisk, Reader, Store, StoreError};
use mirror::follow::{self, FollowEnd, FollowSettings, FollowStatus, NoRoomError, Room};
use service::lifecycle::ShutdownTrigger;
use service::sync::divergence::Divergence;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Interval at which a silent connection is checked, and the longest wait after an error.
const SYNC_INTERVAL: Duration = Duration::from_secs(10);
/// Upper limit on the number of changes that the log of an office may be ahead of its tables, which the seed decides.
const MAX_UNFOLDED: u64 = 40;

/// Seams that the copies of an office share.
#[derive(Clone)]
pub(super) struct OfficeSeams {
    pub(super) seams: Seams,
    pub(super) wire: Wire,
    pub(super) clock: Arc<WorldClock>,
    pub(super) is_full: Arc<AtomicBool>,
}

/// A copy that is followed into.
pub(super) struct Copy {
    pub(super) disk: MemoryDisk,
    pub(super) reader: Reader,
    pub(super) status: watch::Receiver<FollowStatus>,
    /// Number of events at the source when the copy last agreed with it.
    pub(super) agreed_at: u64,
    /// Nothing more comes from an older copy.
    is_filled: Arc<AtomicBool>,
    end: watch::Receiver<Option<FollowEnd>>,
    has_failed: watch::Receiver<bool>,
    _running: MachineTasks,
}

impl Copy {
    /// Begins a copy of a history, with what `older` and the source both hold of it.
    pub(super) fn begin(
        office: &OfficeSeams,
        store: StoreId,
        older: Option<Reader>,
        events: u64,
    ) -> Result<Self, StoreError> {
        let disk = MemoryDisk::default().with_unfolded(office.seams.seed % MAX_UNFOLDED);
        Self::follow(office, disk, store, older, events)
    }

    /// Opens a copy, and follows the source into it.
    pub(super) fn open(
        office: &OfficeSeams,
        disk: MemoryDisk,
        store: StoreId,
        events: u64,
    ) -> Result<Self, StoreError> {
        Self::follow(office, disk, store, None, events)
    }

    fn follow(
        office: &OfficeSeams,
        disk: MemoryDisk,
        store: StoreId,
        older: Option<Reader>,
        events: u64,
    ) -> Result<Self, StoreError> {
        let (handle, writing) = follow::split_writer(Store::open_replica(&disk, store)?);
        let (reader, shutdown) = (handle.reader().clone(), ShutdownTrigger::default());
        let settings = FollowSettings { sync_interval: SYNC_INTERVAL, seed: office.seams.seed };
        let (reporting, status) = watch::channel(FollowStatus::default());
        let (ending, end) = watch::channel(None);
        let (failure, has_failed) = watch::channel(false);
        let wire = Wire { follower: Some(reader.clone()), ..office.wire.clone() };
        let handle = handle.with_room(room(&office.is_full));
        let (clock, signal) = (office.clock.clone(), shutdown.signal());
        let is_filled = Arc::new(AtomicBool::new(older.is_none()));
        let filled = is_filled.clone();
        let following = async move {
            if let Some(older) = older {
                // Whatever is missing comes from the source.
                drop(follow::fill(&wire, &older, &handle).await);
                filled.store(true, Ordering::Relaxed);
            }
            follow::run(wire, handle, settings, clock, reporting, signal).await
        };
        let tasks = vec![
            tokio::spawn(async move {
                if writing.await.is_err() {
                    failure.send_replace(true);
                }
            }),
            tokio::spawn(async move {
                ending.send_replace(Some(following.await));
            }),
        ];
        let running = MachineTasks { tasks, shutdown };
        Ok(Self { disk, reader, status, agreed_at: events, is_filled, end, has_failed, _running: running })
    }

    pub(super) fn store(&self) -> StoreId {
        self.reader.store()
    }

    /// Returns the divergence that ended the follower.
    pub(super) fn diverged(&self) -> Option<Divergence> {
        match *self.end.borrow() {
            Some(FollowEnd::Diverged(divergence)) => Some(divergence),
            _ => None,
        }
    }

    pub(super) fn has_failed(&self) -> watch::Receiver<bool> {
        self.has_failed.clone()
    }

    /// Returns whether the copy has everything that its source has reported, and may be shown.
    pub(super) fn is_complete(&self) -> bool {
        let (head, status) = (self.reader.head(), self.status.borrow());
        let visible = head.visible();
        let has_reported = status.barn.is_some_and(|report| visible >= report.barn.head);
        visible.0 > 0 && has_reported && visible == head.position.sequence && status.digest_equal != Some(false)
    }

    /// Notes whether the copy agrees with its source after that many events there.
    pub(super) fn compare(&mut self, source: &Reader, events: u64) {
        if self.diverged().is_some() || !self.is_filled.load(Ordering::Relaxed) {
            // It diverged from whoever answered then, or goes on to where the source was when it was asked.
            return;
        }
        let head = self.reader.head().position;
        if source.position_at(head.sequence).is_ok_and(|own| own == Some(head)) {
            self.agreed_at = events;
        }
    }
}

fn room(is_full: &Arc<AtomicBool>) -> Room {
    let is_full = is_full.clone();
    Room::new(move || {
        if is_full.load(Ordering::Relaxed) {
            return Err(NoRoomError::Full { free_bytes: 0, needed_bytes: 1 });
        }
        Ok(())
    })
}

/// A copy that is followed no longer, and kept while only it holds some changes.
pub(super) struct KeptCopy {
    pub(super) disk: MemoryDisk,
    pub(super) reader: Reader,
    /// Head of the barn when it had answered for all of the copy.
    pub(super) given_at: Option<Position>,
}

impl KeptCopy {
    /// Closes a copy, and keeps it.
    pub(super) fn of(copy: Copy) -> Result<Self, StoreError> {
        let (disk, store) = (copy.disk.after_kill(), copy.store());
        drop(copy);
        Self::open(disk, store, None)
    }

    pub(super) fn open(disk: MemoryDisk, store: StoreId, given_at: Option<Position>) -> Result<Self, StoreError> {
        let reader = Store::open_replica(&disk, store)?.reader();
        Ok(Self { disk, reader, given_at })
    }

    /// Returns whether nobody needs the copy: the shown one has all of it, or what the barn has appended for it.
    pub(super) fn is_spent(&self, shown: &Reader) -> bool {
        let holds = |position: &Position| shown.position_at(position.sequence).is_ok_and(|own| own == Some(*position));
        holds(&self.reader.head().position) || self.given_at.as_ref().is_some_and(holds)
    }
}
