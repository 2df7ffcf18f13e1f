//! Frames on a serial line: where a payload begins and ends in the stream of bytes that a modem writes.
//!
//! A [`Decoder`] takes bytes as they come and gives what it [`Found`]. It does no input or output and knows no clock,
//! holds at most [`MAX_HELD_BYTES`], and finds the next frame after anything at all. How the bytes are split over
//! calls makes no difference.
//!
//! Time is the caller's: when the line has been silent for so long that the rest of a frame will not come any more,
//! it calls [`Decoder::give_up`], so that half a frame is not glued to the next one.

mod cobs;
mod line;
mod lines;
#[cfg(any(test, feature = "contract"))]
pub mod proof;
mod rak;
mod reyax;
mod signal;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::cobs::encode as encode_cobs;
use crate::MAX_PAYLOAD_BYTES;

/// More than this no decoder keeps of what it was given.
pub const MAX_HELD_BYTES: usize = 640;

/// How a modem marks where payloads begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Framing {
    /// A payload a line, ended by LF or CR LF, as it came out of the air: EBYTE E22, E32, E220 in transparent mode. The
    /// payload holds no LF and does not end in CR. Nothing on the line tells a damaged payload from a whole one.
    #[default]
    Line,
    /// `+RCV=<address>,<length>,<data>,<rssi>,<snr>` CR LF: Reyax RYLR406, 498, 896, 998. The data is cut by its length
    /// and may hold any byte.
    Reyax,
    /// COBS between bytes of 0x00, with a CRC-16 behind the payload: where both ends are ours. See [`encode_cobs`].
    Cobs,
    /// `+EVT:RXP2P:<rssi>:<snr>:<hex>` CR LF: RAK3172 with RUI3 firmware. Older firmware needs an update.
    Rak,
}

impl Framing {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Line, Self::Reyax, Self::Cobs, Self::Rak];
}

/// One frame, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// 1..=255 bytes.
    pub payload: Vec<u8>,
    /// Strength, where the modem reports one that can be true.
    pub rssi_dbm: Option<i16>,
    /// Signal to noise ratio in quarters of a dB, where the modem reports one that can be true.
    pub snr_quarter_db: Option<i16>,
}

/// What a decoder found in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A frame with its payload.
    Frame(Frame),
    /// The modem spoke for itself.
    Notice(Notice),
    /// Something that is neither.
    Wrong(FrameError),
}

/// What a modem says for itself. Texts are as the modem wrote them, without the line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// It has started: `+READY`.
    Ready,
    /// It did as it was told: `+OK`, `OK`.
    Accepted,
    /// It did not: `+ERR=<n>`, `AT_PARAM_ERROR` and the like.
    Refused(String),
    /// Anything else of its kind.
    Other(String),
}

/// Why bytes on the line gave no payload. One for each way to be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// No frame is that long. The rest of it is skipped.
    #[error(
        "a frame on the line is longer than {MAX_PAYLOAD_BYTES} bytes of payload can make it; check `baud` and `framing`"
    )]
    Overlong,
    /// The line fell silent, or was lost, in the middle of a frame.
    #[error(
        "{bytes} bytes came and the end of their frame did not; if this is the rule, the senders put no line ends, or `framing` is wrong"
    )]
    Cut {
        /// How many of it had come.
        bytes: usize,
    },
    /// The frame is whole in form, and its content is damaged.
    #[error("a frame carries the CRC {carried:04x}, and its payload gives {computed:04x}; it was damaged on the line")]
    Crc {
        /// What stands in the frame.
        carried: u16,
        /// What should.
        computed: u16,
    },
    /// The bytes between two delimiters are no COBS.
    #[error("a frame on the line is no COBS; it was damaged, or `framing` is wrong")]
    Stuffing,
    /// There is no payload in it.
    #[error("a frame holds {bytes} bytes, too few for a payload and its CRC")]
    Short {
        /// How many it holds.
        bytes: usize,
    },
    /// A line that this kind of modem does not write.
    #[error("a line is nothing that such a modem writes; check `framing` and `baud`")]
    Unknown,
    /// A received packet was announced in a form that is not known.
    #[error(
        "a received packet is announced in an unknown form; the line was damaged, or the modem's firmware is too old"
    )]
    Header,
    /// The announced length is none of a payload.
    #[error("a packet of {bytes} bytes is announced; a payload has 1 to {MAX_PAYLOAD_BYTES}")]
    Length {
        /// What was announced.
        bytes: usize,
    },
    /// What follows the data is not RSSI, SNR and a line end.
    #[error("a packet does not end where its length says; bytes were lost on the line")]
    Trailer,
    /// The payload is not written in pairs of hexadecimal digits.
    #[error("a payload is not written in pairs of hexadecimal digits; the line was damaged")]
    Hex,
}

/// What each framing is made of.
trait Decode: std::fmt::Debug + Send + Sync {
    /// Takes one byte.
    fn push_byte(&mut self, byte: u8, found: &mut Vec<Found>);
    /// Takes it that no more will come of what is open, and is as new afterwards.
    fn give_up(&mut self, found: &mut Vec<Found>);
    /// Whether a frame has begun and not ended.
    fn is_partial(&self) -> bool;
    /// How many bytes of memory stand ready or are in use for what came.
    fn held_bytes(&self) -> usize;
}

/// Finds frames in a stream of bytes.
#[derive(Debug)]
pub struct Decoder(Box<dyn Decode>);

impl Decoder {
    /// A decoder at the beginning of a stream.
    ///
    /// With `rssi_byte`, a modem in transparent mode appends the strength of each packet as one byte: this is for
    /// [`Framing::Line`] alone, and no other heeds it.
    pub fn new(framing: Framing, rssi_byte: bool) -> Self {
        Self(match framing {
            Framing::Line => Box::new(line::Line::new(rssi_byte)),
            Framing::Reyax => Box::new(reyax::Reyax::new()),
            Framing::Cobs => Box::new(cobs::Cobs::new()),
            Framing::Rak => Box::new(rak::Rak::new()),
        })
    }

    /// Takes the next bytes and gives what they complete, in the order of the line: fewer things than bytes were pushed
    /// and held.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        for byte in bytes {
            self.0.push_byte(*byte, &mut found);
        }
        found
    }

    /// Takes it that the rest of what is open will not come: the line was silent for too long, or is gone.
    ///
    /// What was whole all the same is given, the rest is named [`FrameError::Cut`], and the decoder is as new.
    pub fn give_up(&mut self) -> Vec<Found> {
        let mut found = Vec::new();
        self.0.give_up(&mut found);
        found
    }

    /// Whether a frame has begun and not ended, so that [`give_up`](Self::give_up) after a silence makes a difference.
    pub fn is_partial(&self) -> bool {
        self.0.is_partial()
    }

    /// How much memory stands ready or is in use for what came: at most [`MAX_HELD_BYTES`].
    pub fn held_bytes(&self) -> usize {
        self.0.held_bytes()
    }
}
