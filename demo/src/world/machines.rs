//! The two machines of a world. A power cut loses all data that was not synced, and everything in progress.

use super::chance::Chance;
use super::wire::{BarnEndpoint, Wire};
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

/// Time from a power cut to the next boot.
const OUTAGE: Duration = Duration::from_secs(2);
/// Upper limit on the number of changes that the log of an office may be ahead of its tables, which the seed decides.
const MAX_UNFOLDED: u64 = 40;
/// Start of the simulated wall clocks: 2026-01-01 00:00 UTC, in microseconds since the Unix epoch.
const START_US: i64 = 1_767_225_600_000_000;

/// A clock that shows the virtual time of the runtime.
struct WorldClock(Instant);

impl Clock for WorldClock {
    fn read(&self) -> RawReading {
        let elapsed = self.0.elapsed();
        RawReading {
            received_at_us: START_US + i64::try_from(elapsed.as_micros()).unwrap_or(0),
            synchronized: true,
            since_boot_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn boot_id(&self) -> String {
        "simulated".to_owned()
    }
}

/// The tasks of a machine, which a power cut aborts.
struct MachineTasks {
    tasks: Vec<JoinHandle<()>>,
    shutdown: ShutdownTrigger,
}

impl Drop for MachineTasks {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// A barn: recorder and sync router on a disk in memory.
pub(super) struct BarnMachine {
    disk: MemoryDisk,
    boot: u32,
    seed: u64,
    clock: Arc<WorldClock>,
    recorder: Recorder,
    reader: Reader,
    running: Option<MachineTasks>,
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
        let (recorder, writing) = opened.expect("only the local file can fail to open, and this recorder has none");
        let shutdown = ShutdownTrigger::default();
        let tasks = vec![tokio::spawn(async move { writing.await.expect("a disk in memory does not fail") })];
        let served = Arc::new(OwnStore::new(reader.clone(), || 0));
        let router = serve::router(served.clone(), shutdown.signal());
        let endpoint = BarnEndpoint { router, served, shutdown: shutdown.signal() };
        *wire.barn.lock().unwrap_or_else(PoisonError::into_inner) = Some(endpoint);
        Ok(Self { disk, boot, seed, clock, recorder, reader, running: Some(MachineTasks { tasks, shutdown }) })
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
            running.shutdown.request();
        }
        tokio::time::sleep(OUTAGE).await;
        *self = Self::boot(self.seed, self.boot + 1, disk, wire)?;
        Ok(())
    }
}

/// The readers at the chute. They send some payloads twice.
pub(super) struct Readers {
    payloads: Payloads,
    chance: Chance,
    next_at: Instant,
    latest: Option<Vec<u8>>,
}

impl Readers {
    pub(super) fn new(seed: u64) -> Self {
        let traffic = Traffic { seed, ..Traffic::default() };
        Self { payloads: traffic.payloads(), chance: Chance::new(!seed), next_at: Instant::now(), latest: None }
    }

    /// Waits for the time of the next payload, records it at the barn, and returns it with the outcome.
    pub(super) async fn next(&mut self, barn: &BarnMachine) -> (Vec<u8>, Result<Receipt, RecordError>) {
        sleep_until(self.next_at).await;
        self.next_at = Instant::now() + Duration::from_millis(self.chance.below(150));
        let repeat = self.chance.percent(20);
        let Some(payload) = self.latest.take().filter(|_| repeat).or_else(|| self.payloads.next()) else {
            return std::future::pending().await;
        };
        self.latest = Some(payload.clone());
        let origin =
            Origin { channel: "radio1".into(), rssi_dbm: Some(-80), reader_group: "main".into(), ..Origin::default() };
        let incoming = Incoming { raw: payload.clone(), origin, at: barn.clock.read() };
        let outcome = barn.recorder.record_packet(incoming).await;
        (payload, outcome)
    }
}

/// An office: a follower on a disk in memory.
pub(super) struct OfficeMachine {
    disk: MemoryDisk,
    store: StoreId,
    seed: u64,
    reader: Reader,
    running: Option<MachineTasks>,
}

impl OfficeMachine {
    pub(super) fn start(seed: u64, wire: &Wire, store: StoreId) -> Result<Self, StoreError> {
        Self::boot(seed, MemoryDisk::default().with_unfolded(seed % MAX_UNFOLDED), wire, store)
    }

    fn boot(seed: u64, disk: MemoryDisk, wire: &Wire, store_id: StoreId) -> Result<Self, StoreError> {
        let (handle, writing) = follow::split_writer(Store::open_replica(&disk, store_id)?);
        let reader = handle.reader().clone();
        let shutdown = ShutdownTrigger::default();
        let settings = FollowSettings { sync_interval: Duration::from_secs(10), seed };
        let clock = Arc::new(WorldClock(Instant::now()));
        let (status, _) = watch::channel(FollowStatus::default());
        let following = follow::run(wire.clone(), handle, settings, clock, status, shutdown.signal());
        let tasks = vec![
            tokio::spawn(async move { writing.await.expect("a disk in memory does not fail") }),
            tokio::spawn(async move {
                let _end = following.await;
            }),
        ];
        Ok(Self { disk, store: store_id, seed, reader, running: Some(MachineTasks { tasks, shutdown }) })
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
            running.shutdown.request();
        }
        tokio::time::sleep(OUTAGE).await;
        *self = Self::boot(self.seed, disk, wire, self.store)?;
        Ok(())
    }
}

/// Describes the state that must be equal on both machines.
fn describe(head: &Head) -> String {
    format!("{} folded {} {}", head.position, head.folded, head.fold_digest)
}
