//! What holds for the reports of a RAK3172.

use super::super::{Decoder, Framing};
use super::*;

fn frame(payload: &[u8], rssi_dbm: Option<i16>, snr_quarter_db: Option<i16>) -> Found {
    Found::Frame(Frame { payload: payload.to_vec(), rssi_dbm, snr_quarter_db })
}

fn found(bytes: &[u8]) -> Vec<Found> {
    Decoder::new(Framing::Rak, false).push(bytes)
}

fn wrong(line: &str) -> FrameError {
    match found(format!("{line}\r\n").as_bytes())[..] {
        [Found::Wrong(error)] => error,
        ref other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn a_report_is_a_frame_with_its_signal() {
    assert_eq!(found(b"+EVT:RXP2P:-60:11:48656C6C6f\r\n"), [frame(b"Hello", Some(-60), Some(44))]);
    assert_eq!(found(b"+EVT:RXP2P:-121:-7:00\n"), [frame(b"\0", Some(-121), Some(-28))]);
    assert_eq!(found(b"+EVT:RXP2P:-999:99:00\n"), [frame(b"\0", None, None)]);
}

#[test]
fn the_longest_payload_fits_and_a_longer_one_is_named() {
    let report = |bytes| format!("+EVT:RXP2P:-121:-10:{}\r\n", "aA".repeat(bytes)).into_bytes();
    assert_eq!(found(&report(MAX_PAYLOAD_BYTES)), [frame(&[0xaa; MAX_PAYLOAD_BYTES], Some(-121), Some(-40))]);
    assert_eq!(found(&report(MAX_PAYLOAD_BYTES + 1)), [Found::Wrong(FrameError::Overlong)]);
    let short_signal = format!("+EVT:RXP2P:-1:1:{}", "00".repeat(MAX_PAYLOAD_BYTES + 1));
    assert_eq!(wrong(&short_signal), FrameError::Length { bytes: 256 });
}

#[test]
fn what_the_module_says_for_itself_is_a_notice() {
    let notices = found(b"OK\r\n\r\nAT_PARAM_ERROR\r\n+EVT:TXP2P DONE\r\n+EVT:RXP2P RECEIVE TIMEOUT\r\n");
    let other = |text: &str| Found::Notice(Notice::Other(text.to_owned()));
    let expected = [
        Found::Notice(Notice::Accepted),
        Found::Notice(Notice::Refused("AT_PARAM_ERROR".to_owned())),
        other("+EVT:TXP2P DONE"),
        other("+EVT:RXP2P RECEIVE TIMEOUT"),
    ];
    assert_eq!(notices, expected);
}

#[test]
fn each_way_to_be_wrong_has_its_name() {
    assert_eq!(wrong("+EVT:RXP2P:-60:11:"), FrameError::Length { bytes: 0 });
    assert_eq!(wrong("+EVT:RXP2P:-60:11:4"), FrameError::Hex);
    assert_eq!(wrong("+EVT:RXP2P:-60:11:4G"), FrameError::Hex);
    assert_eq!(wrong("+EVT:RXP2P:-60:11"), FrameError::Header);
    assert_eq!(wrong("+EVT:RXP2P:-60:11:00:00"), FrameError::Header);
    assert_eq!(wrong("+EVT:RXP2P:x:11:00"), FrameError::Header);
    assert_eq!(wrong("+EVT:RXP2P, RSSI -60, SNR 11"), FrameError::Header);
    assert_eq!(wrong("hello"), FrameError::Unknown);
    assert_eq!(wrong("AT_\u{e9}"), FrameError::Unknown);
}

#[test]
fn a_report_behind_noise_without_a_line_end_is_found() {
    let good = b"+EVT:RXP2P:-60:11:00\r\n";
    for noise in [b"\x80\xff".as_slice(), b"+EVT:RXP2P:-60:11:48", &[b'x'; 2_000]] {
        let found = found(&[noise, good].concat());
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(matches!(found[0], Found::Wrong(FrameError::Unknown | FrameError::Overlong)));
        assert_eq!(found[1], frame(b"\0", Some(-60), Some(44)));
    }
}

#[test]
fn half_a_report_is_cut_by_a_silence() {
    let mut decoder = Decoder::new(Framing::Rak, false);
    assert_eq!(decoder.push(b"+EVT:RX"), []);
    assert_eq!(decoder.give_up(), [Found::Wrong(FrameError::Cut { bytes: 7 })]);
    assert_eq!(decoder.push(b"OK\n"), [Found::Notice(Notice::Accepted)]);
}
