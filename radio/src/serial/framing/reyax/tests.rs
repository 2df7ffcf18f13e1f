//! What holds for the reports of a Reyax module.

use super::super::{Decoder, Framing};
use super::*;

fn frame(payload: &[u8], rssi_dbm: Option<i16>, snr_quarter_db: Option<i16>) -> Found {
    Found::Frame(Frame { payload: payload.to_vec(), rssi_dbm, snr_quarter_db })
}

fn hello() -> Found {
    frame(b"HELLO", Some(-99), Some(36))
}

const HELLO: &[u8] = b"+RCV=50,5,HELLO,-99,9\r\n";

fn decoder() -> Decoder {
    Decoder::new(Framing::Reyax, false)
}

fn found(bytes: &[u8]) -> Vec<Found> {
    decoder().push(bytes)
}

#[test]
fn a_report_is_a_frame_with_its_signal() {
    assert_eq!(found(HELLO), [hello()]);
    assert_eq!(found(b"+RCV=0,1,x,-40,-12\n"), [frame(b"x", Some(-40), Some(-48))]);
    // The value of the RYLR896 guide is no dB.
    assert_eq!(found(b"+RCV=65535,1,x,-40,40\r\n"), [frame(b"x", Some(-40), None)]);
}

#[test]
fn the_length_alone_says_where_the_data_ends() {
    let nasty = b",-1,1\r\n+RCV=1,3,abc,-1,1\r\n,\0";
    let report = [format!("+RCV=7,{},", nasty.len()).as_bytes(), nasty, b",-50,3\r\n"].concat();
    assert_eq!(found(&report), [frame(nasty, Some(-50), Some(12))]);
}

#[test]
fn the_longest_payload_fits_and_other_lengths_are_named() {
    let report = |bytes: usize| format!("+RCV=65535,{bytes},{},-121,-10\r\n", "x".repeat(bytes)).into_bytes();
    assert_eq!(found(&report(255)), [frame(&[b'x'; 255], Some(-121), Some(-40))]);
    for bytes in [0, 256, 999] {
        let expected = [Found::Wrong(FrameError::Length { bytes }), hello()];
        assert_eq!(found(&[&report(bytes), HELLO].concat()), expected);
    }
}

#[test]
fn what_the_module_says_for_itself_is_a_notice() {
    let notices = found(b"+READY\r\n+OK\r\n\r\n+ERR=12\r\n+VER=RYLR998\r\n");
    let expected = [
        Notice::Ready,
        Notice::Accepted,
        Notice::Refused("+ERR=12".to_owned()),
        Notice::Other("+VER=RYLR998".to_owned()),
    ];
    assert_eq!(notices, expected.map(Found::Notice));
}

#[test]
fn each_way_to_be_wrong_has_its_name_and_the_next_report_is_found() {
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
        (b"HELLO\r\n", FrameError::Unknown),
        (b"+\xff\r\n", FrameError::Unknown),
        (&[b'x'; 5_000], FrameError::Overlong),
    ] {
        let found = found(&[wrong, HELLO].concat());
        assert_eq!(found, [Found::Wrong(error), hello()], "{}", wrong.escape_ascii());
    }
}

#[test]
fn a_report_behind_noise_or_half_a_report_is_found() {
    for noise in
        [b"\x80+".as_slice(), b"+RC", b"+RCV", b"+RCV=", b"+RCV=50", b"+RCV=50,5,HEL", b"+RCV=50,5,HELLO,-9", b"+OK"]
    {
        let found = found(&[noise, HELLO].concat());
        assert_eq!(found.last(), Some(&hello()), "{}: {found:?}", noise.escape_ascii());
        assert_eq!(found.len(), 2, "{}: {found:?}", noise.escape_ascii());
    }
}

#[test]
fn a_length_that_was_damaged_swallows_no_report() {
    let mut decoder = decoder();
    // 200 bytes are announced: the two good reports are data, until the trailer fails or a silence says so.
    let stream = [b"+RCV=50,200,HELLO,-99,9\r\n".as_slice(), HELLO, HELLO].concat();
    assert_eq!(decoder.push(&stream), []);
    let found = decoder.give_up();
    assert!(matches!(found[0], Found::Wrong(FrameError::Cut { .. })), "{found:?}");
    assert_eq!(found[1..], [hello(), hello()]);
    let again = [stream, [HELLO; 8].concat()].concat();
    let found = decoder.push(&again);
    assert_eq!(found[0], Found::Wrong(FrameError::Trailer));
    assert_eq!(found[1..], vec![hello(); 10]);
}

#[test]
fn half_a_report_is_cut_by_a_silence() {
    for half in [b"+RCV=50,5,HEL".as_slice(), b"+RC", b"noise", b"+OK"] {
        let mut decoder = decoder();
        assert_eq!(decoder.push(half), []);
        assert!(decoder.is_partial());
        assert_eq!(decoder.give_up(), [Found::Wrong(FrameError::Cut { bytes: half.len() })]);
        assert!(!decoder.is_partial());
        assert_eq!(decoder.push(HELLO), [hello()]);
    }
}
