//! Transmissions: as a test describes one, as it is scheduled, and while it is on the air.

use super::chip::IncomingPacket;
use super::ids::{ChipIndex, TransmissionId};
use super::signal::Signal;
use super::tuning::Tuning;
use crate::lora::Modulation;
use std::sync::Arc;

/// A packet from a sender without a chip, for tests and for other people's traffic.
///
/// The default is an intact packet with a payload of one byte, at -80 dBm at every receiver.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each mirrors one bit of a register")]
pub struct Transmission {
    /// Payload of 1..=255 bytes.
    pub payload: Vec<u8>,
    /// Modulation that the sender uses.
    pub modulation: Modulation,
    /// Power at every receiver.
    pub rssi_dbm: f64,
    /// SNR at every receiver. `None` derives it from the power and the noise in the channel.
    pub snr_db: Option<f64>,
    /// Corrupts the payload on its way, so that receivers find a wrong CRC.
    pub corrupted: bool,
    /// Sends a CRC.
    pub crc: bool,
    /// Sends a header.
    pub explicit_header: bool,
    /// Exchanges I and Q, whatever the modulation says.
    pub inverted_iq: bool,
    /// LowDataRateOptimize of the sender. `None` takes what the modulation requires.
    pub low_data_rate_optimize: Option<bool>,
    /// Error of the sender's crystal.
    pub frequency_error_hz: i32,
}

impl Default for Transmission {
    fn default() -> Self {
        Self {
            payload: vec![0],
            modulation: Modulation::default(),
            rssi_dbm: -80.0,
            snr_db: None,
            corrupted: false,
            crc: true,
            explicit_header: true,
            inverted_iq: false,
            low_data_rate_optimize: None,
            frequency_error_hz: 0,
        }
    }
}

impl Transmission {
    /// Returns a transmission of this payload, with defaults for everything else.
    pub fn of(payload: impl Into<Vec<u8>>) -> Self {
        Self { payload: payload.into(), ..Self::default() }
    }

    /// Returns `None` if the payload does not fit into a packet.
    pub(super) fn into_emission(self) -> Option<Emission> {
        let payload_bytes = u8::try_from(self.payload.len()).ok().filter(|&bytes| bytes > 0)?;
        let mut tuning = Tuning::of_modulation(&self.modulation, payload_bytes);
        tuning.crc = self.crc;
        tuning.explicit_header = self.explicit_header;
        tuning.inverted_iq |= self.inverted_iq;
        tuning.low_data_rate_optimize = self.low_data_rate_optimize.unwrap_or(tuning.low_data_rate_optimize);
        Some(Emission {
            payload: self.payload.into(),
            tuning,
            origin: Origin::External { rssi_dbm: self.rssi_dbm },
            snr_db: self.snr_db,
            corrupted: self.corrupted,
            frequency_error_hz: self.frequency_error_hz,
        })
    }
}

/// Origin of an emission, which decides its power at a receiver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Origin {
    /// A sender without a chip: the power is the same at every receiver.
    External { rssi_dbm: f64 },
    /// A chip: the power at a receiver depends on the path between them. `stay` identifies the chip's stay in transmit
    /// mode.
    Chip { chip: ChipIndex, power_dbm: f64, stay: u64 },
}

/// A packet as its sender emits it.
#[derive(Debug)]
pub(super) struct Emission {
    pub(super) payload: Arc<[u8]>,
    pub(super) tuning: Tuning,
    pub(super) origin: Origin,
    pub(super) snr_db: Option<f64>,
    pub(super) corrupted: bool,
    pub(super) frequency_error_hz: i32,
}

/// A transmission that has begun and not ended.
#[derive(Debug)]
pub(super) struct ActiveTransmission {
    pub(super) id: TransmissionId,
    pub(super) begun_ns: u64,
    pub(super) emission: Emission,
    /// The sender has stopped before the end.
    pub(super) aborted: bool,
}

impl ActiveTransmission {
    pub(super) fn header_ns(&self) -> u64 {
        self.begun_ns + self.emission.tuning.until_header_ns()
    }

    pub(super) fn end_ns(&self) -> u64 {
        self.begun_ns + self.emission.tuning.air_time_ns(self.emission.tuning.payload_bytes)
    }

    /// Returns the packet as it arrives with this signal at a receiver. `corrupted` adds a corruption at that receiver.
    pub(super) fn incoming_packet(&self, signal: Signal, corrupted: bool) -> IncomingPacket {
        IncomingPacket {
            transmission: self.id,
            signal,
            sender: self.emission.tuning,
            payload: self.emission.payload.clone(),
            corrupted: self.emission.corrupted || corrupted,
            synchronized_ns: self.begun_ns + self.emission.tuning.until_synchronized_ns(),
            header_ns: self.header_ns(),
            end_ns: self.end_ns(),
        }
    }
}
