//! The handle to a reader at the chute.

use super::air::{Air, AirError};
use super::host::Chip;
use super::ids::ReaderIndex;
use super::reader_program::{ReaderCounts, ReaderOptions};
use crate::MAX_PAYLOAD_BYTES;
use std::time::Duration;

/// A handle to a reader. Clones are handles to the same reader.
#[derive(Clone, Debug)]
pub struct Reader {
    air: Air,
    index: ReaderIndex,
    chip: Chip,
}

impl Air {
    /// Puts a reader on the air.
    pub fn reader(&self, options: ReaderOptions) -> Reader {
        let (index, chip) = self.change(|world| world.add_reader(options));
        Reader { air: self.clone(), index, chip: Chip::new(self.clone(), chip) }
    }
}

impl Reader {
    /// Queues a payload of 1..=255 bytes, which the reader transmits as soon as it can.
    pub fn send(&self, payload: &[u8]) -> Result<(), AirError> {
        if payload.is_empty() || payload.len() > MAX_PAYLOAD_BYTES {
            return Err(AirError::PayloadLength(payload.len()));
        }
        let accepted = self.air.change(|world| world.enqueue(self.index, payload.to_vec()));
        if accepted { Ok(()) } else { Err(AirError::ReaderFull) }
    }

    /// Queues a series of payloads at their times on the air's clock and in their order. It replaces an earlier series.
    /// Payloads that do not fit into a packet are skipped.
    ///
    /// The iterator is called while the air is locked, so it must not use the air.
    pub fn feed(&self, payloads: impl Iterator<Item = (Duration, Vec<u8>)> + Send + 'static) {
        self.air.change(|world| world.set_payload_source(self.index, Box::new(payloads)));
    }

    /// Returns the counters of the reader.
    pub fn counts(&self) -> ReaderCounts {
        self.air.inspect(|world| world.reader_counts(self.index))
    }

    /// Returns the reader's chip, for faults and path losses. It keeps no ledger.
    pub fn chip(&self) -> &Chip {
        &self.chip
    }
}
