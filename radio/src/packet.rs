//! What a radio delivers.

use tokio::time::Instant;

/// The longest payload of a packet: its length field is one byte (SX1276 data sheet, register 0x13).
pub const MAX_PAYLOAD_BYTES: usize = 255;

/// One packet as a modem received it.
///
/// What a modem does not report is `None`; a value is never made up.
///
/// A packet carries no wall time: the wall clock is a seam of the program that listens, which stamps the packet when
/// it takes it over. `received_at` is monotonic and says how old the packet was by then, for example when it waited
/// while a commit stalled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The payload, 1..=[`MAX_PAYLOAD_BYTES`] bytes, unaltered: not trimmed, not necessarily text.
    pub bytes: Vec<u8>,
    /// Strength of the packet at the antenna, in dBm.
    pub rssi_dbm: Option<i16>,
    /// Signal to noise ratio in quarters of a dB, as the SX1276 counts it (register 0x19).
    pub snr_quarter_db: Option<i16>,
    /// Frequency of the sender minus frequency of this radio, in Hz.
    pub frequency_error_hz: Option<i32>,
    /// When the packet had been heard to its end, on the monotonic clock of this process (which a test may pause).
    pub received_at: Instant,
}
