//! Packets as radios deliver them.

use tokio::time::Instant;

/// Maximum length of a payload. The length field of a packet has one byte (SX1276 data sheet, register 0x13).
pub const MAX_PAYLOAD_BYTES: usize = 255;

/// One packet as a modem received it.
///
/// A value that the modem does not report is `None`; it is never made up.
///
/// A packet has no wall-clock time. A driver must not read the wall clock, because the programs replace it in tests;
/// the program that receives the packet adds the time. `received_at` is monotonic and tells how long the packet waited
/// until then, for example while a commit stalled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The payload, 1..=[`MAX_PAYLOAD_BYTES`] bytes, unmodified: not trimmed, not necessarily text.
    pub bytes: Vec<u8>,
    /// Signal strength at the antenna, in dBm.
    pub rssi_dbm: Option<i16>,
    /// Signal-to-noise ratio in quarters of a dB, the unit of the SX1276 (register 0x19).
    pub snr_quarter_db: Option<i16>,
    /// Frequency of the sender minus frequency of this radio, in Hz.
    pub frequency_error_hz: Option<i32>,
    /// Time at which the packet was received completely, on the monotonic clock of this process. A test may pause it.
    pub received_at: Instant,
}
