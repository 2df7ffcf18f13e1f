//! Tests of COBS with a CRC.

use super::*;
use crate::serial::framing::{Decoder, Framing};

fn frame(payload: &[u8]) -> Item {
    Item::Frame(Frame { payload: payload.to_vec(), rssi_dbm: None, snr_quarter_db: None })
}

fn decoder() -> Decoder {
    Decoder::new(Framing::Cobs, false)
}

/// Returns COBS of any bytes, without adding a CRC.
fn stuff(bytes: &[u8]) -> Vec<u8> {
    [::cobs::encode_vec(bytes), vec![DELIMITER]].concat()
}

#[test]
fn the_bytes_on_the_line_are_pinned() {
    // The check value of CRC-16/IBM-3740 over these nine bytes is 0x29b1.
    assert_eq!(encode(b"123456789"), b"\x00\x0c123456789\x29\xb1\x00");
    // A payload of one zero byte, whose CRC follows from the polynomial alone: 0xffff becomes 0xe1f0.
    assert_eq!(encode(b"\x00"), b"\x00\x01\x03\xe1\xf0\x00");
}

#[test]
fn payloads_of_every_length_with_every_byte_survive_a_round_trip() {
    let mut decoder = decoder();
    for length in 1..=MAX_PAYLOAD_BYTES {
        for step in 0..3 {
            let payload: Vec<u8> = (0..length).map(|at| u8::try_from((at * step) % 256).unwrap()).collect();
            assert_eq!(decoder.push(&encode(&payload)), [frame(&payload)], "{length} bytes, step {step}");
        }
    }
}

#[test]
fn one_delimiter_between_frames_is_enough() {
    let (first, second) = (encode(b"first"), encode(b"second"));
    assert_eq!(decoder().push(&[&first[1..], &second[1..]].concat()), [frame(b"first"), frame(b"second")]);
}

#[test]
fn any_flipped_bit_is_detected() {
    let good = encode(b"hxb:A:B:C");
    for bit in 8..(good.len() - 1) * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let items = decoder().push(&bad);
        assert!(!items.iter().any(|item| matches!(item, Item::Frame(_))), "bit {bit}: {items:?}");
        assert!(!items.is_empty(), "bit {bit}");
    }
}

#[test]
fn a_wrong_crc_is_reported_with_both_values() {
    let items = decoder().push(&stuff(b"123456789\x29\xb2"));
    assert_eq!(items, [Item::Error(FrameError::Crc { carried: 0x29b2, computed: 0x29b1 })]);
}

#[test]
fn frames_too_short_for_a_payload_are_reported_and_empty_ones_skipped() {
    let crc_of_nothing = CRC.checksum(b"").to_be_bytes();
    assert_eq!(decoder().push(&stuff(&crc_of_nothing)), [Item::Error(FrameError::Short { bytes: 2 })]);
    assert_eq!(decoder().push(b"\x01\x00"), [Item::Error(FrameError::Short { bytes: 0 })]);
    assert_eq!(decoder().push(b"\x00\x00\x00"), []);
}

#[test]
fn an_early_delimiter_is_reported_and_the_next_frame_found() {
    let items = decoder().push(&[b"\x05ab\x00".as_slice(), &encode(b"good")].concat());
    assert_eq!(items, [Item::Error(FrameError::Stuffing), frame(b"good")]);
}

#[test]
fn an_overlong_frame_is_reported_once_and_skipped() {
    let mut decoder = decoder();
    let payload = [b'x'; MAX_PAYLOAD_BYTES + 1];
    let items = decoder.push(&[encode(&payload), encode(b"good")].concat());
    assert_eq!(items, [Item::Error(FrameError::Overlong), frame(b"good")]);
    assert_eq!(decoder.push(&[b'x'; 10_000]), [Item::Error(FrameError::Overlong)]);
    assert_eq!(decoder.push(&encode(b"good")), [frame(b"good")]);
}

#[test]
fn half_a_frame_is_not_joined_with_the_next_after_a_silence() {
    let mut decoder = decoder();
    assert_eq!(decoder.push(&encode(b"first")[..4]), []);
    assert!(decoder.is_partial());
    assert_eq!(decoder.flush(), [Item::Error(FrameError::Truncated { bytes: 3 })]);
    // Without its first delimiter: only the silence shows where the frame starts.
    assert_eq!(decoder.push(&encode(b"good")[1..]), [frame(b"good")]);
    assert!(!decoder.is_partial());
}
