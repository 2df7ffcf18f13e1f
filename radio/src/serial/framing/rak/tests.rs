//! Tests of the reports of a RAK3172.

use super::*;
use crate::serial::framing::{Decoder, Framing};

fn frame(payload: &[u8], rssi_dbm: Option<i16>, snr_quarter_db: Option<i16>) -> Item {
    Item::Frame(Frame { payload: payload.to_vec(), rssi_dbm, snr_quarter_db })
}

fn decode(bytes: &[u8]) -> Vec<Item> {
    Decoder::new(Framing::Rak, false).push(bytes)
}

fn error(line: &str) -> FrameError {
    match decode(format!("{line}\r\n").as_bytes())[..] {
        [Item::Error(error)] => error,
        ref other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn a_report_is_a_frame_with_its_signal() {
    assert_eq!(decode(b"+EVT:RXP2P:-60:11:48656C6C6f\r\n"), [frame(b"Hello", Some(-60), Some(44))]);
    assert_eq!(decode(b"+EVT:RXP2P:-121:-7:00\n"), [frame(b"\0", Some(-121), Some(-28))]);
    assert_eq!(decode(b"+EVT:RXP2P:-999:99:00\n"), [frame(b"\0", None, None)]);
}

#[test]
fn the_longest_payload_fits_and_a_longer_one_is_reported() {
    let report = |bytes| format!("+EVT:RXP2P:-121:-10:{}\r\n", "aA".repeat(bytes)).into_bytes();
    assert_eq!(decode(&report(MAX_PAYLOAD_BYTES)), [frame(&[0xaa; MAX_PAYLOAD_BYTES], Some(-121), Some(-40))]);
    assert_eq!(decode(&report(MAX_PAYLOAD_BYTES + 1)), [Item::Error(FrameError::Overlong)]);
    let short_signal = format!("+EVT:RXP2P:-1:1:{}", "00".repeat(MAX_PAYLOAD_BYTES + 1));
    assert_eq!(error(&short_signal), FrameError::Length { bytes: 256 });
}

#[test]
fn messages_of_the_module_are_notices() {
    let notices = decode(b"OK\r\n\r\nAT_PARAM_ERROR\r\n+EVT:TXP2P DONE\r\n+EVT:RXP2P RECEIVE TIMEOUT\r\n");
    let other = |text: &str| Item::Notice(Notice::Other(text.to_owned()));
    let expected = [
        Item::Notice(Notice::Accepted),
        Item::Notice(Notice::Rejected("AT_PARAM_ERROR".to_owned())),
        other("+EVT:TXP2P DONE"),
        Item::Notice(Notice::ReceiveEnded),
    ];
    assert_eq!(notices, expected);
}

#[test]
fn a_report_in_two_lines_is_one_frame() {
    let report = b"+EVT:RXP2P, RSSI -33, SNR 10\r\n+EVT:48454C4C4F\r\n";
    assert_eq!(decode(report), [frame(b"HELLO", Some(-33), Some(40))]);
    let two = [report.as_slice(), b"+EVT:RXP2P, RSSI -121, SNR -7\n+EVT:00ff\n"].concat();
    assert_eq!(decode(&two), [frame(b"HELLO", Some(-33), Some(40)), frame(b"\0\xff", Some(-121), Some(-28))]);
    let mixed = [report.as_slice(), b"+EVT:RXP2P:-60:11:48\r\n"].concat();
    assert_eq!(decode(&mixed), [frame(b"HELLO", Some(-33), Some(40)), frame(b"H", Some(-60), Some(44))]);
}

#[test]
fn half_a_report_in_two_lines_costs_nothing_else() {
    let header = "+EVT:RXP2P, RSSI -33, SNR 10\r\n";
    for (next, expected) in [
        ("+EVT:RXP2P:-60:11:48\r\n", frame(b"H", Some(-60), Some(44))),
        ("OK\r\n", Item::Notice(Notice::Accepted)),
        ("+EVT:4G\r\n", Item::Notice(Notice::Other("+EVT:4G".to_owned()))),
    ] {
        let items = decode(format!("{header}{next}").as_bytes());
        assert_eq!(items, [Item::Error(FrameError::Header), expected], "{next:?}");
    }
    let mut decoder = Decoder::new(Framing::Rak, false);
    assert_eq!(decoder.push(header.as_bytes()), []);
    assert!(decoder.is_partial());
    assert_eq!(decoder.flush(), [Item::Error(FrameError::Truncated { bytes: 28 })]);
    assert_eq!(decoder.push(b"+EVT:RXP2P:-60:11:48\r\n"), [frame(b"H", Some(-60), Some(44))]);
}

#[test]
fn a_wrong_crc_on_the_air_and_the_end_of_receiving_are_told_apart() {
    for (line, expected) in [
        ("+EVT:RXP2P RECEIVE ERROR", Item::Error(FrameError::Air)),
        ("+EVT:RXP2P_RECEIVE_ERROR", Item::Error(FrameError::Air)),
        ("+EVT:RXP2P RECEIVE TIMEOUT", Item::Notice(Notice::ReceiveEnded)),
        ("+EVT:RXP2P_RECEIVE_TIMEOUT", Item::Notice(Notice::ReceiveEnded)),
    ] {
        assert_eq!(decode(format!("{line}\r\n").as_bytes()), [expected], "{line}");
    }
}

/// Catches a banner or an echo that counts as damage.
#[test]
fn the_banner_and_echoed_commands_are_notices() {
    let banner = "RAKwireless RAK3172\r\n-------------------\r\nVersion:RUI_4.0.5_RAK3172-E\r\n\
                  Current Work Mode: LoRa P2P.\r\n";
    let items = decode(banner.as_bytes());
    assert!(items.iter().all(|item| matches!(item, Item::Notice(_))), "{items:?}");
    assert_eq!(items.last(), Some(&Item::Notice(Notice::Ready)));
    let echoed = decode(b"AT+PRECV=65534\r\nOK\r\n");
    let expected = [Notice::Other("AT+PRECV=65534".to_owned()), Notice::Accepted].map(Item::Notice);
    assert_eq!(echoed, expected);
}

#[test]
fn each_kind_of_damage_has_its_own_error() {
    assert_eq!(error("+EVT:RXP2P:-60:11:"), FrameError::Length { bytes: 0 });
    assert_eq!(error("+EVT:RXP2P:-60:11:4"), FrameError::Hex);
    assert_eq!(error("+EVT:RXP2P:-60:11:4G"), FrameError::Hex);
    assert_eq!(error("+EVT:RXP2P:-60:11"), FrameError::Header);
    assert_eq!(error("+EVT:RXP2P:-60:11:00:00"), FrameError::Header);
    assert_eq!(error("+EVT:RXP2P:x:11:00"), FrameError::Header);
    assert_eq!(error("+EVT:RXP2P, RSSI -60"), FrameError::Header);
    assert_eq!(error("+EVT:RXP2P, RSSI x, SNR 11"), FrameError::Header);
    assert_eq!(error("hello"), FrameError::Unexpected);
    assert_eq!(error("AT_\u{e9}"), FrameError::Unexpected);
}

#[test]
fn a_report_after_noise_without_a_line_end_is_found() {
    let good = b"+EVT:RXP2P:-60:11:00\r\n";
    for noise in [b"\x80\xff".as_slice(), b"+EVT:RXP2P:-60:11:48", &[b'x'; 2_000]] {
        let items = decode(&[noise, good].concat());
        assert_eq!(items.len(), 2, "{items:?}");
        assert!(matches!(items[0], Item::Error(FrameError::Unexpected | FrameError::Overlong)));
        assert_eq!(items[1], frame(b"\0", Some(-60), Some(44)));
    }
}

#[test]
fn half_a_report_is_reported_as_truncated_after_a_silence() {
    let mut decoder = Decoder::new(Framing::Rak, false);
    assert_eq!(decoder.push(b"+EVT:RX"), []);
    assert_eq!(decoder.flush(), [Item::Error(FrameError::Truncated { bytes: 7 })]);
    assert_eq!(decoder.push(b"OK\n"), [Item::Notice(Notice::Accepted)]);
}
