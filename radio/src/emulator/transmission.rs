//! What a sender without a chip puts on the air, and how it travels.

use std::sync::Arc;

use super::chip::{ChipIndex, Heard};
use super::ledger::TransmissionId;
use super::signal::Signal;
use super::tuning::Tuning;
use crate::lora::Modulation;

/// A packet from nowhere: a sender that has no chip, for tests and for other people's traffic.
///
/// The default is a payload of one byte, -80 dBm at every receiver, nothing wrong with it.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a bit of a register of its own")]
pub struct Transmission {
    /// 1..=255 bytes.
    pub payload: Vec<u8>,
    /// What it is sent with.
    pub modulation: Modulation,
    /// Its power at every receiver.
    pub rssi_dbm: f64,
    /// Its SNR at every receiver, where it is not what follows from the power and the noise of the channel.
    pub snr_db: Option<f64>,
    /// Something on the way spoils a byte: a receiver finds the CRC wrong.
    pub corrupted: bool,
    /// Whether a CRC is sent.
    pub crc: bool,
    /// Whether a header is sent.
    pub explicit_header: bool,
    /// Whether I and Q are exchanged.
    pub inverted_iq: bool,
    /// LowDataRateOptimize, where it is not what the modulation asks for.
    pub low_data_rate_optimize: Option<bool>,
    /// The sender's crystal is off by so much.
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
    /// This payload, and else the default.
    pub fn of(payload: impl Into<Vec<u8>>) -> Self {
        Self { payload: payload.into(), ..Self::default() }
    }

    /// None if the payload has no length that a packet can have.
    pub(super) fn into_waves(self) -> Option<Waves> {
        let payload_bytes = u8::try_from(self.payload.len()).ok().filter(|&bytes| bytes > 0)?;
        let mut tuning = Tuning::of_modulation(&self.modulation, payload_bytes);
        tuning.crc = self.crc;
        tuning.explicit_header = self.explicit_header;
        tuning.inverted_iq = self.inverted_iq;
        tuning.low_data_rate_optimize = self.low_data_rate_optimize.unwrap_or(tuning.low_data_rate_optimize);
        Some(Waves {
            payload: self.payload.into(),
            tuning,
            origin: Origin::Nowhere { rssi_dbm: self.rssi_dbm },
            snr_db: self.snr_db,
            corrupted: self.corrupted,
            frequency_error_hz: self.frequency_error_hz,
        })
    }
}

/// Where waves come from, and with that how strong they arrive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Origin {
    /// They arrive everywhere with the same power.
    Nowhere { rssi_dbm: f64 },
    /// A chip sends them; each receiver is so far away as the air says. `entry` is the stay in its transmit mode.
    Chip { chip: ChipIndex, power_dbm: f64, entry: u64 },
}

/// What is put on the air.
#[derive(Debug)]
pub(super) struct Waves {
    pub(super) payload: Arc<[u8]>,
    pub(super) tuning: Tuning,
    pub(super) origin: Origin,
    pub(super) snr_db: Option<f64>,
    pub(super) corrupted: bool,
    pub(super) frequency_error_hz: i32,
}

/// A transmission that has begun.
#[derive(Debug)]
pub(super) struct OnAir {
    pub(super) id: TransmissionId,
    pub(super) begun_ns: u64,
    pub(super) waves: Waves,
    /// The sender stopped before the end.
    pub(super) cut: bool,
}

impl OnAir {
    pub(super) fn header_ns(&self) -> u64 {
        self.begun_ns + self.waves.tuning.until_header_ns()
    }

    pub(super) fn end_ns(&self) -> u64 {
        self.begun_ns + self.waves.tuning.air_time_ns(self.waves.tuning.payload_bytes)
    }

    /// As a receiver sees it that locks on it; `spoiled` by chance.
    pub(super) fn heard_as(&self, signal: Signal, spoiled: bool) -> Heard {
        Heard {
            transmission: self.id,
            signal,
            sender: self.waves.tuning,
            payload: self.waves.payload.clone(),
            corrupted: self.waves.corrupted || spoiled,
            synchronized_ns: self.begun_ns + self.waves.tuning.until_synchronized_ns(),
            header_ns: self.header_ns(),
            end_ns: self.end_ns(),
        }
    }
}
