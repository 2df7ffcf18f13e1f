//! One payload per burst of bytes, as a modem in transparent mode writes it if the senders write no line end.
//!
//! The caller, which has the clock, ends a burst by [`flush`](Decode::flush). If the module is set to report the signal
//! strength, that byte is the last one of the burst.

use super::frame::{Decode, Frame, FrameError, Item};
use super::signal;
use crate::MAX_PAYLOAD_BYTES;

#[derive(Debug)]
pub(super) struct Burst {
    buffer: Vec<u8>,
    /// Set while the rest of an overlong burst is skipped, until its end.
    skipping: bool,
    rssi_byte: bool,
}

impl Burst {
    pub(super) fn new(rssi_byte: bool) -> Self {
        Self { buffer: Vec::with_capacity(MAX_PAYLOAD_BYTES + 1), skipping: false, rssi_byte }
    }

    fn cut(&mut self, items: &mut Vec<Item>) {
        self.buffer.truncate(MAX_PAYLOAD_BYTES);
        items.push(Item::Cut { bytes: self.buffer.clone(), error: FrameError::Overlong });
        self.buffer.clear();
    }
}

impl Decode for Burst {
    fn push_byte(&mut self, byte: u8, items: &mut Vec<Item>) {
        if self.skipping {
            return;
        }
        if self.buffer.len() == MAX_PAYLOAD_BYTES + usize::from(self.rssi_byte) {
            self.cut(items);
            self.skipping = true;
            return;
        }
        self.buffer.push(byte);
    }

    fn flush(&mut self, items: &mut Vec<Item>) {
        self.skipping = false;
        let rssi_dbm = match self.buffer[..] {
            [_, .., last] if self.rssi_byte => signal::rssi_of_byte(last),
            _ => None,
        };
        if rssi_dbm.is_some() {
            self.buffer.pop();
        }
        match self.buffer.len() {
            0 => {}
            1..=MAX_PAYLOAD_BYTES => {
                items.push(Item::Frame(Frame { payload: self.buffer.clone(), rssi_dbm, snr_quarter_db: None }));
                self.buffer.clear();
            }
            _ => self.cut(items),
        }
    }

    fn is_partial(&self) -> bool {
        self.skipping || !self.buffer.is_empty()
    }

    fn buffer_bytes(&self) -> usize {
        self.buffer.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serial::framing::{Decoder, Framing};

    fn frame(payload: &[u8], rssi_dbm: Option<i16>) -> Item {
        Item::Frame(Frame { payload: payload.to_vec(), rssi_dbm, snr_quarter_db: None })
    }

    /// Returns the items of one burst.
    fn burst(rssi_byte: bool, bytes: &[u8]) -> Vec<Item> {
        let mut decoder = Decoder::new(Framing::Burst, rssi_byte);
        let mut items = decoder.push(bytes);
        items.extend(decoder.flush());
        assert!(!decoder.is_partial());
        items
    }

    #[test]
    fn a_burst_is_a_payload_whatever_its_bytes() {
        for bytes in [b"hxb:A:B:C".as_slice(), b"hxb:A:B:C\r\n", b"a\nb", b"\x00", b"\xff\xc4", &[b'x'; 255]] {
            assert_eq!(burst(false, bytes), [frame(bytes, None)], "{bytes:?}");
        }
        assert_eq!(burst(false, b""), []);
    }

    #[test]
    fn the_last_byte_is_the_rssi_only_if_it_can_be_one() {
        for (bytes, payload, rssi_dbm) in [
            (b"hxb:A:B:C\xc4".as_slice(), b"hxb:A:B:C".as_slice(), Some(-60)),
            (b"hxb:A:B:C", b"hxb:A:B:C", None),
            (b"hxb:A:B:C\r\n\x80", b"hxb:A:B:C\r\n", Some(-128)),
            (b"\xc4", b"\xc4", None),
        ] {
            assert_eq!(burst(true, bytes), [frame(payload, rssi_dbm)], "{bytes:?}");
        }
    }

    #[test]
    fn an_overlong_burst_is_cut_once_and_the_next_one_found() {
        let cut = |bytes: &[u8]| Item::Cut { bytes: bytes.to_vec(), error: FrameError::Overlong };
        for rssi_byte in [false, true] {
            for length in [257, 300, 10_000] {
                assert_eq!(burst(rssi_byte, &vec![b'x'; length]), [cut(&[b'x'; 255])], "{rssi_byte} {length}");
            }
            // Too long only if the last byte is no strength.
            assert_eq!(burst(rssi_byte, &[b'x'; 256]), [cut(&[b'x'; 255])]);
        }
        let longest = [&[b'x'; 255][..], b"\xc4"].concat();
        assert_eq!(burst(true, &longest), [frame(&[b'x'; 255], Some(-60))]);
    }
}
