//! A barn on a disk in memory, with a manual clock.

use crate::herd_view::HerdView;
use herd::change::Origin;
use herd::clock::{ClockReading, RawReading};
use herd::decide::Rules;
use herd::fold::{KeyRange, Rows};
use herd::position::{Sequence, StoreId};
use herd::store::{Incoming, MemoryDisk, Receipt, Store};
use herd::tables::{Key, Table};

/// Identity of every history made here, so that digests can be pinned.
pub(crate) const STORE: StoreId = StoreId([7; 16]);
/// Start of the manual clock: 2026-01-15T10:35:20Z.
pub(crate) const BEGAN_US: i64 = 1_768_473_320_000_000;

pub(crate) struct World {
    pub(crate) disk: MemoryDisk,
    pub(crate) store: Store,
    pub(crate) now: RawReading,
    boot: u32,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Rules::default())
    }

    pub(crate) fn with(rules: Rules) -> Self {
        let now = RawReading { received_at_us: BEGAN_US, synchronized: true, since_boot_ms: 5_000 };
        let disk = MemoryDisk::default();
        Self { store: open_source(&disk, rules, now.in_boot(1)), disk, now, boot: 1 }
    }

    /// Advances both clocks.
    pub(crate) fn wait(&mut self, ms: u64) {
        self.now.since_boot_ms += ms;
        self.now.received_at_us += i64::try_from(ms).unwrap() * 1_000;
    }

    /// Reboots the machine. No time passes.
    pub(crate) fn reboot(self) -> Self {
        let Self { disk, store, mut now, boot } = self;
        drop(store);
        now.since_boot_ms = 5_000;
        Self { store: open_source(&disk, Rules::default(), now.in_boot(boot + 1)), disk, now, boot: boot + 1 }
    }

    pub(crate) fn incoming(&self, text: &str) -> Incoming {
        Incoming { raw: text.as_bytes().to_vec(), origin: origin("radio1", "main"), at: self.now }
    }

    /// Sends a payload in a commit of its own.
    pub(crate) fn send(&mut self, text: &str) -> Receipt {
        let incoming = self.incoming(text);
        self.store.append(&[incoming]).unwrap().remove(0)
    }

    /// Sends a payload that must be accepted, and returns its change.
    pub(crate) fn keeps(&mut self, text: &str) -> u64 {
        match self.send(text) {
            Receipt::Kept { sequence } => sequence.0,
            other => panic!("`{text}` should be kept, and is {other:?}"),
        }
    }

    /// Sends a payload that must be rejected, and returns the code of the reason.
    pub(crate) fn rejects(&mut self, text: &str) -> &'static str {
        match self.send(text) {
            Receipt::Rejected { reason, .. } => reason.code(),
            other => panic!("`{text}` should be rejected, and is {other:?}"),
        }
    }

    /// Returns the current tables.
    pub(crate) fn herd(&self) -> HerdView {
        HerdView::read(&self.store.reader().snapshot().unwrap())
    }
}

pub(crate) fn open_source(disk: &MemoryDisk, rules: Rules, clock: ClockReading) -> Store {
    Store::open_source(disk, rules, clock, || STORE).unwrap()
}

pub(crate) fn origin(channel: &str, reader_group: &str) -> Origin {
    Origin { channel: channel.into(), reader_group: reader_group.into(), ..Origin::default() }
}

/// Returns all rows of all tables.
pub(crate) fn all_rows(rows: &impl Rows) -> Vec<(Table, Key, Vec<u8>)> {
    let everything = KeyRange { from: &[], to: None, backwards: false, limit: usize::MAX };
    let of_table = |table| rows.range(table, everything).unwrap().into_iter().map(move |(k, v)| (table, k, v));
    Table::ALL.into_iter().flat_map(of_table).collect()
}

/// Returns all stored changes.
pub(crate) fn all_changes(store: &Store) -> Vec<Vec<u8>> {
    let reader = store.reader();
    (1..=store.head().position.sequence.0).map(|n| reader.change(Sequence(n)).unwrap().unwrap()).collect()
}

/// Head with both digests, log, and tables.
pub(crate) type StoreContent = (herd::store::Head, Vec<Vec<u8>>, Vec<(Table, Key, Vec<u8>)>);

/// Returns everything that a store holds. Equal stores are equal in this.
pub(crate) fn everything(store: &Store) -> StoreContent {
    (store.head(), all_changes(store), all_rows(&store.reader().snapshot().unwrap()))
}
