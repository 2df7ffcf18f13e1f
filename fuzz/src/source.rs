//! The log of a barn that has recorded the cases of the field.

use crate::seeds::payloads;
use herd::change::{Correction, Origin};
use herd::clock::RawReading;
use herd::decide::{CorrectionRequest, Rules};
use herd::position::{Position, Sequence, StoreId};
use herd::store::{Changes, Incoming, MemoryDisk, Reader, Store};
use std::sync::OnceLock;

/// Identity of the history.
pub const STORE: StoreId = StoreId([7; 16]);

/// 2026-01-15T10:00:00Z.
const START_US: i64 = 1_768_471_200_000_000;
/// Time between two payloads, longer than the repeat window.
const STEP_MS: u64 = 61_000;

/// Log of the barn, with the position before each change and after the last one.
#[derive(Debug)]
pub struct SourceLog {
    /// The stored changes.
    pub changes: Vec<Vec<u8>>,
    /// The position after as many changes as its index says.
    pub positions: Vec<Position>,
}

/// Returns the log of the barn. It is made once.
pub fn log() -> &'static SourceLog {
    static LOG: OnceLock<SourceLog> = OnceLock::new();
    LOG.get_or_init(|| record().unwrap_or_else(|error| panic!("a memory disk does not fail: {error}")))
}

/// Creates the store of a barn on a disk in memory.
pub fn open_barn(disk: &MemoryDisk) -> Store {
    let opened = Store::open_source(disk, Rules::default(), reading(0).in_boot(1), || STORE);
    opened.unwrap_or_else(|error| panic!("a memory disk does not fail: {error}"))
}

/// Returns the reading of a clock that stood at the start of the history this long ago.
pub fn reading(since_boot_ms: u64) -> RawReading {
    let since_start_us = i64::try_from(since_boot_ms.saturating_mul(1_000)).unwrap_or(i64::MAX);
    RawReading { received_at_us: START_US.saturating_add(since_start_us), synchronized: true, since_boot_ms }
}

fn record() -> Result<SourceLog, Box<dyn std::error::Error>> {
    let mut barn = open_barn(&MemoryDisk::default());
    let mut clock = (1..).map(|n| reading(n * STEP_MS));
    let mut next_reading = || clock.next().unwrap_or_default();
    for payload in payloads() {
        let origin = Origin { channel: "radio1".into(), reader_group: "main".into(), ..Origin::default() };
        barn.append(&[Incoming { raw: payload.into(), origin, at: next_reading() }])?;
    }
    for (number, correction) in corrections().into_iter().enumerate() {
        let request = CorrectionRequest {
            author: "J. Doe".to_owned(),
            reason: "seen in the pen".to_owned(),
            idempotency_key: number.to_string(),
            channel: "office-1".to_owned(),
            correction,
        };
        barn.correct(&request, next_reading())?;
    }
    read_log(&barn.reader())
}

fn corrections() -> [Correction; 2] {
    [2, 5].map(|n| Correction::Void { sequence: Sequence(n) })
}

fn read_log(reader: &Reader) -> Result<SourceLog, Box<dyn std::error::Error>> {
    let head = reader.head().position.sequence;
    let mut log = SourceLog { changes: Vec::new(), positions: Vec::new() };
    for n in 0..=head.0 {
        log.positions.extend(reader.position_at(Sequence(n))?);
        log.changes.extend(if n == 0 { None } else { reader.change(Sequence(n))? });
    }
    Ok(log)
}

impl SourceLog {
    /// Returns the changes from `start` on, at most `count` of them.
    pub fn run(&self, start: usize, count: usize) -> Changes {
        self.changes.iter().skip(start).take(count).map(Vec::as_slice).collect()
    }
}
