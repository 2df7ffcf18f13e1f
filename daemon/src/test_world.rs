//! A store in memory, its recorder and a manual clock, for the tests of this crate.

use crate::disk::DiskGauge;
use crate::ingest::{Ingest, LineLimit};
use crate::recorder::{Recorder, RecorderSeams};
use herd::change::{Change, Origin, Received};
use herd::clock::{Clock, ClockReading, RawReading};
use herd::decide::Rules;
use herd::position::{Sequence, StoreId};
use herd::store::{ChangeRun, Incoming, MemoryDisk, Reader, Store, StoreError};
use herd::testing::ManualClock;
use service::lifecycle::Shutdown;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// 2024-01-15T10:35:20 UTC.
pub(crate) const WALL_US: i64 = 1_705_314_920_000_000;

/// Returns a clock at [`WALL_US`] that a time server has set.
pub(crate) fn clock() -> ManualClock {
    ManualClock::at(RawReading { received_at_us: WALL_US, synchronized: true, since_boot_ms: 0 })
}

pub(crate) fn store_on(disk: &MemoryDisk, rules: Rules) -> Store {
    let clock = ClockReading { boot: 1, ..ClockReading::default() };
    Store::open_source(disk, rules, clock, || StoreId([7; 16])).unwrap()
}

/// Returns a scan of the `n`th animal through the channel `gate`.
pub(crate) fn scan(n: usize) -> Incoming {
    let origin = Origin { channel: "gate".into(), reader_group: "main".into(), ..Origin::default() };
    Incoming { raw: format!("hxb:LOT1:LF{n}:UHF{n}").into(), origin, at: clock().read() }
}

/// Returns the reader of a log whose first change only a later program can read, so that its tables stop before it.
pub(crate) fn blocked_reader() -> Reader {
    let mut replica = Store::open_replica(&MemoryDisk::default(), StoreId([7; 16])).unwrap();
    let later = [&b"\x63\x01later"[..]].into_iter().collect();
    replica.apply(ChangeRun::following(replica.head().position, later)).unwrap();
    replica.reader()
}

/// A store whose writer runs as a task on the thread of the test.
pub(crate) struct World {
    pub(crate) recorder: Recorder,
    pub(crate) reader: Reader,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) writer: JoinHandle<Result<(), Arc<StoreError>>>,
}

impl World {
    pub(crate) fn new(rules: Rules, disk: DiskGauge) -> Self {
        let store = store_on(&MemoryDisk::default(), rules);
        let reader = store.reader();
        let (recorder, writer) = Recorder::on_this_task(store, RecorderSeams { disk, local: None }).unwrap();
        Self { recorder, reader, clock: Arc::new(clock()), writer: tokio::spawn(writer) }
    }

    /// Returns the state of the route for payloads.
    pub(crate) fn ingest(&self, shutdown: Shutdown) -> Ingest {
        Ingest {
            recorder: self.recorder.clone(),
            reader: self.reader.clone(),
            clock: self.clock.clone(),
            reader_group: "main".into(),
            lines: LineLimit::default(),
            shutdown,
        }
    }

    pub(crate) fn received(&self, sequence: u64) -> Box<Received> {
        match Change::from_bytes(&self.reader.change(Sequence(sequence)).unwrap().unwrap()).unwrap() {
            Change::Received(received) => received,
            other => panic!("{other:?}"),
        }
    }
}
