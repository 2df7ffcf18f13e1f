//! COBS between bytes of 0x00, with a CRC behind the payload.

use ::cobs::{CobsDecoderOwned, DecodeError};
use crc::{CRC_16_IBM_3740, Crc};

use super::{Decode, Found, Frame, FrameError};
use crate::MAX_PAYLOAD_BYTES;

const DELIMITER: u8 = 0x00;
const CRC_BYTES: usize = 2;
/// Polynomial 0x1021, begun with 0xFFFF, not reflected: over `123456789` it gives 0x29B1.
const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_3740);

/// Writes a payload as [`Framing::Cobs`](super::Framing::Cobs) wants it: 0x00, COBS of payload and CRC, 0x00.
///
/// The CRC is CRC-16/IBM-3740, also known as CCITT-FALSE (polynomial 0x1021, begun with 0xFFFF, not reflected), high
/// byte first. The delimiter stands at both ends, so that noise ahead of a frame costs nothing but itself; a sender may
/// leave the first one out.
pub fn encode(payload: &[u8]) -> Vec<u8> {
    let mut checked = payload.to_vec();
    checked.extend(CRC.checksum(payload).to_be_bytes());
    let mut frame = vec![DELIMITER];
    frame.extend(::cobs::encode_vec(&checked));
    frame.push(DELIMITER);
    frame
}

#[derive(Debug)]
pub(super) struct Cobs {
    decoder: CobsDecoderOwned,
    /// Bytes of the frame that is open.
    open_bytes: usize,
    /// The rest of an overlong frame is passed over up to its end.
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
    fn push_byte(&mut self, byte: u8, found: &mut Vec<Found>) {
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
                found.push(judge(&self.decoder.dest()[..bytes]));
            }
            Err(DecodeError::TargetBufTooSmall) => {
                self.skipping = true;
                found.push(Found::Wrong(FrameError::Overlong));
            }
            // The delimiter came too early.
            Err(DecodeError::InvalidFrame { .. } | DecodeError::EmptyFrame) => {
                self.restart();
                found.push(Found::Wrong(FrameError::Stuffing));
            }
        }
    }

    fn give_up(&mut self, found: &mut Vec<Found>) {
        if self.open_bytes > 0 && !self.skipping {
            found.push(Found::Wrong(FrameError::Cut { bytes: self.open_bytes }));
        }
        self.restart();
    }

    fn is_partial(&self) -> bool {
        self.open_bytes > 0 || self.skipping
    }

    fn held_bytes(&self) -> usize {
        self.decoder.dest().len()
    }
}

/// Takes apart what stood between two delimiters.
fn judge(checked: &[u8]) -> Found {
    match checked.split_last_chunk::<CRC_BYTES>() {
        Some((payload, carried)) if !payload.is_empty() => {
            let (carried, computed) = (u16::from_be_bytes(*carried), CRC.checksum(payload));
            if carried == computed {
                Found::Frame(Frame { payload: payload.to_vec(), rssi_dbm: None, snr_quarter_db: None })
            } else {
                Found::Wrong(FrameError::Crc { carried, computed })
            }
        }
        _ => Found::Wrong(FrameError::Short { bytes: checked.len() }),
    }
}

#[cfg(test)]
mod tests;
