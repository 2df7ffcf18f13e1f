//! Claims about the questions, over stores that were filled through `append`.

mod animals;
mod batches;
mod corrections;
mod history;
mod log;
pub(crate) mod paging;

use super::PageLimit;
use crate::change::{AnimalId, Correction, Origin};
use crate::clock::{ClockReading, RawReading};
use crate::decide::{CorrectionRequest, Rules};
use crate::position::{Sequence, StoreId};
use crate::store::{CorrectionReceipt, Incoming, MemoryDisk, Reader, Receipt, Snapshot, Store};

/// 2026-01-15T10:00:00Z.
const OPENING_US: i64 = 1_768_471_200_000_000;
/// Longer than the repeat window, so that the same text is kept each time.
const STEP_MS: u64 = 61_000;

/// A barn: each payload is heard [`STEP_MS`] after the one before.
pub(crate) struct Barn {
    store: Store,
    since_boot_ms: u64,
}

impl Barn {
    pub(crate) fn new() -> Self {
        Self::on(&MemoryDisk::default())
    }

    pub(crate) fn on(disk: &MemoryDisk) -> Self {
        let mut ids = 0;
        let new_id = || {
            ids += 1;
            StoreId([ids; 16])
        };
        let clock = ClockReading { received_at_us: OPENING_US, synchronized: true, boot: 1, since_boot_ms: 0 };
        let store = Store::open_source(disk, Rules::default(), clock, new_id).unwrap();
        Self { store, since_boot_ms: 0 }
    }

    /// A barn that heard these, the first of them as change 2.
    pub(crate) fn that_heard(payloads: &[&str]) -> Self {
        let mut barn = Self::new();
        for payload in payloads {
            barn.hear(payload);
        }
        barn
    }

    pub(crate) fn hear(&mut self, payload: &str) -> Sequence {
        self.hear_bytes(payload.as_bytes())
    }

    pub(crate) fn hear_bytes(&mut self, raw: &[u8]) -> Sequence {
        self.since_boot_ms += STEP_MS;
        let received_at_us = OPENING_US + i64::try_from(self.since_boot_ms).unwrap() * 1_000;
        let at = RawReading { received_at_us, synchronized: true, since_boot_ms: self.since_boot_ms };
        let origin = Origin {
            channel: "radio1".into(),
            rssi_dbm: Some(-97),
            snr_quarter_db: Some(-7),
            reader_group: "main".into(),
            ..Origin::default()
        };
        let receipts = self.store.append(&[Incoming { raw: raw.to_vec(), origin, at }]).unwrap();
        match receipts[0] {
            Receipt::Kept { sequence } | Receipt::Rejected { sequence, .. } => sequence,
            ref other => panic!("{:?} was not kept: {other:?}", String::from_utf8_lossy(raw)),
        }
    }

    /// The next payload is heard so much later.
    pub(crate) fn rest(&mut self, hours: u64) {
        self.since_boot_ms += hours * 3_600_000;
    }

    /// Corrects, which must be kept, and gives the number of the change.
    pub(super) fn correct(&mut self, correction: Correction) -> Sequence {
        self.since_boot_ms += STEP_MS;
        let received_at_us = OPENING_US + i64::try_from(self.since_boot_ms).unwrap() * 1_000;
        let at = RawReading { received_at_us, synchronized: true, since_boot_ms: self.since_boot_ms };
        let request = CorrectionRequest {
            author: "J. Doe".to_owned(),
            reason: "seen in the pen".to_owned(),
            idempotency_key: received_at_us.to_string(),
            channel: "office-1".to_owned(),
            correction,
        };
        match self.store.correct(&request, at).unwrap() {
            CorrectionReceipt::Kept { sequence } => sequence,
            other => panic!("{request:?} was not kept: {other:?}"),
        }
    }

    pub(crate) fn reader(&self) -> Reader {
        self.store.reader()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.reader().snapshot().unwrap()
    }
}

pub(crate) fn limit(entries: u64) -> PageLimit {
    PageLimit::new(entries).unwrap()
}

pub(crate) fn animal(of: Sequence) -> AnimalId {
    AnimalId::from(of)
}
