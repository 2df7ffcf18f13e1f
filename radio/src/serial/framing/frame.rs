//! Frames, and what else a decoder finds in the bytes of a modem.

use crate::MAX_PAYLOAD_BYTES;
use serde::{Deserialize, Serialize};

/// Maximum number of bytes that a decoder buffers.
pub const MAX_BUFFER_BYTES: usize = 640;

/// Protocol by which a modem separates payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Framing {
    /// One payload per line, ended by LF, CR or CR LF, as received from the air: EBYTE E22, E32, E220 in transparent mode.
    ///
    /// The payload contains no LF and no CR. Nothing on the line reveals a damaged payload.
    #[default]
    Line,
    /// `+RCV=<address>,<length>,<data>,<rssi>,<snr>` CR LF: Reyax RYLR406, 498, 896, 998.
    ///
    /// The length delimits the data, which may contain any byte.
    Reyax,
    /// COBS between bytes of 0x00, with a CRC-16 after the payload. For senders that run our firmware, see
    /// [`encode_cobs`](super::encode_cobs).
    Cobs,
    /// `+EVT:RXP2P:<rssi>:<snr>:<hex>` CR LF: RAK3172. Firmware before RUI3 takes two lines for a packet.
    Rak,
    /// One payload per burst of bytes, ended by a pause: modules in transparent mode whose senders write no line end.
    ///
    /// Two packets without a pause between them become one payload.
    Burst,
}

impl Framing {
    /// All framings.
    pub const ALL: [Self; 5] = [Self::Line, Self::Reyax, Self::Cobs, Self::Rak, Self::Burst];
}

/// A decoded frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Payload, 1..=255 bytes.
    pub payload: Vec<u8>,
    /// Signal strength. `None` if the modem reports none, or a value that is impossible.
    pub rssi_dbm: Option<i16>,
    /// Signal to noise ratio in quarters of a dB. `None` if the modem reports none, or a value that is impossible.
    pub snr_quarter_db: Option<i16>,
}

/// One item in the bytes of a modem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A frame with its payload.
    Frame(Frame),
    /// The bytes of a payload whose end is missing, at most 255 of them. They are no payload.
    Cut {
        /// The bytes that arrived.
        bytes: Vec<u8>,
        /// Why the end is missing.
        error: FrameError,
    },
    /// A message of the modem itself.
    Notice(Notice),
    /// Bytes that are neither.
    Error(FrameError),
}

/// A message of the modem itself. Texts are as the modem wrote them, without the line end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The modem has started: `+READY`, or the end of a RAK3172's banner.
    Ready,
    /// The modem has stopped receiving and waits for a command: `+EVT:RXP2P RECEIVE TIMEOUT`.
    ReceiveEnded,
    /// The modem accepted a command: `+OK`, `OK`.
    Accepted,
    /// The modem rejected a command: `+ERR=<n>`, `AT_PARAM_ERROR` and similar.
    Rejected(String),
    /// Any other message.
    Other(String),
}

/// Why bytes on the line gave no payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The frame is longer than any frame can be. Its rest is skipped.
    #[error("a frame is too long: a payload has {MAX_PAYLOAD_BYTES} bytes at most; check `baud` and `framing`")]
    Overlong,
    /// The line fell silent, or was lost, in the middle of a frame.
    #[error(
        "a frame stopped after {bytes} bytes; if this happens often, the senders write no line ends (set \
         `framing = \"burst\"`), or `framing` is wrong"
    )]
    Truncated {
        /// Bytes of the frame that arrived.
        bytes: usize,
    },
    /// The frame is complete, but its content is damaged.
    #[error("a frame has the CRC {carried:04x}, but its payload has {computed:04x}: it was damaged on the line")]
    Crc {
        /// CRC in the frame.
        carried: u16,
        /// CRC of the payload.
        computed: u16,
    },
    /// The modem reports a packet that it received with a wrong CRC.
    #[error("the modem received a packet with a wrong CRC: the sender is weak, or was disturbed")]
    Air,
    /// The bytes between two delimiters are not valid COBS.
    #[error("a frame is not valid COBS: it was damaged on the line, or `framing` is wrong")]
    Stuffing,
    /// The frame has no room for a payload.
    #[error("a frame of {bytes} bytes is too short for a payload and its CRC")]
    Short {
        /// Bytes in the frame.
        bytes: usize,
    },
    /// The modem of this framing does not write such a line.
    #[error("unexpected data from the modem: check `framing` and `baud`")]
    Unexpected,
    /// The header of a packet report is malformed.
    #[error("a packet report has an unknown header: the line was damaged, or the modem's firmware is too old")]
    Header,
    /// The length in a report is not that of a payload.
    #[error("a packet report has a length of {bytes} bytes, but a payload has 1 to {MAX_PAYLOAD_BYTES}")]
    Length {
        /// Length in the report.
        bytes: usize,
    },
    /// The data is not followed by RSSI, SNR and a line end.
    #[error("a packet report does not end where its length says: bytes were lost on the line")]
    Trailer,
    /// The payload is not in pairs of hexadecimal digits.
    #[error("the payload of a packet report is not in pairs of hex digits: the line was damaged")]
    Hex,
}

/// Decoder of one framing.
pub(super) trait Decode: std::fmt::Debug + Send + Sync {
    /// Takes one byte and appends the items that it completes.
    fn push_byte(&mut self, byte: u8, items: &mut Vec<Item>);
    /// Ends the open frame, whose rest will not come, and resets the decoder.
    fn flush(&mut self, items: &mut Vec<Item>);
    /// Returns true if a frame has begun and not ended.
    fn is_partial(&self) -> bool;
    /// Returns the bytes of memory that the buffers take, used or not.
    fn buffer_bytes(&self) -> usize;
}
