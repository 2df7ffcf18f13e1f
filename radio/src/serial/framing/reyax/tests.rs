//! Tests of the reports of Reyax modules.

use super::*;
use crate::serial::framing::{Decoder, Framing};

fn frame(payload: &[u8], rssi_dbm: Option<i16>, snr_quarter_db: Option<i16>) -> Item {
    Item::Frame(Frame { payload: payload.to_vec(), rssi_dbm, snr_quarter_db })
}

fn hello() -> Item {
    frame(b"HELLO", Some(-99), Some(36))
}

const HELLO: &[u8] = b"+RCV=50,5,HELLO,-99,9\r\n";

fn decoder() -> Decoder {
    Decoder::new(Framing::Reyax, false)
}

fn decode(bytes: &[u8]) -> Vec<Item> {
    decoder().push(bytes)
}

#[test]
fn a_report_is_a_frame_with_its_signal() {
    assert_eq!(decode(HELLO), [hello()]);
    assert_eq!(decode(b"+RCV=0,1,x,-40,-12\n"), [frame(b"x", Some(-40), Some(-48))]);
    // The SNR in the RYLR896 guide, which cannot be in dB.
    assert_eq!(decode(b"+RCV=65535,1,x,-40,40\r\n"), [frame(b"x", Some(-40), None)]);
}

#[test]
fn only_the_length_delimits_the_data() {
    let nasty = b",-1,1\r\n+RCV=1,3,abc,-1,1\r\n,\0";
    let report = [format!("+RCV=7,{},", nasty.len()).as_bytes(), nasty, b",-50,3\r\n"].concat();
    assert_eq!(decode(&report), [frame(nasty, Some(-50), Some(12))]);
}

#[test]
fn the_longest_payload_fits_and_other_lengths_are_reported() {
    let report = |bytes: usize| format!("+RCV=65535,{bytes},{},-121,-10\r\n", "x".repeat(bytes)).into_bytes();
    assert_eq!(decode(&report(255)), [frame(&[b'x'; 255], Some(-121), Some(-40))]);
    for bytes in [0, 256, 999] {
        let expected = [Item::Error(FrameError::Length { bytes }), hello()];
        assert_eq!(decode(&[&report(bytes), HELLO].concat()), expected);
    }
}

#[test]
fn messages_of_the_module_are_notices() {
    let notices = decode(b"+READY\r\n+OK\r\n\r\n+ERR=12\r\n+VER=RYLR998\r\n");
    let expected = [
        Notice::Ready,
        Notice::Accepted,
        Notice::Rejected("+ERR=12".to_owned()),
        Notice::Other("+VER=RYLR998".to_owned()),
    ];
    assert_eq!(notices, expected.map(Item::Notice));
}

#[test]
fn each_kind_of_damage_has_its_own_error_and_the_next_report_is_found() {
    for (wrong, error) in [
        (b"+RCV=x,5,HELLO,-99,9\r\n".as_slice(), FrameError::Header),
        (b"+RCV=70000,5,HELLO,-99,9\r\n", FrameError::Header),
        (b"+RCV=123456,5,HELLO,-99,9\r\n", FrameError::Header),
        (b"+RCV=50,,HELLO,-99,9\r\n", FrameError::Header),
        (b"+RCV=50,1000,HELLO,-99,9\r\n", FrameError::Header),
        (b"+RCV=50,4,HELLO,-99,9\r\n", FrameError::Trailer),
        (b"+RCV=50,5,HELLO,-9999,9\r\n", FrameError::Trailer),
        (b"+RCV=50,5,HELLO,-,9\r\n", FrameError::Trailer),
        (b"+RCV=50,5,HELLO,-99,9,1\r\n", FrameError::Trailer),
        (b"+RCV=50,5,HELLO,-99\r\n", FrameError::Trailer),
        (b"HELLO\r\n", FrameError::Unexpected),
        (b"+\xff\r\n", FrameError::Unexpected),
        (&[b'x'; 5_000], FrameError::Overlong),
    ] {
        let items = decode(&[wrong, HELLO].concat());
        assert_eq!(items, [Item::Error(error), hello()], "{}", wrong.escape_ascii());
    }
}

#[test]
fn a_report_after_noise_or_half_a_report_is_found() {
    for noise in
        [b"\x80+".as_slice(), b"+RC", b"+RCV", b"+RCV=", b"+RCV=50", b"+RCV=50,5,HEL", b"+RCV=50,5,HELLO,-9", b"+OK"]
    {
        let items = decode(&[noise, HELLO].concat());
        assert_eq!(items.last(), Some(&hello()), "{}: {items:?}", noise.escape_ascii());
        assert_eq!(items.len(), 2, "{}: {items:?}", noise.escape_ascii());
    }
}

#[test]
fn a_damaged_length_swallows_no_report() {
    let mut decoder = decoder();
    // The length is 200, so the two good reports count as data until the trailer proves wrong or the line is silent.
    let stream = [b"+RCV=50,200,HELLO,-99,9\r\n".as_slice(), HELLO, HELLO].concat();
    assert_eq!(decoder.push(&stream), []);
    let items = decoder.flush();
    assert!(matches!(items[0], Item::Error(FrameError::Truncated { .. })), "{items:?}");
    assert_eq!(items[1..], [hello(), hello()]);
    let again = [stream, [HELLO; 8].concat()].concat();
    let items = decoder.push(&again);
    assert_eq!(items[0], Item::Error(FrameError::Trailer));
    assert_eq!(items[1..], vec![hello(); 10]);
}

#[test]
fn half_a_report_is_reported_as_truncated_after_a_silence() {
    for half in [b"+RCV=50,5,HEL".as_slice(), b"+RC", b"noise", b"+OK"] {
        let mut decoder = decoder();
        assert_eq!(decoder.push(half), []);
        assert!(decoder.is_partial());
        assert_eq!(decoder.flush(), [Item::Error(FrameError::Truncated { bytes: half.len() })]);
        assert!(!decoder.is_partial());
        assert_eq!(decoder.push(HELLO), [hello()]);
    }
}
