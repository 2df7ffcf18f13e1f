//! What holds for lines, with and without a byte of strength behind them.

use super::super::{Decoder, Framing};
use super::*;

fn frame(payload: &[u8], rssi_dbm: Option<i16>) -> Found {
    Found::Frame(Frame { payload: payload.to_vec(), rssi_dbm, snr_quarter_db: None })
}

fn plain() -> Decoder {
    Decoder::new(Framing::Line, false)
}

fn with_strength() -> Decoder {
    Decoder::new(Framing::Line, true)
}

#[test]
fn a_line_is_a_payload_whether_it_ends_in_lf_or_in_cr_lf() {
    let found = plain().push(b"hxb:A:B:C\r\nhxb:D:E:F\nx\n");
    assert_eq!(found, [frame(b"hxb:A:B:C", None), frame(b"hxb:D:E:F", None), frame(b"x", None)]);
}

#[test]
fn only_the_line_end_is_taken_off() {
    assert_eq!(plain().push(b" a\rb \r\r\n\xff\x00\n"), [frame(b" a\rb \r", None), frame(b"\xff\x00", None)]);
}

#[test]
fn empty_lines_are_passed_over() {
    assert_eq!(plain().push(b"\n\r\n\n\r\nx\n\n"), [frame(b"x", None)]);
}

#[test]
fn a_line_of_255_bytes_is_a_payload_and_one_of_256_is_overlong_once() {
    for end in [b"\n".as_slice(), b"\r\n"] {
        let mut decoder = plain();
        let longest = [b'x'; MAX_PAYLOAD_BYTES];
        assert_eq!(decoder.push(&[&longest, end].concat()), [frame(&longest, None)]);
        let overlong = [b'x'; MAX_PAYLOAD_BYTES + 1];
        assert_eq!(decoder.push(&[&overlong, end].concat()), [Found::Wrong(FrameError::Overlong)]);
        let endless = [b'x'; 10_000];
        assert_eq!(decoder.push(&endless), [Found::Wrong(FrameError::Overlong)]);
        assert_eq!(decoder.push(&[end, b"good\n"].concat()), [frame(b"good", None)]);
    }
}

#[test]
fn half_a_line_is_not_glued_to_the_next_after_a_silence() {
    let mut decoder = plain();
    assert_eq!(decoder.push(b"hxb:A"), []);
    assert!(decoder.is_partial());
    assert_eq!(decoder.give_up(), [Found::Wrong(FrameError::Cut { bytes: 5 })]);
    assert_eq!(decoder.push(b"hxb:D:E:F\n"), [frame(b"hxb:D:E:F", None)]);
    assert!(!decoder.is_partial());
}

#[test]
fn a_silence_ends_an_overlong_line_too() {
    let mut decoder = plain();
    decoder.push(&[b'x'; 300]);
    assert!(decoder.is_partial());
    assert_eq!(decoder.give_up(), []);
    assert_eq!(decoder.push(b"good\n"), [frame(b"good", None)]);
}

#[test]
fn the_strength_is_the_byte_behind_the_line_end() {
    let found = with_strength().push(b"first\r\n\xc4second\n\x9athird\r\n\xff");
    assert_eq!(found, [frame(b"first", Some(-60)), frame(b"second", Some(-102)), frame(b"third", Some(-1))]);
}

#[test]
fn a_line_waits_for_its_strength_and_goes_without_it_after_a_silence() {
    let mut decoder = with_strength();
    assert_eq!(decoder.push(b"first\r\n"), []);
    assert!(decoder.is_partial());
    assert_eq!(decoder.give_up(), [frame(b"first", None)]);
    assert_eq!(decoder.push(b"second\n\xc4"), [frame(b"second", Some(-60))]);
}

#[test]
fn a_module_that_appends_no_strength_loses_no_byte_of_its_lines() {
    let mut decoder = with_strength();
    let found = decoder.push(b"hxb:A:B:C\r\nevent:hxbind1\r\nhxe:A:B:C\r\n");
    assert_eq!(found, [frame(b"hxb:A:B:C", None), frame(b"event:hxbind1", None)]);
    assert_eq!(decoder.give_up(), [frame(b"hxe:A:B:C", None)]);
}

#[test]
fn empty_and_overlong_lines_take_their_strength_with_them() {
    let found = with_strength().push(&[b"\r\n\xc4".as_slice(), &[b'x'; 300], b"\r\n\xc4good\n\xc5"].concat());
    assert_eq!(found, [Found::Wrong(FrameError::Overlong), frame(b"good", Some(-59))]);
}
