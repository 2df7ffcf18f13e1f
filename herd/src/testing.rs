//! Fixtures for tests, here and in the crates that depend on this one (feature `testing`).

use crate::change::{Correction, Origin};
use crate::clock::{Clock, ClockReading, RawReading};
use crate::decide::{CorrectionRequest, Rules};
use crate::position::{Sequence, StoreId};
use crate::query::{Page, PageLimit};
use crate::store::{CorrectionReceipt, Incoming, MemoryDisk, Reader, Receipt, Snapshot, Store};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Start of a [`TestBarn`]'s clock, in microseconds since the Unix epoch: 2026-01-15T10:00:00Z.
const START_US: i64 = 1_768_471_200_000_000;
/// Time between two payloads, longer than the repeat window: an equal text is not a duplicate.
const STEP_MS: u64 = 61_000;
/// Limit on the pages that [`all_pages`] fetches.
const MAX_PAGES: usize = 1_000;

/// A clock that stands still until a test moves it. The default reads zeros, and no time source has set it.
#[derive(Debug, Default)]
pub struct ManualClock {
    reading: Mutex<RawReading>,
    restarts: AtomicU64,
}

impl ManualClock {
    /// Creates a clock that reads this.
    #[must_use]
    pub const fn at(reading: RawReading) -> Self {
        Self { reading: Mutex::new(reading), restarts: AtomicU64::new(0) }
    }

    /// Lets time pass: of the time since boot, whole milliseconds.
    ///
    /// # Panics
    ///
    /// Panics after 292,000 years.
    pub fn pass(&self, time: Duration) {
        self.change(|reading| {
            reading.received_at_us += i64::try_from(time.as_micros()).expect("a test of less than 292,000 years");
            reading.since_boot_ms += u64::try_from(time.as_millis()).expect("a test of less than 292,000 years");
        });
    }

    /// Changes the reading, as when somebody sets the clock.
    pub fn change(&self, change: impl FnOnce(&mut RawReading)) {
        change(&mut self.reading.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Gives the machine another boot. The time since boot goes on until [`Self::change`] sets it.
    pub fn restart(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn read(&self) -> RawReading {
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn boot_id(&self) -> String {
        format!("boot {}", self.restarts.load(Ordering::Relaxed))
    }
}

/// A source store on a memory disk whose payloads arrive [`STEP_MS`] apart.
pub struct TestBarn {
    store: Store,
    since_boot_ms: u64,
}

impl Default for TestBarn {
    fn default() -> Self {
        Self::on(&MemoryDisk::default())
    }
}

impl TestBarn {
    /// Creates a store on `disk`, which must be empty.
    ///
    /// # Panics
    ///
    /// Panics if the disk fails.
    pub fn on(disk: &MemoryDisk) -> Self {
        let mut ids = 0;
        let new_id = || {
            ids += 1;
            StoreId([ids; 16])
        };
        let clock = ClockReading { received_at_us: START_US, synchronized: true, boot: 1, since_boot_ms: 0 };
        let store = Store::open_source(disk, Rules::default(), clock, new_id).expect("a memory disk");
        Self { store, since_boot_ms: 0 }
    }

    /// Creates a store that has recorded `payloads`, the first of them as change 2.
    pub fn with_payloads(payloads: &[&str]) -> Self {
        let mut barn = Self::default();
        for payload in payloads {
            barn.record(payload);
        }
        barn
    }

    /// Records a payload, which must not be a duplicate, and returns its sequence.
    pub fn record(&mut self, payload: &str) -> Sequence {
        self.record_bytes(payload.as_bytes())
    }

    /// Records a payload that need not be text.
    ///
    /// # Panics
    ///
    /// Panics if the payload is a duplicate.
    pub fn record_bytes(&mut self, raw: &[u8]) -> Sequence {
        let at = self.next_reading();
        let origin = Origin {
            channel: "radio1".into(),
            rssi_dbm: Some(-97),
            snr_quarter_db: Some(-7),
            reader_group: "main".into(),
            ..Origin::default()
        };
        let receipts = self.store.append(&[Incoming { raw: raw.to_vec(), origin, at }]).expect("a memory disk");
        match receipts[0] {
            Receipt::Kept { sequence } | Receipt::Rejected { sequence, .. } => sequence,
            ref other => panic!("{:?} was not recorded: {other:?}", String::from_utf8_lossy(raw)),
        }
    }

    /// Moves the clock forward.
    pub fn advance(&mut self, hours: u64) {
        self.since_boot_ms += hours * 3_600_000;
    }

    /// Applies a correction and returns its sequence.
    ///
    /// # Panics
    ///
    /// Panics if the correction is refused.
    pub fn correct(&mut self, correction: Correction) -> Sequence {
        let at = self.next_reading();
        let request = CorrectionRequest {
            author: "J. Doe".to_owned(),
            reason: "seen in the pen".to_owned(),
            idempotency_key: at.received_at_us.to_string(),
            channel: "office-1".to_owned(),
            correction,
        };
        match self.store.correct(&request, at).expect("a memory disk") {
            CorrectionReceipt::Kept { sequence } => sequence,
            other => panic!("{request:?} was not applied: {other:?}"),
        }
    }

    /// Returns a reader of the store.
    pub fn reader(&self) -> Reader {
        self.store.reader()
    }

    /// Returns a snapshot of the tables.
    ///
    /// # Panics
    ///
    /// Panics if the store cannot be read.
    pub fn snapshot(&self) -> Snapshot {
        self.reader().snapshot().expect("a memory disk")
    }

    fn next_reading(&mut self) -> RawReading {
        self.since_boot_ms += STEP_MS;
        let since_start_us = i64::try_from(self.since_boot_ms * 1_000).expect("a test of less than 292,000 years");
        RawReading { received_at_us: START_US + since_start_us, synchronized: true, since_boot_ms: self.since_boot_ms }
    }
}

/// Returns a page limit.
///
/// # Panics
///
/// Panics if `entries` is not allowed.
pub fn page_limit(entries: u64) -> PageLimit {
    PageLimit::new(entries).expect("an allowed limit")
}

/// Fetches page after page and returns the whole list.
///
/// # Panics
///
/// Panics if the list does not end within [`MAX_PAGES`] pages.
pub fn all_pages<T, C: Clone>(mut fetch: impl FnMut(Option<C>) -> Page<T, C>) -> Vec<T> {
    let mut entries = Vec::new();
    let mut from = None;
    for _ in 0..MAX_PAGES {
        let page = fetch(from);
        entries.extend(page.data);
        match page.next {
            Some(next) => from = Some(next),
            None => return entries,
        }
    }
    panic!("the list has more than {MAX_PAGES} pages");
}
