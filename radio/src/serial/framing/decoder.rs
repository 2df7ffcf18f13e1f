//! The decoder of any framing.

use super::burst::Burst;
use super::cobs::Cobs;
use super::frame::{Decode, Framing, Item};
use super::line::Line;
use super::rak::Rak;
use super::reyax::Reyax;

/// Finds frames in the bytes of a modem.
#[derive(Debug)]
pub struct Decoder {
    framing: Framing,
    decode: Box<dyn Decode>,
}

impl Decoder {
    /// Creates a decoder for the start of a stream.
    ///
    /// Set `rssi_byte` if a modem in transparent mode appends the signal strength of each packet as one byte. Framings
    /// other than [`Framing::Line`] and [`Framing::Burst`] ignore it.
    pub fn new(framing: Framing, rssi_byte: bool) -> Self {
        let decode: Box<dyn Decode> = match framing {
            Framing::Line => Box::new(Line::new(rssi_byte)),
            Framing::Reyax => Box::new(Reyax::new()),
            Framing::Cobs => Box::new(Cobs::new()),
            Framing::Rak => Box::new(Rak::new()),
            Framing::Burst => Box::new(Burst::new(rssi_byte)),
        };
        Self { framing, decode }
    }

    /// Returns the framing that it decodes.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Takes the next bytes and returns the items that they complete, in the order of the line.
    ///
    /// The number of items never exceeds the number of bytes pushed and buffered.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Item> {
        let mut items = Vec::new();
        for byte in bytes {
            self.decode.push_byte(*byte, &mut items);
        }
        items
    }

    /// Ends the open frame, whose rest will not come because the line was silent for too long or is gone.
    ///
    /// Returns what was complete anyway, and [`FrameError::Truncated`](super::FrameError::Truncated) for the rest.
    /// After that the decoder is as new.
    pub fn flush(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        self.decode.flush(&mut items);
        items
    }

    /// Returns true if a frame has begun and not ended, so that [`flush`](Self::flush) makes a difference.
    pub fn is_partial(&self) -> bool {
        self.decode.is_partial()
    }

    /// Returns the bytes of memory that the buffers take, used or not: at most
    /// [`MAX_BUFFER_BYTES`](super::MAX_BUFFER_BYTES).
    pub fn buffer_bytes(&self) -> usize {
        self.decode.buffer_bytes()
    }
}
