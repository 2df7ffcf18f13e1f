//! What holds for COBS with a CRC.

use super::super::{Decoder, Framing};
use super::*;

fn frame(payload: &[u8]) -> Found {
    Found::Frame(Frame { payload: payload.to_vec(), rssi_dbm: None, snr_quarter_db: None })
}

fn decoder() -> Decoder {
    Decoder::new(Framing::Cobs, false)
}

/// COBS of any bytes, without a CRC of their own.
fn stuffed(bytes: &[u8]) -> Vec<u8> {
    [::cobs::encode_vec(bytes), vec![DELIMITER]].concat()
}

#[test]
fn the_bytes_on_the_line_are_pinned() {
    // The check value of CRC-16/IBM-3740 over these nine bytes is 0x29b1.
    assert_eq!(encode(b"123456789"), b"\x00\x0c123456789\x29\xb1\x00");
    // A zero and a payload whose CRC is known from the polynomial alone: 0xffff over one zero byte gives 0xe1f0.
    assert_eq!(encode(b"\x00"), b"\x00\x01\x03\xe1\xf0\x00");
}

#[test]
fn every_length_with_every_byte_comes_back() {
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
fn any_flipped_bit_is_found() {
    let good = encode(b"hxb:A:B:C");
    for bit in 8..(good.len() - 1) * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let found = decoder().push(&bad);
        assert!(!found.iter().any(|found| matches!(found, Found::Frame(_))), "bit {bit}: {found:?}");
        assert!(!found.is_empty(), "bit {bit}");
    }
}

#[test]
fn a_wrong_crc_is_named_with_both_values() {
    let found = decoder().push(&stuffed(b"123456789\x29\xb2"));
    assert_eq!(found, [Found::Wrong(FrameError::Crc { carried: 0x29b2, computed: 0x29b1 })]);
}

#[test]
fn frames_too_short_for_a_payload_are_named_and_empty_ones_passed_over() {
    let crc_of_nothing = CRC.checksum(b"").to_be_bytes();
    assert_eq!(decoder().push(&stuffed(&crc_of_nothing)), [Found::Wrong(FrameError::Short { bytes: 2 })]);
    assert_eq!(decoder().push(b"\x01\x00"), [Found::Wrong(FrameError::Short { bytes: 0 })]);
    assert_eq!(decoder().push(b"\x00\x00\x00"), []);
}

#[test]
fn an_early_delimiter_is_named_and_the_next_frame_found() {
    let found = decoder().push(&[b"\x05ab\x00".as_slice(), &encode(b"good")].concat());
    assert_eq!(found, [Found::Wrong(FrameError::Stuffing), frame(b"good")]);
}

#[test]
fn an_overlong_frame_is_named_once_and_skipped() {
    let mut decoder = decoder();
    let payload = [b'x'; MAX_PAYLOAD_BYTES + 1];
    let found = decoder.push(&[encode(&payload), encode(b"good")].concat());
    assert_eq!(found, [Found::Wrong(FrameError::Overlong), frame(b"good")]);
    assert_eq!(decoder.push(&[b'x'; 10_000]), [Found::Wrong(FrameError::Overlong)]);
    assert_eq!(decoder.push(&encode(b"good")), [frame(b"good")]);
}

#[test]
fn half_a_frame_is_not_glued_to_the_next_after_a_silence() {
    let mut decoder = decoder();
    assert_eq!(decoder.push(&encode(b"first")[..4]), []);
    assert!(decoder.is_partial());
    assert_eq!(decoder.give_up(), [Found::Wrong(FrameError::Cut { bytes: 3 })]);
    // Without a delimiter ahead of it: only the silence tells where it begins.
    assert_eq!(decoder.push(&encode(b"good")[1..]), [frame(b"good")]);
    assert!(!decoder.is_partial());
}
