//! The packet that a chip receives now.

use crate::emulator::ids::TransmissionId;
use crate::emulator::ledger::VerdictId;
use crate::emulator::random;
use crate::emulator::signal::Signal;
use crate::emulator::tuning::Tuning;
use std::sync::Arc;

/// Part of the packet that arrives at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The preamble, which the receiver has locked on.
    Preamble,
    /// The header, or the first eight symbols of a packet without one.
    Header,
    /// The payload.
    Payload,
}

/// A packet as it arrives at the receiver that locks on it.
#[derive(Debug)]
pub(in crate::emulator) struct IncomingPacket {
    pub(in crate::emulator) transmission: TransmissionId,
    pub(in crate::emulator) signal: Signal,
    pub(in crate::emulator) sender: Tuning,
    pub(in crate::emulator) payload: Arc<[u8]>,
    /// The payload is corrupted on its way.
    pub(in crate::emulator) corrupted: bool,
    /// End of the preamble.
    pub(in crate::emulator) synchronized_ns: u64,
    /// End of the header, when the first byte starts to arrive.
    pub(in crate::emulator) header_ns: u64,
    /// End of the last byte.
    pub(in crate::emulator) end_ns: u64,
}

/// State of a receiver that has locked on a packet.
#[derive(Debug)]
pub(in crate::emulator) struct Reception {
    pub(super) packet: IncomingPacket,
    /// Another transmission covers the header, so that it cannot be decoded.
    pub(super) header_lost: bool,
    pub(super) header_decoded: bool,
    /// The payload is corrupted, or covered by another transmission.
    pub(super) corrupted: bool,
    /// The row in the ledger, if the chip keeps one.
    pub(super) verdict: Option<VerdictId>,
    pub(super) written_bytes: u8,
    /// FIFO address of the first byte.
    pub(super) start: u8,
    pub(super) length: u8,
}

impl Reception {
    /// Locks on a packet, whose bytes will go into the FIFO from `start` on.
    pub(super) fn new(packet: IncomingPacket, receiver: &Tuning, verdict: Option<VerdictId>, start: u8) -> Self {
        let sender = &packet.sender;
        // Without a header the receiver expects as many bytes as its own register says.
        let length = if sender.explicit_header { sender.payload_bytes } else { receiver.payload_bytes };
        let differs = sender.low_data_rate_optimize != receiver.low_data_rate_optimize
            || (!sender.explicit_header
                && (length != sender.payload_bytes
                    || sender.crc != receiver.crc
                    || sender.coding_rate_denominator != receiver.coding_rate_denominator));
        Self {
            corrupted: differs || packet.corrupted,
            packet,
            header_lost: false,
            header_decoded: false,
            verdict,
            written_bytes: 0,
            start,
            length,
        }
    }

    pub(in crate::emulator) fn sender(&self) -> &Tuning {
        &self.packet.sender
    }

    pub(in crate::emulator) fn power_dbm(&self) -> f64 {
        self.packet.signal.power_dbm
    }

    pub(super) fn phase(&self, now_ns: u64) -> Phase {
        if now_ns < self.packet.synchronized_ns {
            Phase::Preamble
        } else if now_ns < self.packet.header_ns {
            Phase::Header
        } else {
            Phase::Payload
        }
    }

    /// Returns the number of bytes that have arrived by `now_ns`.
    pub(super) fn bytes_by(&self, now_ns: u64) -> u8 {
        if now_ns >= self.packet.end_ns {
            return self.length;
        }
        let passed_ns = u128::from(now_ns.saturating_sub(self.packet.header_ns));
        let whole_ns = u128::from((self.packet.end_ns - self.packet.header_ns).max(1));
        u8::try_from(u128::from(self.length) * passed_ns / whole_ns).unwrap_or(self.length)
    }

    /// Returns a byte as it is demodulated: a wrong one if the payload is corrupted.
    pub(super) fn byte(&self, offset: u8) -> u8 {
        let sent = self.packet.payload.get(usize::from(offset)).copied().unwrap_or_default();
        if !self.corrupted {
            return sent;
        }
        let [noise, ..] = random::hash([self.packet.transmission.0, u64::from(offset), 0]).to_le_bytes();
        sent ^ noise.max(1)
    }
}
