//! What holds for every decoder whatever it is given, as one check: for the property tests, the fuzz targets and the
//! tests of other crates.

use super::{Decoder, Found, Frame, Framing, MAX_HELD_BYTES, encode_cobs};
use crate::MAX_PAYLOAD_BYTES;

/// What a modem of that kind writes for a packet.
///
/// Writes what the frame says, also where no modem could: a payload with a line end on a line, for example. A strength
/// on a [`Framing::Line`] is appended as one byte; SNR is written in whole dB.
pub fn written(framing: Framing, frame: &Frame) -> Vec<u8> {
    let Frame { payload, .. } = frame;
    let rssi_dbm = frame.rssi_dbm.unwrap_or(-100);
    let snr_db = frame.snr_quarter_db.unwrap_or(0) / 4;
    match framing {
        Framing::Line => {
            let strength = frame.rssi_dbm.and_then(|rssi_dbm| u8::try_from(256 + rssi_dbm).ok());
            payload.iter().copied().chain(*b"\r\n").chain(strength).collect()
        }
        Framing::Reyax => {
            let trailer = format!(",{rssi_dbm},{snr_db}\r\n");
            let header = format!("+RCV=50,{},", payload.len());
            [header.as_bytes(), payload, trailer.as_bytes()].concat()
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

/// Holds a decoder to its promises over any bytes. The first bytes also say how the rest is split.
///
/// # Panics
///
/// Where a promise is broken: the same bytes split in another way give something else, a payload is empty or overlong,
/// more is held than allowed, more is found than was pushed, or a good frame after a silence is not found.
pub fn holds(framing: Framing, rssi_byte: bool, bytes: &[u8]) {
    let mut whole = Decoder::new(framing, rssi_byte);
    let found = whole.push(bytes);
    let mut split = Decoder::new(framing, rssi_byte);
    assert_eq!(split_push(&mut split, bytes), found, "it depends on how the bytes are split");
    assert!(found.len() <= bytes.len(), "{} bytes gave {} things", bytes.len(), found.len());
    let given_up = whole.give_up();
    assert_eq!(split.give_up(), given_up, "what is given up depends on how the bytes are split");
    for frame in found.iter().chain(&given_up).filter_map(frame_in) {
        assert!((1..=MAX_PAYLOAD_BYTES).contains(&frame.payload.len()), "a payload of {} bytes", frame.payload.len());
    }
    assert!(!whole.is_partial() && whole.give_up().is_empty(), "something is open after all was given up");
    hears_on(&mut whole, framing, rssi_byte);
}

/// After a silence the next frame is found, and nothing else.
fn hears_on(decoder: &mut Decoder, framing: Framing, rssi_byte: bool) {
    let has_ratio = matches!(framing, Framing::Reyax | Framing::Rak);
    let has_strength = has_ratio || (rssi_byte && framing == Framing::Line);
    let rssi_dbm = has_strength.then_some(-73);
    let frame = Frame { payload: b"hxb:A:B:C".to_vec(), rssi_dbm, snr_quarter_db: has_ratio.then_some(28) };
    assert_eq!(decoder.push(&written(framing, &frame)), [Found::Frame(frame)], "a good frame is not found");
}

/// Pushes pieces of 1 to 16 bytes, as the bytes themselves say, and looks at what is held after each.
fn split_push(decoder: &mut Decoder, bytes: &[u8]) -> Vec<Found> {
    let (mut rest, mut found) = (bytes, Vec::new());
    while let Some(first) = rest.first() {
        let piece_bytes = rest.len().min(usize::from(*first) % 16 + 1);
        let (piece, after) = rest.split_at(piece_bytes);
        found.extend(decoder.push(piece));
        assert!(decoder.held_bytes() <= MAX_HELD_BYTES, "{} bytes are held", decoder.held_bytes());
        rest = after;
    }
    found
}

fn frame_in(found: &Found) -> Option<&Frame> {
    match found {
        Found::Frame(frame) => Some(frame),
        _ => None,
    }
}
