//! The two machines of a world. A power cut takes what was not synced, and everything that was under way.

use super::chance::Chance;
use super::wire::{Barn, Wire};
use daemon::disk::DiskGauge;
use daemon::recorder::{RecordError, Recorder, RecorderSeams};
use herd::change::{Change, Origin};
use herd::clock::{Clock, RawReading};
use herd::decide::Rules;
use herd::position::{Sequence, StoreId};
use herd::store::{Head, Incoming, MemoryDisk, Reader, Receipt, Store, StoreError};
use mirror::follow::{self, FollowSettings, FollowStatus};
use radio::simulated::{Payloads, Traffic};
use service::lifecycle::ShutdownTrigger;
use service::sync::{OwnStore, serve};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// A machine is back so long after a power cut.
const DARK: Duration = Duration::from_secs(2);
/// 2026-01-01 00:00 UTC, where simulated wall clocks begin, microseconds.
const BEGIN_US: i64 = 1_767_225_600_000_000;

/// The world's clock: virtual time.
struct WorldClock(Instant);

impl Clock for WorldClock {
    fn read(&self) -> RawReading {
        let since = self.0.elapsed();
        RawReading {
            received_at_us: BEGIN_US + i64::try_from(since.as_micros()).unwrap_or(0),
            synchronized: true,
            since_boot_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn boot_id(&self) -> String {
        "simulated".to_owned()
    }
}

/// Tasks that a power cut ends.
struct Running {
    tasks: Vec<JoinHandle<()>>,
    stop: ShutdownTrigger,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

pub(super) struct BarnMachine {
    disk: MemoryDisk,
    boot: u32,
    seed: u64,
    clock: Arc<WorldClock>,
    recorder: Recorder,
    reader: Reader,
    running: Option<Running>,
}

impl BarnMachine {
    pub(super) fn start(seed: u64, wire: &Wire) -> Result<Self, StoreError> {
        Self::boot(seed, 1, MemoryDisk::default(), wire)
    }

    fn boot(seed: u64, boot: u32, disk: MemoryDisk, wire: &Wire) -> Result<Self, StoreError> {
        let clock = Arc::new(WorldClock(Instant::now()));
        let mut ids = Chance::new(seed);
        let new_id = || StoreId(std::array::from_fn(|_| u8::try_from(ids.below(256)).unwrap_or(0)));
        let store = Store::open_source(&disk, Rules::default(), clock.read().in_boot(boot), new_id)?;
        let reader = store.reader();
        let seams = RecorderSeams { disk: DiskGauge::plenty(), local: None };
        let opened = Recorder::on_this_task(store, seams);
        let (recorder, writing) = opened.expect("a recorder without a local file has nothing that could fail");
        let stop = ShutdownTrigger::default();
        let stopping = stop.signal();
        let tasks = vec![tokio::spawn(async move { writing.await.expect("a disk in memory does not fail") })];
        let served = Arc::new(OwnStore::new(reader.clone(), || 0));
        let router = serve::router(served.clone(), stopping.clone());
        let on_the_wire = Barn { router, served, stop: stopping };
        *wire.barn.lock().unwrap_or_else(PoisonError::into_inner) = Some(on_the_wire);
        Ok(Self { disk, boot, seed, clock, recorder, reader, running: Some(Running { tasks, stop }) })
    }

    pub(super) fn store(&self) -> StoreId {
        self.reader.store()
    }

    pub(super) fn head(&self) -> Head {
        self.reader.head()
    }

    pub(super) fn describe(&self) -> String {
        describe(&self.head())
    }

    pub(super) async fn power_cut(&mut self, wire: &Wire) -> Result<(), StoreError> {
        let disk = self.disk.after_power_cut();
        *wire.barn.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Some(running) = self.running.take() {
            running.stop.request();
        }
        tokio::time::sleep(DARK).await;
        *self = Self::boot(self.seed, self.boot + 1, disk, wire)?;
        Ok(())
    }
}

/// The readers at the chute: they send what passes, some of it twice.
pub(super) struct Readers {
    payloads: Payloads,
    chance: Chance,
    next_at: Instant,
    last: Option<Vec<u8>>,
}

impl Readers {
    pub(super) fn new(seed: u64) -> Self {
        let traffic = Traffic { seed, ..Traffic::default() };
        Self { payloads: traffic.payloads(), chance: Chance::new(!seed), next_at: Instant::now(), last: None }
    }

    /// Sends the next payload when it is due, and gives what became of it.
    pub(super) async fn next(&mut self, barn: &BarnMachine) -> (Vec<u8>, Result<Receipt, RecordError>) {
        sleep_until(self.next_at).await;
        self.next_at = Instant::now() + Duration::from_millis(self.chance.below(150));
        let again = self.chance.percent(20);
        let Some(payload) = self.last.take().filter(|_| again).or_else(|| self.payloads.next()) else {
            return std::future::pending().await;
        };
        self.last = Some(payload.clone());
        let origin = Origin {
            channel: "radio1".to_owned(),
            rssi_dbm: Some(-80),
            reader_group: "main".to_owned(),
            ..Origin::default()
        };
        let incoming = Incoming { raw: payload.clone(), origin, at: barn.clock.read() };
        let outcome = barn.recorder.record(incoming).await;
        (payload, outcome)
    }
}

pub(super) struct OfficeMachine {
    disk: MemoryDisk,
    store: StoreId,
    seed: u64,
    reader: Reader,
    running: Option<Running>,
}

impl OfficeMachine {
    pub(super) fn start(seed: u64, wire: &Wire, store: StoreId) -> Result<Self, StoreError> {
        Self::boot(seed, MemoryDisk::default(), wire, store)
    }

    fn boot(seed: u64, disk: MemoryDisk, wire: &Wire, store_id: StoreId) -> Result<Self, StoreError> {
        let (handle, writing) = follow::split_writer(Store::open_replica(&disk, store_id)?);
        let reader = handle.reader().clone();
        let stop = ShutdownTrigger::default();
        let stopping = stop.signal();
        let settings = FollowSettings { sync_interval: Duration::from_secs(10), seed };
        let clock = Arc::new(WorldClock(Instant::now()));
        let (status, _) = watch::channel(FollowStatus::default());
        let following = follow::run(wire.clone(), handle, settings, clock, status, stopping);
        let tasks = vec![
            tokio::spawn(async move { writing.await.expect("a disk in memory does not fail") }),
            tokio::spawn(async move {
                let _ended_with_the_machine = following.await;
            }),
        ];
        Ok(Self { disk, store: store_id, seed, reader, running: Some(Running { tasks, stop }) })
    }

    pub(super) fn describe(&self) -> String {
        describe(&self.reader.head())
    }

    pub(super) fn payload_at(&self, sequence: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let change = self.reader.snapshot()?.change(Sequence(sequence))?;
        Ok(change.and_then(|change| match change {
            Change::Received(received) => Some(received.raw),
            _ => None,
        }))
    }

    pub(super) async fn power_cut(&mut self, wire: &Wire) -> Result<(), StoreError> {
        let disk = self.disk.after_power_cut();
        if let Some(running) = self.running.take() {
            running.stop.request();
        }
        tokio::time::sleep(DARK).await;
        *self = Self::boot(self.seed, disk, wire, self.store)?;
        Ok(())
    }
}

/// What has to be equal on both sides.
fn describe(head: &Head) -> String {
    format!("{} folded {} {}", head.position, head.folded, head.fold_digest)
}
