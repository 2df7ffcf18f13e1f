//! Serial modems on pseudo terminals, which the radio opens by their path like real ports.
//!
//! A pseudo terminal cannot show everything: it has no speed, and it loses no bytes while nobody reads.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod modem;
mod rak3172;
mod transparent;

use modem::{Modem, ModemRadio, PortPath, fails_with, frame_of, receive, wait_for_health};
use radio::contract::{SentPacket, check, check_delivery};
use radio::serial::framing::Framing;
use radio::serial::{CUT_MARK, PortError};
use radio::{AnyRadio, Health, MAX_PAYLOAD_BYTES, Radio, RadioCounters};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::time::Duration;

const SEED: u64 = 25_112_026;
/// Framings that mark the ends of a frame in the bytes.
const DELIMITED: [Framing; 4] = [Framing::Line, Framing::Reyax, Framing::Cobs, Framing::Rak];

/// Only COBS has a CRC on the line, so only a COBS modem can deliver a packet with a wrong CRC.
#[tokio::test]
async fn a_modem_with_cobs_satisfies_the_whole_contract() {
    for seed in 0..3 {
        println!("seed {seed}");
        check(seed, async |on_air| ModemRadio::with(Framing::Cobs, &cobs_of(&on_air))).await.unwrap();
    }
}

fn cobs_of(on_air: &[SentPacket]) -> Vec<u8> {
    let frame = |sent: &SentPacket| {
        let mut frame = frame_of(Framing::Cobs, &sent.payload);
        if !sent.crc_ok {
            // Changes a byte of the payload to one that is not a delimiter.
            frame[2] = if frame[2] == b'x' { b'y' } else { b'x' };
        }
        frame
    };
    on_air.iter().flat_map(frame).collect()
}

/// A modem does not report a packet with a wrong CRC, so that part of the contract does not apply.
#[tokio::test]
async fn the_other_modems_satisfy_the_contract_except_for_crcs() {
    println!("seed {SEED}");
    let mut rng = ChaCha12Rng::seed_from_u64(SEED);
    for framing in [Framing::Line, Framing::Reyax, Framing::Rak] {
        let on_air = payloads_for(framing, &mut rng);
        let bytes: Vec<u8> = on_air.iter().flat_map(|sent| frame_of(framing, &sent.payload)).collect();
        check_delivery(&mut ModemRadio::with(framing, &bytes), &on_air, None).await.unwrap();
        check_delivery(&mut ModemRadio::with(framing, &bytes), &on_air, Some(&mut rng)).await.unwrap();
    }
}

/// Returns payloads of many lengths, the shortest and the longest included, with any bytes that the framing can carry.
fn payloads_for(framing: Framing, rng: &mut ChaCha12Rng) -> Vec<SentPacket> {
    let lengths = [1, 2, 127, 254, 255].into_iter().chain((0..40).map(|n| n % 20 + 1));
    let mut sent = |length| SentPacket { payload: payload_for(framing, length, rng), crc_ok: true };
    lengths.map(&mut sent).collect()
}

fn payload_for(framing: Framing, length: usize, rng: &mut ChaCha12Rng) -> Vec<u8> {
    let mut payload = vec![0; length];
    rng.fill_bytes(&mut payload);
    if framing == Framing::Line {
        for byte in &mut payload {
            *byte = if matches!(*byte, b'\n' | b'\r') { b'.' } else { *byte };
        }
    }
    payload
}

#[tokio::test]
async fn a_noisy_stream_written_in_pieces_gives_exactly_the_good_frames() {
    println!("seed {SEED}");
    let mut rng = ChaCha12Rng::seed_from_u64(SEED);
    for framing in DELIMITED {
        let payloads: Vec<_> = (0..300).map(|n| payload_for(framing, 1 + (n * 7) % 255, &mut rng)).collect();
        let mut stream = noise(framing, &mut rng);
        for payload in &payloads {
            stream.extend(frame_of(framing, payload));
            stream.extend(noise(framing, &mut rng));
        }
        assert_receives(framing, stream, &payloads, rng.random()).await;
    }
}

async fn assert_receives(framing: Framing, stream: Vec<u8>, payloads: &[Vec<u8>], seed: u64) {
    let port = PortPath::new();
    let (modem, mut radio) = (port.plug_in(), AnyRadio::from(port.radio(framing, false)));
    // On a separate thread, so that a failing test does not wait for it.
    let writing = std::thread::spawn(move || write_in_pieces(modem, &stream, seed));
    for (number, payload) in payloads.iter().enumerate() {
        assert_eq!(next_whole(&mut radio).await, *payload, "{framing:?}, frame {number}");
    }
    let _modem = writing.join().unwrap();
    while let Ok(rest) = tokio::time::timeout(Duration::from_millis(50), radio.receive()).await {
        assert!(rest.unwrap().bytes.ends_with(&[CUT_MARK]), "{framing:?}");
    }
    let counts = radio.counters().read();
    assert_eq!((counts.received - counts.cut, counts.rebuilt), (300, 0), "{framing:?}");
    assert!(counts.malformed + counts.cut > 20, "{framing:?}: {counts:?}");
}

/// Returns the next payload that was not cut. The noise of these streams is cut as a line of `x` and the mark.
async fn next_whole(radio: &mut AnyRadio) -> Vec<u8> {
    loop {
        let bytes = receive(radio).await.bytes;
        if bytes.len() < MAX_PAYLOAD_BYTES || !bytes.starts_with(b"xxxx") || !bytes.ends_with(&[CUT_MARK]) {
            return bytes;
        }
    }
}

/// Writes pieces of random lengths: single bytes, parts of frames, and several frames at once.
fn write_in_pieces(mut modem: Modem, stream: &[u8], seed: u64) -> Modem {
    let (mut rng, mut rest) = (ChaCha12Rng::seed_from_u64(seed), stream);
    while !rest.is_empty() {
        let max_bytes = [1, 10, 100, 1_000][rng.random_range(0..4)];
        let (piece, after) = rest.split_at(rest.len().min(rng.random_range(1..=max_bytes)));
        modem.write(piece);
        rest = after;
    }
    modem
}

/// Returns nothing, empty frames, an overlong frame, or bytes that a modem of this framing never writes.
fn noise(framing: Framing, rng: &mut ChaCha12Rng) -> Vec<u8> {
    let end: &[u8] = if framing == Framing::Cobs { b"\0" } else { b"\r\n" };
    let mut any = vec![0; rng.random_range(1..100)];
    rng.fill_bytes(&mut any);
    match (rng.random_range(0..5), framing) {
        (0, _) => [end, end].concat(),
        (1, _) => [&vec![b'x'; rng.random_range(700..1_500)], end].concat(),
        (2, Framing::Reyax) => b"+RCV=1,200,HELLO,-40,9\r\n+ERR=4\r\n+RCV=x\r\n".to_vec(),
        (2, Framing::Rak) => b"+EVT:RXP2P:-60:9:4G\r\nAT_ERROR\r\n+EVT:RXP2P:".to_vec(),
        (2, Framing::Cobs) => b"\0\x05ab\0\x01\x01\x00".to_vec(),
        (3, Framing::Reyax | Framing::Rak) => any.into_iter().filter(|byte| *byte != b'+').collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn the_rssi_after_a_line_and_in_a_report_is_delivered() {
    let port = PortPath::new();
    let (mut modem, mut radio) = (port.plug_in(), port.radio(Framing::Line, true));
    modem.write(b"hxb:A:B:C\r\n\xc4");
    let packet = receive(&mut radio).await;
    assert_eq!((packet.bytes.as_slice(), packet.rssi_dbm), (b"hxb:A:B:C".as_slice(), Some(-60)));
    let (mut modem, mut radio) = (port.plug_in(), port.radio(Framing::Reyax, false));
    modem.write(b"+RCV=50,5,HELLO,-99,9\r\n");
    let packet = receive(&mut radio).await;
    assert_eq!((packet.rssi_dbm, packet.snr_quarter_db, packet.frequency_error_hz), (Some(-99), Some(36), None));
}

#[tokio::test]
async fn unplugging_in_the_middle_of_a_frame_loses_only_that_frame() {
    for framing in DELIMITED {
        let port = PortPath::new();
        let (mut modem, mut radio) = (port.plug_in(), port.radio(framing, false));
        let truncated = frame_of(framing, b"hxb:cut:B:C");
        // In one write, so that the radio has read the half frame once it returns the complete one.
        modem.write(&[frame_of(framing, b"hxb:first:B:C"), truncated[..truncated.len() / 2].to_vec()].concat());
        assert_eq!(receive(&mut radio).await.bytes, b"hxb:first:B:C", "{framing:?}");
        assert_eq!(*radio.health().borrow(), Health::Listening);
        drop(modem);
        let mut modem = port.plug_in();
        modem.write(&frame_of(framing, b"hxb:second:B:C"));
        let is_line = framing == Framing::Line;
        if is_line {
            assert_eq!(receive(&mut radio).await.bytes, b"hxb:cu\xff");
        }
        assert_eq!(receive(&mut radio).await.bytes, b"hxb:second:B:C", "{framing:?}");
        assert_eq!(*radio.health().borrow(), Health::Listening);
        let expected = if is_line {
            RadioCounters { received: 3, cut: 1, rebuilt: 1, ..RadioCounters::default() }
        } else {
            RadioCounters { received: 2, malformed: 1, rebuilt: 1, ..RadioCounters::default() }
        };
        assert_eq!(radio.counters().read(), expected, "{framing:?}");
    }
}

#[tokio::test]
async fn an_unplugged_port_is_reported_until_it_is_back() {
    let port = PortPath::new();
    let modem = port.plug_in();
    let mut radio = port.radio(Framing::Line, false);
    wait_for_health(&mut radio, |health| *health == Health::Listening).await;
    port.remove_path();
    drop(modem);
    wait_for_health(&mut radio, fails_with("unplugged")).await;
    wait_for_health(&mut radio, fails_with("does not exist")).await;
    let _modem = port.plug_in();
    wait_for_health(&mut radio, |health| *health == Health::Listening).await;
    assert_eq!(radio.counters().read().rebuilt, 1);
}

#[tokio::test]
async fn a_busy_port_is_reported_and_read_once_it_is_free() {
    let port = PortPath::new();
    let mut modem = port.plug_in();
    let mut first = port.radio(Framing::Line, false);
    wait_for_health(&mut first, |health| *health == Health::Listening).await;
    let probe = port.settings(Framing::Line, false).probe().await;
    assert!(matches!(probe, Err(PortError::Busy { .. })), "{probe:?}");
    let mut second = port.radio(Framing::Line, false);
    wait_for_health(&mut second, fails_with("in use by another program")).await;
    drop(first);
    wait_for_health(&mut second, |health| *health == Health::Listening).await;
    modem.write(b"hxb:A:B:C\n");
    assert_eq!(receive(&mut second).await.bytes, b"hxb:A:B:C");
    drop(second);
}

#[tokio::test]
async fn a_probe_reports_a_missing_port_and_leaves_the_port_free() {
    let port = PortPath::new();
    let settings = port.settings(Framing::Line, false);
    assert!(matches!(settings.probe().await, Err(PortError::Missing { .. })));
    let _modem = port.plug_in();
    settings.probe().await.unwrap();
    settings.probe().await.unwrap();
}
