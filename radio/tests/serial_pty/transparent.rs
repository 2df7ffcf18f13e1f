//! Modules in transparent mode: every line end, senders without one, strengths that may be missing, and control lines.

use super::modem::{PortPath, fails_with, receive, wait_for_health};
use radio::serial::framing::Framing;
use radio::{Health, Radio, RadioCounters, SerialSettings};

#[tokio::test]
async fn every_line_end_is_received() {
    for end in ["\n", "\r", "\r\n"] {
        let port = PortPath::new();
        let (mut modem, mut radio) = (port.plug_in(), port.radio(Framing::Line, false));
        modem.write(format!("hxb:A:B:C{end}hxb:D:E:F{end}").as_bytes());
        assert_eq!(receive(&mut radio).await.bytes, b"hxb:A:B:C", "{end:?}");
        assert_eq!(receive(&mut radio).await.bytes, b"hxb:D:E:F", "{end:?}");
        assert_eq!(radio.counters().read(), RadioCounters { received: 2, ..RadioCounters::default() }, "{end:?}");
    }
}

/// The strength may be missing after some lines; then the first byte of the next line stands in its place.
#[tokio::test]
async fn a_strength_is_taken_only_where_it_can_be_one() {
    let port = PortPath::new();
    let (mut modem, mut radio) = (port.plug_in(), port.radio(Framing::Line, true));
    modem.write(&[0x68, 0x78, 0x62, 0x3A, 0x41, 0x0A, 0x74, 0x61, 0x67, 0x3A, 0x42, 0x0A, 0xC4]);
    modem.write(b"hxb:C\r\n\x80");
    for (payload, rssi_dbm) in [(b"hxb:A", None), (b"tag:B", Some(-60)), (b"hxb:C", Some(-128))] {
        let packet = receive(&mut radio).await;
        assert_eq!((packet.bytes.as_slice(), packet.rssi_dbm), (payload.as_slice(), rssi_dbm));
    }
}

#[tokio::test]
async fn what_a_silence_cuts_off_a_line_is_kept_with_a_mark_and_counted() {
    let port = PortPath::new();
    let (mut modem, mut radio) = (port.plug_in(), port.radio(Framing::Line, false));
    modem.write(b"hxb:A:B:9820");
    assert_eq!(receive(&mut radio).await.bytes, b"hxb:A:B:9820\xff");
    modem.write(b"hxb:D:E:F\n");
    assert_eq!(receive(&mut radio).await.bytes, b"hxb:D:E:F");
    assert_eq!(radio.counters().read(), RadioCounters { received: 2, cut: 1, ..RadioCounters::default() });
}

#[tokio::test]
async fn bursts_without_line_ends_are_payloads() {
    for (rssi_byte, bytes, payload, rssi_dbm) in [
        (false, b"hxb:A:B:C".as_slice(), b"hxb:A:B:C".as_slice(), None),
        (false, b"\x00any\xff\r\n", b"\x00any\xff\r\n", None),
        (true, b"hxb:A:B:C\xc4", b"hxb:A:B:C", Some(-60)),
        (true, b"hxb:A:B:C", b"hxb:A:B:C", None),
    ] {
        let port = PortPath::new();
        let (mut modem, mut radio) = (port.plug_in(), port.radio(Framing::Burst, rssi_byte));
        modem.write(bytes);
        let packet = receive(&mut radio).await;
        assert_eq!((packet.bytes.as_slice(), packet.rssi_dbm), (payload, rssi_dbm), "{bytes:?}");
        modem.write(bytes);
        assert_eq!(receive(&mut radio).await.bytes, payload);
        assert_eq!(radio.counters().read(), RadioCounters { received: 2, ..RadioCounters::default() });
    }
}

/// A pseudo terminal has no control lines, so setting one fails, and the failure names the setting.
#[tokio::test]
async fn a_control_line_that_cannot_be_set_is_named_with_its_setting() {
    for (dtr, rts, named) in [
        (Some(true), None, "no DTR line that can be set"),
        (None, Some(false), "no RTS line that can be set"),
        (None, Some(true), "remove `rts`"),
    ] {
        let port = PortPath::new();
        let _modem = port.plug_in();
        let settings = SerialSettings { dtr, rts, ..port.settings(Framing::Line, false) };
        let mut radio = settings.open().unwrap();
        wait_for_health(&mut radio, fails_with(named)).await;
    }
    let port = PortPath::new();
    let _modem = port.plug_in();
    wait_for_health(&mut port.radio(Framing::Line, false), |health| *health == Health::Listening).await;
}
