//! COBS between bytes of 0x00, with a CRC after the payload.

use super::frame::{Decode, Frame, FrameError, Item};
use crate::MAX_PAYLOAD_BYTES;
use ::cobs::{CobsDecoderOwned, DecodeError};
use crc::{CRC_16_IBM_3740, Crc};

const DELIMITER: u8 = 0x00;
const CRC_BYTES: usize = 2;
/// CRC with polynomial 0x1021, initial value 0xFFFF, not reflected. Over `123456789` it is 0x29B1.
const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_3740);

/// Encodes a payload for [`Framing::Cobs`](super::Framing::Cobs): 0x00, COBS of payload and CRC, 0x00.
///
/// The CRC is CRC-16/IBM-3740, also known as CCITT-FALSE (polynomial 0x1021, initial value 0xFFFF, not reflected), high
/// byte first. There is a delimiter at both ends, so that noise before a frame damages nothing but itself. A sender may
/// omit the first one.
pub fn encode(payload: &[u8]) -> Vec<u8> {
    let mut content = payload.to_vec();
    content.extend(CRC.checksum(payload).to_be_bytes());
    let mut frame = vec![DELIMITER];
    frame.extend(::cobs::encode_vec(&content));
    frame.push(DELIMITER);
    frame
}

#[derive(Debug)]
pub(super) struct Cobs {
    decoder: CobsDecoderOwned,
    /// Bytes of the open frame so far.
    open_bytes: usize,
    /// Set while the rest of an overlong frame is skipped, until its end.
    skipping: bool,
}

impl Cobs {
    pub(super) fn new() -> Self {
        Self { decoder: CobsDecoderOwned::new(MAX_PAYLOAD_BYTES + CRC_BYTES), open_bytes: 0, skipping: false }
    }

    fn restart(&mut self) {
        self.decoder.reset();
        self.open_bytes = 0;
        self.skipping = false;
    }
}

impl Decode for Cobs {
    fn push_byte(&mut self, byte: u8, items: &mut Vec<Item>) {
        if self.skipping && byte != DELIMITER {
            return;
        }
        if self.skipping {
            return self.restart();
        }
        match self.decoder.feed(byte) {
            Ok(None) if byte == DELIMITER => {}
            Ok(None) => self.open_bytes += 1,
            Ok(Some(bytes)) => {
                self.open_bytes = 0;
                items.push(parse(&self.decoder.dest()[..bytes]));
            }
            Err(DecodeError::TargetBufTooSmall) => {
                self.skipping = true;
                items.push(Item::Error(FrameError::Overlong));
            }
            // The delimiter came too early.
            Err(DecodeError::InvalidFrame { .. } | DecodeError::EmptyFrame) => {
                self.restart();
                items.push(Item::Error(FrameError::Stuffing));
            }
        }
    }

    fn flush(&mut self, items: &mut Vec<Item>) {
        if self.open_bytes > 0 && !self.skipping {
            items.push(Item::Error(FrameError::Truncated { bytes: self.open_bytes }));
        }
        self.restart();
    }

    fn is_partial(&self) -> bool {
        self.open_bytes > 0 || self.skipping
    }

    fn buffer_bytes(&self) -> usize {
        self.decoder.dest().len()
    }
}

/// Parses the decoded content of a frame: the payload and its CRC.
fn parse(content: &[u8]) -> Item {
    match content.split_last_chunk::<CRC_BYTES>() {
        Some((payload, carried)) if !payload.is_empty() => {
            let (carried, computed) = (u16::from_be_bytes(*carried), CRC.checksum(payload));
            if carried == computed {
                Item::Frame(Frame { payload: payload.to_vec(), rssi_dbm: None, snr_quarter_db: None })
            } else {
                Item::Error(FrameError::Crc { carried, computed })
            }
        }
        _ => Item::Error(FrameError::Short { bytes: content.len() }),
    }
}

#[cfg(test)]
mod tests;
