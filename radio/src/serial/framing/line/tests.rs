//! Tests of lines, with and without an RSSI byte after them.

use super::*;
use crate::serial::framing::{Decoder, Framing};

fn frame(payload: &[u8], rssi_dbm: Option<i16>) -> Item {
    Item::Frame(Frame { payload: payload.to_vec(), rssi_dbm, snr_quarter_db: None })
}

fn plain() -> Decoder {
    Decoder::new(Framing::Line, false)
}

fn with_rssi() -> Decoder {
    Decoder::new(Framing::Line, true)
}

#[test]
fn a_line_is_a_payload_with_lf_and_with_cr_lf() {
    let items = plain().push(b"hxb:A:B:C\r\nhxb:D:E:F\nx\n");
    assert_eq!(items, [frame(b"hxb:A:B:C", None), frame(b"hxb:D:E:F", None), frame(b"x", None)]);
}

fn cut(bytes: &[u8], error: FrameError) -> Item {
    Item::Cut { bytes: bytes.to_vec(), error }
}

#[test]
fn lf_cr_and_cr_lf_end_a_line() {
    for end in ["\n", "\r", "\r\n"] {
        let items = plain().push(format!("hxb:A:B:C{end}hxb:D:E:F{end}x{end}").as_bytes());
        assert_eq!(items, [frame(b"hxb:A:B:C", None), frame(b"hxb:D:E:F", None), frame(b"x", None)], "{end:?}");
        let items = with_rssi().push(format!("hxb:A:B:C{end}\u{7f}").as_bytes());
        assert_eq!(items, [frame(b"hxb:A:B:C", None)], "{end:?}");
        let items = with_rssi().push(&[b"hxb:A:B:C", end.as_bytes(), b"\xc4"].concat());
        assert_eq!(items, [frame(b"hxb:A:B:C", Some(-60))], "{end:?}");
    }
    // Senders of one barn may differ.
    let items = plain().push(b"a\rb\nc\r\nd\n\re\r");
    assert_eq!(items, [b"a", b"b", b"c", b"d", b"e"].map(|payload| frame(payload, None)));
}

#[test]
fn only_the_line_end_is_removed() {
    assert_eq!(plain().push(b" a \r\r\n\xff\x00\n"), [frame(b" a ", None), frame(b"\xff\x00", None)]);
}

/// The case of a module that does not always append its strength.
#[test]
fn a_byte_of_the_next_line_is_not_taken_for_a_strength() {
    let items = with_rssi().push(b"hxb:A\ntag:B\n\xc4");
    assert_eq!(items, [frame(b"hxb:A", None), frame(b"tag:B", Some(-60))]);
    for next in [b"event:1", b"~ABCDEF", b"0123456"] {
        let items = with_rssi().push(&[b"hxb:A\n".as_slice(), next, b"\n\xff"].concat());
        assert_eq!(items, [frame(b"hxb:A", None), frame(next, Some(-1))]);
    }
}

#[test]
fn empty_lines_are_skipped() {
    assert_eq!(plain().push(b"\n\r\n\n\r\nx\n\n"), [frame(b"x", None)]);
}

#[test]
fn a_line_of_255_bytes_is_a_payload_and_one_of_256_is_reported_once() {
    for end in [b"\n".as_slice(), b"\r\n"] {
        let mut decoder = plain();
        let longest = [b'x'; MAX_PAYLOAD_BYTES];
        assert_eq!(decoder.push(&[&longest, end].concat()), [frame(&longest, None)]);
        let overlong = [b'x'; MAX_PAYLOAD_BYTES + 1];
        assert_eq!(decoder.push(&[&overlong, end].concat()), [cut(&longest, FrameError::Overlong)]);
        let endless = [b'x'; 10_000];
        assert_eq!(decoder.push(&endless), [cut(&longest, FrameError::Overlong)]);
        assert_eq!(decoder.push(&[end, b"good\n"].concat()), [frame(b"good", None)]);
    }
}

#[test]
fn half_a_line_is_not_joined_with_the_next_after_a_silence() {
    let mut decoder = plain();
    assert_eq!(decoder.push(b"hxb:A"), []);
    assert!(decoder.is_partial());
    assert_eq!(decoder.flush(), [cut(b"hxb:A", FrameError::Truncated { bytes: 5 })]);
    assert_eq!(decoder.push(b"hxb:D:E:F\n"), [frame(b"hxb:D:E:F", None)]);
    assert!(!decoder.is_partial());
}

#[test]
fn a_silence_ends_an_overlong_line_too() {
    let mut decoder = plain();
    decoder.push(&[b'x'; 300]);
    assert!(decoder.is_partial());
    assert_eq!(decoder.flush(), []);
    assert_eq!(decoder.push(b"good\n"), [frame(b"good", None)]);
}

#[test]
fn the_rssi_is_the_byte_after_the_line_end() {
    let items = with_rssi().push(b"first\r\n\xc4second\n\x9athird\r\n\xff");
    assert_eq!(items, [frame(b"first", Some(-60)), frame(b"second", Some(-102)), frame(b"third", Some(-1))]);
}

#[test]
fn a_line_waits_for_its_rssi_until_a_silence() {
    let mut decoder = with_rssi();
    assert_eq!(decoder.push(b"first\r\n"), []);
    assert!(decoder.is_partial());
    assert_eq!(decoder.flush(), [frame(b"first", None)]);
    assert_eq!(decoder.push(b"second\n\xc4"), [frame(b"second", Some(-60))]);
}

/// Catches `rssi_byte = true` on a module that appends none, which would eat the first byte of each line.
#[test]
fn a_module_that_appends_no_rssi_loses_no_byte_of_its_lines() {
    let mut decoder = with_rssi();
    let items = decoder.push(b"hxb:A:B:C\r\nevent:hxbind1\r\nhxe:A:B:C\r\n");
    assert_eq!(items, [frame(b"hxb:A:B:C", None), frame(b"event:hxbind1", None)]);
    assert_eq!(decoder.flush(), [frame(b"hxe:A:B:C", None)]);
}

#[test]
fn the_rssi_of_an_empty_or_overlong_line_goes_to_no_other_line() {
    let items = with_rssi().push(&[b"\r\n\xc4".as_slice(), &[b'x'; 300], b"\r\n\xc4good\n\xc5"].concat());
    assert_eq!(items, [cut(&[b'x'; MAX_PAYLOAD_BYTES], FrameError::Overlong), frame(b"good", Some(-59))]);
}
