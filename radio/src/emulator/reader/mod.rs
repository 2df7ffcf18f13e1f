//! Readers at the chute: emulated chips with a small program that knows nothing but registers.

mod machine;

use std::time::Duration;

pub(super) use self::machine::{Machine, Next};
use super::air::{Air, AirError};
use super::wiring::Chip;
use crate::lora::Modulation;

/// Payloads that a reader keeps while the channel is busy.
pub const MAX_QUEUED_PAYLOADS: usize = 64;

/// The place of a reader on its air.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReaderIndex(pub(super) usize);

/// What a reader is like.
#[derive(Debug, Clone, PartialEq)]
pub struct ReaderOptions {
    /// Its name, for people.
    pub name: String,
    /// What it transmits with.
    pub modulation: Modulation,
    /// At its antenna: 2..=17 dBm; what is beyond is taken as the nearest.
    pub power_dbm: u8,
    /// Whether it listens before it talks.
    pub listens: bool,
    /// Its crystal is off by at most so many parts per million, by its seed.
    pub crystal_ppm: f64,
    /// Back-off and crystal come from it, and from the air's.
    pub seed: u64,
}

impl Default for ReaderOptions {
    /// 14 dBm, listening, a crystal within 5 ppm.
    fn default() -> Self {
        Self {
            name: "reader".to_owned(),
            modulation: Modulation::default(),
            power_dbm: 14,
            listens: true,
            crystal_ppm: 5.0,
            seed: 1,
        }
    }
}

/// What a reader has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReaderCounts {
    /// Payloads given to it that a packet can hold.
    pub given: u64,
    /// Transmitted to the end.
    pub sent: u64,
    /// Refused, as its queue was full.
    pub refused: u64,
    /// Given up, as the channel was busy too often, or the chip never reported the end.
    pub given_up: u64,
    /// Times it found the channel busy.
    pub found_busy: u64,
    /// Payloads waiting or on their way.
    pub waiting: u64,
}

/// A handle on a reader; clones are handles on the same one.
#[derive(Debug, Clone)]
pub struct Reader {
    air: Air,
    index: ReaderIndex,
    chip: Chip,
}

impl Reader {
    pub(super) fn new(air: Air, index: ReaderIndex, chip: Chip) -> Self {
        Self { air, index, chip }
    }

    /// Gives it a payload of 1..=255 bytes to transmit as soon as it can.
    pub fn send(&self, payload: &[u8]) -> Result<(), AirError> {
        if payload.is_empty() || payload.len() > crate::MAX_PAYLOAD_BYTES {
            return Err(AirError::PayloadLength(payload.len()));
        }
        self.air.change(|world| world.give(self.index, payload.to_vec()))
    }

    /// Gives it payloads at times on the air's clock, in their order; in place of any given in this way before. What
    /// no packet can hold is left out. The iterator is asked while the air is locked, so it must not touch it.
    pub fn feed(&self, payloads: impl Iterator<Item = (Duration, Vec<u8>)> + Send + 'static) {
        self.air.change(|world| world.feed_reader(self.index, Box::new(payloads)));
    }

    /// What it has done so far.
    pub fn counts(&self) -> ReaderCounts {
        self.air.world().reader_counts(self.index)
    }

    /// Its chip, for faults and path losses. It keeps no ledger.
    pub fn chip(&self) -> &Chip {
        &self.chip
    }
}
