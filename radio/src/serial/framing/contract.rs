//! Guarantees of every decoder for any input, as one check: for the property tests, the fuzz targets and other crates.

use super::cobs::encode as encode_cobs;
use super::decoder::Decoder;
use super::frame::{Frame, Framing, Item, MAX_BUFFER_BYTES};
use crate::MAX_PAYLOAD_BYTES;

/// Returns the bytes that a modem writes for a packet.
///
/// Encodes any frame, even one that no modem could write, for example a line whose payload contains a line end. With
/// [`Framing::Line`] and [`Framing::Burst`] the signal strength is appended as one byte. The SNR is written in whole dB.
pub fn encode(framing: Framing, frame: &Frame) -> Vec<u8> {
    let Frame { payload, .. } = frame;
    let rssi_dbm = frame.rssi_dbm.unwrap_or(-100);
    let snr_db = frame.snr_quarter_db.unwrap_or(0) / 4;
    match framing {
        Framing::Line => {
            let rssi_byte = frame.rssi_dbm.and_then(|rssi_dbm| u8::try_from(256 + rssi_dbm).ok());
            payload.iter().copied().chain(*b"\r\n").chain(rssi_byte).collect()
        }
        Framing::Reyax => {
            let trailer = format!(",{rssi_dbm},{snr_db}\r\n");
            let header = format!("+RCV=50,{},", payload.len());
            [header.as_bytes(), payload, trailer.as_bytes()].concat()
        }
        Framing::Burst => {
            let rssi_byte = frame.rssi_dbm.and_then(|rssi_dbm| u8::try_from(256 + rssi_dbm).ok());
            payload.iter().copied().chain(rssi_byte).collect()
        }
        Framing::Cobs => encode_cobs(payload),
        Framing::Rak => {
            let hex = payload
                .iter()
                .flat_map(|byte| [byte >> 4, byte & 0x0f])
                .map(|digit| b"0123456789ABCDEF"[usize::from(digit)]);
            format!("+EVT:RXP2P:{rssi_dbm}:{snr_db}:").into_bytes().into_iter().chain(hex).chain(*b"\r\n").collect()
        }
    }
}

/// Checks the guarantees of a decoder on any bytes. The bytes themselves also decide how they are split.
///
/// # Panics
///
/// Panics if a guarantee is broken: another split of the same bytes gives another result, a payload is empty or
/// overlong, too much is buffered, there are more items than bytes, or a good frame after a silence is missed.
pub fn check(framing: Framing, rssi_byte: bool, bytes: &[u8]) {
    let mut whole = Decoder::new(framing, rssi_byte);
    let items = whole.push(bytes);
    let mut split = Decoder::new(framing, rssi_byte);
    assert_eq!(push_in_pieces(&mut split, bytes), items, "the items depend on how the bytes are split");
    assert!(items.len() <= bytes.len(), "{} bytes gave {} items", bytes.len(), items.len());
    let flushed = whole.flush();
    assert_eq!(split.flush(), flushed, "the flushed items depend on how the bytes are split");
    for frame in items.iter().chain(&flushed).filter_map(frame_in) {
        assert!((1..=MAX_PAYLOAD_BYTES).contains(&frame.payload.len()), "a payload of {} bytes", frame.payload.len());
    }
    for bytes in items.iter().chain(&flushed).filter_map(cut_in) {
        assert!((1..=MAX_PAYLOAD_BYTES).contains(&bytes.len()), "{} bytes are cut", bytes.len());
    }
    assert!(!whole.is_partial() && whole.flush().is_empty(), "a frame is still open after a flush");
    check_next_frame(&mut whole, framing, rssi_byte);
}

/// Checks that after a silence the next frame is found, and nothing else.
fn check_next_frame(decoder: &mut Decoder, framing: Framing, rssi_byte: bool) {
    let has_snr = matches!(framing, Framing::Reyax | Framing::Rak);
    let has_rssi = has_snr || (rssi_byte && matches!(framing, Framing::Line | Framing::Burst));
    let rssi_dbm = has_rssi.then_some(-73);
    let frame = Frame { payload: b"hxb:A:B:C".to_vec(), rssi_dbm, snr_quarter_db: has_snr.then_some(28) };
    let mut items = decoder.push(&encode(framing, &frame));
    if framing == Framing::Burst {
        items.extend(decoder.flush());
    }
    assert_eq!(items, [Item::Frame(frame)], "a good frame is missed");
}

/// Pushes pieces of 1 to 16 bytes, whose lengths the bytes themselves give, and checks the buffers after each.
fn push_in_pieces(decoder: &mut Decoder, bytes: &[u8]) -> Vec<Item> {
    let (mut rest, mut items) = (bytes, Vec::new());
    while let Some(first) = rest.first() {
        let piece_bytes = rest.len().min(usize::from(*first) % 16 + 1);
        let (piece, after) = rest.split_at(piece_bytes);
        items.extend(decoder.push(piece));
        assert!(decoder.buffer_bytes() <= MAX_BUFFER_BYTES, "{} bytes are buffered", decoder.buffer_bytes());
        rest = after;
    }
    items
}

fn cut_in(item: &Item) -> Option<&Vec<u8>> {
    match item {
        Item::Cut { bytes, .. } => Some(bytes),
        _ => None,
    }
}

fn frame_in(item: &Item) -> Option<&Frame> {
    match item {
        Item::Frame(frame) => Some(frame),
        _ => None,
    }
}
